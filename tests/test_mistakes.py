"""Values of the wrong kind, as a newcomer gives them: one clear sentence, no error from deep inside."""

import json
import subprocess
import sys

import pytest

MISTAKES = {
    "senet.SqueezeExcite('a')": "channels = 'a' is no channel count; give at least 1.",
    "senet.SqueezeExcite(2.5)": "channels = 2.5 is no channel count",
    "senet.SqueezeExcite(64, SESpec(variant=lambda C, h, m: nn.Linear(1, 1)))": "variant gives a Linear; a function "
    "(C, h, m) returns the widths, e.g. (C, h, C).",
    "senet.cost('resnet20')": "model = 'resnet20' is no network; give a torch.nn.Module",
    "senet.cost(nn.Linear(1, 1), shape=5)": "shape = 5 is no input",
    "senet.find(5)": "model = 5 is no network; give a torch.nn.Module, e.g. create_model('resnet20').",
    "senet.create_model(5)": "model = 5 is not known.",
    "senet.create_model('resnet20', weights=5)": "weights = 5 is no place; give the path",
    "senet.create_model('resnet20', num_classes='a')": "num_classes = 'a'",
    "senet.load_weights(nn.Linear(1, 1), '/path')": "for a file use create_model(name, weights=path)",
    "senet.load_weights('resnet20', {})": "model = 'resnet20' is no network",
}
SCRIPT = """
import json, sys
import senet
from torch import nn
from senet import SESpec
said = {}
for mistake in json.load(sys.stdin):
    try:
        eval(mistake)
    except Exception as error:
        said[mistake] = [type(error).__name__, str(error)]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """Make every mistake where annotations are not checked, as they are in these tests."""
    words = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(words, input=json.dumps(list(MISTAKES)), capture_output=True, text=True, check=True)
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_value_of_the_wrong_kind_is_named_with_the_way_out(mistake: str, said: dict[str, list[str]]) -> None:
    kind, sentence = said[mistake]
    assert kind == "SpecError"
    assert MISTAKES[mistake] in sentence
    assert len(sentence.splitlines()) == 1
