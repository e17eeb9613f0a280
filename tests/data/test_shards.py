"""Shards and splits agree on what a label means, or they are refused."""

import shutil

import pytest
import torch
from PIL import Image
from support.images import encoded, pixels

from senet.data import DataSpec, load
from senet.data.cifar_files import CIFARS
from senet.errors import DataError, SpecError

GREYS = {"black": 0, "grey": 127, "white": 255}


def blob(name: str, step: int = 0) -> bytes:
    import io

    file = io.BytesIO()
    Image.new("RGB", (8, 8), (abs(GREYS[name] - step),) * 3).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def shard(tmp_path, write_shard):
    def write(file: str, names: str, shown: str, step: int = 0) -> None:
        order, rows = names.split(), shown.split()
        quoted = ", ".join(f'"{name}"' for name in order)
        labels = [order.index(name) for name in rows]
        write_shard(tmp_path / file, [blob(name, step) for name in rows], labels, column="image", names=quoted)

    return write


def meanings(split, classes) -> set[tuple[int, str]]:
    ((x, y),) = split.batches([(torch.arange(len(split)), 0)], augment=None, device="cpu")
    return {(round(float(image[0, 0, 0]) * 255), classes[label]) for image, label in zip(x, y.tolist(), strict=True)}


UNIT = DataSpec(name="folder", normalize="unit")


@pytest.mark.parametrize(
    "order", ["black white", "white grey black", "grey white", "white", "black grey white", "white black grey"]
)
def test_labels_of_the_test_split_mean_its_own_names(shard, tmp_path, order):
    shard("train.parquet", "black grey white", "black grey white")
    shard("test.parquet", order, order, step=1)
    data = load(UNIT, root=tmp_path)
    assert data.classes == ("black", "grey", "white")
    assert meanings(data.test, data.classes) == {(abs(GREYS[name] - 1), name) for name in order.split()}


def test_shards_of_one_split_may_have_their_names_in_another_order(shard, tmp_path):
    shard("train-00000-of-00003.parquet", "black grey white", "black white")
    shard("train-00001-of-00003.parquet", "white black grey", "white grey", step=1)
    shard("train-00002-of-00003.parquet", "grey black", "grey black", step=2)
    shard("validation.parquet", "black grey white", "grey", step=3)
    data = load(UNIT, root=tmp_path)
    assert meanings(data.train, data.classes) == {
        (0, "black"), (255, "white"), (254, "white"), (126, "grey"), (125, "grey"), (2, "black"),
    }  # fmt: skip


@pytest.mark.parametrize("file", ["test.parquet", "train-00001-of-00002.parquet"])
@pytest.mark.parametrize("names", ["black grey violet", "Black grey white", "black grey white violet"])
def test_names_that_the_training_set_lacks_are_refused(shard, tmp_path, file, names, monkeypatch):
    monkeypatch.setitem(GREYS, "violet", 90)
    series = file.startswith("train-")
    shard("train-00000-of-00002.parquet" if series else "train.parquet", "black grey white", "black grey white")
    shard("test.parquet", "black grey white", "grey")
    shard(file, names, "grey")
    with pytest.raises(DataError, match=r"has the class '(violet|Black)', which the training set lacks"):
        load(UNIT, root=tmp_path)


def test_cifar_with_its_names_in_another_order_is_still_cifar(tmp_path, write_shard):
    standard = CIFARS["cifar10"].classes
    turned = standard[3:] + standard[:3]
    images = [encoded(torch.full((3, 32, 32), i, dtype=torch.uint8).numpy()) for i in range(20)]
    for split, part in (("train", images[:10]), ("test", images[10:])):
        quoted = ", ".join(f'"{name}"' for name in turned)
        write_shard(tmp_path / f"{split}-00000-of-00001.parquet", part, list(range(10)), names=quoted)
    data = load(DataSpec(name="cifar10"), root=tmp_path)
    assert data.classes == standard
    assert [data.classes[label] for label in data.test.labels] == list(turned)


@pytest.mark.parametrize("labels", [[-1, -1, -1], None])
def test_a_test_split_without_labels_leaves_a_labelled_validation_the_test_set(shard, tmp_path, labels):
    import pyarrow as pa
    import pyarrow.parquet as pq

    shard("train.parquet", "black grey white", "black grey white")
    shard("validation.parquet", "black grey white", "white black grey", step=1)
    columns = {"image": [blob(name, 9) for name in GREYS]} | ({} if labels is None else {"label": labels})
    pq.write_table(pa.table(columns), tmp_path / "test.parquet")
    data = load(UNIT, root=tmp_path)
    assert len(data.test) == 3
    assert any("test is not used, validation is the test set (it has no labels)" in note for note in data.notes)


def test_a_test_split_of_which_some_labels_are_missing_is_refused(tmp_path, write_shard):
    write_shard(tmp_path / "train.parquet", [blob(name) for name in GREYS], [0, 1, 2], column="image")
    write_shard(tmp_path / "validation.parquet", [blob(name, 1) for name in GREYS], [0, 1, 2], column="image")
    write_shard(tmp_path / "test.parquet", [blob(name, 2) for name in GREYS], [0, -1, 2], column="image")
    with pytest.raises(DataError, match="label -1 of image 1 is out of range"):
        load(UNIT, root=tmp_path)


def test_a_lone_test_split_without_labels_is_refused(tmp_path, write_shard):
    write_shard(tmp_path / "train.parquet", [blob(name) for name in GREYS], [0, 1, 2], column="image")
    write_shard(tmp_path / "test.parquet", [blob(name, 2) for name in GREYS], [-1, -1, -1], column="image")
    with pytest.raises(DataError, match="label -1 of image 0 is out of range"):
        load(UNIT, root=tmp_path)


def test_batches_of_rows_that_cross_the_border_of_two_row_groups_are_read(tmp_path):
    """Row groups have dictionaries of their own, which pyarrow does not join in structures, as in CIFAR's shards."""
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pictures = [blob("grey", step) for step in range(100)]
    table = arrow.table({"image": [{"bytes": one, "path": None} for one in pictures], "label": [0, 1] * 50})
    parquet.write_table(table, tmp_path / "train.parquet", row_group_size=50)
    with pytest.raises(arrow.ArrowNotImplementedError):
        list(parquet.ParquetFile(tmp_path / "train.parquet", read_dictionary=["image.bytes"]).iter_batches(32))
    shutil.copy(tmp_path / "train.parquet", tmp_path / "test.parquet")
    data = load(DataSpec(name="folder", normalize="unit"), root=tmp_path)
    assert (len(data.train), len(data.test)) == (100, 100)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_shards_of_one_split_are_a_folder_without_a_split(split, tmp_path, write_shard):
    blobs = [encoded(image) for image in pixels(20, 0)]
    write_shard(tmp_path / f"{split}-00000-of-00001.parquet", blobs, [0, 3] * 10, column="image")
    data = load(DataSpec(name="folder"), root=tmp_path)
    assert (len(data.train), len(data.test), data.classes) == (16, 4, ("0", "1", "2", "3"))
    assert data.test.labels.tolist().count(3) == 2, "the same share of every class"
    assert f"{tmp_path.name} has no split: a fixed choice of 4 of 20 images is the test set" in data.notes


def test_a_split_that_is_asked_for_where_there_is_none_is_not_ignored(tmp_path, write_shard):
    write_shard(tmp_path / "validation.parquet", [encoded(image) for image in pixels(20, 0)], [0, 1] * 10)
    assert len(load(DataSpec(name="folder", split="validation"), root=tmp_path).test) == 4
    with pytest.raises(SpecError, match=r"data\.split = 'test' is not in .*, which has no split; leave it out"):
        load(DataSpec(name="folder", split="test"), root=tmp_path)
    for name in ("cats", "dogs"):
        (tmp_path / "tree" / name).mkdir(parents=True)
        for number, image in enumerate(pixels(5, 0)):
            (tmp_path / "tree" / name / f"{number}.png").write_bytes(encoded(image))
    with pytest.raises(SpecError, match=r"data\.split = 'val' is not in tree, which has no split; leave it out"):
        load(DataSpec(name="folder", split="val"), root=tmp_path / "tree")
