"""Read the user's images: `train/CLASS/*.jpg` with `val/CLASS/*.jpg` or `test/`, class folders alone, or Parquet."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from senet.data.dataset import Data
from senet.data.dataset_paths import missing
from senet.data.file_split import Files
from senet.data.folder_tree import READ, Passed, class_folders, pictures
from senet.data.labels import MAX_CLASSES, check_labels, printable, renumbered
from senet.data.parquet import find_shards, has_labels, read_shards
from senet.data.subset import proportional, rest
from senet.errors import DataError, SpecError
from senet.experiments.data_spec import TESTS, DataSpec
from senet.text import listed

__all__ = ["read_folder"]

TEST_SHARE = 0.2
"""Share of the images that become the test set where a folder has no split."""

_SPLIT_SEED = 0
# common names of splits: taking them for classes would train a network to tell the splits apart
_LIKELY_SPLITS: Mapping[str, str] = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tests", "tst"), "test"),
}
_SHOWN = 5
_FEWEST = 3  # images of a class, so that both sides of a split get some


def read_folder(spec: DataSpec, root: Path | None) -> Data:
    """List the images of a folder tree and their classes, in the order of their names.

    Args:
        spec: the requested data set; `split` names the test split.
        root: with `train` and one of `test`, `val`, `validation`; or with class folders only, of which 20 % of each
            class become the test set; or with Parquet shards of these names.

    Raises:
        DataError: if the tree is none of these, or a class has no images in one of the splits.
        SpecError: if `root` is None.
    """
    if root is None:
        raise SpecError(
            "data.name = 'folder' does not name the folder; pass the folder of class folders, or of train and val "
            "(--data-dir, root in Python)."
        )
    root = root.expanduser().absolute()
    if not root.is_dir():
        raise missing("a folder of images", (root,), _LAYOUTS, remedy="Pass the path of your images.")
    for place in (root, root / "data"):
        if shards := find_shards(place):
            return _from_shards(spec, place, shards)
    return _from_tree(spec, root)


_LAYOUTS = ("train/CLASS/*.jpg with val or test beside train", "CLASS/*.jpg", "train-*.parquet")


def _from_tree(spec: DataSpec, root: Path) -> Data:
    passed = Passed()
    folders = class_folders(root, passed)
    _refuse_doubles(root, folders)
    misnamed = {name: _LIKELY_SPLITS[name.lower()] for name in folders if name.lower() in _LIKELY_SPLITS}
    if not misnamed:
        return _without_split(spec, root, folders, passed)
    wrong = {name: right for name, right in misnamed.items() if name not in ("train", *TESTS)}
    if wrong:
        name, right = next(iter(wrong.items()))
        raise DataError(f"{root}: {name!r} looks like a split under another name; rename it to {right!r}.")
    if "train" not in misnamed:
        raise DataError(f"{root} has {', '.join(misnamed)} but no train; add train/CLASS/*.jpg.")
    classes = class_folders(root / "train", passed)
    _refuse_doubles(root / "train", classes)
    if not classes:
        raise DataError(f"{root / 'train'} has no class folders; sort the images into train/CLASS/.")
    tests = {name: found for name in TESTS if name in misnamed and (found := class_folders(root / name))}
    if not tests:
        raise DataError(
            f"{root} has train but no val or test with class folders; add one, or pass {root / 'train'} itself as the "
            f"root, of which {TEST_SHARE:.0%} then become the test set."
        )
    chosen, notes = _test_split(
        spec,
        root,
        list(tests),
        {name: "its folders are not the classes of train" for name in tests if tests[name] != classes},
    )
    for these, those, here in ((classes, tests[chosen], chosen), (tests[chosen], classes, "train")):
        if absent := [name for name in these if name not in those]:
            names = listed([f"'{printable(name)}'" for name in absent], 1)
            if _twins([absent[0], *those], _composed):
                names += f" (its name has another Unicode normalization than {absent[0]!a})"
            raise DataError(f"{root / here} lacks the class {names} of the other split; both need the same.")
    class_folders(root / chosen, passed)  # counts the files beside the classes
    train, test = (_pictures(root, root / name, classes, passed) for name in ("train", chosen))
    others = [name for name in folders if name not in misnamed]
    unused = tuple(f"{printable(root.name)}: {printable(name)} beside the splits is not used" for name in others)
    return Data(spec, tuple(classes), train, test, notes=notes + unused + _alike(classes) + passed.notes(root))


def _refuse_doubles(root: Path, folders: Sequence[str]) -> None:
    """Raise an error for two folders whose names differ only by their Unicode normalization."""
    for first, second in _twins(folders, _composed):
        raise DataError(f"{root}: {first!a} and {second!a} are one name in two Unicode normalizations; merge them.")


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _alike(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a note on classes that differ only by capitals, spaces or the width of letters."""
    pairs = _twins(classes, lambda name: "".join(unicodedata.normalize("NFKC", name).casefold().split()))
    return tuple(f"two classes look alike and are kept apart: {first!r} and {second!r}" for first, second in pairs)


def _twins(names: Sequence[str], key: Callable[[str], str]) -> list[tuple[str, str]]:
    """Return pairs of names with equal keys: the first with the key, and a later one."""
    first: dict[str, str] = {}
    return [(first[key(name)], name) for name in names if first.setdefault(key(name), name) != name]


def _test_split(spec: DataSpec, root: Path, there: list[str], unfit: Mapping[str, str]) -> tuple[str, tuple[str, ...]]:
    """Choose the test split: the requested one, or the first that has labels.

    Returns:
        The split, and notes for readers of the results.
    """
    if spec.split and spec.split not in there:
        raise SpecError(f"data.split = {spec.split!r} is not in {root}; choose one of: {', '.join(there)}.")
    fit = [name for name in there if name not in unfit]
    chosen = spec.split or (fit or there)[0]
    return chosen, tuple(
        f"{root.name}: {name} is not used, {chosen} is the test set" + (f" ({unfit[name]})" if name in unfit else "")
        for name in there
        if name != chosen
    )


def _without_split(spec: DataSpec, root: Path, folders: list[str], passed: Passed) -> Data:
    deeper = {name: class_folders(root / name) for name in folders}
    for name, inner in deeper.items():
        if "train" in inner and (len(folders) == 1 or any(test in inner for test in TESTS)):
            raise DataError(f"{root}: the splits are one folder deeper; pass {root / name}.")
    if len(folders) < 2:
        only = next((root / name for name, inner in deeper.items() if len(inner) > 1), None)
        remedy = f"It has {len(folders)} class folders." + (f" Perhaps you mean {only}." if only else "")
        raise missing("a folder of images", (root,), _LAYOUTS, remedy=remedy)
    everything = _pictures(root, root, folders, passed)
    counts = torch.bincount(everything.labels, minlength=len(folders))
    if int(counts.min()) < _FEWEST:
        name = printable(folders[int(counts.argmin())])
        raise DataError(
            f"{root}: class '{name}' has {int(counts.min())} images, a split needs {_FEWEST}; add images or a test set."
        )
    notes = []
    same = deeper[folders[0]]
    if len(same) > 1 and all(inner == same for inner in deeper.values()):
        notes.append(
            f"{root.name}: each of its classes consists of the same folders, {printable(', '.join(same[:_SHOWN]))}; "
            "if these are the classes, move them to the top level"
        )
    notes += [*_alike(folders), *passed.notes(root)]
    return _split(Data(spec, tuple(folders), everything, everything, notes=tuple(notes)), root.name)


def _split(data: Data, name: str, *, splits: Sequence[str] = ()) -> Data:
    """Make a fixed choice of the images of a folder without a split the test set, the same share of every class.

    Args:
        data: all images in both splits.
        name: of the folder, for notes and errors.
        splits: what its images are called.

    Raises:
        SpecError: if the spec asks for a split that is not there.
    """
    if data.spec.split and data.spec.split not in splits:
        raise SpecError(f"data.split = {data.spec.split!r} is not in {name}, which has no split; leave it out.")
    everything = data.loaded[0]
    total = len(everything)
    test = proportional(everything.labels, round(total * TEST_SHARE), seed=_SPLIT_SEED)
    return replace(data, train=everything[rest(test, total)], test=everything[test], unsplit=name)


def _pictures(root: Path, split: Path, classes: list[str], passed: Passed) -> Files:
    items: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        found = list(pictures(split / name, passed))
        if not found:
            raise DataError(
                f"{split / name}: class without images; add some ({', '.join(READ)}), or remove the class "
                "from every split."
            )
        items += found
        labels += [label] * len(found)
    names = tuple(item.relative_to(root).as_posix() for item in items)
    return Files(tuple(items), names, torch.tensor(labels, dtype=torch.int64))


def _from_shards(spec: DataSpec, place: Path, shards: dict[str, tuple[Path, ...]]) -> Data:
    there = [name for name in TESTS if name in shards]
    used = {path for paths in shards.values() for path in paths}
    unknown = [printable(path.name) for path in sorted(place.glob("*.parquet")) if path not in used]
    ignored = listed(unknown, _SHOWN)
    incomplete = "train" not in shards or not there
    if incomplete and (unknown or len(shards) > 1):
        hint = f"; {ignored} does not belong to a known split" if unknown else ""
        raise DataError(
            f"{place} has only {', '.join(sorted(shards))} shards{hint}; add the missing ones, train-*.parquet and "
            "validation-*.parquet or test-*.parquet."
        )
    if incomplete:
        ((only, paths),) = shards.items()
        everything, names = read_shards(paths)
        data = Data(spec, names or _numbered(everything, place), everything, everything)
        return _split(data, printable(place.name), splits=(only,))
    train, names = read_shards(shards["train"])
    read = {name: read_shards(shards[name]) for name in there if has_labels(shards[name][0])}
    unfit = {name: "it has no labels" for name in there if name not in read or bool((read[name][0].labels < 0).all())}
    chosen, notes = _test_split(spec, place, there, unfit)
    test, others = read.get(chosen) or read_shards(shards[chosen])
    classes = names or others or _numbered(train, place)
    if others:
        test = replace(test, labels=renumbered(test.labels, others, classes, place=f"{place.name}/{chosen}"))
    check_labels(test.labels, len(classes), place=f"{place}/{chosen}")
    notes += (f"{printable(place.name)}: {ignored} is not used, it does not belong to a known split",) * bool(unknown)
    return Data(spec, classes, train, test, notes=notes)


def _numbered(images: Files, place: Path) -> tuple[str, ...]:
    """Return class names for shards without any: the numbers up to the largest label."""
    highest = int(images.labels.max()) if len(images) else -1
    if highest >= MAX_CLASSES:
        raise DataError(f"{place}: label {highest} implies more than {MAX_CLASSES:,} classes; number them from 0.")
    return tuple(str(number) for number in range(highest + 1))
