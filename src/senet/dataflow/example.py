"""Choose an example input for a network and record the data flow on it."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from senet.dataflow.dry_run import UncopyableError
from senet.dataflow.flow import Flow
from senet.dataflow.recording import record
from senet.errors import SpecError, reason_of
from senet.nn.layers import CONVS

__all__ = ["guesses", "image", "observe", "tried"]

SIDES = (224, 32, 299, 64, 28)
CUBES = (64, 32, 112)
"""Sides to try if the network does not declare its input size [pixels]."""


def observe(model: nn.Module, shape: Sequence[int] | None) -> Flow:
    """Run a network once, on meta tensors if possible, and record its data flow.

    Args:
        model: any network that takes one image tensor; it is not changed.
        shape: shape of the input, `(n, c, ...)`; None tries the network's own metadata and then common sizes.

    Raises:
        SpecError: if it runs on none of the shapes, or cannot be copied for a trial run.
    """
    shapes = [tuple(shape)] if shape is not None else guesses(model)
    reason = ""
    for one in shapes:
        try:
            return tried(model, image(model, one))
        except UncopyableError:
            raise
        except Exception as error:  # other libraries' networks may raise any error
            reason = reason or reason_of(error)
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
    """Return a batch of zeros of the dtype of a network, expanded from one element so that it takes no memory.

    Args:
        model: the network.
        shape: shape of the batch.
        device: device of the batch; None uses that of the network.
    """
    first = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0, device="cpu"))
    return torch.zeros((), device=device or first.device, dtype=first.dtype).expand(shape)


def tried(model: nn.Module, x: Tensor, *, keep: bool = False) -> Flow:
    """Record the data flow of a network on the shape of `x`, or on `x` itself if the network needs values.

    See `record`.

    Raises:
        Exception: the error that the network raises on `x`, of any type.
    """
    if not x.is_meta:
        try:
            return record(model, x.to("meta"), keep=keep)
        except UncopyableError:
            raise
        except Exception:  # any error may be due to missing values; the run on `x` raises the real ones
            pass
    return record(model, x, keep=keep)
