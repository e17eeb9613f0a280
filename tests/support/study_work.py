"""What a study costs, counted before anything runs: multiply-adds of all its trainings and tests."""

from functools import cache

from senet.costs import Cost
from senet.experiments.data_spec import DataSpec
from senet.experiments.run import Run
from senet.experiments.study import Study
from senet.networks.count import count
from senet.spec import SESpec

__all__ = ["CLASSES", "IMAGES", "counted", "work"]

IMAGES = {
    "digits": (1_297, 500),
    "control": (1_024, 512),
    "cifar10": (50_000, 10_000),
    "cifar100": (50_000, 10_000),
    "svhn": (73_257, 26_032),
    "folder": (1_281_167, 50_000),
}
"""Training and test images of a data set; a folder stands for ImageNet, as in the papers' studies."""
CLASSES = {"digits": 10, "control": 4, "cifar10": 10, "cifar100": 100, "svhn": 10, "folder": 1000}
SIDES = {"digits": 8, "control": 16, "cifar10": 32, "cifar100": 32, "svhn": 32, "folder": 224}  # control: 8x32
BACKWARD = 3
"""A training step costs the forward pass and about two more for the two gradients."""


def counted(run: Run) -> Cost:
    """Count the network of a run on its data, without allocating weights."""
    data = run.data
    channels = 1 if data.name == "digits" else 3
    return _counted(run.model, run.se, data.size or SIDES[data.name], CLASSES[data.name], channels, run.at)


def work(study: Study) -> int:
    """Count the multiply-adds of a study: three forward passes for each image of a training, one for each tested.

    Args:
        study: its runs; equal ones are counted once.
    """
    total = 0
    for run in study.runs():
        train, test = _images(run.data)
        total += counted(run).macs * run.recipe.epochs * (BACKWARD * train + test)
    return total


@cache
def _counted(model: str, se: tuple[SESpec, ...], size: int, classes: int, channels: int, at: tuple[str, ...]) -> Cost:
    return count(model, se, size=size, num_classes=classes, in_chans=channels, at=at)


def _images(data: DataSpec) -> tuple[int, int]:
    train, test = IMAGES[data.name]
    return data.train_size or train, data.test_size or test
