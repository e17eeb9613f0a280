"""Studies of three rows with results made up from counts of correct answers."""

from collections.abc import Mapping
from dataclasses import replace

from senet.experiments.recipe import Recipe
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.experiments.study import Row, Study
from senet.spec import SESpec

SHORT = Run(recipe=Recipe(epochs=2))


def result(run: Run, correct: int, *, epochs: int = 2, seconds: float = 3.0) -> Result:
    """Make the result of a run with 1,000 test images of two classes."""
    curve = [
        Epoch(
            epoch=number,
            lr=0.1,
            train_loss=1.0,
            test_loss=0.25 * number,
            correct=correct if number == epochs else 999,  # the best epoch is not the last
            correct5=1000,
            seconds=seconds,
        )
        for number in range(1, epochs + 1)
    ]
    return Result(
        run=run,
        curve=tuple(curve),
        classes=("cat", "dog"),
        confusion=((400, 100), (900 - correct, correct - 400)),
        params=100 + 10 * len(run.se),
        macs=2_000_000,
        train_images=10,
        train_seconds=1.0,
        data="fingerprint",
    )


def study(seeds: tuple[int, ...]) -> Study:
    rows = (
        Row(id="plain", label="Plain", run=SHORT),
        Row(id="se", label="SE", run=replace(SHORT, se=(SESpec(),))),
        Row(id="bump", label="Bump", run=replace(SHORT, se=(SESpec(variant="bump"),))),
    )
    return Study(name="s", title="t", rows=rows, seeds=seeds)


def results(study: Study, correct: Mapping[str, Mapping[int, int]]) -> dict[Run, Result]:
    """Make results from correct answers by row and seed."""
    runs = ((study.run(row, seed), right) for row in study.rows for seed, right in correct.get(row.id, {}).items())
    return {run: result(run, right, epochs=run.recipe.epochs) for run, right in runs}
