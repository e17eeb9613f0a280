"""Read the 1,797 handwritten digits of scikit-learn: 8x8 pixels, 10 classes, no download."""

import numpy as np
import torch

from senet.data.dataset import Data
from senet.data.dataset_paths import need
from senet.data.subset import proportional, rest
from senet.data.tensor_split import Tensors
from senet.experiments.data_spec import DataSpec

__all__ = ["NUM_TEST", "read_digits"]

NUM_TEST = 500
_SPLIT_SEED = 0


def read_digits(spec: DataSpec) -> Data:
    """Read the digits; a fixed stratified choice of 500 is the test set.

    Raises:
        UsageError: if scikit-learn is not installed.

    Source:
        Alpaydin and Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
    """
    datasets = need("sklearn.datasets", package="scikit-learn", purpose="reading the digits")
    digits = datasets.load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # scikit-learn has 0 to 16
    everything = Tensors(torch.from_numpy(pixels)[:, None], torch.from_numpy(digits.target).long())
    test = proportional(everything.labels, NUM_TEST, seed=_SPLIT_SEED)
    train = everything[rest(test, len(everything))]
    return Data(spec, tuple(str(digit) for digit in range(10)), train, everything[test])
