"""A trained network of timm with SE blocks on 500 photographs: our eyes and our counts on the real thing."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import senet
from senet.weights.safe import read_weights

WEIGHTS = "mobilenetv3_small_100_imagenet_timm_fp32.safetensors"
SQUEEZES = ((16, 8), (96, 24), (240, 64), (240, 64), (120, 32), (144, 40), (288, 72), (576, 144), (576, 144))

pytestmark = [pytest.mark.slow, pytest.mark.parity]


@pytest.fixture(scope="module")
def network(shared: Path) -> nn.Module:
    timm = pytest.importorskip("timm")
    path = shared / "data" / "weights" / WEIGHTS
    if not path.exists():
        pytest.skip(f"{WEIGHTS} is not in the folder shared with the repository")
    model: nn.Module = timm.create_model("tf_mobilenetv3_small_100")
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    model.load_state_dict(read_weights(path, expected=shapes), strict=True)
    return model.eval()


def test_find_and_cost_see_its_nine_blocks(network: nn.Module) -> None:
    found = senet.find(network)
    assert [block.widths for block in found] == [(C, h, C) for C, h in SQUEEZES]
    counted = senet.cost(network)
    assert counted.params == 2_542_856
    assert [block.name for block in counted.blocks] == [block.name for block in found]
    assert [block.params for block in counted.blocks] == [2 * C * h + C + h for C, h in SQUEEZES]
    assert [block.macs for block in counted.blocks] == [2 * C * h for C, h in SQUEEZES]


def test_its_accuracy_on_the_photographs_is_reproduced(network: nn.Module, shared: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    path = shared / "data" / "imagenet_val_500" / "validation-00000-of-00001.parquet"
    if not path.exists():
        pytest.skip("the 500 photographs are not in the folder shared with the repository")
    rows = parquet.read_table(path).to_pylist()
    correct = 0
    for start in range(0, len(rows), 50):
        part = rows[start : start + 50]
        x = torch.stack([pixels(row["image"]["bytes"]) for row in part])
        with torch.no_grad():
            answers = network(x / 127.5 - 1).argmax(1)
        correct += (answers == torch.tensor([row["label"] for row in part])).sum().item()
    assert (correct, len(rows)) == (333, 500)


def pixels(jpeg: bytes) -> torch.Tensor:
    """Decode a photograph; all of them are 224x224 already, 13 in grey."""
    image = Image.open(io.BytesIO(jpeg)).convert("RGB")
    assert image.size == (224, 224)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()
