"""Follow the axis that holds the channels of a map from the inputs of an operation to its output."""

from collections.abc import Sequence
from math import prod

from senet.dataflow.flow import Value

__all__ = ["channel_axis"]

VIEWS = ("view", "reshape", "unsafe_view", "unsqueeze", "squeeze")
GONE = ("select", "mean", "sum", "amax", "max", "unbind")
"""Operations that remove the axes they are given, unless called with `keepdim`."""

SPLIT = -1


def channel_axis(kind: str, args: Sequence[object], inputs: Sequence[Value], shape: tuple[int, ...]) -> int | None:
    """Return the channel axis of the output of an operation; None if unknown, -1 if the channels are split.

    Args:
        kind: name of the operation, `Op.kind`.
        args: its arguments.
        inputs: the arguments that depend on the image; the first one with a known channel axis is followed.
        shape: shape of the output.
    """
    if kind == "convolution":
        return 1
    if kind in ("addmm", "mm"):
        return len(shape) - 1
    source = next((value for value in inputs if value.axis is not None), inputs[0])
    axis, before = source.axis, source.shape
    if axis is None:
        return _as_it_was(source, shape) if kind in VIEWS else None
    if axis == SPLIT:
        return _joined(kind, before, shape)
    if kind in ("permute", "transpose", "t"):
        return _order(kind, args, len(before)).index(axis)
    if kind in VIEWS:
        found = _same_place(before, axis, shape)
        split = axis == 1 and len(shape) == len(before) + 1 and shape[3:] == before[2:]
        return SPLIT if found is None and split else found
    if kind in GONE and len(shape) < len(before):
        gone = {dim % len(before) for dim in _dims(args)} or ({0} if kind == "unbind" else set(range(len(before))))
        return None if axis in gone else axis - sum(dim < axis for dim in gone)
    if kind == "stack":
        return axis + (len(args) < 2 or int(str(args[1])) % len(shape) <= axis)
    if kind in ("expand", "repeat"):  # new axes come first
        return axis + len(shape) - len(before)
    return axis if len(shape) == len(before) else None


def _same_place(before: tuple[int, ...], axis: int, shape: tuple[int, ...]) -> int | None:
    """Return the axis of a view with the same size and the same number of elements in the axes before it."""
    ways = [
        new for new in range(1, len(shape)) if shape[new] == before[axis] and prod(shape[:new]) == prod(before[:axis])
    ]
    return axis if axis in ways else ways[0] if ways else None


def _as_it_was(value: Value, shape: tuple[int, ...]) -> int | None:
    """Return the channel axis that a view merged with others, if a later view restores the images and channels."""
    while value.axis is None and value.op is not None and len(value.op.inputs) == 1:
        value = value.op.inputs[0]
    kept = value.channels and len(value.shape) == len(shape) and value.shape[0] == shape[0]
    return value.axis if value.axis and kept and shape[value.axis] == value.channels else None


def _dims(args: Sequence[object]) -> list[int]:
    """Return the axes that an operation is given; an empty list means all."""
    given = args[1] if len(args) > 1 else None
    return [given] if isinstance(given, int) else list(given) if isinstance(given, list | tuple) else []


def _joined(kind: str, before: tuple[int, ...], shape: tuple[int, ...]) -> int | None:
    """Return the channel axis after channels were split in groups, as in channel shuffle and split attention."""
    if len(shape) == len(before):
        return SPLIT
    together = kind in VIEWS and shape[1:] == (before[1] * before[2], *before[3:])
    return 1 if together or (kind in ("sum", "mean") and shape[1:] == before[2:]) else None


def _order(kind: str, args: Sequence[object], ndim: int) -> list[int]:
    if kind == "permute":
        dims = args[1]
        assert isinstance(dims, Sequence)
        return [int(dim) % ndim for dim in dims]
    first, second = (0, 1) if kind == "t" else (int(str(args[1])), int(str(args[2])))
    order = list(range(ndim))
    order[first], order[second] = order[second], order[first]
    return order
