"""SVHN, the house numbers of street view, cropped to 32x32: `train_32x32.mat` and `test_32x32.mat`."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from senet.data.download import fetch
from senet.data.places import candidates, missing
from senet.data.source import Pixels, Source
from senet.errors import DataError

__all__ = ["read_svhn"]

_ADDRESS = "http://ufldl.stanford.edu/housenumbers"
_MD5: Mapping[str, str] = {
    "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
}


def read_svhn(root: Path | None, *, download: bool) -> Source:
    """Read the two files; the 531,131 extra images are not part of the set.

    Args:
        root: folder of the files, or its parent.
        download: fetch what is not there.

    Raises:
        DataError: if a file is missing, damaged or something else.

    Source:
        Netzer et al., Reading Digits in Natural Images with Unsupervised Feature Learning, NIPS workshop 2011.
    """
    places = candidates(root, "svhn")
    folder = next((place for place in places if any((place / file).is_file() for file in _MD5)), places[0])
    absent = [file for file in _MD5 if not (folder / file).is_file()]
    if download:
        for file in absent:
            fetch("SVHN", f"{_ADDRESS}/{file}", md5=_MD5[file], into=folder)
    elif len(absent) == len(_MD5):
        raise missing(
            "SVHN",
            places,
            _MD5,
            remedy=f"Give its folder (--data-dir), fetch it (--download), or get both from {_ADDRESS}.",
        )
    elif absent:
        raise DataError(f"{folder} is half an SVHN: {absent[0]} is missing; get {_ADDRESS}/{absent[0]}.")
    train, test = (_read(folder / file) for file in _MD5)
    return Source(tuple(str(digit) for digit in range(10)), train, test)


def _read(path: Path) -> Pixels:
    from scipy import io  # 0.7 s, and only here

    try:
        content = io.loadmat(path, variable_names=("X", "y"))
    except Exception as error:
        # a damaged file makes the reader raise nearly anything: OSError, ValueError, zlib.error, TypeError, ...
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}); copy it again.") from error
    images, labels = content.get("X"), content.get("y")
    if (
        images is None
        or labels is None
        or images.dtype != np.uint8
        or images.shape[:-1] != (32, 32, 3)
        or labels.size != images.shape[-1]
    ):
        raise DataError(f"{path} is no SVHN file: it needs X (bytes, 32x32x3xN) and y (N labels); get {_ADDRESS}.")
    digits = torch.from_numpy(labels.reshape(-1).astype(np.int64))
    digits[digits == 10] = 0  # the authors call the digit zero 10, as MATLAB's indices begin at 1
    return Pixels(torch.from_numpy(np.ascontiguousarray(images.transpose(3, 2, 0, 1))), digits)
