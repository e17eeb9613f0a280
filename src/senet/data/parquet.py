"""Read images from Parquet shards, in the layout of the Hugging Face hub: `train-00000-of-00004.parquet`, ..."""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Int64
from torch import Tensor

from senet.data.dataset_paths import ensure_plain, need
from senet.data.file_split import Files
from senet.data.labels import class_names, printable, renumbered, whole_numbers
from senet.errors import DataError, SenetError, reason_of

__all__ = ["LARGEST", "class_names_of", "find_shards", "has_labels", "read_shards"]

LARGEST = 8 * 2**30
"""Maximum size of all shards [bytes], which are held in memory as they are on disk."""

_RATIO, _FREE = 16, 2**24  # the content may have at most `_RATIO` times the bytes of the file, plus `_FREE`
_AT_ONCE = 32  # rows that are decompressed before their bytes are counted
_ROW = 16  # minimum number of bytes of a file for each of its rows

_IMAGES = ("img", "image")
_LABELS = ("fine_label", "label", "labels")
_NAME = re.compile(r"(?P<split>train|test|validation|val)(?:-(?P<number>\d+)-of-(?P<count>\d+).*)?\.parquet")


def find_shards(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Find the shards of each split.

    Returns:
        Files in order, by split: `train`, `test`, `validation`, `val`.

    Raises:
        DataError: if a shard is missing from a series.
    """
    found: dict[str, dict[int, Path]] = {}
    counts: dict[str, int] = {}
    for path in sorted(folder.glob("*.parquet")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            continue
        number, count = int(match["number"] or 0), int(match["count"] or 1)
        if counts.setdefault(match["split"], count) != count or number in found.get(match["split"], {}):
            raise DataError(
                f"{folder}: {path.name} does not belong to the other {match['split']} shards; keep one series of them."
            )
        found.setdefault(match["split"], {})[number] = path
    for split, shards in found.items():
        if absent := counts[split] - len(shards):
            first = next(number for number in range(len(shards) + 1) if number not in shards)
            raise DataError(
                f"{folder}: {split} shard {first:05d} of {counts[split]:05d} is missing "
                f"({absent} of {counts[split]} are); copy the rest of the files."
            )
    return {split: tuple(shards[number] for number in sorted(shards)) for split, shards in found.items()}


def read_shards(paths: Sequence[Path]) -> tuple[Files, tuple[str, ...] | None]:
    """Read the encoded images and the labels of one split.

    Args:
        paths: shards in order, with a column `img` or `image` of bytes and `fine_label` or `label` of integers.

    Returns:
        Images in the order of the files, and the class names if the hub's metadata has them. The labels are indices
        of these names, even if a shard has them in another order; -1 is an image without a label.

    Raises:
        DataError: if a file is damaged, claims more than it can hold, or has no such columns.
        UsageError: if pyarrow is not installed.
    """
    total = sum(ensure_plain(path, largest=LARGEST) for path in paths)
    if total > LARGEST:
        raise DataError(
            f"{paths[0].parent}: {total / 2**30:.0f} GiB of shards are more than the {LARGEST / 2**30:.0f} GiB "
            "that are read into memory; write the images to files, with a folder for each class."
        )
    items: list[bytes] = []
    names: list[str] = []
    labels: list[Int64[Tensor, " m"]] = []
    classes: tuple[str, ...] | None = None
    for path in paths:
        with _whole(path):
            content, numbers, own = _read(path)
        classes = classes or own
        items += content
        names += [f"{path.name}[{row}]" for row in range(len(content))]
        labels.append(renumbered(numbers, own, classes, place=str(path)) if own and classes else numbers)
    return Files(tuple(items), tuple(names), torch.cat(labels)), classes


def has_labels(path: Path) -> bool:
    """Return whether a shard has a column of labels, from its footer alone."""
    with _whole(path):
        return _column(_opened(path).schema_arrow, _LABELS) is not None


def class_names_of(path: Path) -> tuple[str, ...] | None:
    """Return the class names of a shard, from its footer alone; None if it has none."""
    with _whole(path):
        schema = _opened(path).schema_arrow
        return _class_names(schema.metadata, _column(schema, _LABELS), path)


def _column(schema: Any, known: tuple[str, ...]) -> str | None:
    return next((name for name in known if name in schema.names), None)


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Turn the errors of a damaged file, which can be of any type, into a `DataError`."""
    try:
        yield
    except SenetError:
        raise
    except Exception as error:
        reason = reason_of(error)
        raise DataError(f"{path} is not a Parquet file, or damaged ({reason}); copy it again.") from error


def _opened(path: Path, **options: Any) -> Any:
    parquet = need("pyarrow.parquet", package="pyarrow", purpose="reading Parquet")
    ensure_plain(path, largest=LARGEST)
    return parquet.ParquetFile(path, **options)


def _read(path: Path) -> tuple[list[bytes], Int64[Tensor, " n"], tuple[str, ...] | None]:
    """Read the contents of the pictures, the labels and the class names of one shard."""
    types = need("pyarrow.types", package="pyarrow", purpose="reading Parquet")
    schema = _opened(path).schema_arrow
    image, label = _column(schema, _IMAGES), _column(schema, _LABELS)
    for name, known in ((image, _IMAGES), (label, _LABELS)):
        if name is None:
            raise DataError(f"{path} has no column {' or '.join(known)}; rename the column that holds it.")
        if len(both := [column for column in schema.names if column in known]) > 1:
            raise DataError(f"{path} has the columns {' and '.join(both)}; keep one of them.")
    assert image is not None
    assert label is not None
    if not types.is_integer(kind := schema.field(label).type):
        raise DataError(f"{path}: column {label} is of type {kind}, not whole numbers; number the classes from 0.")
    kind = schema.field(image).type
    leaf = f"{image}.bytes" if types.is_struct(kind) else image
    if types.is_struct(kind):
        kind = kind.field("bytes").type if kind.get_field_index("bytes") >= 0 else kind
    if not (types.is_binary(kind) or types.is_large_binary(kind) or types.is_null(kind)):
        raise DataError(
            f"{path}: column {image} is of type {printable(str(kind))[:80]}; it must hold the bytes of image files."
        )
    _check_claims(_opened(path).metadata, path)
    try:  # equal images are kept once, however often the file repeats them
        blobs, numbers = _columns(_opened(path, read_dictionary=[leaf]), leaf, label, path)
    except need("pyarrow", package="pyarrow", purpose="reading Parquet").ArrowNotImplementedError:
        # a batch across two row groups with different dictionaries, which pyarrow cannot combine within a struct
        blobs, numbers = _columns(_opened(path), leaf, label, path)
    for row, (blob, number) in enumerate(zip(blobs, numbers, strict=True)):
        if blob is None or number is None:
            raise DataError(
                f"{path}: row {row} has {'no image bytes' if blob is None else 'no whole-number label'} "
                f"in columns {image}, {label}; write the bytes of the image and its class into the file."
            )
    return (
        cast("list[bytes]", blobs),
        whole_numbers(numbers, place=str(path)),
        _class_names(schema.metadata, label, path),
    )


def _columns(file: Any, leaf: str, label: str, path: Path) -> tuple[list[bytes | None], list[Any]]:
    """Read two columns in small steps; raise an error if they hold more bytes than allowed."""
    image = leaf.partition(".")[0]
    most, blobs, numbers = _most_bytes(path), list[bytes | None](), list[Any]()
    for batch in file.iter_batches(_AT_ONCE, columns=[leaf, label], use_threads=False):
        blobs += _blobs(batch.column(batch.schema.get_field_index(image)))
        numbers += batch.column(batch.schema.get_field_index(label)).to_pylist()
        most -= sum(len(blob) for blob in {id(blob): blob for blob in blobs[-len(batch) :]}.values() if blob)
        if most < 0:  # the footer is wrong
            raise DataError(f"{path} holds more bytes than its footer says; write the images as JPEG or PNG.")
    return blobs, numbers


def _check_claims(metadata: Any, path: Path) -> None:
    """Raise an error for a file that claims more rows or bytes than it can hold."""
    size = path.stat().st_size
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
    if _ROW * rows > size:
        raise DataError(f"{path} claims {rows:,} rows in {size:,} bytes; write it again with every image once.")
    claimed = sum(group.total_byte_size for group in groups)  # by column, a damaged footer would end the process
    if claimed > _most_bytes(path):
        raise DataError(f"{path} claims {claimed:,} bytes in {size:,}; write the images as JPEG or PNG.")


def _most_bytes(path: Path) -> int:
    """Return the maximum size of the images in a file [bytes]."""
    return _RATIO * path.stat().st_size + _FREE


def _blobs(values: Any) -> list[bytes | None]:
    """Return the values of a column of bytes, or of the field `bytes` of a column of structs."""
    compute = need("pyarrow.compute", package="pyarrow", purpose="reading Parquet")
    if hasattr(values, "field"):
        values = compute.struct_field(values, "bytes")
    if not hasattr(values, "dictionary"):
        return cast("list[bytes | None]", values.to_pylist())
    known = values.dictionary.to_pylist()
    return [None if i is None else known[i] for i in values.indices.to_pylist()]


def _class_names(metadata: dict[bytes, bytes] | None, column: str | None, path: Path) -> tuple[str, ...] | None:
    try:
        names = json.loads((metadata or {})[b"huggingface"])["info"]["features"][column]["names"]
    except (KeyError, TypeError, ValueError, RecursionError):  # not a file of the hub
        return None
    return None if names is None else class_names(names, place=str(path))
