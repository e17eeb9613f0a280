"""Perform the steps of `fold` on one network: observe the gates, rank the blocks, remove them, apply the choice."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import inf, prod

import torch
from jaxtyping import Float64
from torch import Tensor, nn

from senet.dataflow.example import tried
from senet.surgery.finding.find import Found
from senet.surgery.folding.absorb import Absorber, Refusal, absorbers
from senet.surgery.folding.answers import Answers, answers, compare, note_of_outputs
from senet.surgery.folding.batches import Batches, Passes
from senet.surgery.folding.constants import ChannelScale, put, take_out
from senet.surgery.folding.folded import Bounds, FoldedBlock, Step
from senet.surgery.folding.observe import GateSums, observing
from senet.surgery.folding.profile import time_percents

__all__ = ["PER", "Removal", "Watch"]

Watch = Callable[[str, int, int], None]
"""A function `(task, done, total)` of the current task, the finished passes and their largest number."""

PER: Mapping[str, Callable[[FoldedBlock], float]] = {
    "block": lambda block: 1.0,
    "params": lambda block: block.params,
    "macs": lambda block: block.macs,
    "time": lambda block: block.time_percent,
}
"""The savings of removing a block, by the values of the argument `per` of `fold`."""

KEPT = "kept as ChannelScale"
EXACT = 1e-4  # relative difference of outputs on the probe up to which a fold counts as exact
COARSE = 4  # the same in units of the weights' precision, if that is coarser: half-precision weights are rounded


class Removal:
    """The state of a fold."""

    def __init__(
        self, model: nn.Module, found: Mapping[str, Found], batches: Batches, test: Batches | None, watch: Watch | None
    ) -> None:
        self.model, self.found, self.watch = model, found, watch
        self.batches = Passes(batches, place="batches")
        self.test = None if test is None else Passes(test, place="test")
        self.blocks = {name: model.get_submodule(name) for name in found}
        self.reports: dict[str, FoldedBlock] = {}
        self.constants: dict[str, Float64[Tensor, " c"]] = {}
        self.dims: dict[str, int] = {}
        self.sums: Mapping[str, GateSums] = {}
        self.passes, self.planned = 0, 1 + 2 * len(found) + (test is not None)
        self.seen: Answers
        self.before: Answers
        self.note = ""

    def observe(self) -> None:
        """Run over the images once, to collect the statistics of every gate and the original outputs."""
        with observing({name: (self.found[name], block) for name, block in self.blocks.items()}) as self.sums:
            self.seen = self._answers(self.batches, "gates")
        place = next(self.model.parameters())
        self.probe = next(iter(self.batches))[0].to(place.device, copy=True)
        self.note = note_of_outputs(self.model, self.probe)
        flow, percents = tried(self.model, self.probe[:1]), time_percents(self.model, self.blocks, self.probe[:32])
        for name, found in self.found.items():
            report = FoldedBlock(
                name=name,
                channels=found.channels,
                params=sum(parameter.numel() for parameter in self.blocks[name].parameters()),
                macs=sum(op.macs for op in flow.inside(name)),
                map_elements=sum(prod(call.input.shape) for call in flow.calls if call.name == name and call.input),
                time_percent=percents[name],
            )
            gate = self.sums.get(name)
            if reason := self._why_not(name, gate):
                self.reports[name] = replace(report, reason=reason)
                continue
            assert gate is not None
            self.constants[name], self.dims[name] = gate.constant(), gate.dim
            self.reports[name] = gate.into(report)

    def _why_not(self, name: str, gate: GateSums | None) -> str:
        if not name:
            return "it is the whole network"
        if gate is None or gate.calls != len(self.seen.outputs) or gate.reshaped:
            return "it does not run exactly once in every pass, from one map to one of the same shape"
        return ""

    def rank(self, per: str) -> None:
        """Measure the output error with a constant in each block alone, and rank the blocks by it."""
        for name in self.constants:
            with self.constant([name]):
                after = self._answers(self.batches, f"without {name}")
            step = compare(self.seen, after, blocks=1, name=name, params=0)
            self.reports[name] = replace(self.reports[name], error=step.error)

        def key(name: str) -> float:
            block = self.reports[name]
            assert block.error is not None
            gain = PER[per](block)
            return block.error**2 / gain if gain else inf

        for number, name in enumerate(sorted(self.constants, key=key), 1):
            self.reports[name] = replace(self.reports[name], rank=number)

    def order(self) -> list[str]:
        """Return the names in the order of removal."""
        ranked = [(block.rank, name) for name, block in self.reports.items() if block.rank is not None]
        return [name for _, name in sorted(ranked)]

    def steps(self, bounds: Bounds, *, whole: bool) -> Iterator[Step]:
        """Yield the curve: the original, then one more block replaced in each step.

        Args:
            bounds: limits; the first step beyond them is the last one.
            whole: whether to continue to the last block in spite of the limits.
        """
        images = self.batches if self.test is None else self.test
        self.before = self.seen if self.test is None else self._answers(self.test, "original")
        last = compare(self.before, self.before, blocks=0, name="", params=0)
        yield last
        gone: list[str] = []
        for name in self.order():
            if not whole and bounds.blocks is not None and len(gone) >= bounds.blocks:
                return
            gone.append(name)
            with self.constant(gone):
                after = self._answers(images, f"{len(gone)} of {len(self.constants)} replaced")
            params = last.params + self.reports[name].params
            step = compare(self.before, after, blocks=len(gone), name=name, params=params)
            yield step
            if not whole and not bounds.allow(step, last):
                return
            last = step

    def mark(self, number: int) -> list[str]:
        """Mark the first blocks of the order as removed and return their names."""
        names = self.order()[:number]
        for name in names:
            self.reports[name] = replace(self.reports[name], removed=True)
        return names

    @contextmanager
    def constant(self, names: Sequence[str]) -> Iterator[None]:
        """Replace blocks by constants inside the context."""
        try:
            for name in names:
                put(self.model, name, self._scale(name))
            yield
        finally:
            for name in names:
                put(self.model, name, self.blocks[name])

    def apply(self, names: Sequence[str]) -> float:
        """Remove blocks permanently.

        Returns:
            Largest relative difference of the outputs on the probe due to folding [1].
        """
        for name in names:
            put(self.model, name, self._scale(name))
        one = self.probe[:1]
        wanted = answers(self.model, [one])
        rounding = 0.0
        for name in names:
            where, reason, error = self._absorb(name, one, wanted)
            rounding = max(rounding, error)
            self.reports[name] = replace(self.reports[name], where=where, reason=reason)
        return rounding

    def foresee(self) -> None:
        """Record which layers would take the constants of every block, without changing a weight."""
        one = self.probe[:1]
        for name in self.constants:
            with self.constant([name]):
                try:
                    where, reason = ", ".join(dict.fromkeys(map(_said, self._ways(name, one)))), ""
                except Refusal as refusal:
                    where, reason = KEPT, str(refusal)
            self.reports[name] = replace(self.reports[name], where=where, reason=reason)

    def _ways(self, name: str, one: Tensor) -> tuple[Absorber, ...]:
        """Return the layers that can take the constants of a block that a `ChannelScale` replaces.

        Raises:
            Refusal: if there are none.
        """
        if self.dims[name] != 1:
            raise Refusal("its map has the channels last")
        return absorbers(tried(self.model, one), name, self.constants[name])

    def _absorb(self, name: str, one: Tensor, wanted: Answers) -> tuple[str, str, float]:
        """Fold the constants of one block, check the outputs, and undo the fold if they differ."""
        scale, constant = self.model.get_submodule(name), self.constants[name]
        try:
            ways = self._ways(name, one)
        except Refusal as refusal:
            return KEPT, str(refusal), 0.0
        parameters = {**dict(self.model.named_buffers()), **dict(self.model.named_parameters())}
        old = {tensor: parameters[tensor].detach().clone() for way in ways for tensor in way.tensors}
        for way in ways:
            way.apply(parameters, constant)
        put(self.model, name, nn.Identity())
        error = compare(wanted, answers(self.model, [one]), blocks=0, name=name, params=0).error
        precision = max((torch.finfo(values.dtype).eps for values in old.values()), default=0.0)
        if error > max(EXACT, COARSE * precision):
            with torch.no_grad():
                for tensor, values in old.items():
                    parameters[tensor].copy_(values)
            put(self.model, name, scale)
            return KEPT, f"folding it changed the outputs by {error:.1e} on a probe, so it was undone", 0.0
        take_out(self.model, name)
        return ", ".join(dict.fromkeys(map(_said, ways))), "", error

    def _scale(self, name: str) -> ChannelScale:
        like = next(self.model.parameters())
        constant = self.constants[name].to(like.device, like.dtype)
        return ChannelScale(constant, dim=self.dims[name], inplace=self.sums[name].inplace)

    def _answers(self, images: Passes, what: str) -> Answers:
        if self.watch is not None:
            self.watch(what, self.passes, self.planned)
        self.passes += 1
        return answers(self.model, images)


def _said(way: Absorber) -> str:
    return f"{way.layer} ({'before' if way.side == 'out' else 'after'})"
