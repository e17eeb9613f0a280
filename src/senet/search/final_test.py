"""Test the networks that a search trained on the test set, after the choice, which does not use it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from senet.data.loading import load_for
from senet.execution.store import Store
from senet.experiments.setup import Setup
from senet.networks import from_pretrained, own_builder
from senet.search.outcome import SearchOutcome
from senet.search.strategy import Design
from senet.training.evaluation import evaluate

__all__ = ["Selection", "selections", "test_accuracies"]

Accuracies = Mapping[Design, Mapping[int, float]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The design that one criterion selects, and its test accuracy.

    Attributes:
        criterion: in words.
        design: the selected design.
        test: mean test accuracy over the seeds of the search [%].
        reference: a constant ratio that was trained too; None if there is none.
        gain: difference to the test accuracy of the reference [percentage points]; nan without one.
    """

    criterion: str
    design: Design
    test: float
    reference: Design | None
    gain: float


def test_accuracies(outcome: SearchOutcome, store: Store, setup: Setup) -> Accuracies:
    """Return the test accuracy of every network that the search trained, from the weights in its folder [%]."""
    spec = replace(outcome.space.base.data, val_size=0)
    data = load_for(setup, spec)
    found: dict[Design, dict[int, float]] = {}
    for design, trial in outcome.trials.items():
        for seed, result in trial.results.items():
            weights = store.folder(result.run) / "model.safetensors"
            if not weights.exists():
                continue
            model = from_pretrained(weights.parent, builder=own_builder(result.run.model))
            measured = evaluate(
                model.to(setup.device), data.test.to(setup.device), num_classes=data.num_classes, device=setup.device
            )
            found.setdefault(design, {})[seed] = measured.accuracy
    return found


def selections(outcome: SearchOutcome, tests: Accuracies) -> list[Selection]:
    """Compare the choice by held-out images with the choice by the test set, over the same trainings.

    The KTH report chose by the test set. The reported number is then the maximum of several noisy ones, so its gain is
    too large on average even if all designs are equal; a choice by held-out images has this bias in the held-out
    accuracy only.
    """
    means = {design: fmean(values.values()) for design, values in tests.items() if values and design}
    if not means or outcome.chosen is None:
        return []
    reference = next((d for r in outcome.space.references if (d := outcome.space.constant(r)) in means), None)
    ways = [("held-out images", outcome.chosen), ("the test set, as KTH", max(means, key=lambda d: means[d]))]
    base = means[reference] if reference is not None else float("nan")
    return [
        Selection(
            criterion=f"chosen by {way}",
            design=design,
            test=means[design],
            reference=reference,
            gain=means[design] - base,
        )
        for way, design in ways
        if design in means
    ]
