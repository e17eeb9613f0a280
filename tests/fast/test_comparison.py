"""`optimize` compares what it made with the network on real images, and refuses in one line what differs."""

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import senet
from senet import SESpec, SqueezeExcite, optimize
from senet.errors import SpecError
from senet.fast.inference import comparison

pytestmark = pytest.mark.usefixtures("unchecked")


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.se, self.fc = SqueezeExcite(16, SESpec(reduction=4)), nn.Linear(16, 5)
        self.calls = 0

    def body(self, x: Any) -> Any:
        return self.fc(self.se(torch.relu(self.norm(self.conv(x)))).mean((2, 3)))

    def forward(self, x: Any) -> Any:
        return self.body(x)


class Named(OrderedDict[str, Any]):
    """With a class of its own, as the outputs of Hugging Face have it."""


def with_forward(forward: Callable[..., Any]) -> nn.Module:
    return type("Mine", (Net,), {"forward": forward})().eval()  # type: ignore[no-any-return]


def counting(self: Any, x: Any) -> Any:
    self.calls += 1
    return self.body(x) * self.calls


def rescaled(self: Any, x: Any) -> Any:
    try:
        return self.body(x * x.tensors)
    except AttributeError:
        return self.body(x)


OTHER_BRANCH = {
    "isinstance": lambda self, x: self.body(x - 1 if isinstance(x, Tensor) else x),
    "is_tensor": lambda self, x: self.body(x - 1 if torch.is_tensor(x) else x),
    "type": lambda self, x: self.body(x - 1 if type(x) is Tensor else x),
    "torch.jit.isinstance": lambda self, x: self.body(x - 1 if torch.jit.isinstance(x, Tensor) else x),
    "hasattr": lambda self, x: self.body(x.tensors if hasattr(x, "tensors") else x),
    "attribute": rescaled,
    "callable": lambda self, x: self.body(x if callable(getattr(x, "decompose", None)) else x - 1),
    "grad mode": lambda self, x: self.body(x) * (2 if torch.is_grad_enabled() else 1),
    "counter": counting,
    "chance": lambda self, x: self.body(x) + torch.rand(1),
    "isinstance of a tuple": lambda self, x: self.body(x - 1 if isinstance((x, x)[0], Tensor | list) else x),
    "part of the output": lambda self, x: {"logits": self.body(x), "aux": [x.mean() if torch.is_tensor(x) else None]},
    "number of outputs": lambda self, x: (self.body(x),) * (2 if isinstance(x, Tensor) else 1),
    "whole numbers": lambda self, x: (self.body(x), (x * 9).int() if torch.is_tensor(x) else (x * 8).int()),
}


@pytest.mark.parametrize("forward", OTHER_BRANCH.values(), ids=OTHER_BRANCH)
def test_a_network_that_computes_something_else_once_traced_is_refused_in_one_line(
    forward: Callable[..., Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SpecError, match=r"^Mine (returns other results after tracing|cannot be traced)") as raised:
        optimize(with_forward(forward))
    assert "\n" not in str(raised.value)
    assert not capfd.readouterr().err


def test_hooks_that_change_the_output_are_named() -> None:
    model = senet.create_model("resnet8", se="standard")
    handle = model.get_submodule("stage1.unit1.se").register_forward_hook(lambda *given: 2 * given[2])
    with pytest.raises(
        SpecError, match=r"Hooks do not run in the result; those of stage1\.unit1\.se may be the reason"
    ):
        optimize(model)
    handle.remove()
    model.get_submodule("stage1.unit1.se").register_forward_hook(lambda *given: None)
    optimize(model)


@dataclasses.dataclass
class Output:
    logits: Any
    loss: Any = None


SAME = {
    "mask=None": lambda self, x, mask=None: self.body(x) if mask is None else self.body(x) * mask,
    "flag": lambda self, x, features=False: (self.body(x), x) if features else self.body(x),
    "keyword only": lambda self, x, *, scale=2.0: scale * self.body(x),
    "any number of maps": lambda self, *maps: self.body(maps[0]),
    "anything else": lambda self, x, **others: self.body(x),
    "a dict": lambda self, x: {"logits": self.body(x), "aux": None},
    "a tuple": lambda self, x: (self.body(x), [x.mean(), {"a": x.amax()}]),
    "a dataclass": lambda self, x: Output(self.body(x)),
}


def leaves(output: Any) -> list[Any]:
    if isinstance(output, Output):
        return leaves([output.logits, output.loss])
    if isinstance(output, dict):
        return leaves(list(output.values()))
    return [leaf for part in output for leaf in leaves(part)] if isinstance(output, tuple | list) else [output]


@pytest.mark.parametrize("forward", SAME.values(), ids=SAME)
def test_defaults_stay_and_outputs_of_any_kind_are_those_of_the_network(forward: Callable[..., Any]) -> None:
    model = with_forward(forward)
    x = torch.rand(3, 3, 20, 20)
    with torch.no_grad():
        ours, theirs = optimize(model)(x), model(x)
    assert type(ours) is type(theirs)
    torch.testing.assert_close(leaves(ours), leaves(theirs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "forward",
    [
        lambda self, x, age: self.body(x) + age,
        lambda self, x, *, age: self.body(x) + age,
        lambda self, x, mask=None, *, age: self.body(x) + age,
    ],
)
def test_a_second_input_is_refused_by_its_name(forward: Callable[..., Any]) -> None:
    with pytest.raises(SpecError, match=r"^Mine\.forward requires 'age' besides its input; pass [^\n]*$"):
        optimize(with_forward(forward))


@pytest.mark.parametrize("name", ["meta", "graph", "code", "recompile", "print_readable"])
def test_a_child_whose_name_torch_fx_uses_is_refused_by_its_name(name: str) -> None:
    model = Net()
    model.add_module(name, nn.Identity())
    with pytest.raises(SpecError, match=rf"^Net\.{name} has a name that torch\.fx reserves"):
        optimize(model)
    optimize(nn.Sequential(model))  # below the root it is free


class Sliced(nn.Module):
    def __init__(self, look: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.fc1, self.fc2, self.look = nn.Linear(16, 4), nn.Linear(4, 16), look

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(self.look(x)))))[:, :, None, None]


class SELayer(Sliced):
    pass


@pytest.mark.parametrize(
    "look",
    [
        lambda x: x[:, :, 1:-1, 1:-1].mean((2, 3)),
        lambda x: x.flatten(2).mean(-1),
        lambda x: x.mean(dim=[slice(2, 4).start, 3]),
        lambda x: x[..., 0, 0],
        lambda x: x.mean((2, 3)) + x.std((2, 3)),
        lambda x: nn.functional.adaptive_avg_pool2d(x, output_size=1).flatten(1),
    ],
)
def test_blocks_that_read_their_map_in_other_ways_keep_their_values(look: Callable[[Tensor], Tensor]) -> None:
    model = Net().eval()
    model.se = SELayer(look)
    x = torch.rand(2, 3, 12, 12)
    torch.testing.assert_close(optimize(model)(x), model(x), rtol=1e-4, atol=1e-5)


class Half(nn.Module):
    """A network of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(8 * 20 * 20, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(torch.relu(self.norm(self.conv(x))).flatten(1))  # type: ignore[no-any-return]


def test_a_network_of_one_size_is_compared_on_that() -> None:
    with pytest.raises(
        SpecError, match=r"^Half does not accept an input of shape .*; pass a valid shape=\(1, c, h, w\)"
    ):
        optimize(Half())
    assert optimize(Half(), shape=(1, 3, 22, 22)).report.norms == ("norm",)


def test_every_network_is_run_on_two_sizes_and_two_batches_in_both_modes_of_autograd() -> None:
    found = comparison.answers(Net().eval(), None)
    assert len({answer.x.shape[2:] for answer in found}) == 2
    assert {len(answer.x) for answer in found} == {1, 2}
    assert {answer.grad for answer in found} == {True, False}


def test_the_comparison_leaves_random_numbers_buffers_and_the_network_as_they_are() -> None:
    model = with_forward(lambda self, x: self.body(x) + self.seen.add_(1))
    model.register_buffer("seen", torch.zeros(1))
    before, state = {name: value.clone() for name, value in model.state_dict().items()}, torch.get_rng_state()
    with pytest.raises(SpecError, match=r"returns other results after tracing|writes into"):
        optimize(model)  # the graph adds in another order of calls
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_an_ordered_dict_may_become_a_plain_one_and_what_has_attributes_may_not() -> None:
    ordered = with_forward(lambda self, x: OrderedDict(logits=self.body(x), aux=x.mean()))
    x = torch.rand(3, 3, 20, 20)
    with torch.no_grad():
        ours, theirs = optimize(ordered)(x), ordered(x)
    assert list(ours) == list(theirs)
    torch.testing.assert_close(ours["logits"], theirs["logits"], rtol=1e-4, atol=1e-5)
    with pytest.raises(SpecError, match=r"of type dict, not Named|cannot be traced"):
        optimize(with_forward(lambda self, x: Named(logits=self.body(x))))


@pytest.mark.parametrize("layer", [nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(3)], ids=str)
def test_layers_without_a_shape_yet_are_refused_by_name(layer: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), layer)
    for refused in (optimize, lambda model: senet.fold(model, [torch.rand(1, 3, 8, 8)])):
        with pytest.raises(SpecError, match=r"2\.weight of Sequential has no shape .*; run the network on one first"):
            refused(model)


def test_what_cannot_be_optimized_at_all_is_refused_in_one_line() -> None:
    model = Net()
    model.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(SpecError, match="model = Net cannot be copied"):
        optimize(model)
    with pytest.raises(SpecError, match="model = 3 is not a network"):
        optimize(3)  # type: ignore[arg-type]
    with pytest.warns(FutureWarning):
        traced = torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).eval(), torch.rand(1, 3, 8, 8))
    with pytest.raises(SpecError, match=r"scripted or traced by torch\.jit"):
        optimize(nn.Sequential(traced))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_rounding_is_not_taken_for_a_difference(dtype: torch.dtype) -> None:
    model = senet.create_model("resnet20", se=SESpec(reduction=4)).to(dtype)
    assert len(optimize(model).report.blocks) == 9
