"""Values of the wrong kind, as a newcomer gives them: one clear sentence, no error from deep inside."""

import pytest
from torch import nn

import senet

MISTAKES = {
    "senet.SqueezeExcite('a')": "channels = 'a' is not a number of channels; give at least 1.",
    "senet.SqueezeExcite(2.5)": "channels = 2.5 is not a number of channels",
    "senet.SqueezeExcite(64, SESpec(variant=lambda C, h, m: nn.Linear(1, 1)))": "variant gives a Linear; a function "
    "(C, h, m) returns the widths, e.g. (C, h, C).",
    "senet.cost('resnet20')": "model = 'resnet20' is not a network; give a torch.nn.Module",
    "senet.cost(nn.Linear(1, 1), shape=5)": "shape = 5 is not a valid input shape",
    "senet.find(5)": "model = 5 is not a network; give a torch.nn.Module, e.g. create_model('resnet20').",
    "senet.create_model(5)": "model = 5 is not known.",
    "senet.create_model('resnet20', weights=5)": "weights = 5 is not a path; pass a file",
    "senet.create_model('resnet20', num_classes='a')": "num_classes = 'a'",
    "senet.load_weights(nn.Linear(1, 1), '/path')": "for a file use create_model(name, weights=path)",
    "senet.load_weights('resnet20', {})": "model = 'resnet20' is not a torch.nn.Module",
}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_value_of_the_wrong_kind_is_named_with_the_way_out(mistake: str) -> None:
    with pytest.raises(senet.SpecError) as error:
        eval(mistake, {"senet": senet, "nn": nn, "SESpec": senet.SESpec})
    sentence = str(error.value)
    assert MISTAKES[mistake] in sentence
    assert len(sentence.splitlines()) == 1
