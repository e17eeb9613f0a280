"""Shell completion of values: networks, data sets, recipes, designs, strategies. No torch here."""

__all__ = ["complete_data", "complete_design", "complete_model", "complete_recipe", "complete_strategy"]


def complete_model(incomplete: str) -> list[str]:
    """Return the networks of the zoo that start with the typed text."""
    from senet.reports.zoo_costs import COSTS

    return [name for name in COSTS if name.startswith(incomplete)]


def complete_data(incomplete: str) -> list[str]:
    """Return the data sets that start with the typed text."""
    from senet.execution.asked_run import DEFAULTS

    return [name for name in DEFAULTS if name.startswith(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """Return the recipes that start with the typed text."""
    from senet.experiments.recipe import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]


def complete_design(incomplete: str) -> list[str]:
    """Return the variants and kinds that start with the typed text."""
    from senet.kinds import KINDS
    from senet.spec import VARIANTS

    return [name for name in ("plain", *VARIANTS, *KINDS) if name.startswith(incomplete)]


def complete_strategy(incomplete: str) -> list[str]:
    """Return the strategies of a search that start with the typed text."""
    names = ("greedy", "grid", "random", "tpe", "nsga2", "shared")
    return [name for name in names if name.startswith(incomplete)]
