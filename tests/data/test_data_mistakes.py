"""Every mistake people make with data has its own sentence: what, where, what to do."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.images import encoded, pixels, write_python_batch

from senet.data import DataSpec, load
from senet.errors import DataError, SenetError, SpecError, UsageError

BATCHES = Path("cifar-10-batches-py")


def rename(old: str, new: str) -> Callable[[Path], object]:
    return lambda root: (root / old).rename(root / new)


def delete(*names: str) -> Callable[[Path], object]:
    def act(root: Path) -> None:
        for name in names:
            shutil.rmtree(root / name) if (root / name).is_dir() else (root / name).unlink()

    return act


def cut(name: str, keep: int) -> Callable[[Path], object]:
    return lambda root: (root / name).write_bytes((root / name).read_bytes()[:keep])


def empty(name: str) -> Callable[[Path], object]:
    def act(root: Path) -> None:
        for file in (root / name).iterdir():
            file.unlink()

    return act


PYTHON = [
    (
        delete("cifar-10-batches-py"),
        r"^CIFAR-10 not found in /.* or /.*cifar10; looked for cifar-10-batches-py/.*download",
    ),
    (
        delete("cifar-10-batches-py/data_batch_3"),
        r"is an incomplete CIFAR-10: data_batch_3 missing of 6 files; copy",
    ),
    (delete("cifar-10-batches-py/test_batch"), r"is an incomplete CIFAR-10: test_batch missing"),
    (cut("cifar-10-batches-py/data_batch_2", 5000), r"data_batch_2 cannot be read \(.*\); copy it again"),
    (cut("cifar-10-batches-py/data_batch_2", 0), r"data_batch_2 cannot be read"),
    (
        lambda root: write_python_batch(root / BATCHES / "test_batch", pixels(5, 0), [0, 1, 2, 3, 10], key="labels"),
        r"cifar10 test: label 10 of image 4 is out of range; 10 classes allow 0 to 9, 1 of 5",
    ),
    (
        lambda root: write_python_batch(root / BATCHES / "test_batch", pixels(5, 0), [0, -1, 2, 3, 1], key="labels"),
        r"label -1 of image 1 is out of range",
    ),
    (
        lambda root: write_python_batch(root / BATCHES / "test_batch", pixels(5, 0), [0, 1], key="labels"),
        r"test_batch is not a valid CIFAR-10 batch: it needs 'data'",
    ),
    (
        lambda root: write_python_batch(root / BATCHES / "data_batch_1", pixels(5, 0), [0] * 5, key="fine_labels"),
        r"data_batch_1 is not a valid CIFAR-10 batch: .*'labels'",
    ),
    (
        lambda root: write_python_batch(root / BATCHES / "data_batch_1", pixels(5, 0, side=8), [0] * 5, key="labels"),
        r"data_batch_1 is not a valid CIFAR-10 batch: .*rows of 3072",
    ),
    (
        lambda root: write_python_batch(root / BATCHES / "batches.meta", pixels(1, 0), ["a", "b"], key="label_names"),
        r"names 2 classes, CIFAR-10 has 10; this is another data set",
    ),
]

BINARY = [
    (
        cut("cifar-10-batches-bin/data_batch_4.bin", 5000),
        r"has 5000 bytes, not a multiple of the 3073 of a CIFAR-10",
    ),
    (cut("cifar-10-batches-bin/data_batch_4.bin", 0), r"has 0 bytes"),
    (delete("cifar-10-batches-bin/data_batch_1.bin"), r"an incomplete CIFAR-10: data_batch_1.bin missing"),
]

PARQUET = [
    (delete("data/train-00001-of-00002.parquet"), r"train shard 00001 of 00002 is missing \(1 of 2 are\)"),
    (delete("data/test-00000-of-00001.parquet"), r"has train shards, CIFAR-10 needs train and test; copy test-"),
    (cut("data/test-00000-of-00001.parquet", 3000), r"test-00000-of-00001.parquet is not a Parquet file, or damaged"),
    (
        rename("data/train-00001-of-00002.parquet", "data/train-00001-of-00003.parquet"),
        r"does not belong to the other train",
    ),
]

TREE = [
    (delete("val/dog"), r"val lacks the class 'dog' of the other split"),
    (delete("train/cat"), r"train lacks the class 'cat' of the other split"),
    (empty("train/cat"), r"train/cat: class without images; add some \(\.jpg"),
    (empty("val/dog"), r"val/dog: class without images"),
    (delete("val"), r"has train but no val or test with class folders; add one, or pass .*train itself"),
    (delete("train"), r"has val but no train; add train/CLASS"),
    (rename("val", "valid"), r"'valid' looks like a split under another name; rename it to 'val'"),
    (rename("train", "Training"), r"'Training' looks like a split .* rename it to 'train'"),
    (delete("train/cat", "train/dog"), r"train has no class folders; sort the images"),
    (delete("train", "val"), r"^a folder of images not found in /.*It has 0 class folders"),
    (lambda root: shutil.rmtree(root), r"^a folder of images not found in /.*Pass the path"),
    (
        lambda root: [shutil.move(root / "val" / "cat", root / "a"), shutil.rmtree(root / "train"),
                      shutil.move(root / "val" / "dog", root / "b"), (root / "val").rmdir(),
                      [(root / "a" / f).unlink() for f in ("0.jpg", "1.png")]],
        r"class 'a' has 2 images, a split needs 3",
    ),
]  # fmt: skip


def mistaken(name: str, root: Path, mistake: Callable[[Path], object], message: str) -> None:
    mistake(root)
    with pytest.raises(DataError, match=message) as error:
        load(DataSpec(name=name, size=96 if name == "folder" else 0), root=root)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(("mistake", "message"), PYTHON, ids=[message[:40] for _, message in PYTHON])
def test_mistakes_with_the_python_batches(cifar10_python, mistake, message):
    mistaken("cifar10", cifar10_python, mistake, message)


@pytest.mark.parametrize(("mistake", "message"), BINARY, ids=[message[:40] for _, message in BINARY])
def test_mistakes_with_the_binary_batches(cifar10_binary, mistake, message):
    mistaken("cifar10", cifar10_binary, mistake, message)


@pytest.mark.parametrize(("mistake", "message"), PARQUET, ids=[message[:40] for _, message in PARQUET])
def test_mistakes_with_the_shards(cifar10_parquet, mistake, message):
    mistaken("cifar10", cifar10_parquet, mistake, message)


@pytest.mark.parametrize(("mistake", "message"), TREE, ids=[message[:40] for _, message in TREE])
def test_mistakes_with_a_tree(tree, mistake, message):
    mistaken("folder", tree, mistake, message)


@pytest.mark.parametrize(
    ("blobs", "labels", "message"),
    [
        ([None] * 3, [0, 1, 2], r"row 0 has no image bytes in columns img, label"),
        ([encoded(image) for image in pixels(3, 0)], [0, None, 2], r"row 1 has no whole-number label"),
        (
            [encoded(image) for image in pixels(3, 0)],
            [0, 1, 77],
            r"cifar10 train: label 77 of image 22 is out of range",
        ),
    ],
)
def test_mistakes_inside_a_shard(cifar10_parquet, write_shard, blobs, labels, message):
    write_shard(cifar10_parquet / "data" / "train-00001-of-00002.parquet", blobs, labels)
    with pytest.raises(DataError, match=message):
        load(DataSpec(name="cifar10"), root=cifar10_parquet)


def test_a_shard_without_image_column_is_told_which_it_needs(cifar10_parquet, write_shard):
    write_shard(cifar10_parquet / "data" / "test-00000-of-00001.parquet", [b""], [0], column="pixels")
    with pytest.raises(DataError, match="has no column img or image"):
        load(DataSpec(name="cifar10"), root=cifar10_parquet)


def test_a_packed_archive_is_told_how_to_unpack(tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(DataError, match="is still packed: run tar -xzf"):
        load(DataSpec(name="cifar10"), root=tmp_path)


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        (DataSpec(name="digits", train_size=1298), SpecError, r"data\.train_size = 1298 is more than the 1297 images"),
        (DataSpec(name="digits", test_size=501), SpecError, r"data\.test_size = 501 is more than the 500 images"),
        (DataSpec(name="digits", normalize="kth"), SpecError, r"'kth' is for 3x32x32, digits has \(1, 8, 8\)"),
        (DataSpec(name="digits", size=4), SpecError, r"data\.size = 4 is less than the 8x8 of digits"),
        (DataSpec(name="folder"), SpecError, r"pass the folder of class folders, or of train and val"),
    ],
)
def test_a_spec_that_does_not_fit_the_set_names_its_field(spec, error, message):
    with pytest.raises(error, match=message):
        load(spec)


def test_the_kth_mean_is_refused_for_files(tree):
    with pytest.raises(SpecError, match="'kth' is for 3x32x32, not for size 96"):
        load(DataSpec(name="folder", size=96, normalize="kth"), root=tree)


def test_a_policy_for_bad_images_that_is_none_gets_the_nearest():
    with pytest.raises(SenetError, match="Did you mean 'skip'"):
        load(DataSpec(), on_bad_image="skipp")


@pytest.mark.parametrize(
    ("module", "fixture", "package"),
    [("pyarrow.parquet", "cifar10_parquet", "pyarrow"), ("sklearn.datasets", "tmp_path", "scikit-learn")],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(module, fixture, package, request, monkeypatch):
    from senet.data import dataset_paths as places

    def absent(name: str) -> None:
        raise ModuleNotFoundError(name)

    root = request.getfixturevalue(fixture)
    monkeypatch.setattr(places, "import_module", absent)
    name = "digits" if package == "scikit-learn" else "cifar10"
    with pytest.raises(
        UsageError, match=rf"needs {package}; run: pip install {package}, or pip install 'senet\[data\]'\."
    ):
        load(DataSpec(name=name), root=root)
