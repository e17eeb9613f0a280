"""The model card says how to load the network that it is of."""

import pytest

from senet.weights.card import card
from senet.weights.config import Config


@pytest.mark.parametrize(
    ("model", "lines"),
    [
        ("resnet20", ['model = senet.from_pretrained("FOLDER")']),
        ("timm:resnet18", ['model = senet.from_pretrained("FOLDER")']),
        ("net.py:build", ["from net import build", 'model = senet.from_pretrained("FOLDER", builder=build)']),
        ("my.nets:make", ["from my.nets import make", 'model = senet.from_pretrained("FOLDER", builder=make)']),
        ("a b/net.py:build", ['model = senet.from_pretrained("FOLDER")']),
    ],
)
def test_a_network_of_the_users_own_is_loaded_with_its_function(model: str, lines: list[str]) -> None:
    text = card(Config(model=model), params=1, result=None)
    code = text.partition("```python\n")[2].partition("```")[0]
    kept = [line for line in code.splitlines() if line and line != "import senet"]
    assert len(kept) == len(lines)
    assert all(line.startswith(start) for line, start in zip(kept, lines, strict=True))
