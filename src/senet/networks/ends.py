"""The two ends of a network: its first convolution, which takes the image, and its classifier."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from senet.errors import SpecError, reason_of
from senet.nn.evaluated import evaluated
from senet.nn.layers import CONVS

__all__ = ["first_convolution", "num_outputs", "with_channels", "with_outputs"]


def first_convolution(model: nn.Module) -> tuple[str, nn.Conv1d | nn.Conv2d | nn.Conv3d] | None:
    """Return the name and the module of the first convolution of a network; None if it has none."""
    return next(((name, module) for name, module in model.named_modules() if isinstance(module, CONVS)), None)


def with_channels(model: nn.Module, channels: int) -> nn.Module:
    """Replace the first convolution of a network by one with fresh weights for another number of channels.

    Raises:
        SpecError: if its first layer is not a convolution of the whole image.
    """
    name, old = first_convolution(model) or ("", None)
    if not isinstance(old, nn.Conv2d) or old.groups != 1:
        raise SpecError(
            f"{type(model).__name__} has no ordinary first convolution that could take {channels} channels; give its "
            "function an argument in_chans."
        )
    if old.in_channels != channels:
        _replace(model, name, _like(old, in_channels=channels))
    return model


def with_outputs(model: nn.Module, outputs: int, shape: tuple[int, int, int]) -> nn.Module:
    """Replace the classifier of a network by one with fresh weights for another number of classes.

    The classifier is the last linear layer or 1x1 convolution that runs and has as many outputs as the network.

    Args:
        model: the network; changed in place.
        outputs: classes.
        shape: an image, `(c, h, w)` [channels, pixels, pixels].

    Raises:
        SpecError: if the network does not take such images, returns something else than logits, or has no such layer.
    """
    ran: list[str] = []
    own = num_outputs(model, shape, note=ran.append)
    if own == outputs:
        return model
    if own is None:
        raise SpecError(
            f"{type(model).__name__} returns no logits (n, classes); return that tensor alone, without a tuple, a "
            "dict or maps around it."
        )
    for name in reversed(ran):
        layer = model.get_submodule(name)
        if isinstance(layer, nn.Linear) and layer.out_features == own:
            bias = layer.bias is not None
            _replace(model, name, nn.Linear(layer.in_features, outputs, bias=bias, dtype=layer.weight.dtype))
        elif isinstance(layer, nn.Conv2d) and layer.out_channels == own and set(layer.kernel_size) == {1}:
            _replace(model, name, _like(layer, out_channels=outputs))
        else:
            continue
        if num_outputs(model, shape) == outputs:
            return model
        break
    raise SpecError(
        f"{type(model).__name__} has {own} outputs where {outputs} classes are asked for, and no linear layer or 1x1 "
        "convolution returns them; give its function an argument num_classes."
    )


@torch.no_grad()
def num_outputs(
    model: nn.Module,
    shape: tuple[int, int, int],
    *,
    title: str | None = None,
    note: Callable[[str], None] | None = None,
) -> int | None:
    """Return the number of classes of a network, found by running it on zeros; None if it does not return logits.

    Args:
        model: the network; it runs in evaluation mode and keeps its own.
        shape: an image, `(c, h, w)` [channels, pixels, pixels].
        title: name of the network in the error; None means its class.
        note: called with the name of every linear layer and convolution that runs.

    Raises:
        SpecError: if the network does not accept images of this shape.
    """
    hooks = [
        module.register_forward_hook(lambda *_, name=name: note(name) if note else None)
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    ]
    like = next(iter(model.parameters()), torch.empty(0))
    try:
        with evaluated(model):
            logits: Any = model(torch.zeros(1, *shape, device=like.device, dtype=like.dtype))
    except Exception as error:  # whatever a foreign network raises
        reason = reason_of(error)
        raise SpecError(
            f"{title or type(model).__name__} does not accept images of {'x'.join(map(str, shape))} ({reason}); use "
            "images with its channels and side; data.size=PIXELS sets the side."
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
    return logits.shape[1] if isinstance(logits, Tensor) and logits.ndim == 2 else None


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)


def _like(layer: nn.Conv2d, *, in_channels: int | None = None, out_channels: int | None = None) -> nn.Conv2d:
    options: dict[str, Any] = {
        name: getattr(layer, name)
        for name in ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
    }
    return type(layer)(
        in_channels or layer.in_channels,
        out_channels or layer.out_channels,
        bias=layer.bias is not None,
        dtype=layer.weight.dtype,
        **options,
    )
