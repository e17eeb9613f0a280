"""A call that does not fit its function is refused in one line that says how to write it."""

import inspect
import pickle
from typing import Any

import pytest
import torch

import senet
from senet.calls import CallError, by_name
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.recipe import Optim, Recipe, Schedule
from senet.experiments.run import Run
from senet.spec import SESpec

VALUES = [SESpec, Optim, Schedule, Recipe, Augment, DataSpec, Run]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda: SESpec(8),
            r"SESpec\(8\): 8 is passed by position.* SESpec\(reduction=8\), one of: variant, reduction",
        ),
        (lambda: SESpec("bump"), r"SESpec\(variant='bump'\)"),
        (lambda: SESpec(False), r"SESpec\(bias=False\)"),
        (lambda: SESpec(ratio=8), "SESpec: the argument = 'ratio' is not known"),
        (lambda: Recipe(30), r"Recipe\(epochs=30\)"),
        (lambda: Optim(0.1), r"Optim\(lr=0.1\)"),
        (lambda: Optim(learning_rate=0.1), "the argument = 'learning_rate' is not known; choose one of: .*lr"),
        (lambda: senet.create_model("resnet8", SESpec()), r"create_model\(..., se=SESpec\("),
        (lambda: senet.create_model("resnet8", classes=5), "create_model: the argument = 'classes' is not known"),
        (lambda: senet.create_model("resnet8", pretrained=True), "senet has no trained weights of its own"),
        (lambda: senet.insert(None, SESpec(), "layer1.*"), r"insert\(..., at='layer1.\*'\)"),
        (lambda: senet.cost(None, (1, 3, 32, 32)), r"cost\(..., shape=\(1, 3, 32, 32\)\)"),
        (
            lambda: senet.export(None, "a.onnx", torch.zeros(2, 3, 8, 8)),
            r"a Tensor of 2x3x8x8\): .*shape=\(2, 3, 8, 8\)",
        ),
        (
            lambda: senet.export(None, "a.onnx", {"x": torch.zeros(2, 3)}),
            r"\{'x': a Tensor of 2x3\}\): .*=\(N, C, H, W\)",
        ),
        (lambda: senet.fold(None, [], None), r"fold\(..., .*=None\)"),
        (lambda: senet.SqueezeExcite(64, SESpec(), 2), r"SqueezeExcite\(..., 2\): pass options by name"),
    ],
)
def test_a_call_that_does_not_fit_is_one_line(call: Any, said: str) -> None:
    with pytest.raises(senet.SpecError, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_it_is_a_type_error_too() -> None:
    with pytest.raises(TypeError, match="reduction=8"):
        SESpec(8)
    assert issubclass(CallError, ValueError)


@pytest.mark.parametrize("kind", VALUES)
def test_the_signature_of_a_value_stays(kind: Any) -> None:
    assert all(one.kind is one.KEYWORD_ONLY for one in inspect.signature(kind).parameters.values())


def test_a_value_is_pickled_copied_and_made_as_before() -> None:
    spec = SESpec(reduction=(8, 2), bias=False)
    assert pickle.loads(pickle.dumps(spec)) == spec == SESpec(**vars(spec))
    assert spec.but(gate="tanh").gate == "tanh"


def test_a_value_too_many_where_no_names_are() -> None:
    with pytest.raises(CallError, match="2 is one argument too many; leave it out"):
        by_name(lambda one: one)(1, 2)  # type: ignore[call-arg]
