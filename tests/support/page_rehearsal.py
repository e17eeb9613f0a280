"""What the pages of docs take as given, made of the digits of scikit-learn: pictures, a network, a run, Python names.

A page says PHOTOS, RUN or net.py; its commands run in a folder with such things, and with short trainings.
"""

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from doc_blocks import ROOT, read_blocks, run_senet
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn

import senet

__all__ = ["GIVEN", "Rehearsal", "write_pictures"]

FEW = ["data.train_size=80", "data.test_size=40", "epochs=1", "batch_size=40", "--device", "cpu"]
SHORT: Mapping[str, list[str]] = {
    "train": FEW,
    "compare": [*FEW, "-j", "1", "--no-cost", "--seeds", "2"],
    "explain": ["images=20", "--device", "cpu"],
    "fold": ["--device", "cpu", "--statistics", "40"],
    "bench": ["--rounds", "3"],
}
"""Further words of a command, so that it ends in seconds; of an option that stands twice the last one counts."""

TRAINER = """
def train(model, seed):
    return 60.0 + seed + 0.1 * seed * (len(list(model.parameters())) > 12)
"""


def write_pictures(folder: Path, *, train: int = 12, val: int = 6) -> None:
    """Write digits as PNG files of 32x32 pixels into `train/CLASS` and `val/CLASS`."""
    digits = pytest.importorskip("sklearn.datasets").load_digits()
    counts = dict.fromkeys(range(10), 0)
    for image, label in zip(digits.images, digits.target, strict=True):
        number = counts[label]
        counts[label] += 1
        if number < train + val:
            path = folder / ("train" if number < train else "val") / f"digit{label}" / f"{number:02}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image * 15.9).astype("uint8")).convert("RGB").resize((32, 32)).save(path)


class Rehearsal:
    """Runs the commands of a page in a folder that holds what they name.

    Args:
        folder: receives `net.py`, `net.pt`, `trainer.py`, `PHOTOS`, and the runs `RUN` and `RUN2`.
    """

    def __init__(self, folder: Path) -> None:
        """Write the files; the runs are trained for one epoch."""
        self.folder = folder
        page = next(block for block in read_blocks(ROOT / "docs" / "your_network.md") if block.language == "python")
        (folder / "net.py").write_text(page.text.replace("in_chans=1", "in_chans=3"))
        (folder / "trainer.py").write_text(TRAINER)
        write_pictures(folder / "PHOTOS")
        common = ["--data-dir", "PHOTOS", "--output"]
        with contextlib.chdir(folder):
            self(["train", "--model", "net.py:build", *common, "plain"])
            self(["train", "--model", "resnet8", "--se", "standard:reduction=4", *common, "RUN"])
            shutil.copytree("RUN", "RUN2")
            torch.save(load_file("plain/model.safetensors"), "net.pt")

    def __call__(self, words: list[str]) -> None:
        """Run one command, shortened."""
        more = [] if "--train" in words else SHORT.get(words[0], [])
        if "--int8" in words:  # no bound of a few points can be shown with so few pictures
            more = ["--max-drop", "90", "--calibrate", "40", "rank=20"]
        run_senet([*words, *more])


def _batches(classes: int, *, count: int = 3) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(0)
    labels = torch.arange(12) % classes
    return [(torch.rand(12, 3, 32, 32, generator=random), labels) for _ in range(count)]


def _of_explain() -> dict[str, Any]:
    models = [senet.create_model("resnet8", se="standard:reduction=4", num_classes=3).eval() for _ in range(2)]
    return {"model": models[0], "other_model": models[1], "test_batches": _batches(3)}


def _of_fold() -> dict[str, Any]:
    return {**_of_explain(), "train_batches": _batches(3, count=2)}


def _of_statistics() -> dict[str, Any]:
    (x_train, y_train), (x_test, y_test) = _batches(10, count=2)

    def build(*seed: int) -> nn.Module:
        return senet.create_model("resnet8")

    def fit(model: nn.Module, seed: int) -> float:
        return 50 + seed + seed * 0.1 * len(senet.find(model))

    return {
        "build_detector": build, "build_segmenter": build, "fit": fit, "mean_average_precision": float,
        "x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test,
        "train_loader": [(x_train, y_train)], "test_loader": [(x_test, y_test)],
    }  # fmt: skip


GIVEN: Mapping[str, Callable[[], dict[str, Any]]] = {
    "docs/explain.md": _of_explain,
    "docs/export.md": _of_explain,
    "docs/fold.md": _of_fold,
    "docs/insert.md": lambda: {"batches": _batches(10)},
    "docs/statistics.md": _of_statistics,
}
"""The names that the Python of a page takes as given."""
