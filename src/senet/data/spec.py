"""What decides the images a network sees, as values: the set, its normalisation, the augmentation. No torch here."""

from dataclasses import dataclass

from senet.bounds import check_fields
from senet.errors import unknown

__all__ = ["DATASETS", "NORMALIZATIONS", "PADDINGS", "Augment", "DataSpec"]

DATASETS = ("digits", "cifar10", "cifar100", "svhn", "folder")
NORMALIZATIONS = ("standard", "unit", "kth")
PADDINGS = ("zero", "reflect")


@dataclass(frozen=True, kw_only=True)
class Augment:
    """Random changes of a training image, in this order: resized crop, shift, crop, flip, (normalise), Cutout.

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
    padding: str = "zero"
    shift: tuple[float, float] = (0.0, 0.0)
    cutout: int = 0
    resized_crop: float = 0.0

    def __post_init__(self) -> None:
        if self.padding not in PADDINGS:
            raise unknown("augment.padding", self.padding, PADDINGS)
        check_fields(self, "augment")


@dataclass(frozen=True, kw_only=True)
class DataSpec:
    """A data set and how its images become numbers. Where it lies on disk is not part of it.

    Attributes:
        name: one of `DATASETS`; `folder` is any `train/CLASS/*.jpg`, `val|test/CLASS/*.jpg` tree.
        normalize: `standard` (channel mean and deviation of the training images), `unit` (x/255), or `kth`
            ((x - m) mod 256 / 255 with the KTH authors' overflowed mean m; 32x32 only).
        size: side to which images of a folder are resized and cropped [pixels]; 0 keeps small sets as they are.
        train_size: use this many training images, a class-balanced seeded subset; 0 is all.
        test_size: likewise for the test images.
        subset_seed: seed of the subsets.
        val_size: hold out this many training images, every class in its share, train on the others and test on the
            held-out ones (all of them, whatever `test_size` is): what is chosen by such a result has not seen the
            test set. They are taken before `train_size` chooses from the rest; 0 is none.

    Source:
        `kth`: PAPERS section 4; nlindqv/RRs-in-SENets.
    """

    name: str = "digits"
    normalize: str = "standard"
    size: int = 0
    train_size: int = 0
    test_size: int = 0
    subset_seed: int = 0
    val_size: int = 0

    def __post_init__(self) -> None:
        if self.name not in DATASETS:
            raise unknown("data.name", self.name, DATASETS)
        if self.normalize not in NORMALIZATIONS:
            raise unknown("data.normalize", self.normalize, NORMALIZATIONS)
        check_fields(self, "data")
