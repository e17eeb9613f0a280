"""The front door: a `DataSpec` and a folder in, `Data` out."""

from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from senet.data.cifar import read_cifar
from senet.data.dataset import Data
from senet.data.decoding import UnreadableImages, check_all, decode_all, sizes
from senet.data.digits import read_digits
from senet.data.files import Files, centre
from senet.data.fingerprint import duplicates, fingerprint
from senet.data.folder import read_folder
from senet.data.normalize import Normalize, channel_statistics, kth_mean, kth_wrap
from senet.data.pictures import plain_square
from senet.data.source import Encoded, Pixels, Source, check_labels
from senet.data.spec import DataSpec
from senet.data.subset import balanced, proportional
from senet.data.svhn import read_svhn
from senet.data.tensors import Tensors
from senet.errors import DataError, SpecError

__all__ = ["load"]

_SMALL_SIDE = 64
_SMALL_SET = 2**30  # bytes in memory
_FULL_CHECK = 50_000  # pictures; about a minute on two cores
_MEASURED = 1024  # pictures that give mean and deviation of a set on disk
_SHOWN = 5


def load(spec: DataSpec, *, root: Path | None = None, on_bad_image: str = "error", download: bool = False) -> Data:
    """Read a set, check it, measure it, and choose the subsets.

    Small sets come decoded, in memory. A folder of larger pictures stays on disk. Its pictures are all decoded once to
    find the broken ones; of more than 50,000 only the headers are read, unless `skip` has to count.

    Args:
        spec: which set, its normalisation and its size.
        root: folder of the set, or its parent; `None` stands for `$SENET_DATA`, and without that for `data`.
        on_bad_image: `error` names the unreadable images, `skip` leaves them out and says so in the notes.
        download: fetch CIFAR or SVHN if they are not there.

    Raises:
        DataError: if the set is missing, incomplete or damaged; the message says how to mend it.
        SpecError: if the spec does not fit the set.
        UsageError: if reading it needs a package that is not installed.

    Example:
        >>> data = load(DataSpec(name="digits"))
        >>> data.shape, data.num_classes, len(data.train), len(data.test)
        ((1, 8, 8), 10, 1297, 500)
    """
    bad = UnreadableImages(on_bad_image)
    source = _read(spec, root, bad, download=download)
    notes = source.notes + bad.settle()
    for split, part in (("train", source.train), ("test", source.test)):
        if not len(part.labels):
            raise DataError(f"{spec.name}: the {split} set has no images; copy the files again.")
        check_labels(part.labels, len(source.classes), place=f"{spec.name} {split}")
        notes += _absent_classes(part.labels, source.classes, split=split)
    train, test = source.train, source.test
    if isinstance(train, Pixels) and isinstance(test, Pixels):
        return _in_memory(spec, source.classes, train, test, notes)
    assert isinstance(train, Encoded)
    assert isinstance(test, Encoded)
    return _on_disk(spec, source.classes, train, test, notes)


def _read(spec: DataSpec, root: Path | None, bad: UnreadableImages, *, download: bool) -> Source:
    match spec.name:
        case "digits":
            return read_digits()
        case "cifar10" | "cifar100":
            return read_cifar(spec.name, root, bad=bad, download=download)
        case "svhn":
            return read_svhn(root, download=download)
        case _:
            return _decoded_or_checked(spec, read_folder(root), bad)


def _decoded_or_checked(spec: DataSpec, folder: Source, bad: UnreadableImages) -> Source:
    """Decode a folder of small pictures, check the pictures of a large one."""
    train, test = folder.train, folder.test
    assert isinstance(train, Encoded)
    assert isinstance(test, Encoded)
    side = (spec.size, spec.size) if spec.size else _common_size(train, test, bad)
    total = 3 * side[0] * side[1] * (len(train.items) + len(test.items))
    if not spec.size or (max(side) <= _SMALL_SIDE and total < _SMALL_SET):
        fit = partial(plain_square, size=spec.size) if spec.size else None
        parts = [decode_all(part, size=side, fit=fit, bad=bad) for part in (train, test)]
        return Source(folder.classes, parts[0], parts[1], folder.notes)
    everything = bad.policy == "skip" or len(train.items) + len(test.items) <= _FULL_CHECK
    train, test = (check_all(part, bad=bad, headers_only=not everything) for part in (train, test))
    return Source(folder.classes, train, test, folder.notes)


def _common_size(train: Encoded, test: Encoded, bad: UnreadableImages) -> tuple[int, int]:
    """Rows and columns of all pictures of a folder, where no size is asked for."""
    found = sizes(train, bad=bad) | sizes(test, bad=bad)
    if len(found) == 1 and max(side := next(iter(found))) <= _SMALL_SIDE:
        return side
    bad.settle()
    if not found:
        raise DataError(f"none of {len(train.items) + len(test.items)} images is readable; copy the files again.")
    shown = ", ".join(f"{w}x{h}" for h, w in sorted(found)[:_SHOWN])
    raise SpecError(
        f"data.size = 0 keeps images as they are, which needs one size of at most {_SMALL_SIDE}x{_SMALL_SIDE} for all; "
        f"here are {len(found)} sizes ({shown}); give data.size, e.g. 224."
    )


def _in_memory(spec: DataSpec, classes: tuple[str, ...], train: Pixels, test: Pixels, notes: tuple[str, ...]) -> Data:
    shape = tuple(train.images.shape[1:])
    if 0 < spec.size < max(shape[1:]):
        raise SpecError(f"data.size = {spec.size} is less than the {shape[1]}x{shape[2]} of {spec.name}; 0 keeps them.")
    if spec.normalize == "kth" and shape != (3, 32, 32):
        raise SpecError(f"data.normalize = 'kth' is for 3x32x32, {spec.name} has {shape}; choose 'standard' or 'unit'.")
    mean, std = channel_statistics(train.images)
    notes += duplicates(train, test)
    wrap = kth_mean(train.images) if spec.normalize == "kth" else None
    train, test = _subsets(spec, train, test)
    seen = fingerprint(train, test)
    normalize, flat = _normalize(spec, mean, std)
    size = 0 if shape[1:] == (spec.size, spec.size) else spec.size
    parts = [
        Tensors(part.images if wrap is None else kth_wrap(part.images, wrap), part.labels, normalize, size)
        for part in (train, test)
    ]
    return Data(spec, classes, parts[0], parts[1], mean, std, seen, notes + flat)


def _on_disk(spec: DataSpec, classes: tuple[str, ...], train: Encoded, test: Encoded, notes: tuple[str, ...]) -> Data:
    if spec.normalize == "kth":
        raise SpecError(
            f"data.normalize = 'kth' is for 3x32x32, not for size {spec.size}; choose 'standard' or 'unit'."
        )
    number = min(len(train.labels), _MEASURED)
    sample = train[balanced(train.labels, number, seed=0)]
    # headers were all that was read of a very large set, so the sample may still hold a broken picture
    bad = UnreadableImages()
    pixels = decode_all(sample, size=(spec.size, spec.size), fit=partial(centre, size=spec.size), bad=bad)
    bad.settle()
    mean, std = channel_statistics(pixels.images)
    if number < len(train.labels):
        notes += (f"mean and deviation were measured on {number} of {len(train.labels)} training images",)
    if len(train.labels) + len(test.labels) <= _FULL_CHECK:
        notes += duplicates(train, test)
    train, test = _subsets(spec, train, test)
    normalize, flat = _normalize(spec, mean, std)
    parts = [Files(part.items, part.names, part.labels, spec.size, normalize) for part in (train, test)]
    return Data(spec, classes, parts[0], parts[1], mean, std, fingerprint(train, test), notes + flat)


def _normalize(spec: DataSpec, mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Normalize, tuple[str, ...]]:
    if spec.normalize != "standard":
        return Normalize(), ()
    flat = [str(channel) for channel, deviation in enumerate(std) if not deviation]
    notes = (f"channel {', '.join(flat)} is the same in every training image; it is not divided",) if flat else ()
    return Normalize(mean, tuple(deviation or 1.0 for deviation in std)), notes


_Part = TypeVar("_Part", Pixels, Encoded)


def _subsets(spec: DataSpec, train: _Part, test: _Part) -> tuple[_Part, _Part]:
    if spec.val_size:
        train, test = _held_out(train, spec)
    else:
        test = _subset(test, spec.test_size, place="data.test_size", seed=spec.subset_seed)
    return _subset(train, spec.train_size, place="data.train_size", seed=spec.subset_seed), test


def _subset(part: _Part, size: int, *, place: str, seed: int) -> _Part:
    if size > len(part.labels):
        raise SpecError(f"{place} = {size} is more than the {len(part.labels)} images there are; 0 takes all.")
    return part[balanced(part.labels, size, seed=seed)] if size else part


def _held_out(train: _Part, spec: DataSpec) -> tuple[_Part, _Part]:
    """Split the training images into those that are trained on and those that are tested on instead of the test set."""
    if spec.val_size >= len(train.labels):
        raise SpecError(
            f"data.val_size = {spec.val_size} leaves nothing of the {len(train.labels)} training images; hold out less."
        )
    held = proportional(train.labels, spec.val_size, seed=spec.subset_seed)
    others = torch.ones(len(train.labels), dtype=torch.bool)
    others[held] = False
    return train[others.nonzero().flatten()], train[held]


def _absent_classes(labels: torch.Tensor, classes: tuple[str, ...], *, split: str) -> tuple[str, ...]:
    present = set(torch.unique(labels).tolist())
    absent = [name for label, name in enumerate(classes) if label not in present]
    if not absent:
        return ()
    more = f" and {len(absent) - _SHOWN} more" if len(absent) > _SHOWN else ""
    return (f"{split} has no image of {len(absent)} of {len(classes)} classes: {', '.join(absent[:_SHOWN])}{more}",)
