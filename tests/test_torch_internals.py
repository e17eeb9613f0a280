"""What senet uses of torch beyond its documentation stands in one file, and works on the versions listed here."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from senet.fast.listeners import is_watched
from senet.torch_internals import TorchDispatchMode, become, is_batched, version_of

SOURCE = Path(__file__).parents[1] / "src" / "senet"
VERSIONS = ("2.15",)
PRIVATE = re.compile(
    r"torch\._C\b|_functorch|_current_level|_has_any_global_hook|_python_dispatch|_pytree|\._version\b|\.__class__ ="
)


def test_this_version_of_torch_is_one_on_which_the_tests_passed() -> None:
    assert ".".join(torch.__version__.split(".")[:2]) in VERSIONS, "run the whole suite on it and add it to VERSIONS"


def test_no_other_file_names_what_torch_does_not_document() -> None:
    found = {path.name for path in SOURCE.rglob("*.py") if PRIVATE.search(path.read_text(encoding="utf-8"))}
    assert found == {"torch_internals.py"}


class Noting(nn.Module):
    """Note whether operations are followed while it runs."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(is_watched())
        return x + 1


class Following(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        return func(*args, **kwargs or {})


def dispatched(model: nn.Module, x: torch.Tensor) -> None:
    with Following():
        model(x)


def hooked(model: nn.Module, x: torch.Tensor) -> None:
    handle = nn.modules.module.register_module_forward_hook(lambda module, args, output: None)
    model(x)
    handle.remove()


def dual(model: nn.Module, x: torch.Tensor) -> None:
    with torch.autograd.forward_ad.dual_level():
        model(x)


FOLLOWERS = {
    "a trace": lambda model, x: torch.jit.trace(model, x, check_trace=False),
    "a dispatch mode": dispatched,
    "a hook on all modules": hooked,
    "a map over images": lambda model, x: torch.func.vmap(model)(x),
    "a gradient of torch.func": lambda model, x: torch.func.grad(lambda x: model(x).sum())(x),
    "forward AD": dual,
}


@pytest.mark.filterwarnings("ignore:.torch.jit.trace.* is deprecated:FutureWarning")
@pytest.mark.parametrize("title", FOLLOWERS)
def test_what_follows_operations_is_noticed_while_it_does(title: str) -> None:
    model = Noting()
    model(torch.zeros(2))
    FOLLOWERS[title](model, torch.zeros(2))
    model(torch.zeros(2))
    assert model.seen[0] is model.seen[-1] is False
    assert any(model.seen)


def test_a_gradient_that_stands_for_many_is_noticed() -> None:
    seen = []
    x = torch.ones(3, requires_grad=True)
    y = x * 2
    y.register_hook(lambda dy: seen.append(is_batched(dy)))
    torch.autograd.grad(y, x, torch.eye(3), is_grads_batched=True, retain_graph=True)
    torch.autograd.grad(y, x, torch.ones(3))
    assert seen == [True, False]


def test_writes_through_a_view_count() -> None:
    x = torch.zeros(4)
    before = version_of(x)
    x[:2].add_(1)
    assert version_of(x) > before


def test_a_module_of_another_class_keeps_parameters_and_hooks() -> None:
    class Doubled(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(input)

    layer, calls = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda module, args, output: calls.append(type(module)))
    keys, x = list(layer.state_dict()), torch.ones(1, 2)
    y = layer(x)
    become(layer, Doubled)
    assert torch.equal(layer(x), 2 * y)
    assert list(layer.state_dict()) == keys
    assert calls == [nn.Linear, Doubled]
