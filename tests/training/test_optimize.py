"""Which parameters decay, and that every optimiser gets its numbers."""

import pytest
import torch
from forks import DATA, RUN
from torch import nn

from senet import SESpec
from senet.experiments.recipe import OPTIMIZERS, Optim
from senet.experiments.run import Run
from senet.training.initial_network import build
from senet.training.optimizers import make_optimizer


def names_that_decay(model: nn.Module, decay: str) -> set[str]:
    optimizer = make_optimizer(model, Optim(decay=decay, weight_decay=0.1))
    decaying = {id(p) for group in optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    together = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(together) == sorted(id(p) for p in model.parameters())
    return {name for name, p in model.named_parameters() if id(p) in decaying}


def test_decay_reaches_what_it_says() -> None:
    model = build(Run(model="resnet8", data=DATA.spec, se=(SESpec(reduction=4),)), DATA)
    everything = {name for name, _ in model.named_parameters()}
    assert names_that_decay(model, "all") == everything
    weights = names_that_decay(model, "weights")
    assert weights == {name for name, p in model.named_parameters() if p.ndim >= 2}
    assert {name for name in weights if ".se." in name}
    assert names_that_decay(model, "kernels") == {name for name in weights if ".se." not in name}
    assert names_that_decay(build(RUN, DATA), "kernels") == names_that_decay(build(RUN, DATA), "weights")


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimiser_gets_its_numbers(name: str) -> None:
    values = Optim(
        name=name, lr=0.3, momentum=0.7, nesterov=True, betas=(0.8, 0.95), rho=0.6, eps=1e-4, weight_decay=0.2
    )
    optimizer = make_optimizer(nn.Linear(2, 2), values)
    wanted = {
        "lr": 0.3,
        "weight_decay": 0.2,
        "momentum": 0.7,
        "nesterov": True,
        "betas": (0.8, 0.95),
        "rho": 0.6,
        "eps": 1e-4,
    }
    (group,) = optimizer.param_groups
    assert type(optimizer).__name__.lower() == name
    shared = wanted.keys() & group.keys()
    assert {key: group[key] for key in shared} == {key: wanted[key] for key in shared}
    assert len(shared) >= 4


def test_nesterov_without_momentum_is_plain_descent() -> None:
    (group,) = make_optimizer(nn.Linear(2, 2), Optim(momentum=0.0, nesterov=True)).param_groups
    assert not group["nesterov"]


def test_decay_of_adamw_is_decoupled_and_of_adam_is_not() -> None:
    steps = {}
    for name in ("adam", "adamw"):
        layer = nn.Linear(1, 1, bias=False)
        with torch.no_grad():
            layer.weight.fill_(2.0)
        optimizer = make_optimizer(layer, Optim(name=name, lr=0.1, weight_decay=0.5))
        layer.weight.grad = torch.zeros(1, 1)
        optimizer.step()
        steps[name] = layer.weight.item()
    assert steps["adamw"] == pytest.approx(2.0 * (1 - 0.1 * 0.5))
    assert steps["adam"] == pytest.approx(2.0 - 0.1)  # the step of a gradient that is decay alone
