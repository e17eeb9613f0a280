"""CIFAR in its three layouts; the real CIFAR-10 where it is there."""

import dataclasses

import numpy as np
import pytest
import torch
from support.images import encoded, pixels, write_python_batch

from senet.data import DataSpec, Tensors, load
from senet.data.cifar_files import CIFARS
from senet.data.normalize import kth_mean
from senet.errors import DataError, SpecError

CIFAR10 = DataSpec(name="cifar10")


@pytest.fixture(scope="module")
def real(cifar10):
    return load(CIFAR10, root=cifar10)


@pytest.mark.slow
def test_real_cifar10_has_its_published_counts_and_statistics(real):
    assert (len(real.train), len(real.test), real.shape) == (50_000, 10_000, (3, 32, 32))
    assert torch.bincount(real.train.labels).tolist() == [5_000] * 10
    assert torch.bincount(real.test.labels).tolist() == [1_000] * 10
    assert real.classes == CIFARS["cifar10"].classes
    # the numbers everyone uses: (125.3, 123.0, 113.9) and (63.0, 62.1, 66.7) of 255
    assert [round(255 * m, 1) for m in real.mean] == [125.3, 123.0, 113.9]
    assert [round(255 * s, 1) for s in real.std] == [63.0, 62.1, 66.7]


@pytest.mark.slow
def test_real_cifar10_normalised_has_mean_zero_and_deviation_one(real):
    ((x, _),) = real.train.batches([(torch.arange(50_000), 0)], augment=None, device="cpu")
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)


@pytest.mark.slow
def test_the_overflowed_mean_of_real_cifar10_is_that_of_the_kth_authors(real, kth_mean_file):
    assert torch.equal(kth_mean(real.train.images), torch.from_numpy(np.load(kth_mean_file)))


def test_all_layouts_give_the_same_images_and_labels(cifar10_python, cifar10_binary):
    (cifar10_python / "cifar-10-batches-bin").rename(cifar10_python / "elsewhere")
    python = load(CIFAR10, root=cifar10_python)
    binary = load(CIFAR10, root=cifar10_python / "elsewhere")
    assert python.fingerprint == binary.fingerprint
    assert python.train.labels.tolist() == [i % 10 for i in range(20)] * 5
    assert torch.equal(python.train.images[:20], torch.from_numpy(pixels(20, 0)))


def test_parquet_gives_the_images_in_the_order_of_the_shards(cifar10_parquet):
    data = load(CIFAR10, root=cifar10_parquet)
    assert torch.equal(data.train.images, torch.from_numpy(np.concatenate([pixels(20, 20), pixels(20, 21)])))
    assert torch.equal(data.test.images, torch.from_numpy(pixels(20, 10)))


def test_class_names_come_from_the_metadata_of_the_hub(cifar10_parquet, write_shard):
    names = ", ".join(f'"kind{i}"' for i in range(10))
    blobs = [encoded(image) for image in pixels(20, 0)]
    write_shard(cifar10_parquet / "data" / "train-00000-of-00002.parquet", blobs, [*range(10)] * 2, names=names)
    assert load(CIFAR10, root=cifar10_parquet).classes[3] == "kind3"


def test_cifar100_reads_fine_labels_in_the_python_and_the_binary_layout(tmp_path):
    labels = [99, 0, 57]
    for i, split in enumerate(("train", "test")):
        write_python_batch(tmp_path / "a" / "cifar-100-python" / split, pixels(3, i), labels, key="fine_labels")
        rows = [
            bytes([coarse, fine]) + image.tobytes()
            for coarse, fine, image in zip((1, 2, 3), labels, pixels(3, i), strict=True)
        ]
        (tmp_path / "b").mkdir(exist_ok=True)
        (tmp_path / "b" / f"{split}.bin").write_bytes(b"".join(rows))
    spec = DataSpec(name="cifar100")
    python, binary = load(spec, root=tmp_path / "a"), load(spec, root=tmp_path / "b")
    assert python.train.labels.tolist() == labels
    assert python.fingerprint == binary.fingerprint
    assert any("no image of 97 of 100 classes" in note for note in python.notes)


def test_the_standard_names_are_a_hundred_in_alphabetical_order():
    names = CIFARS["cifar100"].classes
    assert len(set(names)) == 100
    assert list(names) == sorted(names)


@pytest.mark.parity
def test_our_digests_and_addresses_are_torchvisions():
    datasets = pytest.importorskip("torchvision.datasets", reason="torchvision is not installed")
    for cifar, theirs in ((CIFARS["cifar10"], datasets.CIFAR10), (CIFARS["cifar100"], datasets.CIFAR100)):
        assert dict(cifar.md5) == dict(theirs.train_list + theirs.test_list)
        assert (cifar.url, cifar.archive_md5) == (theirs.url, theirs.tgz_md5)


def test_files_that_are_not_the_published_ones_are_named_in_a_note(cifar10_python):
    (note,) = load(CIFAR10, root=cifar10_python).notes
    assert "not the published files (MD5)" in note
    assert "/" not in note  # it goes into reports: places of this machine do not
    assert "data_batch_5" in note


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_batches_of_every_pickle_protocol_can_be_read(cifar10_python, protocol):
    path = cifar10_python / "cifar-10-batches-py" / "data_batch_1"
    write_python_batch(path, pixels(20, 7), list(range(10)) * 2, key="labels", protocol=protocol)
    assert torch.equal(load(CIFAR10, root=cifar10_python).train.images[:20], torch.from_numpy(pixels(20, 7)))


def test_the_set_is_found_in_its_folder_its_parent_and_the_environments_folder(cifar10_binary, monkeypatch):
    folder = cifar10_binary / "cifar-10-batches-bin"
    fingerprints = {load(CIFAR10, root=place).fingerprint for place in (folder, cifar10_binary)}
    monkeypatch.setenv("SENET_DATA", str(cifar10_binary))
    assert {load(CIFAR10).fingerprint} == fingerprints


def test_kth_images_are_the_wrapped_difference_over_255_and_ignore_subsets(cifar10_python):
    spec = DataSpec(name="cifar10", normalize="kth", train_size=30)
    data, raw = load(spec, root=cifar10_python), load(CIFAR10, root=cifar10_python)
    mean = raw.train.images.long().sum(0) % 256 // 80
    ((x, _),) = data.test.batches([(torch.arange(20), 0)], augment=None, device="cpu")
    assert torch.equal(x, ((raw.test.images.long() - mean) % 256).float() / 255)
    assert mean.any()


def test_the_fingerprint_depends_on_pixels_labels_and_subsets_but_not_on_the_normalisation(cifar10_python):
    spec, path = CIFAR10, cifar10_python / "cifar-10-batches-py" / "data_batch_1"
    base = load(spec, root=cifar10_python).fingerprint
    assert load(dataclasses.replace(spec, normalize="kth"), root=cifar10_python).fingerprint == base
    others = {
        load(dataclasses.replace(spec, train_size=50, subset_seed=s), root=cifar10_python).fingerprint for s in (0, 1)
    }
    write_python_batch(path, pixels(20, 0), [1, *(i % 10 for i in range(1, 20))], key="labels")
    others.add(load(spec, root=cifar10_python).fingerprint)
    image = pixels(20, 0)
    image[0, 0, 0, 0] ^= 1
    write_python_batch(path, image, [i % 10 for i in range(20)], key="labels")
    others.add(load(spec, root=cifar10_python).fingerprint)
    assert len(others | {base}) == 5


def test_a_test_image_that_is_a_training_image_is_noted(cifar10_python):
    folder = cifar10_python / "cifar-10-batches-py"
    images = pixels(20, 99)
    images[4] = pixels(20, 1)[3]
    write_python_batch(folder / "test_batch", images, [i % 10 for i in range(20)], key="labels")
    assert any(
        "1 test images are training images too" in n and "4 = 23" in n for n in load(CIFAR10, root=cifar10_python).notes
    )


def test_skipping_leaves_out_unreadable_pictures_and_counts_them(cifar10_parquet, write_shard):
    blobs = [encoded(image) for image in pixels(20, 0)]
    blobs[2], blobs[5], blobs[9] = blobs[2][:50], b"<html>404</html>", encoded(pixels(1, 0, side=16)[0])
    write_shard(cifar10_parquet / "data" / "train-00001-of-00002.parquet", blobs, [*range(10)] * 2)
    data = load(CIFAR10, root=cifar10_parquet, on_bad_image="skip")
    assert len(data.train) == 37
    assert data.train.labels[20:].tolist() == [0, 1, 3, 4, 6, 7, 8, *range(10)]
    assert any(note.startswith("3 unreadable images skipped: train-00001-of-00002.parquet[2]") for note in data.notes)
    with pytest.raises(DataError, match=r"3 unreadable images: .*\[2\].*\[5\] \(a web page, not an image\).*16x16"):
        load(CIFAR10, root=cifar10_parquet)


def test_a_size_below_32_is_refused_and_a_larger_one_stretches(cifar10_binary):
    with pytest.raises(SpecError, match=r"data\.size = 16 is less than the 32x32 of cifar10"):
        load(dataclasses.replace(CIFAR10, size=16), root=cifar10_binary)
    data = load(dataclasses.replace(CIFAR10, size=64), root=cifar10_binary)
    assert data.shape == (3, 64, 64)
    assert isinstance(data.train, Tensors)


def test_a_failed_download_says_what_from_where_and_what_to_do(tmp_path, monkeypatch):
    tools = pytest.importorskip("torchvision.datasets.utils", reason="torchvision is not installed")

    def refuse(*_args: object, **_keywords: object) -> None:
        raise OSError("<urlopen error no network>\nmore")

    monkeypatch.setattr(tools, "download_and_extract_archive", refuse)
    with pytest.raises(DataError, match=r"CIFAR-10 could not be downloaded from https.* into .*no network") as error:
        load(CIFAR10, root=tmp_path, download=True)
    assert "\n" not in str(error.value)
