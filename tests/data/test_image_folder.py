"""Folders of pictures, as trees and as Parquet."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from support.images import encoded, pixels

from senet.data import DataSpec, Files, Tensors, load
from senet.errors import DataError

LARGE = DataSpec(name="folder", size=96)


def test_classes_and_order_are_those_of_torchvision(tree):
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    theirs = datasets.ImageFolder(tree / "train")
    data = load(LARGE, root=tree)
    assert isinstance(data.train, Files)
    assert list(data.classes) == theirs.classes
    assert [str(item) for item in data.train.items] == [path for path, _ in theirs.samples]
    assert data.train.labels.tolist() == theirs.targets


def test_mean_and_deviation_are_those_of_the_centres_the_network_sees(tree):
    data = load(LARGE, root=tree)
    ((x, _),) = data.train.batches([(torch.arange(16), 0)], augment=None, device="cpu")
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-4, rtol=0)


def test_pictures_of_one_small_size_stay_as_they_are_with_size_zero(tmp_path):
    for split in ("train", "test"):
        for label in "ab":
            folder = tmp_path / split / label
            folder.mkdir(parents=True)
            for i in range(3):
                content = pixels(1, ord(label) + 10 * i + len(split), side=20)[0][:, :, :12]
                (folder / f"{i}.PNG").write_bytes(encoded(content))
    data = load(DataSpec(name="folder"), root=tmp_path)
    assert data.shape == (3, 20, 12)
    assert torch.equal(data.train.images[4], torch.from_numpy(pixels(1, ord("b") + 15, side=20)[0][:, :, :12]))


def test_photographs_of_any_sizes_become_224_pixels_where_no_size_is_given_and_a_note_says_so(tree):
    data = load(DataSpec(name="folder"), root=tree)
    assert data.shape == (3, 224, 224)
    assert any("resized to 256 and cropped to 224 pixels" in note for note in data.notes)


def test_class_folders_alone_get_the_same_split_every_time_and_a_note(tree):
    root = tree / "train"
    data = load(LARGE, root=root)
    again = load(LARGE, root=root)
    assert (len(data.train), len(data.test)) == (13, 3)
    assert data.train.names == again.train.names
    assert not set(data.train.names) & set(data.test.names)
    assert torch.bincount(data.test.labels).min() >= 1
    assert any("has no split: a fixed choice of 3 of 16 images" in note for note in data.notes)
    assert not any("/" in note for note in data.notes)  # they go into reports: places of this machine do not


def test_test_is_taken_before_val_and_a_note_says_so(tree):
    shutil.copytree(tree / "val", tree / "test")
    data = load(LARGE, root=tree)
    assert data.test.names[0].startswith("test/")
    assert any("val is not used, test is the test set" in note for note in data.notes)


def test_a_test_folder_without_classes_leaves_val_the_test_set(tree):
    (tree / "test").mkdir()
    (tree / "test" / "0.jpg").write_bytes(b"")
    assert load(LARGE, root=tree).test.names[0].startswith("val/")


def test_skip_counts_what_was_planted_and_error_names_it(tree):
    (tree / "train" / "cat" / "a.jpg").write_bytes(b"<html>")
    (tree / "train" / "dog" / "b.png").write_bytes(b"")
    whole = (tree / "val" / "dog" / "0.jpg").read_bytes()
    (tree / "val" / "dog" / "c.jpeg").write_bytes(whole[: len(whole) // 2])
    for size in (24, 96):
        spec = DataSpec(name="folder", size=size)
        data = load(spec, root=tree, on_bad_image="skip")
        assert (len(data.train), len(data.test)) == (16, 8)
        assert data.notes[0] == "3 unreadable images skipped: train/cat/a.jpg, train/dog/b.png, val/dog/c.jpeg"
        with pytest.raises(
            DataError, match=r"^3 unreadable images: train/cat/a\.jpg \(a web page.*c\.jpeg.*skip"
        ) as error:
            load(spec, root=tree)
        assert "\n" not in str(error.value)


def test_many_unreadable_pictures_are_counted_and_three_are_named(tree):
    for i in range(7):
        (tree / "train" / "cat" / f"x{i}.jpg").write_bytes(b"")
    with pytest.raises(DataError, match=r"^7 unreadable images: .*x0.*x1.*x2\.jpg \(empty file\) and 4 more\."):
        load(LARGE, root=tree)


def test_names_may_have_spaces_newlines_and_other_alphabets(tree):
    for split in ("train", "val"):
        (tree / split / "cat").rename(tree / split / "Größe 猫\n x")
    assert load(LARGE, root=tree).classes == ("Größe 猫\n x", "dog")


def test_links_are_followed_and_a_ring_of_links_ends(tree):
    (tree / "train" / "cat" / "ring").symlink_to(tree / "train" / "cat")
    (tree / "train" / "bird").symlink_to(tree / "train" / "dog")
    (tree / "val" / "bird").symlink_to(tree / "val" / "dog")
    data = load(LARGE, root=tree)
    assert torch.bincount(data.train.labels).tolist() == [8, 8, 8]


def test_the_same_picture_in_both_splits_is_noted(tree):
    shutil.copy(tree / "train" / "dog" / "1.png", tree / "val" / "cat" / "1.png")
    assert any("val/cat/1.png = train/dog/1.png" in note for note in load(LARGE, root=tree).notes)


def test_the_fingerprint_knows_names_contents_and_labels_but_not_the_place(tree, tmp_path):
    shutil.copytree(tree, tmp_path / "copy")
    first = load(LARGE, root=tree).fingerprint
    assert load(LARGE, root=tmp_path / "copy").fingerprint == first
    (tmp_path / "copy" / "train" / "cat" / "0.jpg").rename(tmp_path / "copy" / "train" / "cat" / "00.jpg")
    assert load(LARGE, root=tmp_path / "copy").fingerprint != first


def test_subsets_of_files_are_balanced(tree):
    data = load(DataSpec(name="folder", size=96, train_size=6, test_size=2), root=tree)
    assert torch.bincount(data.train.labels).tolist() == [3, 3]
    assert torch.bincount(data.test.labels).tolist() == [1, 1]


def test_very_large_sets_have_their_headers_checked_only_unless_skipping(tree, monkeypatch):
    from senet.data import loading

    monkeypatch.setattr(loading, "FULL_CHECK", 3)
    monkeypatch.setattr(loading, "MEASURED", 4)
    broken = tree / "val" / "dog" / "0.jpg"
    broken.write_bytes(broken.read_bytes()[:-200])
    data = load(LARGE, root=tree)
    assert any("measured on 4 of 16 training images" in note for note in data.notes)
    with pytest.raises(DataError, match="val/dog/0"):
        list(data.test.batches([(torch.arange(8), 0)], augment=None, device="cpu"))
    assert len(load(LARGE, root=tree, on_bad_image="skip").test) == 7


def test_a_constant_channel_is_noted_and_not_divided_by_zero(tmp_path):
    for split in ("train", "test"):
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(3):
                image = np.zeros((8, 8, 3), np.uint8)
                image[..., 0] = 40 * i + ord(label) + len(split)
                Image.fromarray(image).save(tmp_path / split / label / f"{i}.png")
    data = load(DataSpec(name="folder"), root=tmp_path)
    ((x, _),) = data.train.batches([(torch.arange(6), 0)], augment=None, device="cpu")
    assert x.isfinite().all()
    assert any("channel 1, 2 is the same" in note for note in data.notes)


@pytest.mark.parametrize("size", [0, 96])
def test_parquet_shards_are_a_folder_too(tmp_path, write_shard, size):
    for i, split in enumerate(("train", "validation")):
        blobs = [encoded(image) for image in pixels(9, i)]
        write_shard(tmp_path / f"{split}-00000-of-00001.parquet", blobs, [0, 1, 2] * 3, column="image")
    data = load(DataSpec(name="folder", size=size), root=tmp_path)
    assert isinstance(data.train, Files if size else Tensors)
    assert data.classes == ("0", "1", "2")
    ((x, y),) = data.test.batches([(torch.arange(9), 0)], augment=None, device="cpu")
    assert x.shape == (9, 3, size or 32, size or 32)
    assert y.tolist() == [0, 1, 2] * 3
