"""Shell completion of values: networks, data sets, recipes, designs, settings, studies, runs. No torch here."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, get_args

import typer

__all__ = [
    "complete_data",
    "complete_design",
    "complete_model",
    "complete_network",
    "complete_origin",
    "complete_recipe",
    "complete_setting",
    "complete_space",
    "complete_strategy",
    "one_of",
]


def one_of(*names: str) -> Callable[[str], list[str]]:
    """Return a function that completes to one of some names."""
    return lambda incomplete: _starting(names, incomplete)


def complete_model(incomplete: str) -> list[str]:
    """Return the networks of the zoo that start with the typed text, and the prefixes of other libraries."""
    from senet.reports.zoo_costs import COSTS

    return _starting([*COSTS, "timm:", "torchvision:"], incomplete)


def complete_network(incomplete: str) -> list[str]:
    """Return what `complete_model` does, and the runs of the folder `runs`."""
    folders = sorted(path.parent for path in Path("runs").glob("*/run.json"))
    return [*complete_model(incomplete), *_starting(map(str, folders), incomplete)]


def complete_data(incomplete: str) -> list[str]:
    """Return the data sets that start with the typed text."""
    from senet.execution.asked_run import DEFAULTS

    return _starting(DEFAULTS, incomplete)


def complete_recipe(incomplete: str) -> list[str]:
    """Return the recipes that start with the typed text."""
    from senet.experiments.recipe import RECIPES

    return _starting(RECIPES, incomplete)


def complete_design(incomplete: str) -> list[str]:
    """Return the designs that start with the typed text: variants and kinds, and behind a colon keys and their values.

    Example:
        >>> complete_design("bump:slot=p"), complete_design("eca+standard:r")
        (['bump:slot=pre', 'bump:slot=post'], ['eca+standard:reduction=', 'eca+standard:rounding='])
    """
    from senet.kinds import KINDS
    from senet.spec import NAMES, VARIANTS
    from senet.spec_words import EXAMPLES

    before, plus, design = incomplete.rpartition("+")
    _, colon, rest = design.partition(":")
    if not colon:
        return [before + plus + name for name in _starting(["plain", *VARIANTS, *KINDS], design)]
    word = rest.rpartition(",")[2]
    key, equals, value = word.partition("=")
    if equals:
        found = _starting(["true", "false"] if key == "bias" else NAMES.get(key, ()), value)
        return [incomplete.removesuffix(value) + name for name in found]
    keys = [f"{name}=" for name in EXAMPLES if name != "variant"]
    return [incomplete.removesuffix(word) + name for name in _starting(keys, word)]


def complete_setting(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the settings of the command that start with the typed text; behind `=` the values, if they have names."""
    from senet.cli.setting_list import COMMANDS, RUN, setting_list

    name, equals, value = incomplete.partition("=")
    own: Any = getattr(ctx.command, "settings", ())
    taken = {one.name for one in own}
    found = [one for one in setting_list() if one.name in taken or one.of == RUN or (one.of != COMMANDS and not own)]
    if equals:
        return [f"{name}={one}" for known in found if known.name == name for one in _starting(known.names, value)]
    return _starting((f"{one.name}=" for one in found), incomplete)


def complete_space(incomplete: str) -> list[str]:
    """Return the spaces of `senet search` that start with the typed text."""
    from senet.cli.study_files import studies_folder

    return _starting((path.stem for path in sorted((studies_folder() / "spaces").glob("*.toml"))), incomplete)


def complete_strategy(incomplete: str) -> list[str]:
    """Return the strategies of a search that start with the typed text."""
    return _starting(("greedy", "grid", "random", "tpe", "nsga2", "shared"), incomplete)


def complete_origin(incomplete: str) -> list[str]:
    """Return the origins of weights that start with the typed text."""
    from senet.known_names import Origins

    return _starting(get_args(Origins), incomplete)


def _starting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
