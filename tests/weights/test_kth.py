"""The authors' own weights give the authors' own numbers: block, network, data and evaluation at once."""

import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from senet.data import DataSpec, load
from senet.experiments.image_bits import unpack
from senet.models import create_model
from senet.spec import SESpec
from senet.training.evaluation import evaluate
from senet.weights import load_weights
from senet.weights.safe import read_weights

COMMITTED = Path(__file__).parents[2] / "studies" / "reports" / "kth_authors" / "results.json"
CASES = [
    ("plain_resnet50_cifar10_baseline", None, 9097, 0.4802545),
    ("se_resnet50_cifar10_r8-8-8", SESpec(reduction=8), 9117, 0.4668613),
    ("se_resnet50_cifar10_r8-2-16", SESpec(reduction=(8, 2, 16)), 9153, 0.4652281),
]


def network(shared: Path, name: str, se: SESpec | None) -> torch.nn.Module:
    path = shared / "data" / "weights" / f"{name}.safetensors"
    if not path.exists():
        pytest.skip(f"the KTH authors' weights are a private fixture: {path.name} is not here")
    model = create_model("kth_resnet52", se=se)
    load_weights(model, read_weights(path), origin="kth")
    return model.eval()


def clipped_loss(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean loss as Keras computes it: probabilities clipped to [1e-7, 1 - 1e-7]."""
    own = F.softmax(logits.double(), 1).gather(1, labels[:, None]).clamp(1e-7, 1 - 1e-7)
    return -own.log().mean().item()


def committed_record(name: str) -> str:
    """Return which images a network of `studies/reports/kth_authors` has right."""
    networks = json.loads(COMMITTED.read_text("utf-8"))["networks"]
    return str(next(one["right"] for one in networks if one["file"] == name))


def differing(ours: str, theirs: str) -> int:
    return int((unpack(ours, 10_000) != unpack(theirs, 10_000)).sum())


@pytest.mark.slow
@pytest.mark.timeout(1800)  # 10,000 images through 52 layers: minutes on a busy core
@pytest.mark.parametrize(("name", "se", "correct", "loss"), CASES)
def test_all_test_images_give_the_logged_accuracy_and_loss(
    shared: Path, name: str, se: SESpec | None, correct: int, loss: float
) -> None:
    model = network(shared, name, se)
    data = load(DataSpec(name="cifar10", normalize="kth"), root=shared / "data" / "cifar10")
    logits: list[torch.Tensor] = []
    model.register_forward_hook(lambda module, inputs, output: logits.append(output))
    tested = evaluate(model, data.test, num_classes=10, batch_size=100)  # two thirds of the time of 500
    assert tested.correct == correct
    assert clipped_loss(torch.cat(logits), data.test.labels) == pytest.approx(loss, abs=2e-6)
    assert differing(tested.right, committed_record(name)) <= 2  # another machine may round a tie the other way


@pytest.mark.slow
def test_the_first_images_are_counted_right(shared: Path) -> None:
    networks = [(network(shared, name, se), correct) for name, se, correct, _ in CASES]
    data = load(DataSpec(name="cifar10", normalize="unit"), root=shared / "data" / "cifar10")
    plan = [(part, 0) for part in torch.arange(240).split(80)]
    for model, correct in networks:
        with torch.no_grad():
            batches = data.test.batches(plan, augment=None, device="cpu")
            right = sum(int((model(x).argmax(1) == y).sum()) for x, y in batches)
        # their preprocessing takes 0 to 3 grey levels off; without it hardly an image changes sides
        assert right / 240 == pytest.approx(correct / 10_000, abs=0.04)
