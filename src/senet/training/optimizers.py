"""From the values of a recipe to torch's optimisers."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import torch
from torch import nn, optim

from senet.experiments.recipe import Optim
from senet.nn import SqueezeExcite

__all__ = ["make_optimizer", "restore_optimizer"]


def make_optimizer(model: nn.Module, values: Optim, *, fresh: Collection[str] = ()) -> optim.Optimizer:
    """Make the optimizer of a recipe: a group for every decay and every rate. Parameters without gradients have none.

    Args:
        model: the network.
        values: name and numbers.
        fresh: names of the parameters that are new in the network, whose rate is `block_lr` times the others'.

    Returns:
        The optimizer; `scale` in every group is the factor of its learning rate. Its steps do nothing if the network
        is frozen and has no new parameters.
    """
    inside = {id(p) for m in model.modules() if isinstance(m, SqueezeExcite) for p in m.parameters()}
    rates = _rates(model, values, fresh)

    def decays(parameter: nn.Parameter) -> bool:
        if values.decay == "all":
            return True
        return parameter.ndim >= 2 and not (values.decay == "kernels" and id(parameter) in inside)

    def groups() -> Iterator[dict[str, object]]:
        for wanted, decay in ((True, values.weight_decay), (False, 0.0)):
            found: dict[float, list[nn.Parameter]] = {}
            for parameter in model.parameters():
                if decays(parameter) is wanted and parameter.requires_grad:
                    found.setdefault(rates[id(parameter)], []).append(parameter)
            for scale, params in found.items():
                yield {"params": params, "weight_decay": decay, "scale": scale, "lr": values.lr * scale}

    # a frozen network without new parameters has none to train
    trained = list(groups()) or [{"params": [], "weight_decay": 0.0, "scale": 1.0, "lr": values.lr}]
    # on a GPU: one kernel for many tensors, and nothing that must know a number on the CPU, so that it can be recorded
    gpu = any(parameter.device.type == "cuda" for parameter in model.parameters())
    if values.name == "sgd":
        nesterov = values.nesterov and values.momentum > 0
        return optim.SGD(trained, lr=values.lr, momentum=values.momentum, nesterov=nesterov, fused=gpu or None)
    if values.name == "adadelta":
        return optim.Adadelta(trained, lr=values.lr, rho=values.rho, eps=values.eps, capturable=gpu)
    kind = optim.Adam if values.name == "adam" else optim.AdamW
    return kind(trained, lr=values.lr, betas=values.betas, eps=values.eps, fused=gpu or None, capturable=gpu)


def _rates(model: nn.Module, values: Optim, fresh: Collection[str]) -> dict[int, float]:
    """Return the factor of the learning rate of every parameter by its id."""
    new = {id(parameter) for name, parameter in model.named_parameters() if name in fresh}
    # a layer begins with its matrix or kernel; norms and biases behind belong to it
    layers: dict[int, int] = {}
    number = 0
    for parameter in model.parameters():
        if id(parameter) not in new:
            number += parameter.ndim >= 2
            layers[id(parameter)] = number
    return {
        id(p): values.block_lr if id(p) in new else values.layer_decay ** (number - layers[id(p)])
        for p in model.parameters()
    }


def restore_optimizer(optimizer: optim.Optimizer, kept: Mapping[int, Mapping[str, Any]], values: Optim) -> None:
    """Load what an optimiser has kept of its parameters, e.g. momentum.

    Its numbers stay those of the recipe, and how this device computes the update stays its own.

    Raises:
        ValueError, LookupError, TypeError, AttributeError: if the next step could not use it.
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    probe = nn.Linear(1, 1, bias=False, device=parameters[0].device)
    probe.weight.grad = torch.zeros_like(probe.weight)
    twin = make_optimizer(probe, values)
    twin.step()
    wanted = twin.state[probe.weight]
    for number, entries in kept.items():
        if entries.keys() != wanted.keys():
            raise ValueError(f"the optimiser keeps {', '.join(wanted)}, not {', '.join(map(str, entries))}")
        for name, value in entries.items():
            shape = parameters[number].shape if wanted[name].shape == probe.weight.shape else wanted[name].shape
            if value.shape != shape or not value.isfinite().all():
                raise ValueError(f"{name} of parameter {number} is not {tuple(shape)} finite numbers")
    optimizer.load_state_dict({"state": kept, "param_groups": optimizer.state_dict()["param_groups"]})
