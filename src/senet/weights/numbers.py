"""Load weights, and check their values: kind of number, finite, no negative variance."""

from collections import OrderedDict
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from senet.errors import CheckpointError

__all__ = ["check_values", "load_checked", "load_values"]


def check_values(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], *, names: Mapping[str, str] | None = None
) -> None:
    """Raise an error if weights hold values that are not valid, before any of them is loaded.

    Floating-point types convert into each other as long as the values stay finite, and so do integer types. Where the
    network itself holds an infinity, such as in an attention mask, the same infinity is allowed.

    Args:
        tensors: the weights, by the names of the network.
        own: tensors of the network by the same names; the weights are cast to their dtypes.
        names: names in the file, for error messages; None means the names of the network.

    Raises:
        CheckpointError: naming the first tensor that holds a NaN, an infinity, a negative variance or counter, or
            another kind of number.
    """
    for name, value in tensors.items():
        if name in own and (reason := _fault(name, value, own[name])):
            theirs = name if names is None else names[name]
            raise CheckpointError(
                f"the weights are damaged: {theirs} {reason}. Nothing was loaded; use another copy of the file."
            )


def load_checked(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load weights strictly, see `load_values`, after a check of their values, see `check_values`.

    Raises:
        CheckpointError: if a value is not valid; then nothing is loaded.
        RuntimeError: if names or shapes differ.
    """
    check_values(tensors, model.state_dict())
    load_values(model, tensors)


def load_values(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Load weights strictly, as ones of the present versions of the modules of the network.

    Files of tensors hold no versions, and networks such as torchvision's MNASNet refuse weights without. Norms count
    as of no version, so that older weights without `num_batches_tracked` load.

    Raises:
        RuntimeError: if names or shapes differ.
    """
    state = OrderedDict(tensors)
    versions = getattr(model.state_dict(), "_metadata", {})
    norms = {name for name, module in model.named_modules() if isinstance(module, nn.modules.batchnorm._NormBase)}
    state._metadata = {name: version for name, version in versions.items() if name not in norms}  # type: ignore[attr-defined]
    model.load_state_dict(state)


def _fault(name: str, value: Tensor, own: Tensor) -> str:
    if _kind(value) != _kind(own):
        return f"holds {_type(value)} where {_type(own)} is expected"
    if value.is_meta or not value.numel() or value.dtype == torch.bool or value.is_complex():
        return ""
    cast = value.detach().cpu().to(own.dtype)
    if cast.is_floating_point():
        wrong = ~torch.isfinite(cast)
        if wrong.any() and (own.is_meta or not torch.equal(cast[wrong], own.detach().cpu()[wrong])):
            large = torch.isfinite(value).all()
            what = f"values too large for {_type(own)}" if large else "values that are not finite"
            return f"holds {what}, {int(wrong.sum()):,} of {value.numel():,}"
    elif not torch.equal(cast.to(value.dtype), value.cpu()):
        return f"holds values too large for {_type(own)}"
    lowest = cast.double().min().item()
    if lowest < 0 and name.rpartition(".")[2] in ("running_var", "num_batches_tracked"):
        return f"is negative: {lowest:g}"
    return ""


def _kind(tensor: Tensor) -> str:
    if tensor.is_quantized:
        return "quantized"
    if tensor.is_floating_point():
        return "floating-point"
    if tensor.is_complex() or tensor.dtype == torch.bool:
        return _type(tensor)
    return "whole"


def _type(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
