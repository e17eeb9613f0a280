"""Networks with their images, as fold, explain and export open them."""

from pathlib import Path

import pytest
import torch
from torch import nn

from senet.experiments import decoding
from senet.experiments.setup import Setup
from senet.training.opened_network import open_network

BUILDER = """
import torch
from torch import nn

class Dict(nn.Module):
    def __init__(self, num_classes=10):
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 4, 3), nn.Linear(4, num_classes)

    def forward(self, x):
        maps = self.conv(x)
        return {"maps": maps, "logits": self.fc(maps.mean((2, 3)))}

def build(num_classes=10):
    return Dict(num_classes)
"""


def test_the_labels_of_a_network_that_returns_its_logits_by_name_are_used(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    place = tmp_path / "by_name.py"
    place.write_text(BUILDER, encoding="utf-8")
    torch.save(
        {**{f"conv.{key}": value for key, value in nn.Conv2d(1, 4, 3).state_dict().items()},
         **{f"fc.{key}": value for key, value in nn.Linear(4, 10).state_dict().items()}},
        tmp_path / "weights.pt",
    )  # fmt: skip
    run = decoding.run({"model": "resnet8", "data": {"name": "digits"}})
    opened = open_network(f"{place}:build", run, Setup(device="cpu"), weights=tmp_path / "weights.pt", statistics=20)
    assert opened.test.labelled
    assert not [note for note in opened.notes if "no accuracy" in note]
