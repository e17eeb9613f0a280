"""The hand-written gradients are those of autograd, in float64, for every operation."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from senet import SESpec, SqueezeExcite
from senet.fast.training.excitation import Excite, FromMoments, excite_of
from senet.fast.training.identity_slot import gated_shortcut, scale_add
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import fused_tail

SHAPE = (3, 4, 2, 3)
SPREAD = FromMoments(lambda mean, variance, size: mean + (variance * size + 0.1).sqrt(), spread=True)  # type: ignore[operator]


def norm(*, train: bool) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(4).double().train(train)
    nn.init.normal_(made.weight)
    nn.init.normal_(made.bias)
    assert made.running_mean is not None
    assert made.running_var is not None
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 2)
    return made


def block(gate: str = "sigmoid") -> SqueezeExcite:
    return SqueezeExcite(4, SESpec(reduction=2, gate=gate, activation="silu")).double()


Operation = tuple[Callable[..., Tensor], list[nn.Module]]


def operations(*, train: bool) -> dict[str, Operation]:
    bn, se = norm(train=train), block("tanh")
    excite, words = excite_of(se), {"norm": bn, "backend": "reference"}
    assert excite is not None
    return {
        "tail": (lambda u, r: fused_tail(u, r, excite=excite, **words), [bn, se]),
        "plain tail": (lambda u, r: fused_tail(u, r, excite=None, **words), [bn]),
        "norm and relu": (lambda u, r: norm_relu(u, excite=None, **words), [bn]),
        "inner": (lambda u, r: norm_relu(u, excite=excite, **words), [bn, se]),
        "identity": (lambda u, r: gated_shortcut(u, r, excite=excite, **words), [bn, se]),
        "block alone": (lambda u, r: fused_tail(u, None, excite=excite, relu=False, **words), [bn, se]),
        "mean and variance": (lambda u, r: fused_tail(u, r, excite=Excite(se, SPREAD), **words), [bn, se]),
        "no norm": (lambda u, r: scale_add(u, r, excite=excite, backend="reference"), [se]),
    }


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("name", list(operations(train=True)))
def test_gradients_pass_gradcheck(name: str, train: bool) -> None:
    operation, modules = operations(train=train)[name]
    u, r = (torch.randn(SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(2))
    parameters = [parameter for module in modules for parameter in module.parameters()]

    def run(u: Tensor, r: Tensor, *_: Tensor) -> Tensor:
        return operation(u, r)

    uses_r = name not in ("norm and relu", "inner", "block alone")
    assert torch.autograd.gradcheck(run, (u, r if uses_r else r.detach(), *parameters), atol=1e-6, fast_mode=True)


def test_second_derivatives_are_refused_not_wrong() -> None:
    operation, _ = operations(train=True)["tail"]
    u, r = (torch.randn(SHAPE, dtype=torch.float64, requires_grad=True) for _ in range(2))
    (du,) = torch.autograd.grad(operation(u, r).pow(2).sum(), u, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        du.sum().backward()


def test_a_frozen_branch_still_gives_the_gradients_of_the_block() -> None:
    bn, se = norm(train=True).requires_grad_(False), block()
    u, r = torch.randn(2, *SHAPE, dtype=torch.float64)
    excite = excite_of(se)
    outputs = fused_tail(u, r, norm=bn, excite=excite, backend="reference"), torch.relu(se(bn(u)) + r)
    grads = [torch.autograd.grad(y.pow(2).sum(), list(se.parameters())) for y in outputs]
    for ours, theirs in zip(*grads, strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("train", [True, False])
def test_a_squeeze_of_mean_and_variance_is_that_of_the_normalised_map(train: bool) -> None:
    bn, se = norm(train=train), block()
    u, r = torch.randn(2, *SHAPE, dtype=torch.float64)
    words = {"backend": "reference", "excite": Excite(se, SPREAD)}
    x = copy.deepcopy(bn)(u)
    variance, mean = torch.var_mean(x, dim=(2, 3), correction=0)
    s = se.excite((mean + (6 * variance + 0.1).sqrt())[:, :, None, None])
    torch.testing.assert_close(fused_tail(u, r, norm=bn, **words), torch.relu(s * x + r))
