"""Classes of modules with a fused pass: made at run time from the original class, so that copies and pickles work."""

from typing import Any, ClassVar

from torch import nn

__all__ = ["Variant", "fused"]


class Variant(nn.Module):
    """A module of any class whose call or forward pass may be fused.

    Attributes:
        fused_backend: backend of the passes; empty for none.
        ordinary: the original class.
        own: the class itself; that of an instance differs once torch has parametrized it.
    """

    fused_backend: str = ""
    ordinary: ClassVar[type[nn.Module]]
    own: ClassVar[type[nn.Module]]

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Describe the module for copies and pickles: its class is made at run time."""
        if type(self) is not self.own:
            return super().__reduce_ex__(protocol)  # type: ignore[return-value]
        return _new, (self.own.__bases__[0], self.ordinary), self.__dict__


def _new(part: type[Variant], ordinary: type[nn.Module]) -> Variant:
    kind = fused(part, ordinary)
    return kind.__new__(kind)


_made: dict[tuple[type[Variant], type[nn.Module]], type[Variant]] = {}


def fused(part: type[Variant], ordinary: type[nn.Module]) -> type[Variant]:
    """Return the class that is `ordinary` but for what `part` overrides; always the same for equal arguments."""
    if (part, ordinary) not in _made:
        values = {"__module__": part.__module__, "ordinary": ordinary}
        made = type(f"Fused{ordinary.__name__}", (part, ordinary), values)
        made.own = made  # type: ignore[attr-defined]
        _made[part, ordinary] = made
    return _made[part, ordinary]
