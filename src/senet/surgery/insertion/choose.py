"""Choose the units that get a block: all of them, or those that the user names."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial

from torch import nn

from senet.dataflow.units import Unit, inside
from senet.errors import SpecError
from senet.spec import SESpec
from senet.surgery.insertion.places import Place, Placer

__all__ = ["At", "Choice", "choose"]

At = str | Callable[[str, nn.Module], bool] | Sequence[str]
"""A choice of units: `auto`, a pattern of names, several patterns, or a function of name and module."""

Choice = tuple[str, Unit | None, Place | str]
"""A name, its unit (None for a module that is named itself), and its place or the reason why there is none."""


def choose(units: list[Unit], placer: Placer, spec: SESpec, at: At) -> list[Choice]:
    """Return the chosen units and modules, each with its place or the reason why it has none.

    Args:
        units: units of the network.
        placer: finds the places of blocks.
        spec: the design; its slot decides the place in a unit.
        at: the choice, see `At`.

    Raises:
        SpecError: if a choice matches nothing, or nothing that can take a block.
    """
    if at == "auto":
        if not units:
            raise SpecError("no unit for a block was found in this network; give at=NAMES of modules to gate.")
        return [(unit.name, unit, placer.place(unit, spec.slot)) for unit in units]
    chosen: dict[tuple[str, Unit | None], Choice] = {}
    names = [name for name in placer.modules if name]
    for test, said in _tests(at, placer.modules):
        matching = [unit for unit in units if unit.name and test(unit.name)]
        found: list[Choice] = [(unit.name, unit, placer.place(unit, spec.slot)) for unit in matching]
        if not found:
            found = _modules([name for name in names if test(name)], placer, apart=not callable(at))
            if found and all(isinstance(place, str) for _, _, place in found):
                name, _, why = found[0]
                raise SpecError(f"at = {said} matches {name}, but {why}.")
        if not found:
            some = ", ".join(unit.name for unit in units[:3] if unit.name) or ", ".join(names[:3])
            raise SpecError(f"at = {said} matches no unit and no module; names look like: {some}.")
        chosen |= {(name, unit): (name, unit, place) for name, unit, place in found}
    return list(chosen.values())


def _modules(names: Iterable[str], placer: Placer, *, apart: bool) -> list[Choice]:
    """Return modules that match, with their places; `apart` leaves out those inside another one that takes a block.

    The `*` of a pattern matches dots, so that `decoder.*` matches every layer of the modules that it means.
    """
    found: list[Choice] = []
    hosts: set[str] = set()
    for name in names:
        if apart and inside(name, hosts):
            continue
        place = placer.output_of(name)
        found.append((name, None, place))
        if isinstance(place, Place):
            hosts.add(name)
    return found


def _tests(at: At, modules: Mapping[str, nn.Module]) -> list[tuple[Callable[[str], bool], str]]:
    if callable(at):
        return [(lambda name: bool(at(name, modules[name])), getattr(at, "__name__", "the function"))]
    patterns = [at] if isinstance(at, str) else list(at)
    return [(partial(fnmatchcase, pat=pattern), repr(pattern)) for pattern in patterns]
