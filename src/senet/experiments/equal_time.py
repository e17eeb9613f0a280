"""The fair baseline of a comparison: the plain network trained longer, for the time that the blocks cost."""

from dataclasses import replace

from senet.experiments.measured_cost import MeasuredCosts
from senet.experiments.recipe import Recipe
from senet.experiments.study import Row, Study

__all__ = ["EQUAL_TIME", "lengthened", "with_equal_time"]

EQUAL_TIME = "equal time"
"""End of the id and of the label of the row."""


def with_equal_time(study: Study, costs: MeasuredCosts, *, fused: bool) -> Study:
    """Add the baseline with more epochs, and compare the designs with it.

    There is one such row, with the epochs that the design with the longest step takes; the designs whose steps are
    shorter are compared with a plain network that had a little more time than they. The baseline itself stays in the
    table, and no row is compared with it.

    Args:
        study: designs that are compared with its baseline.
        costs: measurement of their networks.
        fused: the trainings use `senet.accelerate`.

    Returns:
        The study; where the blocks cost less than half an epoch, it gets a note and no row.
    """
    base = next(row for row in study.rows if row.id == study.baseline)
    ratios = {}
    for row in study.rows:
        cost = costs.of(row.run)
        if row is not base and cost is not None:
            ratios[row.label] = (cost.optimized if fused else cost.ordinary).step.median
    longest = max(ratios, key=lambda label: ratios[label])
    recipe = lengthened(base.run.recipe, ratios[longest])
    before = base.run.recipe.epochs
    if recipe.epochs <= before:
        said = (
            f"equal time: the step of {longest} takes {ratios[longest]:.2f} times that of {base.label}, less than half "
            f"an epoch of {before} in all; {base.label} has already been trained for the same time"
        )
        return replace(study, notes=(*study.notes, said))
    row = Row(id=f"{base.id} {EQUAL_TIME}", label=f"{base.label}, {EQUAL_TIME}", run=replace(base.run, recipe=recipe))
    said = (
        f"{row.label}: {recipe.epochs} epochs instead of {before}, as a step of {longest}, the slowest design, takes "
        f"{ratios[longest]:.2f} times as long; the designs are compared with this row"
    )
    designs = [replace(one, versus=row.id) for one in study.rows if one is not base]
    return replace(study, rows=(base, row, *designs), notes=(*study.notes, said))


def lengthened(recipe: Recipe, factor: float) -> Recipe:
    """Return a recipe with more epochs, a whole number, and with its schedule stretched to them.

    Args:
        recipe: the training.
        factor: of the number of epochs.

    Example:
        >>> lengthened(Recipe(epochs=15), 1.14).epochs
        17
    """
    epochs = round(recipe.epochs * factor)
    if epochs <= recipe.epochs:
        return recipe
    stretch = epochs / recipe.epochs
    steps = tuple((epoch * stretch, value) for epoch, value in recipe.schedule.steps)
    schedule = replace(recipe.schedule, steps=steps, gamma=recipe.schedule.gamma ** (1 / stretch))
    return replace(recipe, epochs=epochs, schedule=schedule)
