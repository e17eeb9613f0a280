"""One image path: the pixels of torchvision, and the same ones from disk and from memory."""

import io
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from senet.data import Augment, DataSpec, Files, Tensors, load, loading
from senet.data.resample import resample, weights
from senet.data.resize_crop import Frame, frame_of

SIDES = st.integers(1, 70)


def image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_batch(picture: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())[None]


def as_array(x: torch.Tensor) -> np.ndarray:
    return x[0].permute(1, 2, 0).numpy()


def saved(picture: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, form)
    return file.getvalue()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (256, 256), (40, 61), (1000, 120)])
@pytest.mark.parametrize(("size", "crop"), [(224, 0.875), (64, 0.875), (65, 0.875), (240, 0.95), (96, 1.0)])
def test_a_test_picture_is_torchvisions_resize_and_centre_crop_to_the_last_bit(
    height, width, size, crop, interpolation
):
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision is not installed")
    mode = transforms.InterpolationMode(interpolation)
    frame = frame_of(DataSpec(name="folder", size=size, crop=crop, interpolation=interpolation), {(1, 2)}, kept=0)
    steps = transforms.Compose([transforms.Resize(frame.short, mode), transforms.CenterCrop(size)])
    picture = Image.fromarray(image(height, width))
    assert frame.short == round(size / crop)
    assert frame.centre(picture).tobytes() == steps(picture).tobytes()


@given(side=SIDES, size=st.integers(1, 90), crop=st.floats(0.3, 1), cubic=st.booleans())
def test_square_images_in_memory_get_the_bits_of_pictures(side, size, crop, cubic):
    frame = Frame(size, size, max(size, round(size / crop)), "bicubic" if cubic else "bilinear")
    pixels = image(side, side, seed=side)
    expected = np.asarray(frame.centre(Image.fromarray(pixels)))
    assert np.array_equal(as_array(frame.centres(as_batch(pixels))), expected)


@given(data=st.data(), height=SIDES, width=SIDES, size=st.integers(1, 90), cubic=st.booleans())
def test_boxes_of_images_in_memory_get_the_bits_of_boxes_of_pictures(data, height, width, size, cubic):
    frame = Frame(size, size, 0, "bicubic" if cubic else "bilinear")
    pixels = image(height, width)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    box = (top, left, data.draw(st.integers(1, height - top)), data.draw(st.integers(1, width - left)))
    expected = np.asarray(frame.part(Image.fromarray(pixels), box))
    assert np.array_equal(as_array(frame.parts(as_batch(pixels), torch.tensor([box]).float())), expected)


def test_a_large_batch_is_resized_as_its_images_are():
    x = torch.randint(256, (150, 3, 11, 11), dtype=torch.uint8)
    boxes = torch.stack([torch.tensor([i % 4, i % 5, 5, 6]) for i in range(150)]).float()
    frame = Frame(13, 13, 15)
    assert torch.equal(frame.centres(x), torch.cat([frame.centres(one) for one in x.split(1)]))
    assert torch.equal(
        frame.parts(x, boxes), torch.cat([frame.parts(a, b) for a, b in zip(x.split(1), boxes.split(1), strict=True)])
    )


def test_weights_of_a_line_that_keeps_its_size_are_those_of_a_copy():
    zero = torch.zeros(1)
    own = weights(zero, zero + 7, pixels=7, size=7, kept=range(7), interpolation="bicubic")
    assert torch.equal(own[0], torch.eye(7, dtype=torch.float64) * 2**22)
    x = torch.randint(256, (2, 3, 7, 7), dtype=torch.uint8)
    assert torch.equal(resample(x, own, own), x)


def small_pictures(root: Path) -> Path:
    for split in ("train", "val"):
        for number, name in enumerate(("cat", "dog")):
            (root / split / name).mkdir(parents=True)
            for i in range(6):
                seed = 100 * number + 10 * i + len(split)
                (root / split / name / f"{i}.png").write_bytes(saved(image(20, 20, seed)))
    return root


@pytest.mark.parametrize(
    "augment", [None, Augment(resized_crop=0.3, flip=True, crop=2, cutout=3), Augment(flip=True, shift=(0.1, 0.1))]
)
def test_a_folder_has_the_same_batches_whether_it_fits_into_memory_or_not(tmp_path, monkeypatch, augment):
    root = small_pictures(tmp_path)
    kept = load(DataSpec(name="folder"), root=root)
    monkeypatch.setattr(loading, "SMALL_SET", 0)
    on_disk = load(DataSpec(name="folder"), root=root)
    assert isinstance(kept.train, Tensors)
    assert isinstance(on_disk.train, Files)
    assert (kept.fingerprint, kept.mean, kept.std) == (on_disk.fingerprint, on_disk.mean, on_disk.std)
    plan = [(torch.tensor([3, 0, 7]), 11), (torch.tensor([5]), 12)]
    for (x, _), (y, _) in zip(
        kept.train.batches(plan, augment=augment, device="cpu"),
        on_disk.train.batches(plan, augment=augment, device="cpu"),
        strict=True,
    ):
        assert torch.equal(x, y)


def test_the_pixels_of_a_picture_do_not_depend_on_how_many_others_there_are(tmp_path):
    few = load(DataSpec(name="folder", size=64, mean=(0.5,) * 3, std=(0.5,) * 3), root=small_pictures(tmp_path / "a"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    for i in range(9):
        (tmp_path / "b" / "train" / "dog" / f"x{i}.png").write_bytes(saved(image(200, 150, i)))
    many = load(few.spec, root=tmp_path / "b")
    ((x, _),) = few.test.batches([(torch.arange(12), 0)], augment=None, device="cpu")
    ((y, _),) = many.test.batches([(torch.arange(12), 0)], augment=None, device="cpu")
    assert torch.equal(x, y)


def test_images_of_a_set_in_memory_are_torchvisions_pictures_at_224(cifar10_python):
    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision is not installed")
    data = load(DataSpec(name="cifar10", size=224, normalize="unit"), root=cifar10_python)
    raw = load(DataSpec(name="cifar10"), root=cifar10_python)
    ((x, _),) = data.test.batches([(torch.arange(5), 0)], augment=None, device="cpu")
    steps = transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()])
    for ours, pixels in zip(x, raw.test.images[:5], strict=True):
        assert torch.equal(ours, steps(Image.fromarray(pixels.permute(1, 2, 0).numpy())))


def test_a_stated_normalisation_is_used_and_nothing_is_measured(tmp_path):
    data = load(DataSpec(name="folder", mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7)), root=small_pictures(tmp_path))
    plain = load(DataSpec(name="folder", normalize="unit"), root=tmp_path)
    plan = [(torch.arange(4), 0)]
    ((x, _),) = data.test.batches(plan, augment=None, device="cpu")
    ((y, _),) = plain.test.batches(plan, augment=None, device="cpu")
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (data.spec.mean, data.spec.std))
    assert torch.equal(x, (y - mean) / std)
    assert (data.mean, data.std) == ((0.1, 0.2, 0.3), (0.5, 0.6, 0.7))


def test_runs_whose_images_are_resized_have_new_ids_and_the_others_keep_theirs():
    from senet.experiments.recipe import Recipe
    from senet.experiments.run import Run

    cropped = Run(recipe=replace(Recipe(), augment=Augment(resized_crop=0.25)))
    before = {  # ids of the version that resized in another way
        Run(): "bcf924f477e9",
        Run(data=DataSpec(name="cifar10", train_size=200)): "482cb6f984b4",
        Run(data=DataSpec(name="folder", size=224)): "a2d4d2a6880e",
        Run(data=DataSpec(name="cifar100", size=224)): "c3dac97b1ef8",
        cropped: "9f9f9841357f",
    }
    assert [run.id == old for run, old in before.items()] == [True, True, False, False, False]
