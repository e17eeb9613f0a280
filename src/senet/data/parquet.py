"""Images in Parquet shards, as the Hugging Face hub lays them out: `train-00000-of-00004.parquet` and so on."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from senet.data.places import need
from senet.data.source import Encoded
from senet.errors import DataError

__all__ = ["LARGEST", "find_shards", "read_shards"]

LARGEST = 8 * 2**30
"""Shards are held in memory as they are on disk; more than this many bytes are refused."""

_IMAGES = ("img", "image")
_LABELS = ("fine_label", "label", "labels")
_NAME = re.compile(r"(?P<split>train|test|validation|val)(?:-(?P<number>\d+)-of-(?P<count>\d+).*)?\.parquet")


def find_shards(folder: Path) -> dict[str, tuple[Path, ...]]:
    """Find the shards of each split.

    Args:
        folder: where `train-*.parquet` and its like may lie.

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
                f"{folder}: {path.name} does not belong to the other {match['split']} shards; keep one series."
            )
        found.setdefault(match["split"], {})[number] = path
    for split, shards in found.items():
        absent = [number for number in range(counts[split]) if number not in shards]
        if absent:
            raise DataError(
                f"{folder}: {split} shard {absent[0]:05d} of {counts[split]:05d} is missing "
                f"({len(absent)} of {counts[split]} are); copy the rest of the files."
            )
    return {split: tuple(shards[number] for number in sorted(shards)) for split, shards in found.items()}


def read_shards(paths: Sequence[Path]) -> tuple[Encoded, tuple[str, ...] | None]:
    """Read the encoded images and the labels of one split.

    Args:
        paths: shards in order, with a column `img` or `image` of bytes and `fine_label` or `label` of whole numbers.

    Returns:
        Images in the order of the files, and the class names where the hub's metadata has them.

    Raises:
        DataError: if a file is damaged or has no such columns.
        UsageError: if pyarrow is not installed.
    """
    parquet = need("pyarrow.parquet", package="pyarrow", purpose="reading Parquet")
    total = sum(path.stat().st_size for path in paths)
    if total > LARGEST:
        raise DataError(
            f"{paths[0].parent}: {total / 2**30:.0f} GiB of shards are more than the {LARGEST / 2**30:.0f} GiB "
            "that are read into memory; write the images out as files, one folder a class."
        )
    items: list[bytes] = []
    names: list[str] = []
    labels: list[int] = []
    classes = None
    for path in paths:
        table = _read_table(parquet, path)
        image, label = _column(table, _IMAGES, path), _column(table, _LABELS, path)
        classes = classes or _class_names(table.schema.metadata, label)
        content, numbers = _contents(table, image), table.column(label).to_pylist()
        for row, (blob, number) in enumerate(zip(content, numbers, strict=True)):
            if not isinstance(blob, bytes) or not isinstance(number, int):
                raise DataError(
                    f"{path}: row {row} has {'no image bytes' if isinstance(number, int) else 'no whole-number label'} "
                    f"in columns {image}, {label}; write the bytes of the picture and its class into the file."
                )
            items.append(blob)
            names.append(f"{path.name}[{row}]")
            labels.append(number)
    return Encoded(tuple(items), tuple(names), torch.tensor(labels, dtype=torch.int64)), classes


def _read_table(parquet: Any, path: Path) -> Any:
    try:
        file = parquet.ParquetFile(path)
        return file.read(columns=[name for name in file.schema_arrow.names if name in (*_IMAGES, *_LABELS)])
    except (OSError, ValueError) as error:  # pyarrow's errors are children of these two
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path} is not a whole Parquet file ({reason}); copy it again.") from error


def _column(table: Any, names: tuple[str, ...], path: Path) -> str:
    for name in names:
        if name in table.column_names:
            return name
    raise DataError(f"{path} has no column {' or '.join(names)}; rename the column that holds it.")


def _contents(table: Any, column: str) -> list[object]:
    rows: list[object] = table.column(column).to_pylist()
    return [row.get("bytes") if isinstance(row, dict) else row for row in rows]


def _class_names(metadata: dict[bytes, bytes] | None, column: str) -> tuple[str, ...] | None:
    try:
        features = json.loads((metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):  # files from elsewhere carry no such note
        return None
