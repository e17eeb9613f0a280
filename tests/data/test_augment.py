"""Laws of the batched augmentations, each against the plainest code there is."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from senet.data import augment as A
from senet.experiments.data_spec import Augment

SIDES = st.integers(1, 9)


def images(n: int, h: int, w: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, (n, 3, h, w), generator=A.generator(seed), dtype=torch.uint8)


@given(h=SIDES, w=SIDES, chosen=st.lists(st.booleans(), min_size=1, max_size=5))
def test_flip_mirrors_the_chosen_images_and_no_others(h, w, chosen):
    x = images(len(chosen), h, w)
    y = A.flip(x, torch.tensor(chosen))
    for i, mirrored in enumerate(chosen):
        assert torch.equal(y[i], x[i, :, :, range(w - 1, -1, -1)] if mirrored else x[i])


@pytest.mark.parametrize(("padding", "mode"), [("zero", "constant"), ("reflect", "reflect")])
@pytest.mark.parametrize("pad", [1, 2, 4])
def test_crop_is_a_slice_of_the_padded_image_at_every_offset(padding, mode, pad):
    offsets = torch.cartesian_prod(torch.arange(2 * pad + 1), torch.arange(2 * pad + 1))
    x = images(len(offsets), 6, 7)
    padded = torch.nn.functional.pad(x.float(), (pad,) * 4, mode=mode).byte()
    y = A.crop(x, offsets, pad=pad, padding=padding)
    for i, (top, left) in enumerate(offsets.tolist()):
        assert torch.equal(y[i], padded[i, :, top : top + 6, left : left + 7])


@given(h=SIDES, w=SIDES, pad=st.integers(1, 20), data=st.data())
def test_reflection_goes_on_where_the_padding_is_wider_than_the_image(h, w, pad, data):
    top, left = data.draw(st.integers(0, 2 * pad)), data.draw(st.integers(0, 2 * pad))
    x = images(2, h, w)
    padded = torch.from_numpy(np.pad(x.numpy(), ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="reflect"))
    y = A.crop(x, torch.tensor([[top, left]] * 2), pad=pad, padding="reflect")
    assert torch.equal(y, padded[:, :, top : top + h, left : left + w])


@given(pad=st.integers(7, 20))
def test_zero_padding_wider_than_the_image_reads_zeros(pad):
    x = images(2, 6, 6) | 1
    y = A.crop(x, torch.tensor([[0, 0], [pad, pad]]), pad=pad)
    assert not y[0].any()
    assert torch.equal(y[1], x[1])


@given(
    h=SIDES,
    w=SIDES,
    down=st.floats(-12, 12, allow_subnormal=False, width=32),
    right=st.floats(-12, 12, allow_subnormal=False, width=32),
)
def test_shift_is_bilinear_with_the_nearest_pixel_outside(h, w, down, right):
    x = images(1, h, w)
    y = A.shift(x, torch.tensor([[down, right]]))
    for i in range(h):
        for j in range(w):
            row, col = min(max(i + down, 0), h - 1), min(max(j + right, 0), w - 1)
            top, left = math.floor(row), math.floor(col)
            bottom, beside = min(top + 1, h - 1), min(left + 1, w - 1)
            a, b = row - top, col - left
            expected = (
                (1 - a) * (1 - b) * x[0, :, top, left].double()
                + (1 - a) * b * x[0, :, top, beside].double()
                + a * (1 - b) * x[0, :, bottom, left].double()
                + a * b * x[0, :, bottom, beside].double()
            )
            torch.testing.assert_close(y[0, :, i, j].double(), expected, atol=1e-3, rtol=0)


def test_shift_equals_scipy_with_order_one_and_nearest_fill():
    from scipy import ndimage

    x = images(4, 32, 32)
    steps = torch.tensor([[3.2, -0.3], [-3.2, 0.3], [0.5, 0.25], [0.0, 0.0]])
    y = A.shift(x, steps)
    for i, (down, right) in enumerate(steps.tolist()):
        for channel in range(3):
            expected = ndimage.shift(x[i, channel].double().numpy(), (-down, -right), order=1, mode="nearest")
            torch.testing.assert_close(y[i, channel].double(), torch.from_numpy(expected), atol=1e-3, rtol=0)


@given(h=st.integers(1, 12), w=st.integers(1, 12), side=st.integers(1, 16), data=st.data())
def test_cutout_zeroes_the_square_inside_the_image_and_nothing_else(h, w, side, data):
    row, col = data.draw(st.integers(0, h - 1)), data.draw(st.integers(0, w - 1))
    x = torch.ones(1, 3, h, w)
    y = A.cutout(x, torch.tensor([[row, col]]), side=side)
    top, left = row - side // 2, col - side // 2
    expected = x.clone()
    expected[:, :, max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
    assert torch.equal(y, expected)


def test_cutout_away_from_the_edge_removes_its_whole_area():
    y = A.cutout(torch.ones(1, 1, 32, 32), torch.tensor([[16, 16]]), side=16)
    assert (y == 0).sum() == 16 * 16


@given(h=st.integers(1, 60), w=st.integers(1, 60), smallest=st.floats(0.01, 1), seed=st.integers(0, 2**63))
def test_boxes_lie_inside_the_image(h, w, smallest, seed):
    top, left, height, width = A.draw_box(h, w, smallest=smallest, random=A.generator(seed))
    assert min(top, left) >= 0
    assert min(height, width) >= 1
    assert (top + height <= h, left + width <= w) == (True, True)


def boxes(n: int, h: int, w: int, smallest: float) -> np.ndarray:
    return np.array([A.draw_box(h, w, smallest=smallest, random=A.generator(5, i)) for i in range(n)])


def test_boxes_keep_the_areas_and_aspects_asked_for():
    _, _, height, width = boxes(4000, 500, 500, 0.08).T
    share = height * width / 500**2
    assert 0.079 < share.min() < 0.09
    assert share.max() > 0.98
    assert ((width / height > 0.74) & (width / height < 1.35)).all()
    assert abs(np.log(width / height).mean()) < 0.02


@pytest.mark.parametrize(("h", "w", "smallest"), [(300, 200, 0.08), (40, 400, 0.9), (64, 64, 0.25)])
def test_boxes_are_distributed_as_torchvision_draws_them(h, w, smallest):
    from scipy import stats

    transforms = pytest.importorskip("torchvision.transforms", reason="torchvision is not installed")
    picture = torch.empty(1, h, w)
    draw = transforms.RandomResizedCrop.get_params
    theirs = np.array([draw(picture, (smallest, 1.0), (3 / 4, 4 / 3)) for _ in range(2000)])
    ours = boxes(2000, h, w, smallest)
    for column in range(4):
        assert stats.ks_2samp(ours[:, column], theirs[:, column]).pvalue > 1e-3


def test_the_order_is_shift_then_crop_then_flip():
    x, augment = images(16, 8, 8), Augment(shift=(0.2, 0.1), crop=2, flip=True)
    y = A.move(x, augment, A.generator(3))
    random = A.generator(3)
    z = A.shift(x, (2 * torch.rand(16, 2, generator=random) - 1) * torch.tensor([1.6, 0.8]))
    z = A.crop(z, torch.randint(5, (16, 2), generator=random), pad=2)
    z = A.flip(z, torch.rand(16, generator=random) < 0.5)
    assert torch.equal(y, z)


def test_shifts_stay_within_their_fractions_of_height_and_width():
    ramp = torch.arange(32.0).view(1, 1, 32, 1).expand(2000, 1, 32, 32).contiguous()
    down = A.move(ramp, Augment(shift=(0.1, 0.0)), A.generator(0))[:, 0, 16, 16] - 16
    assert down.abs().max() <= 3.2
    assert down.abs().max() > 3.1
    across = ramp.transpose(2, 3).contiguous()
    right = A.move(across, Augment(shift=(0.1, 0.3 / 32)), A.generator(0))[:, 0, 16, 16] - 16
    assert 0.29 < right.abs().max() <= 0.3001


def test_bytes_stay_bytes_where_nothing_is_interpolated():
    assert A.move(images(4, 8, 8), Augment(crop=2, flip=True, padding="reflect"), A.generator(0)).dtype == torch.uint8


def test_half_of_the_images_are_flipped_and_every_crop_offset_is_drawn():
    x = torch.arange(64, dtype=torch.uint8).view(1, 1, 8, 8).expand(4000, 1, 8, 8).contiguous()
    assert 0.47 < (A.move(x, Augment(flip=True), A.generator(0))[:, 0, 0, 0] == 7).float().mean() < 0.53
    corners = A.move(x, Augment(crop=2, padding="reflect"), A.generator(0))[:, 0, 2:6, 2:6].flatten(1)
    assert len(torch.unique(corners, dim=0)) == 25


@given(seed=st.integers(0, 2**40))
def test_seeds_that_differ_in_their_upper_bits_give_other_numbers(seed):
    draws = {tuple(torch.rand(2, generator=A.generator(s, i)).tolist()) for s in (seed, seed + 2**32) for i in (0, 1)}
    assert len(draws) == 4
