"""Mapping of class folders to outputs of a network: by position, by number, or by a class-map file."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from senet.errors import DataError
from senet.files.documents import DocumentError, parse_json
from senet.text import listed, one_line

__all__ = ["HOW", "outputs_of", "read_class_map"]

WORDNET = re.compile(r"n\d{8}")
SHOWN = 3
MOST_DIGITS = 18
HOW = "use --class-map FILE (JSON, CSV, or one name per line) to map class folders to outputs"


def read_class_map(path: Path) -> Mapping[str, int]:
    """Read a class map: the output of the network for every class name.

    Args:
        path: JSON, `{"church": 497}`, `{"497": "church"}`, `{"497": ["n03028079", "church"]}` or a list of names in the
            order of the outputs; CSV (`.csv`, `.tsv`) with an output and names in every row, in any column order (if
            a row has two numbers, the last one is the output); or text with one name per line in the order of the
            outputs, such as `n03028079 church, church building`, where the WordNet id is also a name.

    Returns:
        Outputs by class name, from 0.

    Raises:
        DataError: if the file is missing or has none of these formats, or a name has two outputs.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"--class-map {path}: the file does not exist.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"--class-map {path} cannot be read: {one_line(error)}.") from None
    suffix = path.suffix.lower()
    if suffix == ".json":
        pairs = _of_json(text, path)
    elif suffix in (".csv", ".tsv"):
        pairs = _of_columns(text, "\t" if suffix == ".tsv" else ",", path)
    else:
        pairs = [
            (name, number)
            for number, line in enumerate(line for line in text.splitlines() if line.strip())
            for name in {line.strip(), *WORDNET.findall(line.split()[0])}
        ]
    found: dict[str, int] = {}
    for name, number in pairs:
        if found.setdefault(name, number) != number:
            raise DataError(f"--class-map {path}: {name!r} has two outputs, {found[name]} and {number}; keep one.")
    if not found:
        raise DataError(f"--class-map {path} contains no classes.")
    return found


def outputs_of(classes: Sequence[str], outputs: int, known: Mapping[str, int] | None) -> tuple[int, ...] | str:
    """Return the output of the network for every class.

    Args:
        classes: names of the class folders, in the order of the labels.
        outputs: number of outputs of the network.
        known: class map; None without one.

    Returns:
        The outputs, or a sentence that explains why they are not known.

    Raises:
        DataError: if the map lacks a class, or has an output that the network does not have.
    """
    if known is not None:
        absent = [name for name in classes if name not in known]
        if absent:
            some, names = listed([*map(repr, absent)], SHOWN), ", ".join(map(repr, list(known)[:SHOWN]))
            raise DataError(f"the class map lacks {some} of {len(classes)} class folders; it has names like {names}.")
        found = tuple(known[name] for name in classes)
        over = next((name for name in classes if not 0 <= known[name] < outputs), None)
        if over is not None:
            raise DataError(
                f"the class map maps {over!r} to output {known[over]}, but the network has outputs 0 to {outputs - 1}; "
                "correct it."
            )
        return found
    if len(classes) == outputs:
        return tuple(range(outputs))
    if all(name.isascii() and _is_output(name) for name in classes):
        numbers = tuple(map(int, classes))
        if max(numbers) < outputs and len(set(numbers)) == len(numbers):
            return numbers
    kind = "WordNet ids" if all(map(WORDNET.fullmatch, classes)) else f"{classes[0]!r}, ..."
    return f"the network has {outputs} outputs, but the data has {len(classes)} classes ({kind}); {HOW}"


def _is_output(text: str) -> bool:
    """Return whether a text is the number of an output; one with more digits than a 64-bit integer is a name."""
    return text.isdecimal() and len(text) <= MOST_DIGITS


def _of_json(text: str, path: Path) -> list[tuple[str, int]]:
    try:
        given: Any = parse_json(text)
    except DocumentError as error:
        raise DataError(f"--class-map {path} is not JSON: {one_line(error)}.") from None
    if isinstance(given, list):
        given = dict(enumerate(given))
    pairs = []
    for key, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, int) and not isinstance(value, bool):
            pairs.append((str(key), value))
            continue
        names = value if isinstance(value, list) else [value]
        if not _is_output(str(key)) or not all(isinstance(name, str) for name in names):
            raise DataError(f"--class-map {path}: {key!r}: {value!r} has no output; write it like {{'church': 497}}.")
        pairs += [(name, int(key)) for name in names]
    return pairs


def _of_columns(text: str, delimiter: str, path: Path) -> list[tuple[str, int]]:
    rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text), delimiter=delimiter) if any(row)]
    if rows and not any(_is_output(cell) for cell in rows[0]):
        rows = rows[1:]  # the header row
    pairs = []
    for row in rows:
        place = max((place for place, cell in enumerate(row) if _is_output(cell)), default=None)
        if place is None or len(row) < 2:
            raise DataError(
                f"--class-map {path}: {delimiter.join(row)!r} lacks a name or an output; write it like church,497."
            )
        pairs += [(cell, int(row[place])) for other, cell in enumerate(row) if other != place and cell]
    return pairs
