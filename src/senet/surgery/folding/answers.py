"""Collect and compare the outputs of a network on a set of images. Letters in shapes: n images, k outputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from senet.errors import NumericError, SenetError, SpecError, reason_of
from senet.surgery.folding.batches import Batches, Passes, labels_of
from senet.surgery.folding.folded import Measure, Step, Z, paired_interval, share_interval

__all__ = ["Answers", "OneOutput", "answer", "answers", "class_of", "compare", "main_output"]

MAIN = ("logits", "out")  # names of the main output in Hugging Face and torchvision


@dataclass(frozen=True, eq=False)
class Answers:
    """The outputs of a network by batch, and the labels if there are any.

    Attributes:
        outputs: output of every batch, on the CPU; logits `(n, k)` if the network is a classifier.
        labels: labels of all images `(n,)`; None if unknown.
        notes: reasons why given labels are not used.
    """

    outputs: tuple[Tensor, ...]
    labels: Tensor | None
    notes: tuple[str, ...] = ()

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(len(part) for part in self.outputs)

    @property
    def measure(self) -> Measure:
        """The measure by which these outputs can be compared, see `Folded.measure`."""
        if any(part.ndim != 2 or part.shape[1] < 2 for part in self.outputs):
            return "output"
        return "answers" if self.labels is None else "accuracy"

    @property
    def floor(self) -> float:
        """Upper end of the 95 % interval of a loss if no answer changes [percentage points]: no bound is below it."""
        if self.measure == "accuracy":
            return paired_interval(0, 0, self.images)[2]
        return share_interval(0, self.images)[2] if self.measure == "answers" else 0.0

    def choices(self) -> Tensor:
        """Return the class with the highest logit for every image `(n,)`."""
        return torch.cat([part.argmax(1) for part in self.outputs])

    def right(self) -> Bool[Tensor, " n"]:
        """Return which images are classified correctly."""
        assert self.labels is not None
        return self.choices() == self.labels


@torch.no_grad()
def answers(model: nn.Module, batches: Batches, *, place: str = "batches") -> Answers:
    """Run a network over all batches, on the device of its parameters; the batches are not changed.

    Raises:
        NumericError: if an output is not finite.
        SpecError: if a batch holds no images, its labels are not classes of the network, or an output is not a tensor.
    """
    outputs: list[Tensor] = []
    labels: list[Tensor] = []
    notes: dict[str, None] = {}
    images = 0
    for x, given in batches if isinstance(batches, Passes) else Passes(batches, place=place):
        out, found = answer(model, x, given)
        images += len(x)
        outputs.append(out.float().cpu())
        if isinstance(found, Tensor):
            labels.append(found)
        elif found:
            notes[found] = None
    if labels and sum(map(len, labels)) != images and not notes:
        raise SpecError("some batches have labels and some have none; give (images, labels) in all, or in none.")
    return Answers(tuple(outputs), torch.cat(labels) if labels and not notes else None, tuple(notes))


@torch.no_grad()
def answer(model: nn.Module, x: Tensor, given: object) -> tuple[Tensor, Int64[Tensor, " n"] | str]:
    """Run a network on one batch, on the device of its parameters; the batch is not changed.

    Args:
        model: the network, in the mode in which it runs.
        x: images.
        given: their labels, see `labels_of`; None if there are none.

    Returns:
        The output that is compared; and the classes of the images, or the reason why the labels are not used (empty if
        there are none).

    Raises:
        NumericError: if an output is not finite.
        SpecError: if the labels are not classes of the network, or the output is not a tensor.
    """
    out = _output(model, x)
    if given is None:
        return out, ""
    found = labels_of(given, len(x), out.shape[1] if out.ndim > 1 else 1)
    if isinstance(found, Tensor):
        return out, found
    if out.ndim == 2 and out.shape[1] > 1:
        raise SpecError(
            f"labels {found}; give one class for each image, from 0, or images alone: changed answers are then "
            "counted in place of accuracy."
        )
    return out, f"labels {found}, so outputs are compared and no accuracy"


def _output(model: nn.Module, x: Tensor) -> Tensor:
    """Run a network on a copy of a batch: a forward pass may write into its input."""
    try:
        out = model(x.to(next(model.parameters(), x).device, copy=True))
    except (SenetError, torch.OutOfMemoryError):
        raise
    except (RuntimeError, TypeError, ValueError) as error:
        reason = reason_of(error)
        raise SpecError(
            f"{type(model).__name__} does not run on a batch of shape {tuple(x.shape)}, {x.dtype} ({reason}); give "
            "images as it was trained with, (n, c, h, w)."
        ) from error
    whole, out = out, main_output(out)
    if not isinstance(out, Tensor) or out.ndim < 1 or len(out) != len(x):
        raise SpecError(
            f"{type(model).__name__} returns {_described(whole)} for {len(x)} images; outputs are compared, so wrap "
            "the network to return one tensor with a row for every image, alone, first, or under 'logits' or 'out', or "
            "give the part of it that does, as a detector's backbone."
        )
    if not bool(out.isfinite().all()):
        raise NumericError(f"outputs of {type(model).__name__} are not finite; test it on these images first.")
    return out


def _described(out: object) -> str:
    if isinstance(out, Tensor):
        return f"a tensor of shape {tuple(out.shape)}"
    if not isinstance(out, list | tuple | Mapping):
        return type(out).__name__
    parts = sorted({type(part).__name__ for part in (out.values() if isinstance(out, Mapping) else out)})
    return f"a {type(out).__name__} of {', '.join(parts) or 'nothing'}"


def main_output(out: object) -> object:
    """Return the output that is compared: one of the names in `MAIN`, or the first one."""
    if isinstance(out, Mapping):
        parts = [out[name] for name in _main_first(out)]
    elif isinstance(out, list | tuple):
        parts = list(out)
    else:
        return out
    return main_output(parts[0]) if parts else out


def _main_first(out: Mapping[Any, object]) -> list[Any]:
    """Return the names of outputs, those in `MAIN` first."""
    return sorted(out, key=lambda name: MAIN.index(name) if name in MAIN else len(MAIN))


def read_alone(out: object) -> str:
    """Return which of several outputs is read, as a part of a sentence; empty for a single one."""
    if not isinstance(out, Mapping | list | tuple) or len(out) < 2:
        return ""
    if not isinstance(out, Mapping):
        return f"the first of the {len(out)} of the network"
    read, *others = map(str, _main_first(out))
    return f"{read!r} of the network, without {', '.join(others)}"


@torch.no_grad()
def note_of_outputs(model: nn.Module, x: Tensor) -> str:
    """Return a remark for a network of several outputs, of which one is read; empty for others.

    Args:
        model: the network, in evaluation mode.
        x: images, of which one is used.
    """
    read = read_alone(model(x[:1].to(next(model.parameters(), x).device, copy=True)))
    return f"one output was looked at: {read}" if read else ""


class OneOutput(nn.Module):
    """A network that returns its main output alone.

    Attributes:
        network: the network, which returns several outputs.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Float[Tensor, "n *s"]) -> object:
        """Return the main output."""
        return main_output(self.network(x))


def class_of(model: nn.Module) -> str:
    """Return the name of a network's class, for messages."""
    return type(model.network if isinstance(model, OneOutput) else model).__name__


def compare(before: Answers, after: Answers, *, blocks: int, name: str, params: int) -> Step:
    """Compare the outputs of a changed network with those of the original."""
    apart = [_apart(a, b) for a, b in zip(before.outputs, after.outputs, strict=True)]
    lost, whole = (sum(float(part[i].sum()) for part in apart) for i in (0, 1))
    error = sqrt(lost / whole) if whole else 0.0
    changed = correct = worse = better = None
    if before.measure == "output":
        half = 100 * Z * _ratio_error(*(torch.cat([part[i] for part in apart]) for i in (0, 1)))
        interval = (100 * error, max(0.0, 100 * error - half), 100 * error + half)
    else:
        changed = int((before.choices() != after.choices()).sum())
        interval = share_interval(changed, before.images)
    if before.measure == "accuracy":
        was, now = before.right(), after.right()
        correct, worse, better = int(now.sum()), int((was & ~now).sum()), int((now & ~was).sum())
        interval = paired_interval(worse, better, before.images)
    loss, low, high = interval
    return Step(
        blocks=blocks,
        name=name,
        params=params,
        correct=correct,
        changed=changed,
        worse=worse,
        better=better,
        loss=loss,
        low=low,
        high=high,
        error=error,
    )


def _ratio_error(lost: Float64[Tensor, " n"], whole: Float64[Tensor, " n"]) -> float:
    """Return the standard error of `sqrt(sum(lost) / sum(whole))` over images; infinite for a single one.

    By the delta method, so that an image counts by the size of its output.
    """
    total, change = float(whole.sum()), float(lost.sum())
    if not change or not total:
        return 0.0
    if len(lost) < 2:
        return inf
    square = change / total
    return sqrt(len(lost)) * float((lost - square * whole).std()) / total / (2 * sqrt(square))


def _apart(a: Float[Tensor, "n *k"], b: Float[Tensor, "n *k"]) -> tuple[Float64[Tensor, " n"], Float64[Tensor, " n"]]:
    """Return squared difference and squared norm by image; of logits without their mean, which changes no class."""
    a, b = a.double(), b.double()
    if a.ndim == 2 and a.shape[1] > 1:
        a, b = (part - part.mean(1, keepdim=True) for part in (a, b))
    return (a - b).square().reshape(len(a), -1).sum(1), a.square().reshape(len(a), -1).sum(1)
