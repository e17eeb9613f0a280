"""Images that a caller has in memory: arrays, tensors and loaders give one data set, which every process reads."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import senet
from senet.data.arrays import from_memory
from senet.data.loading import load
from senet.errors import DataError, SpecError
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.setup import Setup

GENERATOR = np.random.default_rng(0)
IMAGES = GENERATOR.integers(0, 256, (24, 3, 8, 8), dtype=np.uint8)
LABELS = np.arange(24) % 3


def test_training_images_may_be_the_test_images_and_floats_of_half_the_size(tmp_path: Path) -> None:
    for images in (IMAGES, torch.from_numpy(IMAGES / 256).bfloat16()):
        spec = DataSpec(**from_memory(((images, LABELS), (images, LABELS)), tmp_path))  # type: ignore[arg-type]
        data = load(spec, root=tmp_path)
        assert len(data.train) == len(data.test) == 24
        assert data.train.images.data_ptr() != data.test.images.data_ptr()  # type: ignore[attr-defined]


def pair(images: object, labels: object = LABELS) -> tuple[tuple[object, object], tuple[object, object]]:
    return (images[:16], labels[:16]), (images[16:], labels[16:])  # type: ignore[index]


def loaders(images: torch.Tensor) -> tuple[DataLoader[object], DataLoader[object]]:
    labels = torch.from_numpy(LABELS)
    parts = (slice(0, 16), slice(16, 24))
    train, test = (DataLoader(TensorDataset(images[at], labels[at]), batch_size=5) for at in parts)
    return train, test


class Named(NamedTuple):
    y: torch.Tensor
    image: torch.Tensor


@dataclass
class Held:
    label: torch.Tensor
    imgs: torch.Tensor


def named(images: torch.Tensor, batch: Callable[[torch.Tensor, torch.Tensor], object]) -> tuple[list[object], ...]:
    """Return loaders as lists whose batches name their parts, as data sets of Hugging Face do."""
    return tuple([batch(x, y) for x, y in loader] for loader in loaders(images))  # type: ignore[misc]


def test_arrays_tensors_and_loaders_of_equal_images_are_one_data_set(tmp_path: Path) -> None:
    tensors = torch.from_numpy(IMAGES)
    ways = [
        pair(IMAGES),
        pair(tensors, torch.from_numpy(LABELS)),
        pair(IMAGES.transpose(0, 2, 3, 1)),
        pair(IMAGES.astype(np.int64), LABELS.astype(np.uint8)),
        loaders(tensors),
        named(tensors, lambda x, y: {"input": x, "targets": y}),
        named(tensors, lambda x, y: {"pixel_values": x, "fine_label": y}),
        named(tensors, lambda x, y: Named(y=y, image=x)),
        named(tensors, lambda x, y: Held(label=y, imgs=x)),
    ]
    specs = [from_memory(way, tmp_path) for way in ways]
    assert specs == [specs[0]] * len(ways)
    assert [path.stem for path in tmp_path.iterdir()] == [specs[0]["folder"]]
    data = load(DataSpec(**specs[0]), root=tmp_path)
    assert (data.shape, data.classes, len(data.train), len(data.test)) == ((3, 8, 8), ("0", "1", "2"), 16, 8)
    assert specs[0]["folder"] == f"arrays-{data.fingerprint}"
    expected = IMAGES[:16].astype(np.float64) / 255
    assert data.mean == pytest.approx(expected.mean((0, 2, 3)))
    x, y = next(iter(data.test.batches([(torch.arange(8), 0)], augment=None, device="cpu")))
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (data.mean, data.std))
    np.testing.assert_allclose(x.numpy(), (IMAGES[16:] / 255 - mean) / std, atol=1e-5)
    assert y.tolist() == LABELS[16:].tolist()


def test_floats_are_used_as_they_are(tmp_path: Path) -> None:
    images = torch.randn(24, 8, 8)
    spec = from_memory(pair(images), tmp_path)
    assert spec["normalize"] == "none"
    data = load(DataSpec(**spec), root=tmp_path)
    assert data.shape == (1, 8, 8)
    x, _ = next(iter(data.train.batches([(torch.arange(16), 0)], augment=Augment(), device="cpu")))
    assert torch.equal(x[:, 0], images[:16])
    resized = data.train.batches([(torch.arange(16), 0)], augment=Augment(resized_crop=0.5), device="cpu")
    with pytest.raises(SpecError, match="the images are floats"):
        next(iter(resized))
    with pytest.raises(SpecError, match="images of floats are not resized"):
        load(DataSpec(**spec, size=16), root=tmp_path)
    with pytest.raises(SpecError, match="floats take 'none'"):
        load(DataSpec(name="arrays", folder=spec["folder"]), root=tmp_path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ((1, 2, 3), "is not a pair"),
        ((3, 4), "train = 3 is neither a pair"),
        (pair(IMAGES, LABELS[:, None]), "labels \\(16, 1\\); give one label"),
        (((IMAGES, LABELS[:3]), (IMAGES, LABELS)), "labels \\(3,\\); give one label"),
        (((IMAGES, LABELS), (IMAGES[:, :1], LABELS)), "images of train have shape"),
        (((IMAGES, LABELS), (IMAGES / 255, LABELS)), "images of train have dtype"),
        (pair(IMAGES[0]), "have shape|has images"),
        (pair(np.full((24, 3, 8, 8), np.nan)), "finite float32"),
        (pair(IMAGES.astype(np.int64) * 3), "give bytes from 0 to 255"),
        (pair(IMAGES, LABELS / 2), "not whole numbers"),
        (pair(IMAGES, LABELS - 1), "-1"),
        ((DataLoader(TensorDataset(torch.zeros(0, 1, 8, 8), torch.zeros(0)))), "pair"),
        (([], []), "train"),
        (pair(IMAGES[:, :, :0]), "which contains no image"),
        (pair(np.full((24, 3, 8, 8), 1e300)), "from 1e\\+300 to 1e\\+300; give bytes from 0 to 255, or finite float32"),
        (pair(IMAGES.astype(np.int64) + 3), "int64 from [0-9]+ to 258"),
        ((([[1], [1, 2]], [0, 1]), (IMAGES, LABELS)), "several shapes"),
        (
            ([(IMAGES, LABELS), (IMAGES[:, :, :4], LABELS)], (IMAGES, LABELS)),
            "yields images and labels of several shapes",
        ),
        (([(IMAGES[0], 1)], (IMAGES, LABELS)), "yields single images"),
        (
            (repeat((np.broadcast_to(IMAGES[:1], (2**22, 3, 8, 8)), np.zeros(2**22))), (IMAGES, LABELS)),
            "and has not ended",
        ),
    ],
)
def test_what_is_no_data_set_is_refused_in_one_line(data: object, said: str, tmp_path: Path) -> None:
    with pytest.raises((SpecError, DataError), match=said) as error:
        from_memory(data, tmp_path)
    assert "\n" not in str(error.value)


def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path: Path) -> None:
    spec = DataSpec(**from_memory(pair(IMAGES), tmp_path))
    path = tmp_path / f"{spec.folder}.safetensors"
    for content in (b"", b"PK", path.read_bytes()[:-40]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is not a file of senet"):
            load(spec, root=tmp_path)
    path.unlink()
    with pytest.raises(DataError, match="does not exist"):
        load(spec, root=tmp_path)
    with pytest.raises(SpecError, match="is for arrays of floats, not for digits"):
        load(DataSpec(name="digits", normalize="none"))


def test_images_in_memory_are_compared_in_a_folder_of_runs(tmp_path: Path) -> None:
    words = {"seeds": 1, "recipe": {"epochs": 1}, "runs": tmp_path, "cost": False, "setup": Setup(threads=1)}
    found = senet.compare("resnet8", loaders(torch.from_numpy(IMAGES)), ["standard"], **words)
    assert [line.n for line in found.lines] == [1, 1]
    assert found.study.title == "resnet8 on arrays: designs against plain"
    assert senet.compare("resnet8", pair(IMAGES), ["standard"], **words).as_dict() == found.as_dict()
    assert len([*tmp_path.glob("*/result.json")]) == 2
