"""The values that determine a network's input: data set, normalization, augmentation. No torch here."""

from dataclasses import dataclass
from typing import Literal, get_args

from senet.bounds import check_fields
from senet.calls import by_name
from senet.errors import SpecError, unknown

__all__ = [
    "DATASETS",
    "EMBEDDED",
    "INTERPOLATIONS",
    "NORMALIZATIONS",
    "PADDINGS",
    "PIXELS",
    "TESTS",
    "Augment",
    "DataSpec",
]

Datasets = Literal["digits", "control", "cifar10", "cifar100", "svhn", "folder", "arrays"]
Normalizations = Literal["standard", "unit", "kth", "none"]
Paddings = Literal["zero", "reflect"]
Interpolations = Literal["bilinear", "bicubic"]
DATASETS: tuple[str, ...] = get_args(Datasets)
EMBEDDED = ("digits", "control")
"""Data sets that need no folder and no download."""
NORMALIZATIONS: tuple[str, ...] = get_args(Normalizations)
PADDINGS: tuple[str, ...] = get_args(Paddings)
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolations)
TESTS = ("test", "val", "validation")
"""Splits that can be the test set of a folder, in order of preference."""
PIXELS = 2
"""Version of how images are resized. Runs whose images are resized have it in their id; see `Run.id`."""


@by_name
@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of a training image, in this order: resized crop, shift, crop, flip, (normalize), Cutout.

    Attributes:
        flip: mirror left-right with probability 0.5.
        crop: pixels of padding on each side before a random crop of the original size; 0 is off.
        padding: what the crop pads with, `zero` (black, after normalisation the mean is not zero) or `reflect`.
        shift: largest sub-pixel shift as a fraction of (height, width), bilinear, nearest fill; (0, 0) is off.
        cutout: side of the square of zeros put on the normalised image [pixels]; 0 is off.
        resized_crop: smallest area of a random crop with aspect 3/4 to 4/3, resized back, e.g. 0.08; 0 is off.

    Source:
        Crop and flip: He et al., arXiv:1512.03385, section 4.2. Cutout: arXiv:1708.04552. Resized crop:
        Szegedy et al., arXiv:1409.4842. Shift: the KTH authors' code, which moves (0.1, 0.3/32).
    """

    flip: bool = False
    crop: int = 0
    padding: Paddings = "zero"
    shift: tuple[float, float] = (0.0, 0.0)
    cutout: int = 0
    resized_crop: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "augment")


@by_name
@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A data set and the preprocessing of its images, without its path on disk.

    Attributes:
        name: the data set; `folder` is any `train/CLASS/*.jpg`, `val|test/CLASS/*.jpg` tree, `arrays` is what a
            caller of `senet.compare` had in memory.
        normalize: `standard` (channel mean and deviation of the training images), `unit` (x/255), `kth`
            ((x - m) mod 256 / 255 with the KTH authors' overflowed mean m; 32x32 only), or `none` (arrays of floats,
            as they are).
        size: side of the network's square input [pixels]; 0 keeps images that all have one size of at most 64x64 as
            they are, and stands for 224 in a folder of other images.
        train_size: number of training images to use, a class-balanced seeded subset; 0 is all.
        test_size: number of test images to use, a class-balanced seeded subset; 0 is all.
        subset_seed: seed of the subsets.
        val_size: hold out this many training images, every class in its share, train on the others and test on the
            held-out ones (all of them, whatever `test_size` is): what is chosen by such a result has not seen the
            test set. They are taken before `train_size` chooses from the rest; 0 is none.
        crop: share of the short side that the square keeps: the short side is resized to `size / crop`, and the middle
            is cut out. 0.875 is 224 of 256.
        interpolation: `bilinear` or `bicubic`, antialiased, as Pillow and torchvision resize.
        mean: mean of `x / 255` for each channel, in place of the measured one; empty uses `normalize`.
        std: standard deviation of `x / 255` for each channel, in place of the measured one; empty uses `normalize`.
        split: the split of a folder that is the test set: `test`, `val` or `validation`; empty takes the first one
            that has labels.
        folder: identity of a folder of images, `NAME-DIGITS`, see `senet.data.dataset_detection.identity`. It keeps
            the runs of two folders apart, and names them in reports; empty where it is not known.

    Source:
        `kth`: the authors' code, nlindqv/RRs-in-SENets. `crop`: Hu et al., arXiv:1709.01507, section 6.1.
    """

    name: Datasets = "digits"
    normalize: Normalizations = "standard"
    size: int = 0
    train_size: int = 0
    test_size: int = 0
    subset_seed: int = 0
    val_size: int = 0
    crop: float = 0.875
    interpolation: Interpolations = "bilinear"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    split: str = ""
    folder: str = ""

    def __post_init__(self) -> None:
        check_fields(self, "data")
        if self.split and self.name != "folder":
            raise SpecError(f"data.split = {self.split!r} is for folders; {self.name} has one test set, leave it out.")
        if self.split and self.split not in TESTS:
            raise unknown("data.split", self.split, TESTS)
        self._check_statistics()

    def _check_statistics(self) -> None:
        if len(self.mean) != len(self.std) or len(self.mean) not in (0, 1, 3):
            raise SpecError(
                f"data.mean = {self.mean} and data.std = {self.std}: give both, one number for each channel, 1 or 3."
            )
        if self.mean and self.normalize != "standard":
            raise SpecError(
                f"data.normalize = {self.normalize!r} contradicts data.mean and data.std; give one or the other."
            )

    @property
    def title(self) -> str:
        """Name of the data set; of a folder its own name, if known."""
        return self.folder.rpartition("-")[0] or self.name
