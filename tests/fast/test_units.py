"""Units whose forward method is the user's own: what of it may be fused is fused, and the values are the same."""

import copy
import operator
import pickle
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from senet import accelerate, decelerate
from senet.fast.training.units import FusedUnit


class Unit(nn.Module):
    """Layers of a basic unit; what the forward method does with them is looked up by name."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how, self.once_more = how, False
        self.conv1, self.bn1 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv2, self.bn2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.act, self.drop, self.sum = nn.ReLU(inplace=True), nn.Identity(), nn.Sequential()

    def forward(self, x: Tensor) -> Tensor:
        y = HOW[self.how][0](self, x)
        return y + 1.0 if self.once_more else y


def tail(unit: Unit, x: Tensor, add: Callable[[Tensor, Tensor], Tensor] = operator.iadd) -> Tensor:
    y = unit.act(unit.drop(unit.bn1(unit.conv1(x))))
    return unit.act(add(unit.bn2(unit.conv2(y)), x))


def shortcut_written(unit: Unit, x: Tensor) -> Tensor:
    r = unit.conv2(x)
    r += unit.bn1(unit.conv1(x))
    return F.relu(r) + r


def read_twice(unit: Unit, x: Tensor) -> Tensor:
    u = unit.conv1(x)
    y = unit.bn1(u)
    return F.relu(y) + y + F.relu(unit.bn2(u)) + u


def between(unit: Unit, x: Tensor) -> Tensor:
    y = unit.bn1(unit.conv1(x)) + unit.conv2(x)
    z = unit.conv2(x)
    z += x
    return F.relu(y) + z


def training_only(unit: Unit, x: Tensor) -> Tensor:
    return F.relu(unit.bn1(unit.conv1(x))) if unit.training else unit.conv2(x)


HOW: dict[str, tuple[Callable[[Unit, Tensor], Tensor], int]] = {  # and how many norms are fused
    "in place": (tail, 2),
    "out of place": (lambda unit, x: tail(unit, x, operator.add), 2),
    "torch.add": (lambda unit, x: tail(unit, x, torch.add), 2),
    "a factor": (lambda unit, x: tail(unit, x, lambda y, r: torch.add(y, r, alpha=2)), 1),
    "the other summand": (lambda unit, x: F.relu(x + unit.bn1(unit.conv1(x)), inplace=True), 1),
    "one map twice": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x))) + torch.relu(x), 1),
    "doubled": (lambda unit, x: tail(unit, x, lambda y, r: y + y), 1),
    "two norms": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x)) + unit.bn2(unit.conv2(x))), 1),
    "one norm twice": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x)) + unit.bn1(unit.conv2(x))), 0),
    "the shortcut is written": (shortcut_written, 0),
    "read twice": (read_twice, 0),
    "something between": (between, 0),
    "no convolution": (lambda unit, x: F.relu(unit.bn1(x)) + unit.bn2(F.relu(x)), 0),
    "a number": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x)) + 1.0), 0),
    "another function": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x))).mul(2), 0),
    "training only": (training_only, 0),
    "a shape": (lambda unit, x: F.relu(unit.bn1(unit.conv1(x))) if x.shape[0] > 1 else x, 0),
}


def pair(how: str) -> tuple[Unit, Unit]:
    """Return a unit and its accelerated copy."""
    ordinary = Unit(how).double()
    for norm in (ordinary.bn1, ordinary.bn2):
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    fused = copy.deepcopy(ordinary)
    done = accelerate(fused, backend="reference")
    assert len(done.fused) == HOW[how][1]
    return ordinary, fused


def assert_same(ordinary: Unit, fused: Unit) -> None:
    outcomes = []
    for unit in (ordinary, fused):
        x = torch.linspace(-2, 2, 2 * 8 * 25, dtype=torch.float64).sin().view(2, 8, 5, 5).requires_grad_()
        y = unit(x * 1.0)
        unit.zero_grad()
        y.pow(2).sum().backward()
        grads = [parameter.grad for parameter in unit.parameters() if parameter.grad is not None]
        outcomes.append([y, x.grad, *grads, *unit.buffers()])
    for mine, wanted in zip(*outcomes, strict=True):
        torch.testing.assert_close(mine, wanted)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("how", HOW)
def test_values_gradients_and_statistics_are_those_of_the_forward_method(how: str, train: bool) -> None:
    ordinary, fused = pair(how)
    assert_same(ordinary.train(train), fused.train(train))
    assert isinstance(fused, FusedUnit) == (HOW[how][1] > 0)
    decelerate(fused)
    assert type(fused) is Unit
    assert vars(fused).keys() == vars(ordinary).keys()


def with_attribute(unit: Unit) -> None:
    unit.once_more = True


def with_other_way(unit: Unit) -> None:
    unit.how = "one map twice"


def with_other_layer(unit: Unit) -> None:
    unit.drop = nn.Hardtanh()  # type: ignore[assignment]


def with_hook_on_identity(unit: Unit) -> None:
    unit.drop.register_forward_hook(lambda module, args, y: 2 * y)


def with_hook_on_norm(unit: Unit) -> None:
    unit.bn2.register_forward_hook(lambda module, args, y: 2 * y)


def with_hook_on_act(unit: Unit) -> None:
    unit.act.register_forward_pre_hook(lambda module, args: (2 * args[0],))


def with_forward(unit: Unit) -> None:
    unit.forward = lambda x: 3 * x + sum(p.sum() for p in unit.parameters())  # type: ignore[method-assign, assignment]


@pytest.mark.parametrize(
    "change",
    [
        with_attribute,
        with_other_way,
        with_other_layer,
        with_hook_on_identity,
        with_hook_on_norm,
        with_hook_on_act,
        with_forward,
    ],
)
def test_what_changes_later_is_seen(change: Callable[[Unit], None]) -> None:
    ordinary, fused = pair("out of place")
    assert_same(ordinary, fused)
    for unit in (ordinary, fused):
        change(unit)
    assert_same(ordinary, fused)


def test_hooks_inside_are_called_in_order() -> None:
    _, fused = pair("in place")
    called: list[str] = []
    for name in ("act", "bn1", "drop", "conv2"):
        fused.get_submodule(name).register_forward_hook(lambda *_, name=name: called.append(name))
    fused(torch.randn(2, 8, 5, 5, dtype=torch.float64))
    assert called == ["bn1", "drop", "act", "conv2", "act"]


class Layer(nn.Sequential):
    """A sequence with a constructor of its own, as torchvision's layers are."""

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8), nn.ReLU())


class Doubled(Layer):
    def forward(self, input: Tensor) -> Tensor:
        y: Tensor = 2 * super().forward(input)
        return y


def test_sequences_of_other_classes_are_fused_unless_they_have_a_forward_method_of_their_own() -> None:
    ordinary = nn.Sequential(Layer(), Doubled()).double()
    fused = copy.deepcopy(ordinary)
    done = accelerate(fused, backend="reference")
    assert done.fused == ("0.1",)
    x = torch.randn(2, 8, 5, 5, dtype=torch.float64)
    for twin in (fused, pickle.loads(pickle.dumps(fused))):
        torch.testing.assert_close(twin(x), ordinary(x))
    decelerate(fused)
    assert [type(part) for part in fused.modules()] == [type(part) for part in ordinary.modules()]


def test_the_forward_method_has_no_side_effect_when_a_network_is_accelerated() -> None:
    class Counting(Unit):
        def __init__(self) -> None:
            super().__init__("in place")
            self.calls: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            self.calls.append(1)
            return super().forward(x)

    unit = Counting()
    accelerate(unit, backend="reference")
    assert unit.calls == []
