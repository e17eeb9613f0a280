"""Choose the precision of every block and layer: measure what each costs, then leave the most costly ones in float."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from senet.exporting.bound import ensure_possible
from senet.exporting.int8.quantizer import Quantizer
from senet.exporting.int8.report import BoundError, Int8, Part, Quantized, decibel, nearest
from senet.exporting.int8.units import Precision, Unit, units_of
from senet.networks.exported_network import ExportedNetwork
from senet.surgery.folding.answers import Answers, answers, compare
from senet.surgery.folding.batches import Batches, parts_of
from senet.surgery.folding.folded import Step
from senet.surgery.folding.removal import Watch

__all__ = ["quantize"]

BATCH = 32  # images; the ranges of a batch are kept in memory
Choice = Mapping[str, Precision]


def quantize(
    path: Path,
    blocks: Mapping[str, Sequence[str]],
    images: Batches,
    test: Batches | None,
    settings: Int8,
    *,
    reference: Path | bytes | None = None,
    watch: Watch | None = None,
) -> tuple[bytes, Quantized]:
    """Quantise an exported file, with the gates of its blocks and further parts in float where that is needed.

    The ranges of all values are measured once. One pass for each part measures the outputs with this part alone in
    int8. From the network with its gates in float, the search then moves parts to float, the one with the most noise
    first, until the upper end of the interval of the loss is within the bound; or gates to int8, the one with the
    least noise first, as long as it is. The number of parts is found by doubling and halving, so that a few
    networks are measured, all of which are in the report.

    Args:
        path: the ONNX file in float.
        blocks: nodes of every block.
        images: images that the network was trained on, for the ranges and the order.
        test: images on which networks are compared; None uses `images`.
        settings: numbers of images and the bound.
        reference: the ONNX file, or its content, that losses are counted from; None means `path`.
        watch: function that is called with the progress.

    Returns:
        The content of the quantised file, and the report.

    Raises:
        BoundError: if no network is within the bound; it holds the report.
        SpecError: if the images are too few for the bound.
    """
    work = _Search(path, blocks, images, test, settings, reference, watch)
    ensure_possible(work.before, settings.max_drop)
    order = work.rank()
    plain = work.measure("int8", {})
    start: dict[str, Precision] = dict.fromkeys(work.block_names, "gate_fp32")
    gates = work.measure("gates in float", start)
    found: tuple[Step, Choice] | None
    if work.allows(plain):
        found = plain, {}
    elif work.allows(gates):
        kept = [unit for unit in order if unit.block]  # the most noise first: they stay in float longest

        def fewer(number: int) -> Choice:
            return {unit.name: "gate_fp32" for unit in kept[:number]}

        found = work.least(fewer, len(kept), "{} gates in float")
    else:

        def more(number: int) -> Choice:
            return {**start, **{unit.name: unit.float_precision for unit in order[:number]}}

        found = work.least(more, len(order), "the {} noisiest in float")
    if found is None:
        choice = work.best()
        raise BoundError(work.report(plain=plain, gates=gates, chosen=None, choice=choice, sizes={}))
    chosen, choice = found
    content = work.content(choice, note=True)
    sizes = {"chosen": len(content)}
    return content, work.report(plain=plain, gates=gates, chosen=chosen, choice=choice, sizes=sizes)


class _Search:
    """The measurements of one search, each made once."""

    def __init__(
        self,
        path: Path,
        blocks: Mapping[str, Sequence[str]],
        images: Batches,
        test: Batches | None,
        settings: Int8,
        reference: Path | bytes | None,
        watch: Watch | None,
    ) -> None:
        self.path, self.settings, self.watch = path, settings, watch
        self.known = torch.cat([*_first(images, settings.calibrate)])
        self.test: Batches = images if test is None else test
        self.separate = test is not None
        self.quantizer = Quantizer(path, torch.split(self.known, BATCH), reduce_range=settings.reduce_range)
        self.units = units_of(self.quantizer.model, blocks)
        self.block_names = [unit.name for unit in self.units if unit.block]
        self.noise: dict[str, float] = {}
        self.steps: dict[frozenset[tuple[str, Precision]], Step] = {}
        self.passes = 0
        self.say("float")
        self.before = self.run(path if reference is None else reference, self.test)

    def say(self, what: str) -> None:
        """Report the start of a pass; a search measures about 8 networks after one pass for each part."""
        if self.watch is not None:
            self.watch(what, self.passes, max(self.passes + 1, len(self.units) + 10))
        self.passes += 1

    def run(self, file: Path | bytes, batches: Batches) -> Answers:
        return answers(ExportedNetwork(file), batches, place="test")

    def content(self, choice: Choice, *, note: bool = False) -> bytes:
        nodes = [node for unit in self.units for node in unit.in_float(choice.get(unit.name, "int8"))]
        said = {unit.name: choice.get(unit.name, "int8") for unit in self.units}
        return self.quantizer.quantized(nodes, {"int8": json.dumps(said)} if note else {})

    def rank(self) -> list[Unit]:
        """Return the units, the one with the most noise in the outputs first."""
        few = list(torch.split(self.known[: self.settings.rank], BATCH))
        exact = self.run(self.path, few)
        for unit in self.units:
            self.say(f"{unit.name} alone in int8")
            others = [node for other in self.units if other is not unit for node in other.nodes]
            found = self.run(self.quantizer.quantized(others), few)
            self.noise[unit.name] = compare(exact, found, blocks=1, name=unit.name, params=0).error
        return sorted(self.units, key=lambda unit: -self.noise[unit.name])

    def measure(self, title: str, choice: Choice) -> Step:
        """Return what a choice loses on the test images."""
        key = frozenset(choice.items())
        if key not in self.steps:
            self.say(title)
            found = self.run(self.content(choice), self.test)
            weights = sum(unit.weights for unit in self.units)
            kept = sum(unit.float_weights(choice.get(unit.name, "int8")) for unit in self.units)
            self.steps[key] = compare(self.before, found, blocks=len(choice), name=title, params=weights - kept)
        return self.steps[key]

    def allows(self, step: Step) -> bool:
        return step.high <= self.settings.max_drop

    def best(self) -> Choice:
        """Return the precisions of the best measured network, see `Quantized.best`."""
        best, _ = min(self.steps.items(), key=lambda one: nearest(one[1]))
        return dict(best)

    def least(self, choose: Callable[[int], Choice], most: int, title: str) -> tuple[Step, Choice] | None:
        """Return the network with the fewest parts in float that was found within the bound; None if none is.

        Args:
            choose: returns the choice with a number of parts in float.
            most: largest number.
            title: name of a choice, with a place for the number.
        """

        def at(number: int) -> Step:
            return self.measure(title.format(number), choose(number))

        low, high = 0, 1
        while not self.allows(at(min(high, most))):
            if high >= most:
                return None
            low, high = high, 2 * high
        high = min(high, most)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self.allows(at(middle)) else (middle, high)
        return at(high), choose(high)

    def report(
        self, *, plain: Step, gates: Step, chosen: Step | None, choice: Choice, sizes: Mapping[str, int]
    ) -> Quantized:
        parts = tuple(
            Part(
                name=unit.name,
                block=unit.block,
                precision=choice.get(unit.name, "int8"),
                snr=decibel(self.noise[unit.name]),
                weights=unit.weights,
            )
            for unit in self.units
        )
        notes: tuple[str, ...] = self.before.notes
        if not self.separate:
            notes += (
                "networks were compared on the images that the ranges come from; give test images for a fair number",
            )
        if self.quantizer.reduce_range:
            notes += ("weights have 7 bits, as this CPU lacks VNNI",)
        right = None if self.before.measure != "accuracy" else int(self.before.right().sum())
        return Quantized(
            parts=parts,
            curve=tuple(sorted(self.steps.values(), key=lambda step: step.params)),
            plain=plain,
            gates=gates,
            chosen=chosen,
            measure=self.before.measure,
            correct=right,
            images=self.before.images,
            calibrated=len(self.known),
            settings=self.settings,
            reduce_range=self.quantizer.reduce_range,
            weights=sum(unit.weights for unit in self.units),
            bytes={"float": self.path.stat().st_size, "int8": len(self.content({})), **sizes},
            notes=notes,
        )


def _first(images: Batches, number: int) -> Iterator[Tensor]:
    """Yield the first images of batches."""
    for batch in images:
        x = parts_of(batch)[0].cpu().float()[:number]
        number -= len(x)
        if len(x):
            yield x
        if not number:
            return
