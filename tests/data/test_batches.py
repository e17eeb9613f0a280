"""Batches depend on their indices, seed and augmentation: not on order, workers, earlier batches or global state."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from senet.data import Augment, DataSpec, Files, Tensors, load
from senet.data.normalize import Normalize
from senet.data.resize_crop import Frame
from senet.errors import DataError

EVERYTHING = Augment(flip=True, crop=2, padding="reflect", shift=(0.1, 0.1), cutout=3, resized_crop=0.3)


def tensors(n: int = 40, side: int = 8, size: int = 0) -> Tensors:
    images = torch.randint(256, (n, 3, side, side), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    frame = Frame(size, size, round(size / 0.875)) if size else None
    return Tensors(images, torch.arange(n) % 10, frame, Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4)))


def plan(steps: int = 4, batch: int = 6, n: int = 16) -> list[tuple[torch.Tensor, int]]:
    random = torch.Generator().manual_seed(1)
    return [(torch.randperm(n, generator=random)[:batch], 1000 + step) for step in range(steps)]


@pytest.fixture
def files(tree: Path) -> Files:
    split = load(DataSpec(name="folder", size=80), root=tree).train
    assert isinstance(split, Files)
    return split


def drawn(split: Tensors | Files, steps: list[tuple[torch.Tensor, int]], workers: int = 0) -> list[torch.Tensor]:
    return [x for x, _ in split.batches(steps, augment=EVERYTHING, device="cpu", workers=workers)]


@given(start=st.integers(0, 3))
def test_a_sliced_plan_gives_the_batches_of_the_whole_plan(start):
    split, steps = tensors(), plan()
    for whole, part in zip(drawn(split, steps)[start:], drawn(split, steps[start:]), strict=True):
        assert torch.equal(whole, part)


def test_the_order_of_the_plan_changes_no_batch():
    split, steps = tensors(), plan()
    for x, y in zip(drawn(split, steps), reversed(drawn(split, steps[::-1])), strict=True):
        assert torch.equal(x, y)


def test_other_seeds_give_other_batches():
    (indices, seed), *_ = plan()
    a, b = drawn(tensors(), [(indices, seed), (indices, seed + 1)])
    assert not torch.equal(a, b)


def test_batches_leave_the_global_random_state_alone(files):
    before = torch.get_rng_state()
    drawn(tensors(), plan())
    drawn(files, plan())
    drawn(files, plan(), workers=2)
    assert torch.equal(before, torch.get_rng_state())


def test_files_give_equal_bits_with_no_workers_and_with_two(files):
    for x, y in zip(drawn(files, plan()), drawn(files, plan(), workers=2), strict=True):
        assert torch.equal(x, y)


def test_a_picture_is_cropped_alike_wherever_it_stands_in_the_batch(files):
    crop = Augment(resized_crop=0.2)
    (a, _), (b, _) = files.batches(
        [(torch.tensor([3, 5]), 7), (torch.tensor([5, 1, 3]), 7)], augment=crop, device="cpu"
    )
    assert torch.equal(a[0], b[2])
    assert torch.equal(a[1], b[0])


def test_pictures_of_one_batch_get_boxes_of_their_own(files):
    twins = replace(files[torch.tensor([0, 1])], items=files.items[:1] * 2)
    ((x, _),) = twins.batches([(torch.tensor([0, 1]), 7)], augment=Augment(resized_crop=0.2), device="cpu")
    assert not torch.equal(x[0], x[1])


def test_without_augmentation_a_batch_is_the_normalised_images():
    split = tensors()
    indices = torch.tensor([5, 0, 39])
    ((x, y),) = split.batches([(indices, 0)], augment=None, device="cpu")
    mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), torch.tensor([0.2, 0.3, 0.4]).view(3, 1, 1)
    torch.testing.assert_close(x, (split.images[indices] / 255 - mean) / std)
    assert x.dtype == torch.float32
    assert torch.equal(y, torch.tensor([5, 0, 9]))


def test_the_last_batch_may_be_short_and_a_plan_may_be_empty():
    split = tensors()
    shapes = [x.shape for x, _ in split.batches([(torch.tensor([1]), 0)], augment=EVERYTHING, device="cpu")]
    assert shapes == [(1, 3, 8, 8)]
    assert not list(split.batches([], augment=EVERYTHING, device="cpu"))


def test_cutout_zeros_are_zeros_after_normalisation():
    ((x, _),) = tensors().batches([(torch.arange(20), 5)], augment=Augment(cutout=4), device="cpu")
    zeros = (x == 0).all(1).flatten(1).sum(1)
    assert ((zeros >= 4) & (zeros <= 16)).all()


def test_crop_pads_with_black_before_normalisation():
    ((x, _),) = tensors().batches([(torch.arange(40), 5)], augment=Augment(crop=4), device="cpu")
    black = torch.tensor([-0.4 / 0.2, -0.5 / 0.3, -0.6 / 0.4])
    torch.testing.assert_close(x.amin((0, 2, 3)), black)


def test_images_in_memory_become_larger_in_every_batch():
    split = tensors(size=20)
    assert split.shape == (3, 20, 20)
    for augment in (None, EVERYTHING, Augment(resized_crop=0.5)):
        ((x, _),) = split.batches([(torch.arange(3), 0)], augment=augment, device="cpu")
        assert x.shape == (3, 3, 20, 20)


def test_moving_keeps_the_labels_on_the_cpu_and_files_are_not_moved(files):
    assert tensors().to("cpu").labels.device.type == "cpu"
    assert files.to("cpu") is files


@pytest.mark.parametrize("workers", [0, 2])
def test_a_picture_broken_after_loading_stops_the_batch_with_its_name(files, workers):
    item = files.items[3]
    assert isinstance(item, Path)
    item.write_bytes(item.read_bytes()[:100])
    with pytest.raises(DataError, match=r"^unreadable image: train/cat/3\.png .*\.$") as error:
        list(files.batches([(torch.arange(8), 0)], augment=EVERYTHING, device="cpu", workers=workers))
    assert "\n" not in str(error.value)


@pytest.mark.gpu
def test_a_batch_has_the_same_bits_on_a_gpu():
    augment = Augment(flip=True, crop=2, cutout=3)
    split = tensors()
    for (x, y), (u, v) in zip(
        split.batches(plan(), augment=augment, device="cpu"),
        split.to("cuda").batches(plan(), augment=augment, device="cuda"),
        strict=True,
    ):
        assert torch.equal(x, u.cpu())
        assert torch.equal(y, v.cpu())


@pytest.mark.parametrize(
    ("spec", "augment", "expected"),
    [
        (DataSpec(), Augment(flip=True, crop=2, padding="reflect", cutout=3), "4fb24ad275b4d683"),
        (DataSpec(normalize="unit", train_size=300), Augment(shift=(0.1, 0.2), flip=True), "634bf7783e03b3ed"),
    ],
)
def test_batches_of_images_that_are_not_resized_keep_the_bits_they_always_had(spec, augment, expected):
    digest = hashlib.sha256()
    plan = [(torch.arange(64), 5), (torch.arange(20, 90), 2**40 + 1)]
    for x, y in load(spec).train.batches(plan, augment=augment, device="cpu"):
        digest.update(x.numpy().tobytes() + y.numpy().tobytes())
    assert digest.hexdigest()[:16] == expected
