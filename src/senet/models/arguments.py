"""Validation of network arguments: a table of types and ranges, checked before anything is built.

Values of an untrusted `config.json` reach a constructor only through these checks. The ranges are wide; they keep the
construction from running for ever. `ensure_memory` checks on the meta device whether the network fits into memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from senet.errors import SpecError
from senet.memory import memory_bytes

__all__ = ["ARGUMENTS", "Kind", "builds_on_host", "check_arguments", "ensure_memory", "is_large"]

MOST_UNITS = 1_500
LARGE = {"num_classes": 100_000, "in_chans": 1_000, "image_size": 2_048}  # above these, memory is checked first

Test = Callable[[object], bool]


@dataclass(frozen=True)
class Kind:
    """The allowed values of an argument.

    Attributes:
        allowed: description for error messages.
        holds: returns whether a value is allowed.
    """

    allowed: str
    holds: Test


def _is_whole(low: int, high: int) -> Test:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_list(each: Test, most: int) -> Test:
    return lambda value: (
        isinstance(value, Sequence) and not isinstance(value, str) and 0 < len(value) <= most and all(map(each, value))
    )


def _whole(low: int, high: int) -> Kind:
    return Kind(f"a whole number from {low} to {high:,}", _is_whole(low, high))


def _or_none(kind: Kind) -> Kind:
    return Kind(f"{kind.allowed}, or nothing", lambda value: value is None or kind.holds(value))


def _each_stage(low: int, high: int) -> Kind:
    return Kind(
        f"a list of whole numbers from {low} to {high:,}, one for each stage", _is_list(_is_whole(low, high), 16)
    )


def _is_depths(value: object) -> bool:
    return DEPTHS.holds(value) and sum(cast("Sequence[int]", value)) <= MOST_UNITS


def _is_widths(value: object) -> bool:
    return WIDTHS.holds(value) or _is_list(WIDTHS.holds, 16)(value)


def _is_row(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 5:
        return False
    one, three, double, pool, projection = value
    pairs = all(_is_list(WIDTH, 2)(pair) and len(pair) == 2 for pair in (three, double))
    return pairs and isinstance(pool, str) and all(map(_is_whole(0, 65_536), (one, projection)))


WIDTH = _is_whole(1, 65_536)
DEPTHS, WIDTHS = _each_stage(0, 1_000), _each_stage(1, 65_536)
NAME = Kind("a name", lambda value: isinstance(value, str))
FLAG = Kind("true or false", lambda value: isinstance(value, bool))
SOME = Kind("a whole number from 1 to 65,536", WIDTH)
STAGES = Kind(f"{DEPTHS.allowed}, {MOST_UNITS:,} together", _is_depths)

ARGUMENTS: Mapping[str, Kind] = {
    "num_classes": _or_none(_whole(0, 10_000_000)),
    "in_chans": SOME,
    "image_size": _or_none(_whole(1, 16_384)),
    "depths": STAGES,
    "widths": Kind(f"{WIDTHS.allowed}, or such a list for each stage of vgg16_bn", _is_widths),
    "modules": Kind("rows of widths as BN_INCEPTION has them", _is_list(_is_list(_is_row, 64), 16)),
    "depth": _whole(1, 3_000),
    "width": SOME,
    "stem_width": SOME,
    "hidden": SOME,
    "groups": SOME,
    "cardinality": SOME,
    "group_width": _or_none(SOME),
    "drop": Kind("a number from 0 to 1", lambda value: isinstance(value, int | float) and 0 <= value <= 1),
    **dict.fromkeys(("keep_conv2", "stem_se", "shortcut_bn"), FLAG),
    **dict.fromkeys(
        ("unit", "shortcut", "stride_in", "stem_kind", "reading", "se_on", "forward_noise", "backward_noise"), NAME
    ),
}
"""Every argument of a network by name, except `se`."""


def check_arguments(values: Mapping[str, object], *, defaults: Mapping[str, object]) -> None:
    """Raise an error if an argument has the wrong type or is out of its range.

    Args:
        values: the arguments by name; `se` is ignored.
        defaults: defaults of the family; None is allowed for arguments whose default is None.

    Raises:
        SpecError: with name and value of the first argument that is not valid, and the allowed values.
    """
    for name, value in values.items():
        if name == "se" or (value is None and defaults.get(name, value) is None):
            continue
        if not ARGUMENTS[name].holds(value):
            raise SpecError(f"{name} = {_shown(value)} is not possible; use {ARGUMENTS[name].allowed}.")


def is_large(values: Mapping[str, object]) -> bool:
    """Return whether valid arguments may result in a network that does not fit into memory."""
    return any(name not in (*LARGE, "se") for name in values) or any(
        isinstance(size := values.get(name), int) and size > limit for name, limit in LARGE.items()
    )


def ensure_memory(network: nn.Module, *, name: str) -> None:
    """Raise an error if the weights of a network take more than the memory that this process may use.

    Raises:
        SpecError: with the required and the available memory.
    """
    needed = sum(tensor.nbytes for tensor in (*network.parameters(), *network.buffers()))
    there = memory_bytes()
    if there is not None and needed > there:
        raise SpecError(
            f"{name} needs {needed / 1e9:,.0f} GB for its weights, but this process may use {there / 1e9:,.0f} GB of "
            "memory; use fewer classes or smaller options, or build it under torch.device('meta')."
        )


def builds_on_host() -> bool:
    """Return whether torch's default device is the CPU, so that networks are built in main memory."""
    return torch.get_default_device().type == "cpu"


def _shown(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 200:
        return f"a number of {int(value.bit_length() * 0.30103):,} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a list of such numbers, or of itself
        text = type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."
