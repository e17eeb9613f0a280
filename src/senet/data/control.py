"""Draw the positive control: images whose label needs a product of what is left and what is right in them.

`n` images of 8x32 pixels, black at 0. Four columns on the left are blue or not: the cue. Four columns on the right hold
two stripe patterns at once, one in red and one in green, each in one of four directions. The label is the direction of
the red pattern where the cue is blue, else that of the green one; noise covers the whole image.

A network with a receptive field of less than 26 columns, such as resnet8 with 25, sees cue and patterns at no position
at once. After global average pooling its outputs are then a sum, `f(cue) + g(red, green)`, and no such sum is right
for more than 13 of 16 combinations: where red and green differ, the step of f from one cue to the other prefers one of
the two directions, so that only one of the two orders can be right for both cues. A channel gate multiplies instead:
its squeeze sees the cue, and its weights turn the channels of red or green off everywhere.
"""

from itertools import product

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray
from torch import Tensor

from senet.data.dataset import Data
from senet.data.tensor_split import Tensors
from senet.experiments.data_spec import DataSpec

__all__ = ["DIRECTIONS", "factors", "read_control"]

DIRECTIONS = ("vertical", "horizontal", "falling", "rising")
"""Classes: directions of the stripes."""
_HEIGHT, _WIDTH, _STRIP, _PERIOD = 8, 32, 4, 4  # pixels
_GREY, _CONTRAST, _NOISE = 128, 80, 40  # of 255; noise is uniform in -40 .. 40
_TRAIN, _TEST = 2, 1  # images of each combination of the factors


def factors() -> Int64[Tensor, "512 5"]:
    """Return all combinations of cue, direction in red, direction in green, and the two shifts of the stripes.

    The label of a combination is its direction in red where the cue is 1, else that in green. Each split holds every
    combination equally often, so classes are balanced and the factors are independent of each other.
    """
    ways, shifts = range(len(DIRECTIONS)), range(_PERIOD)
    return torch.tensor(list(product(range(2), ways, ways, shifts, shifts)))


def read_control(spec: DataSpec) -> Data:
    """Draw the positive control; every call returns the same 1,024 training and 512 test images.

    It is made so that a channel gate helps. It shows that a comparison can find an effect, and nothing about other
    images.
    """
    return Data(spec, DIRECTIONS, _split(_TRAIN, seed=0), _split(_TEST, seed=1))


def _split(copies: int, *, seed: int) -> Tensors:
    drawn = factors().repeat(copies, 1)
    cue, red, green, red_shift, green_shift = drawn.numpy().T
    images = _GREY + _noise(len(drawn), seed=seed)
    images[:, 0, :, -_STRIP:] += _stripes(red, red_shift)
    images[:, 1, :, -_STRIP:] += _stripes(green, green_shift)
    images[:, 2, :, :_STRIP] += _CONTRAST * (2 * cue - 1)[:, None, None]
    labels = torch.where(drawn[:, 0] == 1, drawn[:, 1], drawn[:, 2])
    return Tensors(torch.from_numpy(images.astype(np.uint8)), labels)


def _noise(number: int, *, seed: int) -> NDArray[np.int64]:
    """Draw whole numbers from the raw bits of a generator, which no version of numpy changes."""
    bits = np.random.PCG64(seed).random_raw(number * 3 * _HEIGHT * _WIDTH)
    return (bits % np.uint64(2 * _NOISE + 1)).astype(np.int64).reshape(number, 3, _HEIGHT, _WIDTH) - _NOISE


def _stripes(directions: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Draw stripes of two light and two dark pixels, `(number, height, strip)`."""
    y, x = np.mgrid[:_HEIGHT, :_STRIP]
    along = np.stack([x, y, y - x, y + x])[directions]
    light = (along + shifts[:, None, None]) % _PERIOD < _PERIOD // 2
    return np.where(light, _CONTRAST, -_CONTRAST)
