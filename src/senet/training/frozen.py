"""A network of which only new parameters are trained: the rest keeps its values, its norms their statistics."""

from collections.abc import Collection

from torch import nn

from senet.nn import SqueezeExcite
from senet.nn.layers import BATCH_NORMS

__all__ = ["freeze"]


def freeze(model: nn.Module, fresh: Collection[str]) -> None:
    """Freeze all parameters of a network but the new ones.

    Args:
        model: the network, in training mode; norms without a trained parameter are put into evaluation mode.
        fresh: names of the parameters that are new.
    """
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in fresh)
    for module in model.modules():
        own = module.parameters(recurse=False)  # without those of a block that was inserted behind the norm
        if isinstance(module, BATCH_NORMS) and not any(parameter.requires_grad for parameter in own):
            module.eval()
    for block in (module for module in model.modules() if isinstance(module, SqueezeExcite)):
        if any(parameter.requires_grad for parameter in block.parameters()):
            block.train(model.training)  # a norm inside it learns, also where the block is attached to a frozen norm
