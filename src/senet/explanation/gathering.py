"""The first pass: run a network over all images once, and gather what its blocks do.

Letters in shapes: n images, c channels, h hidden units.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from senet.errors import SpecError
from senet.explanation.class_sums import ClassSums
from senet.explanation.conditions import INPUT, input_conditions
from senet.explanation.extremes import Extremes
from senet.explanation.interventions import Outcome, outcome
from senet.explanation.observing import Observed, observing
from senet.explanation.sample import Sample
from senet.surgery.finding.find import Found
from senet.surgery.folding.answers import answer
from senet.surgery.folding.batches import Passes
from senet.surgery.folding.observe import GateSums
from senet.surgery.gates.saturation import Saturation, range_of

__all__ = ["BlockSums", "Gathered", "gather"]

PLACES = 4  # images of each end of every channel


class BlockSums:
    """What is summed over all images for one block.

    Attributes:
        fold: the sums of `fold`.
        classes: sums by class.
        saturation: counts of open, shut and middle gates.
        extremes: the images with the largest and smallest gates.
        fires: on how many images each unit of each hidden layer fires.
        images: number of images.
        own_logits: whether all logits were read from the last layer.
    """

    def __init__(self, found: Found, block: nn.Module) -> None:
        self.fold = GateSums(found.channels, torch.device("cpu"))
        self.classes = ClassSums(found.channels)
        self.saturation = Saturation(range_of(block))
        self.extremes = Extremes(found.channels, PLACES)
        self.fires: list[Int64[Tensor, " h"]] = []
        self.images = 0
        self.own_logits = True

    def add(self, seen: Observed, rows: Int64[Tensor, " n"], classes: int) -> None:
        """Add one batch; `rows` are the classes of its images, of `classes` so far."""
        read = seen.reading
        self.fold.include(read)
        self.classes.gates.add(rows, seen.gate, classes)
        self.classes.logits.add(rows, seen.logits, classes)
        self.classes.squeeze.add(rows, read.total / read.positions, classes)
        self.classes.before.add(rows, (read.energy / read.positions).sqrt(), classes)
        self.classes.after.add(rows, (read.output / read.positions).sqrt(), classes)
        self.saturation.add(seen.gate)
        self.extremes.add(seen.gate, self.images)
        self.own_logits &= seen.own_logits
        counts = [fires.sum(0) for fires in seen.hidden]
        same = [len(a) for a in counts] == [len(b) for b in self.fires]
        self.fires = [a + b for a, b in zip(self.fires, counts, strict=True)] if same else counts
        self.images += len(rows)


@dataclass(eq=False)
class Gathered:
    """The result of the first pass.

    Attributes:
        images: number of images.
        labels: label of every image, in the order of the images; empty without labels.
        rows: the same as rows of the class sums, which hold the labels that occur.
        of_rows: label of each row, in rising order.
        outcomes: losses and correct answers; None without labels.
        conditions: brightness and contrast of every image.
        sums: sums of every block by name.
        sample: gates (`name`), logits (`name/logits`) and squeeze (`name/squeeze`) of single images.
        dims: channel axis of the map of each block.
        strange: blocks that did not run exactly once in a pass.
        notes: remarks.
    """

    images: int
    labels: Int64[Tensor, " n"]
    rows: Int64[Tensor, " n"]
    of_rows: tuple[int, ...]
    outcomes: Outcome | None
    conditions: Mapping[str, Tensor]
    sums: dict[str, BlockSums]
    sample: Sample
    dims: Mapping[str, int]
    strange: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())


@torch.no_grad()
def gather(model: nn.Module, found: Mapping[str, Found], batches: Passes) -> Gathered:
    """Run a network over all images and gather what its blocks do.

    Args:
        model: the network, in evaluation mode.
        found: its blocks by name.
        batches: the images, with labels or without.

    Raises:
        NumericError: if an output, or a value in a block, is not finite.
        SpecError: if only some batches have labels, or the labels are not classes of the network.
    """
    blocks = {name: (one, model.get_submodule(name)) for name, one in found.items()}
    sums = {name: BlockSums(one, block) for name, (one, block) in blocks.items()}
    sample, place = Sample(), dict[int, int]()
    labels: list[Tensor] = []
    outcomes: list[Outcome] = []
    conditions: dict[str, list[Tensor]] = {name: [] for name in INPUT}
    notes: dict[str, None] = {}
    images = 0
    with observing(blocks) as observer:
        for x, given in batches:
            out, known = answer(model, x, given)
            for name, values in input_conditions(x).items():
                conditions[name].append(values)
            if isinstance(known, Tensor) and out.ndim == 2 and out.shape[1] > 1:
                labels.append(known)
                outcomes.append(outcome(out, known))
                for label in known.tolist():
                    place.setdefault(label, len(place))
            elif known and not isinstance(known, Tensor):
                notes[known] = None
            if labels and sum(map(len, labels)) != images + len(x):
                raise SpecError(
                    "some batches have labels and some have none; give (images, labels) in all, or in none."
                )
            rows = (
                torch.tensor([place[label] for label in labels[-1].tolist()]) if labels else torch.zeros(len(x)).long()
            )
            seen = observer.take(found)
            for name, one in seen.items():
                sums[name].add(one, rows, max(1, len(place)))
            _keep(sample, seen, [name for name in found if name not in observer.strange])
            images += len(x)
    every = torch.cat(labels) if labels else torch.zeros(0, dtype=torch.int64)
    of_rows = tuple(sorted(place))
    for own in sums.values() if of_rows else ():
        own.classes.arrange(torch.tensor([place[label] for label in of_rows]))
    return Gathered(
        images=images,
        labels=every,
        rows=torch.searchsorted(torch.tensor(of_rows, dtype=torch.int64), every),
        of_rows=of_rows,
        outcomes=Outcome(torch.cat([one.loss for one in outcomes]), torch.cat([one.right for one in outcomes]))
        if outcomes
        else None,
        conditions={name: torch.cat(values) for name, values in conditions.items()},
        sums={name: one for name, one in sums.items() if name not in observer.strange},
        sample=sample,
        dims=observer.dims,
        strange=tuple(sorted(observer.strange)),
        notes=tuple(notes),
    )


def _keep(sample: Sample, seen: Mapping[str, Observed], names: list[str]) -> None:
    values = {}
    for name in names:
        one = seen[name]
        values[name] = one.gate
        values[f"{name}/logits"] = one.logits
        values[f"{name}/squeeze"] = one.reading.total / one.reading.positions
    if values:
        sample.add(values)
