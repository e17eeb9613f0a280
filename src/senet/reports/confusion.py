"""Confusion matrices and accuracy by class of several networks, side by side."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from senet.experiments.confusion import ConfusionCounts, Matrix
from senet.reports.canvas import canvas, legend, short
from senet.reports.looks import Look, looks
from senet.tables import Table

__all__ = ["Answers", "class_csv", "confusion_csv", "draw_classes", "draw_confusion"]


@dataclass(frozen=True, kw_only=True)
class Answers(ConfusionCounts):
    """What a network answered on a test set.

    Attributes:
        label: how it is called in pictures.
        classes: their names, by label.
        confusion: test images by label (row) and answer (column); summed over seeds where there are several.
    """

    label: str
    classes: tuple[str, ...]
    confusion: Matrix


def draw_confusion(answers: Sequence[Answers], path: Path) -> None:
    """Draw the matrices side by side; shades are square roots of shares of the true class, numbers are images.

    The square root lets a mistake of one in fifty be seen beside nine in ten that are right.

    Args:
        answers: of two or more networks on the same classes; from 21 classes on the numbers are left out.
        path: `.png`, `.svg` or `.pdf`.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    classes = [short(name, most=24) for name in answers[0].classes]
    side = 5.2 if len(classes) <= 20 else 4.4
    with canvas(path, 1 + side * len(answers), side + 0.4 + 0.06 * max(map(len, classes))) as figure:
        for axes, one in zip(figure.subplots(1, len(answers), squeeze=False)[0], answers, strict=True):
            shades = [[math.sqrt(count / max(1, sum(row))) for count in row] for row in one.confusion]
            axes.imshow(shades, cmap="Blues", vmin=0, vmax=1)
            axes.set_title(f"{short(one.label)}\n{one.correct:,} of {one.total:,} right")
            axes.set(xlabel="answer", ylabel="true class")
            axes.grid(visible=False)
            if len(classes) <= 20:
                axes.set_xticks(range(len(classes)), classes, rotation=60, ha="right", rotation_mode="anchor")
                axes.set_yticks(range(len(classes)), classes)
                for label, row in enumerate(one.confusion):
                    for answer, count in enumerate(row):
                        if count:
                            color = "white" if shades[label][answer] > 0.6 else "black"
                            axes.text(answer, label, f"{count}", ha="center", va="center", fontsize=7, color=color)


def draw_classes(answers: Sequence[Answers], path: Path, *, styles: Sequence[Look] = ()) -> None:
    """Draw the accuracy of every class, networks side by side, with its binomial standard error.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    classes = [short(name, most=24) for name in answers[0].classes]
    with canvas(path, min(24, max(7, 0.9 * len(classes))), 4) as figure:
        axes = figure.subplots()
        step = 0.5 / len(answers)
        by_label = looks([one.label for one in answers])
        bars = [
            axes.errorbar(
                [label + (number - (len(answers) - 1) / 2) * step for label in range(len(classes))],
                one.class_accuracy,
                yerr=one.class_error,
                **look.point,
            )
            for number, (one, look) in enumerate(zip(answers, styles or by_label, strict=True))
        ]
        axes.set(ylabel="accuracy [%] ± standard error")
        crowded = len(classes) > 12 or max(map(len, classes)) > 12
        axes.set_xticks(range(len(classes)), classes, rotation=90 if crowded else 0)
        legend(figure, bars, [one.label for one in answers])


def confusion_csv(answers: Sequence[Answers]) -> str:
    """Return one line for every network, true class and answer."""
    rows = [
        (one.label, true, answer, count)
        for one in answers
        for true, row in zip(one.classes, one.confusion, strict=True)
        for answer, count in zip(one.classes, row, strict=True)
    ]
    return Table(("network", "class", "answer", "images"), rows).csv()


def class_csv(answers: Sequence[Answers]) -> str:
    """Return one line for every network and class."""
    rows = [
        (one.label, name, sum(row), row[label], accuracy, error)
        for one in answers
        for label, (name, row, accuracy, error) in enumerate(
            zip(one.classes, one.confusion, one.class_accuracy, one.class_error, strict=True)
        )
    ]
    return Table(("network", "class", "images", "correct", "accuracy", "standard_error"), rows).csv(form=".4f")
