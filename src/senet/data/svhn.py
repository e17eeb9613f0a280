"""Read SVHN, street view house numbers cropped to 32x32, from `train_32x32.mat` and `test_32x32.mat`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from senet.data.dataset import Data
from senet.data.dataset_paths import candidates, differing, missing, read_bytes
from senet.data.download import fetch
from senet.data.labels import whole_numbers
from senet.data.matfile import read_matrices
from senet.data.tensor_split import Tensors
from senet.errors import DataError
from senet.experiments.data_spec import DataSpec

__all__ = ["SVHN_FILES", "read_split", "read_svhn"]

_ADDRESS = "https://ufldl.stanford.edu/housenumbers"
SVHN_FILES: Mapping[str, str] = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}
"""The two files and their published MD5."""


def read_svhn(spec: DataSpec, root: Path | None, *, download: bool) -> Data:
    """Read the two files, without the 531,131 extra images.

    Raises:
        DataError: if a file is missing, damaged or of another format.

    Source:
        Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, NIPS workshop 2011.
    """
    places = candidates(root, "svhn")
    folder = next((place for place in places if any((place / file).is_file() for file in SVHN_FILES)), places[0])
    absent = [file for file in SVHN_FILES if not (folder / file).is_file()]
    if download:
        for file in absent:
            fetch("SVHN", f"{_ADDRESS}/{file}", md5=SVHN_FILES[file], into=folder)
    elif len(absent) == len(SVHN_FILES):
        raise missing(
            "SVHN",
            places,
            SVHN_FILES,
            remedy=f"Name its folder (--data-dir), download it (download=true), or get both from {_ADDRESS}.",
        )
    elif absent:
        raise DataError(f"{folder} is an incomplete SVHN: {absent[0]} is missing; get {_ADDRESS}/{absent[0]}.")
    train, test = (read_split(folder / file) for file in SVHN_FILES)
    return Data(spec, tuple(str(digit) for digit in range(10)), train, test, notes=differing(folder, SVHN_FILES))


def read_split(path: Path) -> Tensors:
    """Read one of the two files.

    Raises:
        DataError: if it is damaged or of another format.
    """
    content = read_matrices(read_bytes(path), ("X", "y"), place=str(path))
    images, labels = content.get("X"), content.get("y")
    if (
        images is None
        or labels is None
        or images.dtype != np.uint8
        or images.shape[:-1] != (32, 32, 3)
        or labels.size != images.shape[-1]
    ):
        raise DataError(f"{path} is not an SVHN file: it needs X (bytes, 32x32x3xN) and y (N labels); get {_ADDRESS}.")
    if labels.dtype.kind == "f" and (labels == np.rint(labels)).all():  # MATLAB's own numbers are double
        labels = labels.astype(np.int64)
    digits = whole_numbers(labels, place=str(path))
    digits[digits == 10] = 0  # the digit 0 has label 10, because MATLAB's indices begin at 1
    return Tensors(torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1))), digits)
