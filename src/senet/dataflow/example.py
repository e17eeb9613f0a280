"""The input on which a network is tried, and the data flow it gives."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from senet.dataflow.flow import Flow
from senet.dataflow.recording import record
from senet.dataflow.rehearsal import UnrehearsableError
from senet.errors import SpecError
from senet.nn.pointwise import CONVS

__all__ = ["guesses", "image", "observe", "tried"]

SIDES = (224, 32, 299, 64, 28)
CUBES = (64, 32, 112)
"""Sides to try where a network does not say its own [pixels]."""


def observe(model: nn.Module, shape: Sequence[int] | None) -> Flow:
    """Run a network once, without data where it can, and record what it does.

    Args:
        model: any network that takes one image tensor; it is not changed.
        shape: of the input, `(n, c, ...)`; None tries what the network says itself and then usual sizes.

    Raises:
        SpecError: if it runs on none of the shapes, or cannot be copied for a trial run.
    """
    shapes = [tuple(shape)] if shape is not None else guesses(model)
    reason = ""
    for one in shapes:
        try:
            return tried(model, image(model, one))
        except UnrehearsableError:
            raise
        except Exception as error:  # whatever a foreign network raises
            reason = reason or str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    title = type(model).__name__
    given = " and ".join(map(str, shapes))
    raise SpecError(f"{title} does not run on an input of shape {given}: {reason}; give shape=(1, c, h, w) that fits.")


def guesses(model: nn.Module) -> list[tuple[int, ...]]:
    """Return the shapes to try: the network's own (timm's `pretrained_cfg`), then squares for its first convolution."""
    shapes: list[tuple[int, ...]] = []
    for name in ("pretrained_cfg", "default_cfg"):
        config = getattr(model, name, None)
        if isinstance(config, Mapping) and isinstance(size := config.get("input_size"), Sequence):
            shapes.append((1, *map(int, size)))
    first = next((module for module in model.modules() if isinstance(module, CONVS)), None)
    if first is not None:
        dims = len(first.kernel_size)
        shapes += [(1, first.in_channels, *([side] * dims)) for side in (SIDES if dims < 3 else CUBES)]
    return list(dict.fromkeys(shapes)) or [(1, 3, 224, 224)]


def image(model: nn.Module, shape: tuple[int, ...], device: torch.device | str | None = None) -> Tensor:
    """Return zeros of the type of a network, on its device unless another one is given; they take no memory."""
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0, device="cpu"))
    return torch.zeros((), device=device or first.device, dtype=first.dtype).expand(shape)


def tried(model: nn.Module, x: Tensor, *, keep: bool = False) -> Flow:
    """Record a network on the shape of `x`, and on `x` itself if it asks for values; see `record`.

    Raises:
        Exception: whatever the network raises on `x`.
    """
    if not x.is_meta:
        try:
            return record(model, x.to("meta"), keep=keep)
        except UnrehearsableError:
            raise
        except Exception:  # whatever a foreign network raises without values; `x` shows what is wrong
            pass
    return record(model, x, keep=keep)
