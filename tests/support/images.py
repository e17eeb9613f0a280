"""Random images, encoded and in the layouts of CIFAR."""

import io
import pickle
from pathlib import Path

import numpy as np
from PIL import Image

__all__ = ["encoded", "pixels", "write_python_batch"]


def pixels(count: int, seed: int, side: int = 32) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, side, side), dtype=np.uint8)


def encoded(image: np.ndarray, form: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(file, form)
    return file.getvalue()


def write_python_batch(path: Path, images: np.ndarray, labels: list[int], *, key: str, protocol: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps({"data": images.reshape(len(images), -1), key: labels}, protocol=protocol))
