"""From the values of a recipe to torch's optimisers."""

from collections.abc import Iterator

from torch import nn, optim

from senet.lab.recipe import Optim
from senet.nn import SqueezeExcite

__all__ = ["make_optimizer"]


def make_optimizer(model: nn.Module, values: Optim) -> optim.Optimizer:
    """Make the optimiser of a recipe, its parameters in one group that decays and one that does not.

    Args:
        model: the network.
        values: name and numbers.
    """
    inside = {id(p) for m in model.modules() if isinstance(m, SqueezeExcite) for p in m.parameters()}

    def decays(parameter: nn.Parameter) -> bool:
        if values.decay == "all":
            return True
        return parameter.ndim >= 2 and not (values.decay == "kernels" and id(parameter) in inside)

    def groups() -> Iterator[dict[str, object]]:
        for wanted, decay in ((True, values.weight_decay), (False, 0.0)):
            params = [p for p in model.parameters() if decays(p) is wanted]
            if params:
                yield {"params": params, "weight_decay": decay}

    # on a GPU: one kernel for many tensors, and nothing that must know a number on the CPU, so that it can be recorded
    gpu = any(parameter.device.type == "cuda" for parameter in model.parameters())
    if values.name == "sgd":
        nesterov = values.nesterov and values.momentum > 0
        return optim.SGD(groups(), lr=values.lr, momentum=values.momentum, nesterov=nesterov, fused=gpu or None)
    if values.name == "adadelta":
        return optim.Adadelta(groups(), lr=values.lr, rho=values.rho, eps=values.eps, capturable=gpu)
    kind = optim.Adam if values.name == "adam" else optim.AdamW
    return kind(groups(), lr=values.lr, betas=values.betas, eps=values.eps, fused=gpu or None, capturable=gpu)
