"""Images that a caller has in memory, as arrays or data loaders: kept in one file, so that every process reads them.

`n` images, `c` channels, `h` rows, `w` columns.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from senet.data.batch_parts import images_and_labels, named_parts
from senet.data.dataset import Data
from senet.data.fingerprint import fingerprint
from senet.data.labels import MAX_CLASSES, check_labels, whole_numbers
from senet.data.tensor_split import Tensors
from senet.errors import DataError, SpecError, shown
from senet.experiments.data_spec import DataSpec
from senet.files.atomic import ensure_writable, write_bytes
from senet.memory import memory_bytes

__all__ = ["from_memory", "read_arrays"]

CHANNELS = (1, 3, 4)  # of a last dimension that is taken for channels
MOST_IMAGES = 2**24  # of a loader; ImageNet-21k has 14 million


def from_memory(pair: Any, folder: Path) -> dict[str, str]:
    """Keep the images of a caller in a file, and return the fields of their `DataSpec`.

    Bytes are normalized as those of other data sets are; floats are used as they are. Loaders are read once, in their
    order: leave random changes and sampling to the recipe, which draws them anew for every epoch, equal for all
    designs.

    Args:
        pair: training and test set, each a pair of images `(n, c, h, w)`, `(n, h, w)` or `(n, h, w, c)` and labels
            `(n,)`, or a loader that yields batches of them.
        folder: folder of the file, which is named after its content.

    Raises:
        DataError: if images or labels have other shapes or types.
        SpecError: if it is not a pair.
        StorageError: if the file cannot be written.
    """
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise SpecError(f"data = {shown(pair)} is not a pair; pass training and test set: (train, test).")
    train, test = (_split(part, place) for part, place in zip(pair, ("train", "test"), strict=True))
    for what in ("shape", "dtype"):
        mine, other = (getattr(part.images[:1], what) for part in (train, test))
        if mine != other:
            raise DataError(f"images of train have {what} {mine}, those of test {other}; use the same for both.")
    name = f"arrays-{fingerprint(train, test)}"
    path = folder / f"{name}.safetensors"
    if not path.exists():
        ensure_writable(folder)
        tensors = {"train_images": train.images, "train_labels": train.labels}
        tensors |= {"test_images": test.images.clone(), "test_labels": test.labels.clone()}  # may be the same ones
        write_bytes(path, save(tensors))
    return {"name": "arrays", "folder": name, "normalize": "none" if train.images.is_floating_point() else "standard"}


def read_arrays(spec: DataSpec, root: Path | None) -> Data:
    """Read the file that `from_memory` has written.

    Raises:
        DataError: if it is missing, or not such a file.
        SpecError: if the spec does not fit images of floats.
    """
    path = (root or Path("runs")) / f"{spec.folder}.safetensors"
    if not path.is_file():
        raise DataError(f"{path} does not exist; call senet.compare with the images again, which writes it.")
    try:
        found = load_file(path)
        train, test = (Tensors(found[f"{part}_images"], found[f"{part}_labels"]) for part in ("train", "test"))
    except (SafetensorError, OSError, KeyError) as error:
        raise DataError(f"{path} is not a file of senet.compare: {error}; remove it, and call it again.") from None
    floats = train.images.is_floating_point()
    if floats and spec.size:
        raise SpecError(f"data.size = {spec.size}: images of floats are not resized; pass them in their final size.")
    if floats != (spec.normalize == "none"):
        raise SpecError(f"data.normalize = {spec.normalize!r} does not fit; floats take 'none', and bytes do not.")
    highest = int(torch.cat([train.labels, test.labels]).max())
    return Data(spec, tuple(map(str, range(highest + 1))), train, test)


def _split(part: Any, place: str) -> Tensors:
    batched = isinstance(part, list) and all(isinstance(one, tuple) or named_parts(one) is not None for one in part)
    if isinstance(part, tuple | list) and len(part) == 2 and not batched:
        images, labels = (_array(values, place) for values in part)
    elif isinstance(part, Iterable) and not isinstance(part, str | Mapping | Tensor | np.ndarray):
        images, labels = _read(part, place)
    else:
        raise SpecError(f"{place} = {shown(part)} is neither a pair (images, labels) nor a loader of such batches.")
    if not images.size:
        raise DataError(f"{place} has images {images.shape}, which contains no image; give at least one.")
    pixels = _pixels(images, place)
    if labels.ndim != 1 or len(labels) != len(pixels):
        raise DataError(f"{place} has images {images.shape} and labels {labels.shape}; give one label for each image.")
    classes = whole_numbers(labels, place=place)
    check_labels(classes, MAX_CLASSES, place=place)
    return Tensors(pixels, classes)


def _read(loader: Iterable[Any], place: str) -> tuple[np.ndarray, np.ndarray]:
    """Read all batches of a loader."""
    batches: list[tuple[np.ndarray, np.ndarray]] = []
    images, size, memory = 0, 0, memory_bytes()
    for one in loader:
        batches.append(_batch(one, place))
        images, size = images + len(batches[-1][1]), size + batches[-1][0].nbytes
        if images > MOST_IMAGES or (memory is not None and 2 * size > memory):  # twice: they are put together
            raise DataError(
                f"{place} has yielded {images:,} images, {size / 1e9:.3g} GB, and has not ended; pass a finite loader "
                "whose images fit into memory twice, or the folder of the images."
            )
    if not batches:
        raise DataError(f"{place} yields no batch; pass a loader of images and labels.")
    if len(shapes := {(one.shape[1:], labels.shape[1:]) for one, labels in batches}) > 1:
        raise DataError(f"{place} yields images and labels of several shapes, {shown(shapes)}; resize them to one.")
    first, second = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return first, second


def _batch(batch: Any, place: str) -> tuple[np.ndarray, np.ndarray]:
    if (named := named_parts(batch)) is not None:
        batch = images_and_labels(named)
    if not isinstance(batch, tuple | list) or len(batch) < 2 or batch[0] is None or batch[1] is None:
        raise DataError(f"{place} yields {type(batch).__name__}; a loader yields batches (images, labels).")
    images, labels = _array(batch[0], place), _array(batch[1], place)
    if not images.ndim or not labels.ndim:
        raise DataError(f"{place} yields single images; a loader yields batches of them.")
    return images, labels


def _array(values: Any, place: str) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    try:
        return np.asarray(values)
    except ValueError:
        raise DataError(f"{place} has images or labels of several shapes; resize the images to one.") from None


def _pixels(images: np.ndarray, place: str) -> Tensor:
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[1] not in CHANNELS and images.shape[3] in CHANNELS:
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4:
        raise DataError(f"{place} has images {images.shape}; give (n, c, h, w), (n, h, w) or (n, h, w, c).")
    if images.dtype.kind in "iu" and images.size and images.min() >= 0 and images.max() <= 255:
        return torch.from_numpy(np.ascontiguousarray(images, dtype=np.uint8))
    if images.dtype.kind == "f":
        with np.errstate(over="ignore"):
            floats = np.ascontiguousarray(images, dtype=np.float32)
        if np.isfinite(floats).all():
            return torch.from_numpy(floats)
    ends = f" from {images.min():g} to {images.max():g}" if images.dtype.kind in "iuf" else ""
    raise DataError(f"{place} has images of {images.dtype}{ends}; give bytes from 0 to 255, or finite float32.")
