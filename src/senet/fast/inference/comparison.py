"""Comparison of a rewritten network with the original one on random images.

Letters in shapes: n images, c channels, *s sizes.
"""

import contextlib
import io
import math
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from senet.dataflow.example import guesses
from senet.errors import SpecError, reason_of

__all__ = ["Answer", "answers", "ensure_alike"]

SIZES = 2  # image sizes to compare on, each with two batch sizes
SIDE, CUBE = 64, 32  # preferred side in 2-D and 3-D: small, but most networks still have maps of several positions
TOLERANCE = {torch.float64: 1e-8, torch.float32: 1e-4}  # relative to the largest value
PLAIN = (dict, OrderedDict)  # torch.fx replaces one by the other; other mappings must keep their type
HALF, TF32 = 1e-1, 1e-2  # tolerances for half precision, and for float32 on GPUs, which may use TF32


class Answer(NamedTuple):
    """The output of a network for one input.

    Attributes:
        x: the input.
        grad: whether gradients were enabled.
        output: any nesting of tensors, tuples, dicts and dataclasses.
    """

    x: Tensor
    grad: bool
    output: Any


def answers(model: nn.Module, shape: Sequence[int] | None) -> list[Answer]:
    """Run a network on random images of two sizes and two batch sizes, with and without gradients.

    Sizes and batch sizes that the network does not accept are skipped.

    Args:
        model: the network; running it may change it, so pass a copy.
        shape: shape of the input, `(n, c, ...)`; None tries the network's own input size and common ones.

    Returns:
        Inputs and outputs of the calls that succeeded, at least one.

    Raises:
        SpecError: if the network accepts none of the shapes.
    """
    found: list[Answer] = []
    sizes, reason = 0, ""
    tried = [tuple(shape)] if shape is not None else sorted(guesses(model), key=_distance)
    for one in tried:
        here = len(found)
        for number, x in enumerate(_images(model, one)):
            try:
                found.append(Answer(x, number == 0, run(model, x, grad=number == 0)))
            except Exception as error:  # a custom network may raise any exception
                reason = reason or reason_of(error)
        sizes += len(found) > here
        if sizes == SIZES:
            break
    if not found:
        given = " and ".join(map(str, tried))
        raise SpecError(
            f"{type(model).__name__} does not accept an input of shape {given}: {reason}; pass a valid "
            "shape=(1, c, h, w)."
        )
    return found


def ensure_alike(model: nn.Module, expected: Sequence[Answer], title: str) -> None:
    """Raise an error if a network's outputs differ from the expected ones; its buffers are restored afterwards.

    Raises:
        SpecError: if an output differs by more than rounding, or the network fails.
    """
    kept = {name: buffer.clone() for name, buffer in model.named_buffers()}
    try:
        for answer in expected:
            where = f"on an input of shape {tuple(answer.x.shape)}"
            try:
                with contextlib.redirect_stderr(io.StringIO()):  # torch.fx prints the generated code when it fails
                    found = run(model, answer.x, grad=answer.grad)
            except Exception as error:  # e.g. tracing took a branch that real tensors do not take
                reason = reason_of(error)
                raise SpecError(_refusal(title, f"it fails {where}: {reason}")) from error
            if why := _difference(found, answer.output, _tolerance(answer.x), "output"):
                raise SpecError(_refusal(title, f"{where} {why}"))
    finally:
        for name, buffer in model.named_buffers():
            if not torch.equal(buffer, kept[name]):
                buffer.copy_(kept[name])


def run(model: nn.Module, x: Tensor, *, grad: bool) -> Any:
    """Run a network on a copy of an input with a fixed random seed."""
    devices = [x.device] if x.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.set_grad_enabled(grad):
        torch.manual_seed(0)
        return model(x.clone(memory_format=torch.preserve_format))


def _refusal(title: str, what: str) -> str:
    return (
        f"{title} returns other results after tracing with torch.fx: {what}. Its forward pass depends on the type or "
        "presence of a value, or on the state of the module; pass a part of it that does not, or use it unoptimized."
    )


def _images(model: nn.Module, shape: tuple[int, ...]) -> Iterator[Tensor]:
    """Yield a batch of a shape, then one with one more image in channels last."""
    given = [x for x in (*model.parameters(), *model.buffers()) if x.is_floating_point()]
    dtype, device = (given[0].dtype, given[0].device) if given else (torch.float32, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    for n in (shape[0], shape[0] + 1):
        x = torch.randn(n, *shape[1:], generator=generator).to(device, dtype)
        yield x.contiguous(memory_format=torch.channels_last) if n > shape[0] and x.ndim == 4 else x


def _distance(shape: tuple[int, ...]) -> float:
    """Return how much the side of an image differs from the preferred one, as the absolute log ratio."""
    side = CUBE if len(shape) > 4 else SIDE
    return abs(math.log(shape[2] / side)) if len(shape) > 2 and shape[2] > 0 else 0.0


def _tolerance(x: Tensor) -> float:
    if x.dtype == torch.float32 and x.device.type != "cpu":
        return TF32
    return TOLERANCE.get(x.dtype, HALF)


def _difference(found: Any, expected: Any, tolerance: float, place: str) -> str:
    """Describe the first difference between two outputs; empty if there is none."""
    if isinstance(expected, Tensor):
        return _distant(found, expected, tolerance, place)
    if type(found) is not type(expected) and not (type(found) in PLAIN and type(expected) in PLAIN):
        return f"{place} is of type {type(found).__name__}, not {type(expected).__name__}"
    pairs: Iterator[tuple[str, Any, Any]]
    if isinstance(expected, Mapping):
        if found.keys() != expected.keys():
            return f"{place} has the keys {list(found)}, not {list(expected)}"
        pairs = ((f"{place}[{key!r}]", found[key], expected[key]) for key in expected)
    elif isinstance(expected, tuple | list):
        if len(found) != len(expected):
            return f"{place} has {len(found)} parts, not {len(expected)}"
        pairs = ((f"{place}[{at}]", *pair) for at, pair in enumerate(zip(found, expected, strict=True)))
    elif is_dataclass(expected):
        names = [field.name for field in fields(expected)]
        pairs = ((f"{place}.{name}", getattr(found, name), getattr(expected, name)) for name in names)
    else:
        return "" if _is_same(found, expected) else f"{place} is {found!r}, not {expected!r}"
    return next((why for name, one, other in pairs if (why := _difference(one, other, tolerance, name))), "")


def _distant(found: Any, expected: Tensor, tolerance: float, place: str) -> str:
    if not isinstance(found, Tensor) or found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{place} is {_described(found)}, not {_described(expected)}"
    if not expected.is_floating_point() and not expected.is_complex():
        wrong = int((found != expected).sum())
        return f"{wrong} of {expected.numel()} values of {place} differ" if wrong > expected.numel() / 100 else ""
    wide = torch.complex128 if expected.is_complex() else torch.float64
    one, other = found.detach().to("cpu", wide), expected.detach().to("cpu", wide)
    finite = other.isfinite()
    if not torch.equal(one.isfinite(), finite):
        return f"{place} is not finite at the same positions as expected"
    if not finite.any():
        return ""
    apart, largest = float((one - other)[finite].abs().max()), float(other[finite].abs().max())
    return (
        f"{place} differs by up to {apart:.2g}, its largest value is {largest:.2g}"
        if apart > tolerance * largest
        else ""
    )


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
    return f"of type {type(value).__name__}"


def _is_same(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except Exception:  # a custom class without a usable `==`
        return True
