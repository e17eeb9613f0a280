"""A folder says which set it holds, and which folder of images it is."""

import shutil
from pathlib import Path

import pytest

from senet.data.dataset_detection import identity, recognise
from senet.errors import DataError


@pytest.mark.parametrize(
    ("fixture", "name"),
    [("cifar10_python", "cifar10"), ("cifar10_binary", "cifar10"), ("tree", "folder")],
)
def test_the_layouts_of_sets_are_recognised(fixture, name, request):
    assert recognise(request.getfixturevalue(fixture)) == name


def test_the_folder_of_the_files_themselves_is_recognised_too(cifar10_python):
    assert recognise(cifar10_python / "cifar-10-batches-py") == "cifar10"


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("airplane automobile bird cat deer dog frog horse ship truck", "cifar10"),
        ("truck airplane automobile bird cat deer dog frog horse ship", "cifar10"),
        ("cat dog", "folder"),
        ("", "folder"),
    ],
)
def test_shards_are_told_apart_by_the_names_of_their_classes(tmp_path, write_shard, names, expected):
    quoted = ", ".join(f'"{name}"' for name in names.split())
    write_shard(tmp_path / "data" / "train.parquet", [b"x"], [0], names=quoted)
    assert recognise(tmp_path) == expected


def test_class_folders_alone_and_the_files_of_svhn_are_recognised(tree, tmp_path):
    assert recognise(tree / "train") == "folder"
    (tmp_path / "test_32x32.mat").write_bytes(b"")
    assert recognise(tmp_path) == "svhn"


@pytest.mark.parametrize("made", [[], ["notes.txt"], ["a.jpg", "b.jpg"]])
def test_a_folder_without_a_set_is_refused(tmp_path, made):
    for name in made:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="holds no known data set"):
        recognise(tmp_path)


def test_what_is_no_folder_is_refused(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path / "nowhere", tmp_path / "file"):
        with pytest.raises(DataError, match="is not a folder"):
            recognise(place)


def test_an_identity_is_the_name_and_changes_with_the_pictures_but_not_with_the_place(tree, tmp_path):
    first = identity(tree)
    assert first.rpartition("-")[0] == "tree"
    shutil.copytree(tree, tmp_path / "b" / "tree")
    copy = tmp_path / "b" / "tree"
    (copy / "notes.txt").write_text("not a picture")
    (copy / "train" / "@eaDir").mkdir()
    (copy / "train" / "@eaDir" / "x.jpg").write_bytes(b"")
    assert identity(copy) == first
    (copy / "train" / "cat" / "new.jpg").write_bytes(b"")
    assert identity(copy) != first


@pytest.mark.parametrize(
    ("name", "title"), [("my photos", "my-photos"), ("a/../b c", "b-c"), ("caf\udce9", "caf"), (".x", "x")]
)
def test_an_identity_can_be_part_of_a_path_and_of_a_text(tmp_path, name, title):
    (tmp_path / "a").mkdir()
    (tmp_path / name).mkdir(exist_ok=True)
    found = identity(Path(tmp_path / name))
    assert found.rpartition("-")[0] == title
    found.encode()
