"""The steps of `fold` on one network: watch the gates, rank the blocks, remove them one by one, apply the choice."""

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
from senet.surgery.folding.answers import Answers, answers, compare
from senet.surgery.folding.batches import Batches, Passes
from senet.surgery.folding.constants import ChannelScale, put, take_out
from senet.surgery.folding.folded import Bounds, FoldedBlock, Step
from senet.surgery.folding.observe import GateSums, observing
from senet.surgery.folding.profile import time_percents

__all__ = ["PER", "Removal", "Watch"]

Watch = Callable[[str, int, int], None]
"""Is told what is done, how many passes over the images are over, and how many there may be."""

PER: Mapping[str, Callable[[FoldedBlock], float]] = {
    "block": lambda block: 1.0,
    "params": lambda block: block.params,
    "macs": lambda block: block.macs,
    "time": lambda block: block.time_percent,
}
"""What removing a block gains, by the name of the unit in which its error is counted."""

KEPT = "kept as ChannelScale"
EXACT = 1e-4  # relative difference of outputs on the probe up to which a fold counts as exact
COARSE = 4  # in units of the weights' precision, where that is coarser: half-precision weights are rounded again


class Removal:
    """The state of a fold.

    Args:
        model: in evaluation mode.
        found: the blocks that may go, by name.
        batches: images for the statistics.
        test: images for the steps; None takes `batches`.
        watch: is told how it goes.
    """

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

    def observe(self) -> None:
        """Go through the images once: statistics of every gate, and the outputs to compare with."""
        with observing({name: (self.found[name], block) for name, block in self.blocks.items()}) as self.sums:
            self.seen = self._answers(self.batches, "gates")
        place = next(self.model.parameters())
        self.probe = next(iter(self.batches))[0].to(place.device, copy=True)
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
        if gate is None or gate.calls != len(self.seen.outputs) or gate.strange:
            return "it does not run exactly once in every pass, from one map to one of the same shape"
        return ""

    def rank(self, per: str) -> None:
        """Measure what the constant of each block alone does to the outputs, and number them."""
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
        """Give the names in the order of removal."""
        ranked = [(block.rank, name) for name, block in self.reports.items() if block.rank is not None]
        return [name for _, name in sorted(ranked)]

    def steps(self, bounds: Bounds, *, whole: bool) -> Iterator[Step]:
        """Yield the curve: the original, then one block less at a time.

        Args:
            bounds: the step that breaks them is the last one.
            whole: go on to the last block all the same.
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
        """Mark the first blocks of the order as removed and give their names."""
        names = self.order()[:number]
        for name in names:
            self.reports[name] = replace(self.reports[name], removed=True)
        return names

    @contextmanager
    def constant(self, names: Sequence[str]) -> Iterator[None]:
        """Let constants stand in the place of blocks for a while."""
        try:
            for name in names:
                put(self.model, name, self._scale(name))
            yield
        finally:
            for name in names:
                put(self.model, name, self.blocks[name])

    def apply(self, names: Sequence[str]) -> float:
        """Remove blocks for good.

        Returns:
            Largest relative difference that folding made on the probe [1].
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
        """Find out where the constants of every block would go, without changing a weight."""
        one = self.probe[:1]
        for name in self.constants:
            with self.constant([name]):
                try:
                    where, reason = ", ".join(dict.fromkeys(map(_said, self._ways(name, one)))), ""
                except Refusal as refusal:
                    where, reason = KEPT, str(refusal)
            self.reports[name] = replace(self.reports[name], where=where, reason=reason)

    def _ways(self, name: str, one: Tensor) -> tuple[Absorber, ...]:
        """Find the layers that take the constants of a block in whose place a `ChannelScale` stands.

        Raises:
            Refusal: if there are none.
        """
        if self.dims[name] != 1:
            raise Refusal("its map has the channels last")
        return absorbers(tried(self.model, one), name, self.constants[name])

    def _absorb(self, name: str, one: Tensor, wanted: Answers) -> tuple[str, str, float]:
        """Fold one constant, check it by running, and undo it if the outputs are not those they were."""
        scale, constant = self.model.get_submodule(name), self.constants[name]
        try:
            ways = self._ways(name, one)
        except Refusal as refusal:
            return KEPT, str(refusal), 0.0
        parameters = dict(self.model.named_parameters())
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
