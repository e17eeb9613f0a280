"""The network that is exported: a copy in evaluation mode, with blocks folded if asked."""

import torch
from torch import nn

from senet.errors import SpecError
from senet.fast.inference.optimize import copied
from senet.surgery import Folded
from senet.surgery import fold as fold_blocks
from senet.surgery.folding.batches import Batches
from senet.surgery.folding.removal import Watch
from senet.surgery.insertion.refuse import refuse_wrapped

__all__ = ["prepared"]


def prepared(
    model: nn.Module, *, fold: float | None, images: Batches | None, test: Batches | None, watch: Watch | None
) -> tuple[nn.Module, Folded | None, tuple[str, ...]]:
    """Copy a network to the CPU in evaluation mode, and fold the copy if asked.

    Args:
        model: the network; it is not changed.
        fold: tolerance of the fold [percentage points]; None for no fold.
        images: images for the fold.
        test: test images for the fold.
        watch: function that is called with the progress of the fold.

    Returns:
        The copy, the report of the fold, and remarks.

    Raises:
        SpecError: if the network is not in float32 or cannot be copied, or there are no images for the fold.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a network; pass a torch.nn.Module.")
    refuse_wrapped(model)
    for name, tensor in model.named_parameters():
        if tensor.dtype != torch.float32:
            raise SpecError(f"model.{name} is {tensor.dtype}; the check is for float32, export model.float().")
    network = copied(model).cpu()
    if fold is None:
        return network, None, ()
    if images is None:
        raise SpecError(f"fold = {fold:g} needs images; pass images=batches (--data-dir), or leave it out.")
    network.requires_grad_(True)
    folded = fold_blocks(network, images, test=test, tolerance=fold, watch=watch)
    network.requires_grad_(False)
    return network, folded, tuple(folded.notes)
