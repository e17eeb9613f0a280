"""Load the data set of a `DataSpec`: read, check, measure, split."""

from dataclasses import replace
from pathlib import Path

import torch

from senet.data.arrays import read_arrays
from senet.data.cifar import read_cifar
from senet.data.control import read_control
from senet.data.dataset import Data, Loaded
from senet.data.digits import read_digits
from senet.data.file_split import Files
from senet.data.fingerprint import duplicates, fingerprint
from senet.data.folder import read_folder
from senet.data.image_checks import UnreadableImages, decode_all, look_at, statistics
from senet.data.labels import check_labels, printable
from senet.data.normalize import Normalize, kth_mean, kth_wrap
from senet.data.resize_crop import frame_of
from senet.data.subset import balanced, proportional, rest
from senet.data.svhn import read_svhn
from senet.data.tensor_split import Tensors
from senet.errors import DataError, SpecError
from senet.experiments.data_spec import DataSpec
from senet.experiments.setup import Setup
from senet.text import listed

__all__ = ["load", "load_for"]

_SMALL_SIDE = 64
SMALL_SET = 2**30  # bytes in memory
FULL_CHECK = 50_000  # pictures; about a minute on two cores
MEASURED = 1024  # pictures that give mean and deviation of a folder
_SHOWN = 5


def load_for(setup: Setup, spec: DataSpec, *, whole: bool = False) -> Data:
    """Load a data set with the options of a setup, see `load`."""
    return load(spec, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download, whole=whole)


def load(
    spec: DataSpec,
    *,
    root: Path | None = None,
    on_bad_image: str = "error",
    download: bool = False,
    whole: bool = False,
) -> Data:
    """Read a data set, check it, measure its statistics, and select the subsets.

    The spec determines the input of the network; it has the same bits whether images are kept in memory or read from
    disk. Small data sets are decoded at once, folders of larger images stay on disk. All their images are decoded once
    to find damaged ones; of more than 50,000 only the headers are read, unless `skip` needs their number.

    Args:
        spec: data set, normalization and size.
        root: folder of the data set, or its parent; None stands for `$SENET_DATA`, and without that for `data`.
        on_bad_image: `error` raises an error with the unreadable images, `skip` leaves them out with a note.
        download: download CIFAR or SVHN if they are missing.
        whole: test on all images of a folder without a split, as nothing is trained on them; not if the spec sets the
            size of a part.

    Raises:
        DataError: if the data set is missing, incomplete or damaged; the message says what to do.
        SpecError: if the spec does not fit the data set.
        UsageError: if reading it needs a package that is not installed.

    Example:
        >>> data = load(DataSpec(name="digits"))
        >>> data.shape, data.num_classes, len(data.train), len(data.test)
        ((1, 8, 8), 10, 1297, 500)
    """
    bad = UnreadableImages(on_bad_image)
    data = _read(spec, root, bad, download=download)
    if isinstance(data.train, Files) and isinstance(data.test, Files):
        assert root is not None
        data = _looked_at(data, root.expanduser().absolute(), bad)
    else:
        data = _framed(data)
    notes = data.notes + bad.settle()
    for split, part in (("train", data.train), ("test", data.test)):
        if not len(part):
            raise DataError(f"{spec.name}: the {split} set has no images; copy the files again.")
        check_labels(part.labels, len(data.classes), place=f"{spec.name} {split}")
        notes += _absent_classes(part.labels, data.classes, split=split)
    train, test = data.loaded
    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    subset = spec.val_size or spec.train_size or spec.test_size
    if whole and data.unsplit and not subset and isinstance(train, Files) and isinstance(test, Files):
        test = train + test
        first = (f"{data.unsplit} has no split: tested on all {len(test)} images",)
    else:
        total = len(train) + len(test)
        chosen = f"{data.unsplit} has no split: a fixed choice of {len(test)} of {total} images is the test set"
        first, last = (chosen,) * bool(data.unsplit), duplicates(train, test)
    return _finished(replace(data, test=test, notes=first + notes + last))


def _read(spec: DataSpec, root: Path | None, bad: UnreadableImages, *, download: bool) -> Data:
    match spec.name:
        case "digits":
            return read_digits(spec)
        case "control":
            return read_control(spec)
        case "cifar10" | "cifar100":
            return read_cifar(spec, root, bad=bad, download=download)
        case "arrays":
            return read_arrays(spec, root)
        case "svhn":
            return read_svhn(spec, root, download=download)
        case _:
            return read_folder(spec, root)


def _framed(data: Data) -> Data:
    """Set the frame of a data set in memory."""
    spec, (_, height, width) = data.spec, data.train.shape
    if 0 < spec.size < max(height, width):
        raise SpecError(f"data.size = {spec.size} is less than the {height}x{width} of {spec.name}; 0 keeps them.")
    asked = replace(spec, size=0) if (spec.size, spec.size) == (height, width) else spec
    frame = frame_of(asked, {(height, width)}, kept=max(height, width))
    train, test = (replace(part, frame=frame) for part in data.loaded)
    return replace(data, train=train, test=test)


def _looked_at(data: Data, root: Path, bad: UnreadableImages) -> Data:
    """Check the images of a folder, leave out the unreadable ones, and set the frame of the others."""
    parts = [part for part in (data.train, data.test) if isinstance(part, Files)]
    whole = bad.policy == "skip" or sum(map(len, parts)) <= FULL_CHECK
    looks = look_at(parts, place=root, whole=whole)
    for part, seen in zip(parts, looks, strict=True):
        bad.found |= {name: look.problem for name, look in zip(part.names, seen, strict=True) if look.problem}
    sizes = {(look.height, look.width) for seen in looks for look in seen if not look.problem}
    if not sizes:
        bad.settle()
        raise DataError(f"none of {sum(map(len, parts))} images is readable; copy the files again.")
    frame = frame_of(data.spec, sizes, kept=_SMALL_SIDE)
    sound = []
    for part, seen in zip(parts, looks, strict=True):
        whole_part = replace(part, digests=tuple(look.digest for look in seen), frame=frame)
        sound.append(
            whole_part[torch.tensor([i for i, look in enumerate(seen) if not look.problem], dtype=torch.int64)]
        )
    notes = data.notes
    if sizes == {(frame.height, frame.width)} and frame.short > frame.height:
        notes += (
            f"all images have {frame.height}x{frame.width} pixels already, but are resized to {frame.short} and "
            "cropped; data.crop=1 keeps them whole",
        )
    if not data.spec.size and frame.short:
        notes += (f"data.size is not set: images are resized to {frame.short} and cropped to {frame.height} pixels",)
    if not frame.short and 3 * frame.height * frame.width * sum(map(len, sound)) < SMALL_SET:
        return replace(data, train=decode_all(sound[0], bad=bad), test=decode_all(sound[1], bad=bad), notes=notes)
    return replace(data, train=sound[0], test=sound[1], notes=notes)


def _finished(data: Data) -> Data:
    """Measure the statistics of a data set, select the subsets, and set the normalization."""
    spec, notes = data.spec, data.notes
    train, test = data.loaded
    _check_normalization(spec, train)
    mean, std = spec.mean, spec.std
    if not mean and spec.normalize != "none":
        number = min(len(train), MEASURED) if spec.name == "folder" else len(train)
        mean, std = statistics(train if number == len(train) else train[balanced(train.labels, number, seed=0)])
        if number < len(train):
            notes += (f"mean and deviation were measured on {number} of {len(train)} training images",)
    wrap = kth_mean(train.images) if spec.normalize == "kth" and isinstance(train, Tensors) else None
    train, test = _subsets(spec, train, test)
    seen = fingerprint(train, test)
    if wrap is not None and isinstance(train, Tensors) and isinstance(test, Tensors):
        train, test = (replace(part, images=kth_wrap(part.images, wrap)) for part in (train, test))
    normalize, flat = _normalize(spec, mean, std)
    train, test = replace(train, normalize=normalize), replace(test, normalize=normalize)
    return Data(spec, data.classes, train, test, mean, std, seen, notes + flat)


def _check_normalization(spec: DataSpec, train: Loaded) -> None:
    shape = train.shape
    if spec.normalize == "kth":
        if isinstance(train, Files):
            raise SpecError(
                f"data.normalize = 'kth' is for 3x32x32, not for size {shape[1]}; choose 'standard' or 'unit'."
            )
        if tuple(train.images.shape[1:]) != (3, 32, 32):
            raise SpecError(
                f"data.normalize = 'kth' is for 3x32x32, {spec.name} has {shape}; choose 'standard' or 'unit'."
            )
    if spec.normalize == "none" and spec.name != "arrays":
        raise SpecError(f"data.normalize = 'none' is for arrays of floats, not for {spec.name}; choose 'unit'.")
    if spec.mean and len(spec.mean) != shape[0]:
        raise SpecError(
            f"data.mean = {spec.mean} has {len(spec.mean)} numbers, images have {shape[0]} channels; set one for each."
        )


def _normalize(spec: DataSpec, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Normalize, tuple[str, ...]]:
    if spec.normalize != "standard":
        return Normalize(scale=1.0 if spec.normalize == "none" else 255.0), ()
    flat = [str(channel) for channel, deviation in enumerate(std) if not deviation]
    notes = (f"channel {', '.join(flat)} is the same in every training image; it is not divided",) if flat else ()
    return Normalize(mean, tuple(deviation or 1.0 for deviation in std)), notes


def _subsets(spec: DataSpec, train: Loaded, test: Loaded) -> tuple[Loaded, Loaded]:
    if spec.val_size:
        train, test = _held_out(train, spec)
    else:
        test = _subset(test, spec.test_size, place="data.test_size", seed=spec.subset_seed)
    return _subset(train, spec.train_size, place="data.train_size", seed=spec.subset_seed), test


def _subset(part: Loaded, size: int, *, place: str, seed: int) -> Loaded:
    if size > len(part.labels):
        raise SpecError(f"{place} = {size} is more than the {len(part.labels)} images there are; 0 takes all.")
    return part[balanced(part.labels, size, seed=seed)] if size else part


def _held_out(train: Loaded, spec: DataSpec) -> tuple[Loaded, Loaded]:
    """Split the training images into those to train on and those that replace the test set."""
    if spec.val_size >= len(train.labels):
        raise SpecError(
            f"data.val_size = {spec.val_size} leaves none of the {len(train.labels)} training images; hold out fewer."
        )
    held = proportional(train.labels, spec.val_size, seed=spec.subset_seed)
    return train[rest(held, len(train.labels))], train[held]


def _absent_classes(labels: torch.Tensor, classes: tuple[str, ...], *, split: str) -> tuple[str, ...]:
    present = set(torch.unique(labels).tolist())
    absent = [printable(name) for label, name in enumerate(classes) if label not in present]
    names = listed(absent, _SHOWN)
    return (f"{split} has no image of {len(absent)} of {len(classes)} classes: {names}",) if absent else ()
