"""Placement of blocks: a network calls `gates(site)`; `place` resolves slots, stages and ratios."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from senet.errors import SpecError
from senet.nn.block import SqueezeExcite
from senet.nn.residual import RESIDUAL_SLOTS
from senet.spec import SESpec

__all__ = ["Gates", "Site", "no_gates", "place"]


@dataclass(frozen=True, kw_only=True)
class Site:
    """A position in a network where a block may sit.

    Attributes:
        stage: from 1; the paper's conv2_x is 1.
        unit: unit within the stage, from 1; selects the ratio of a spec with one per block.
        channels: channels of the unit's output.
        in_channels: channels of the unit's input, for the slot `pre`; None if the unit is not residual.
        inner_channels: channels after the spatial convolution, for the slot `inner`; None without that slot.
        name: name of the site in error messages.
    """

    stage: int
    unit: int = 1
    channels: int
    in_channels: int | None = None
    inner_channels: int | None = None
    name: str = "this network"

    def slots(self) -> Mapping[str, int]:
        """Return the slots of this site with their channels."""
        slots = {"standard": self.channels}
        if self.in_channels is not None:
            slots |= {"pre": self.in_channels, "post": self.channels, "identity": self.channels}
        if self.inner_channels is not None:
            slots["inner"] = self.inner_channels
        return {slot: slots[slot] for slot in RESIDUAL_SLOTS if slot in slots}


Gates = Callable[[Site], Mapping[str, nn.Module]]
"""A function that a network calls at every site; returns blocks by slot, at most one for each."""


def no_gates(site: Site) -> Mapping[str, nn.Module]:
    """Place no blocks: the plain network."""
    return {}


def place(
    se: SESpec | Sequence[SESpec] | Gates | None, *, depths: Sequence[int], network: str = "this network"
) -> Gates:
    """Return the function that a network calls for its blocks.

    Args:
        se: one spec, several (in different slots or stages), a function `Site -> blocks`, or None for no blocks.
        depths: units of every stage of the network.
        network: name of the network in error messages.

    Raises:
        SpecError: if a spec names stages or ratios that the network does not have, a slot that a site does not have,
            or the same slot as another spec in the same stage.
    """
    if se is None:
        return no_gates
    if callable(se):
        return se
    specs = tuple(se) if isinstance(se, Sequence) and not isinstance(se, str) else (se,)
    if not all(isinstance(spec, SESpec) for spec in specs):
        raise SpecError(f"se = {se!r} is not a design; pass a SESpec, a list of them, or a function of the site.")
    for spec in specs:
        _check(spec, depths, network)

    def gates(site: Site) -> Mapping[str, nn.Module]:
        found: dict[str, nn.Module] = {}
        for spec in specs:
            if spec.stages and site.stage not in spec.stages:
                continue
            slots = site.slots()
            if spec.slot not in slots:
                raise SpecError(f"slot = {spec.slot!r} does not exist in {network}; choose one of: {', '.join(slots)}.")
            if spec.slot in found:
                raise SpecError(f"two specs share the slot {spec.slot!r} of stage {site.stage} in {network}; keep one.")
            found[spec.slot] = SqueezeExcite(slots[spec.slot], spec, stage=site.stage, unit=site.unit)
        return found

    return gates


def _check(spec: SESpec, depths: Sequence[int], network: str) -> None:
    num_stages = len(depths)
    if isinstance(spec.reduction, tuple):
        if len(spec.reduction) != num_stages:
            raise SpecError(
                f"reduction = {spec.reduction} names {len(spec.reduction)} stages, {network} has {num_stages}; "
                f"give one ratio, or {num_stages}."
            )
        for number, (ratios, depth) in enumerate(zip(spec.reduction, depths, strict=True)):
            if isinstance(ratios, tuple) and len(ratios) != depth:
                raise SpecError(
                    f"reduction[{number}] = {ratios} names {len(ratios)} blocks, stage {number + 1} of {network} has "
                    f"{depth}; give one ratio, or {depth}."
                )
    if spec.stages and max(spec.stages) > num_stages:
        raise SpecError(f"stages = {spec.stages} goes past the {num_stages} stages of {network}; stages count from 1.")
