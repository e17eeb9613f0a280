"""What to be careful about before believing a table: chance level, unfinished trainings, few images, few seeds."""

from collections.abc import Sequence
from statistics import fmean

from senet.experiments.chance import mostly_guesses
from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.experiments.verdict import images_needed
from senet.text import counted

__all__ = ["cautions", "still_rises"]

LAST = 5  # the last epoch is held against the one a fifth of the training before it


def cautions(study: Study, lines: Sequence[Line]) -> list[str]:
    """Return a sentence for each reason to distrust the comparisons of a study."""
    shown = [line for line in lines if line.results]
    found = [
        *_guesses(shown),
        *_lost(shown, study.margin),
        *_rising(shown, study.margin),
        *_few_images(lines, study.margin),
        *_seeds([line for line in lines if line.n]),
    ]
    wanted = study.runs()
    if absent := len({study.run(line.row, seed) for line in lines for seed in line.missing}):
        found.append(
            "half done: "
            * (absent < len(wanted))
            + f"{absent} of {len(wanted)} runs are missing, so no verdict is final; run the "
            "same command again to train them (for failed runs, add retry_failed=true)"
        )
    return found


def still_rises(line: Line) -> float:
    """Return how far the accuracy of a row rises over the last fifth of its training, at least an epoch [points].

    A training of one epoch rises from what its weights had before it, or else from what guessing gives.
    """
    results = line.results.values()
    curves = [[100 * epoch.correct / result.total for epoch in result.curve] for result in results]
    means = [fmean(values) for values in zip(*curves, strict=True)]
    if len(means) == 1:
        guessed = 100 / max(1, len(next(iter(results)).classes))
        return means[0] - fmean(guessed if one.start_accuracy is None else one.start_accuracy for one in results)
    return means[-1] - means[-1 - max(1, len(means) // LAST)]


def _guesses(lines: Sequence[Line]) -> list[str]:
    blind = [line.row.label for line in lines if mostly_guesses(line.results.values())]
    if not blind:
        return []
    return [f"not better than guessing: {', '.join(blind)}; check the training before you rely on a verdict"]


def _lost(lines: Sequence[Line], margin: float) -> list[str]:
    """Name rows that are worse after the training than their weights were before it."""
    lost = []
    for line in lines:
        results = line.results.values()
        changes = [one.accuracy - one.start_accuracy for one in results if one.start_accuracy is not None]
        if changes and (change := fmean(changes)) < -margin:
            lost.append(f"{line.row.label} {change:+.1f} points")
    if not lost:
        return []
    return [
        f"the training lost accuracy that the weights had before: {', '.join(lost)}; lower optim.lr, or "
        "check that data.mean and data.std are those of the weights"
    ]


def _rising(lines: Sequence[Line], margin: float) -> list[str]:
    rises = {line.row.label: rise for line in lines if (rise := still_rises(line)) > margin}
    if not rises:
        return []
    most = max(rises, key=lambda label: rises[label])
    who = "accuracy" if len(rises) == len(lines) else f"accuracy of {', '.join(rises)}"
    return [
        f"the {who} still rises at the end, by up to {rises[most]:.1f} points over the last fifth of the epochs "
        f"({most}): with longer training the order may change"
    ]


def _few_images(lines: Sequence[Line], margin: float) -> list[str]:
    found = [line.difference for line in lines if line.difference is not None and line.difference.n > 1]
    known = [(each, each.images) for each in found if each.images is not None]
    if any(not images.paired for _, images in known):
        return [
            "some results do not record which test images were classified correctly (those of earlier versions): their "
            "intervals bound the error over images, and are wider than those of a new training"
        ]
    needs = [(need, images.total) for each, images in known if (need := images_needed(each, margin)) is not None]
    if not needs:
        return []
    need, total = max(needs)
    return [
        f"{counted(total, 'test image')} cannot show a difference of {margin:g} points with any number of seeds: that "
        f"takes about {need:,} test images"
    ]


def _seeds(lines: Sequence[Line]) -> list[str]:
    found = []
    numbers = {line.difference.n for line in lines if line.difference is not None and line.difference.n}
    if 1 in numbers:
        found.append("a single pair has no interval: such a difference says nothing about the design")
    if 2 in numbers:
        found.append("two seeds are too few to estimate the spread over seeds: p and a verdict need at least three")
    if len({line.missing for line in lines if not line.row.quoted}) > 1:
        found.append("rows have unequal seeds: p and intervals are corrected by Bonferroni's inequality")
    return found
