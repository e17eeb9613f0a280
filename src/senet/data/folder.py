"""Pictures of one's own: `train/CLASS/*.jpg` beside `val/CLASS/*.jpg` or `test/`, class folders alone, or Parquet."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from senet.data.parquet import find_shards, read_shards
from senet.data.places import missing
from senet.data.source import Encoded, Source
from senet.data.subset import proportional
from senet.errors import DataError, SpecError

__all__ = ["SUFFIXES", "read_folder"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
TEST_SHARE = 0.2
"""Share of the images that become the test set where a folder has no split."""

_SPLIT_SEED = 0
_TESTS = ("test", "val", "validation")
# what people call splits, but we do not: taking them for classes would train a network on the split
_LIKELY_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "tst"), "test"),
}
_FEWEST = 3  # images of a class, so that both sides of a split get some


def read_folder(root: Path | None) -> Source:
    """Find the pictures of a tree, in the order of their names, and their classes.

    Args:
        root: with `train` and one of `test`, `val`, `validation`; or with class folders only, of which 20 % of each
            class become the test set; or with Parquet shards of these names.

    Raises:
        DataError: if the tree is none of these, or a class has no images in one of the splits.
        SpecError: if no root is given.
    """
    if root is None:
        raise SpecError(
            "data.name = 'folder' says not which folder; give the folder of class folders, or of train and val "
            "(--data-dir, root in Python)."
        )
    root = root.expanduser().absolute()
    if not root.is_dir():
        raise missing("a folder of images", (root,), _LAYOUTS, remedy="Give the path of your images.")
    for place in (root, root / "data"):
        if shards := find_shards(place):
            return _from_shards(place, shards)
    return _from_tree(root)


_LAYOUTS = ("train/CLASS/*.jpg with val or test beside train", "CLASS/*.jpg", "train-*.parquet")


def _from_tree(root: Path) -> Source:
    folders = _folders(root)
    misnamed = {name: _LIKELY_SPLITS[name.lower()] for name in folders if name.lower() in _LIKELY_SPLITS}
    if not misnamed:
        return _without_split(root, folders)
    wrong = {name: right for name, right in misnamed.items() if name not in ("train", *_TESTS)}
    if wrong:
        name, right = next(iter(wrong.items()))
        raise DataError(f"{root}: {name!r} looks like a split under another name; rename it to {right!r}.")
    if "train" not in misnamed:
        raise DataError(f"{root} has {', '.join(misnamed)} but no train; add train/CLASS/*.jpg.")
    tests = [name for name in _TESTS if name in misnamed and _folders(root / name)]
    if not tests:
        raise DataError(
            f"{root} has train but no val or test with class folders; add one, or give {root / 'train'} itself as the "
            f"root, of which {TEST_SHARE:.0%} then become the test set."
        )
    notes = tuple(f"{root.name}/{name} is not used, {tests[0]} is the test set" for name in tests[1:])
    classes = _folders(root / "train")
    if not classes:
        raise DataError(f"{root / 'train'} has no class folders; sort the images into train/CLASS/.")
    other = _folders(root / tests[0])
    for these, those, here in ((classes, other, tests[0]), (other, classes, "train")):
        if absent := [name for name in these if name not in those]:
            more = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
            raise DataError(f"{root / here} has no class {absent[0]!r}{more}, the other split has; both need the same.")
    train, test = (_pictures(root, root / name, classes) for name in ("train", tests[0]))
    return Source(tuple(classes), train, test, notes)


def _without_split(root: Path, folders: list[str]) -> Source:
    if len(folders) < 2:
        raise missing("a folder of images", (root,), _LAYOUTS, remedy=f"It has {len(folders)} class folders.")
    everything = _pictures(root, root, folders)
    return _split(tuple(folders), everything, place=str(root))


def _split(classes: tuple[str, ...], everything: Encoded, *, place: str) -> Source:
    counts = torch.bincount(everything.labels, minlength=len(classes))
    if int(counts.min()) < _FEWEST:
        name = classes[int(counts.argmin())]
        raise DataError(
            f"{place}: class {name!r} has {int(counts.min())} images, a split needs {_FEWEST}; add some or a test set."
        )
    total = len(everything.labels)
    test = proportional(everything.labels, round(total * TEST_SHARE), seed=_SPLIT_SEED)
    train = torch.ones(total, dtype=torch.bool).index_fill(0, test, value=False).nonzero().flatten()
    note = f"{Path(place).name} has no split: {len(test)} of {total} images, the same ones every time, are the test set"
    return Source(classes, everything[train], everything[test], (note,))


def _folders(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _pictures(root: Path, split: Path, classes: list[str]) -> Encoded:
    items: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = list(_walk(split / name))
        if not found:
            raise DataError(
                f"{split / name}: class without images; add some ({', '.join(SUFFIXES)}), or remove the class "
                "from every split."
            )
        items += found
        labels += [label] * len(found)
    names = tuple(item.relative_to(root).as_posix() for item in items)
    return Encoded(tuple(items), names, torch.tensor(labels, dtype=torch.int64))


def _walk(folder: Path) -> Iterator[Path]:
    seen: set[str] = set()  # links are followed, as people link to disks; a ring of links is walked once
    for place, inner, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        inner[:] = sorted(name for name in inner if os.path.realpath(Path(place, name)) not in seen)
        for file in sorted(files):
            if file.lower().endswith(SUFFIXES) and not file.startswith("."):
                yield Path(place, file)


def _from_shards(place: Path, shards: dict[str, tuple[Path, ...]]) -> Source:
    tests = [name for name in _TESTS if name in shards]
    if "train" not in shards or not tests:
        raise DataError(
            f"{place} has only {', '.join(sorted(shards))} shards; add the missing ones, train-*.parquet and "
            "validation-*.parquet or test-*.parquet."
        )
    train, names = read_shards(shards["train"])
    test, _ = read_shards(shards[tests[0]])
    # shards without names: as many classes as the labels ask for
    classes = names or tuple(str(number) for number in range(max(train.labels.tolist(), default=-1) + 1))
    notes = tuple(f"{place.name}: {name} shards are not used, {tests[0]} is the test set" for name in tests[1:])
    return Source(classes, train, test, notes)
