"""Insertion of a whole design, of one spec or several, into a network that exists."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import combinations

from torch import nn

from senet.errors import SpecError
from senet.spec import SESpec
from senet.surgery import insert
from senet.surgery.insertion.plan import plan

__all__ = ["insert_design"]


def insert_design(
    model: nn.Module,
    specs: Sequence[SESpec],
    *,
    at: Sequence[str] = (),
    preserve: bool = True,
    shape: tuple[int, ...] | None = None,
) -> tuple[str, ...]:
    """Insert the blocks of a design; units that have blocks of their own get none.

    Args:
        model: the network; changed in place.
        specs: the design, each spec in another slot or in other stages.
        at: patterns of units or modules, as for `senet.insert`; empty means all units.
        preserve: start as the identity.
        shape: input to try, `(n, c, h, w)`; None tries the network's own.

    Returns:
        The names of the blocks.

    Raises:
        SpecError: if two specs share a place, one does not fit the network, or none of its units gets a block.
    """
    for one, other in combinations(specs, 2):
        if one.slot == other.slot and (not one.stages or not other.stages or set(one.stages) & set(other.stages)):
            raise SpecError(f"{one} and {other} share the slot {one.slot!r}; give each spec its own slot or stages.")
    patterns = list(at) or ["*"]
    taken: set[str] = set()
    if len(specs) > 1:  # units that get no block from any spec: they have one, or no place for it
        first = plan(model, specs[0], at=list(at) or "auto", preserve=preserve, shape=shape)
        taken = {one.name for one in first.skipped if "block already" in one.reason}

    def free(name: str, module: nn.Module) -> bool:
        return name not in taken and any(fnmatchcase(name, pattern) for pattern in patterns)

    names: list[str] = []
    for number, spec in enumerate(specs):
        where = free if number else list(at) or "auto"
        done = insert(model, spec, at=where, preserve=preserve, allow_existing=number > 0, shape=shape)
        names += [block.name for block in done]
    if specs and not names:  # else a comparison would hold the network against itself
        raise SpecError(
            "no unit takes a block, or all have one already; use the design plain, or a network without blocks."
        )
    return tuple(names)
