"""Groups of images by a condition other than the class: brightness, contrast, or a column of the user.

Letters in shapes: n images, c channels, g groups.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from senet.errors import DataError, SpecError

__all__ = ["INPUT", "Groups", "checked", "groups_of", "input_conditions", "read_columns"]

INPUT = ("brightness", "contrast")
"""Conditions of the input that are always measured."""

FEW = 12  # different numbers up to which each is a group
PARTS = 10  # groups with as many images each, of a column with more numbers
NAMES = ("file", "filename", "file_name", "image", "name", "path", "index")


@dataclass(frozen=True, eq=False)
class Groups:
    """The groups of images by one condition.

    Attributes:
        labels: names of the groups.
        rows: group of each image `(n,)`; -1 where the value is missing.
    """

    labels: tuple[str, ...]
    rows: Int64[Tensor, " n"]


def input_conditions(x: Tensor) -> dict[str, Tensor]:
    """Return brightness and contrast of images `(n, ...)`: mean and standard deviation of the input."""
    flat = x.detach().double().flatten(1).cpu()
    return {"brightness": flat.mean(1), "contrast": flat.std(1, correction=0)}


def groups_of(values: Sequence[object]) -> Groups:
    """Return the groups of images by their values.

    Numbers with more than 12 different values are cut into ten groups with as many images each; other values are
    groups by themselves. Empty texts and numbers that are not finite belong to no group.
    """
    texts = ["" if value is None else str(value).strip() for value in values]
    numbers = [_number(text) for text in texts]
    if all(number is not None for number, text in zip(numbers, texts, strict=True) if text):
        table = torch.tensor([torch.nan if number is None else number for number in numbers], dtype=torch.float64)
        table = table.where(table.isfinite(), torch.nan)
        known = table[~table.isnan()]
        if len(torch.unique(known)) > FEW:
            return _parts(table, known)
    labels = sorted({text for text in texts if text and text != "nan"}, key=lambda text: (_number(text) or 0.0, text))
    place = {label: row for row, label in enumerate(labels)}
    return Groups(tuple(labels), torch.tensor([place.get(text, -1) for text in texts]))


def _parts(table: Tensor, known: Tensor) -> Groups:
    cuts = known.sort().values[torch.arange(1, PARTS) * len(known) // PARTS]
    rows = torch.searchsorted(torch.unique(cuts), table.nan_to_num(nan=0.0), right=True)
    rows = torch.where(table.isnan(), -1, rows)
    used = torch.unique(rows[rows >= 0])
    labels = tuple(f"{float(own.min()):.3g} to {float(own.max()):.3g}" for own in (table[rows == row] for row in used))
    place = {int(row): at for at, row in enumerate(used)}
    return Groups(labels, torch.tensor([place.get(int(row), -1) for row in rows]))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def checked(by: Mapping[str, Sequence[object]] | None, images: int) -> dict[str, list[object]]:
    """Return the user's columns, with one value for each image.

    Raises:
        SpecError: if a column has another length, or the name of a condition that is always measured.
    """
    found = {}
    for name, values in (by or {}).items():
        if name in INPUT:
            raise SpecError(f"by[{name!r}] has the name of a condition that is always measured; choose another one.")
        if len(values) != images:
            raise SpecError(
                f"by[{name!r}] has {len(values)} values for {images} images; give one for each image, in their order."
            )
        found[name] = list(values)
    return found


def read_columns(path: Path, images: int, names: Sequence[str] = ()) -> dict[str, list[str]]:
    """Read the columns of a CSV file with a line for each image.

    Lines are matched to images by a column of names (`file`, `image`, `name`, `path`) where there is one and the images
    have names: by whole names, or by the last parts of both. Otherwise line i belongs to image i.

    Args:
        path: the file; its first line names the columns.
        images: number of images.
        names: names of the images; empty if they have none.

    Raises:
        DataError: if the file cannot be read, has no columns, or its lines do not match the images.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--by {path} cannot be read as CSV ({error}); give a file with a line of headings.") from error
    heads = [head for head in (lines[0] if lines else {}) if head]
    if not heads:
        raise DataError(f"--by {path} has no lines; give a line of headings and one line for each image.")
    key = next((head for head in heads if head.lower() in NAMES), None)
    if key is not None and (names or key.lower() == "index"):
        named = {(line[key] or "").strip(): line for line in lines}
        short = {Path(name).name: line for name, line in named.items()}
        wanted = names if key.lower() != "index" else [str(number) for number in range(images)]
        rows = [named.get(name) or short.get(Path(name).name) for name in wanted]
        missing = [name for name, row in zip(wanted, rows, strict=True) if row is None]
        if missing:
            raise DataError(
                f"--by {path} has no line for {len(missing)} of {images} images, e.g. {missing[0]}; its column {key!r} "
                "needs the name of every image."
            )
        lines = [row for row in rows if row is not None]
    elif len(lines) != images:
        raise DataError(
            f"--by {path} has {len(lines)} lines for {images} images; give one line for each image, in their order, or "
            "a column 'file' with their names."
        )
    return {head: [(line[head] or "").strip() for line in lines] for head in heads if head != key}
