"""Lay out tables as lines of text that fit the terminal; all commands and printed results use it."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from senet.text import one_line

__all__ = ["Layout", "cell_width", "layout", "room", "table", "wrapped"]

NARROWEST = 18  # smallest width that a column of words is wrapped to [letters]


@dataclass(frozen=True)
class Layout:
    """A table laid out for a width.

    Attributes:
        heads: lines of the headings; empty where every row is a list of its cells.
        body: lines below them, the rule included.
        gone: headings of the columns that were left out because the terminal is too narrow.
    """

    heads: tuple[str, ...]
    body: tuple[str, ...]
    gone: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """The sentence that names the columns that were left out; empty if there are none."""
        return f"not shown, as the terminal is too narrow: {', '.join(dict.fromkeys(self.gone))}" if self.gone else ""


def room() -> int | None:
    """Return the width of the terminal, or `COLUMNS`, now [letters]; None for a file or a pipe, which have no width."""
    if os.environ.get("COLUMNS", "").isdigit() or (sys.stdout is not None and sys.stdout.isatty()):
        return max(20, shutil.get_terminal_size().columns)
    return None


def table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, words: Collection[str] = (), spare: Sequence[str] = ()
) -> list[str]:
    """Return a table as lines that fit the terminal, see `layout`."""
    width = room()
    found = layout(heads, rows, words=words, spare=spare, width=width)
    return [*found.heads, *found.body, *(wrapped(found.note, width) if found.note else ())]


def layout(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    words: Collection[str] = (),
    spare: Sequence[str] = (),
    width: int | None = None,
) -> Layout:
    """Lay out a table: if it is too wide, leave out spare columns, then wrap words, then make each row a list.

    Args:
        heads: a heading for each column; one of several words takes two lines.
        rows: a cell for each column; invisible characters in them are escaped.
        words: headings of columns that are aligned left and may be wrapped, as the first column is; others are
            aligned right.
        spare: headings of columns that may be left out, the first one first.
        width: largest width of a line [letters]; None for no limit.
    """
    body = [[one_line(cell) for cell in row] for row in rows]
    left = {at for at, head in enumerate(heads) if at == 0 or head in words}
    shown, gone = list(range(len(heads))), []
    columns = _Columns(heads, body, left)
    for head in spare:
        if width is None or columns.width(shown) <= width:
            break
        if head in heads:
            shown = [at for at in shown if heads[at] != head]
            gone += [head] if any(row[heads.index(head)] for row in body) else []
    sizes = columns.sizes(shown, width)
    if sizes is None:
        return Layout((), tuple(_lists(heads, body, width or 0)))
    rule = " " + "─" * (columns.width(shown, sizes) - 1)
    said = [[part for line in two_lines(heads[at]) for part in wrapped(line, sizes[at])] for at in shown]
    top = tuple(columns.lines(shown, sizes, said, bottom=True))
    cells = [[wrapped(row[at], sizes[at]) for at in shown] for row in body]
    return Layout(top, (rule, *(line for row in cells for line in columns.lines(shown, sizes, row))), tuple(gone))


class _Columns:
    """The widths of the columns of a table, and its lines."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int]) -> None:
        self.left = left
        said = [[*two_lines(head), *(row[at] for row in rows)] for at, head in enumerate(heads)]
        self.whole = [max(map(cell_width, column)) for column in said]
        self.least = [
            max(max((cell_width(word) for text in column for word in text.split()), default=1), min(NARROWEST, whole))
            if at in left
            else whole
            for at, (column, whole) in enumerate(zip(said, self.whole, strict=True))
        ]

    def gap(self, shown: Sequence[int], at: int) -> int:
        """Return the spaces before a column: two before words that follow numbers, else one."""
        before = shown[shown.index(at) - 1] if at != shown[0] else None
        return 2 if at in self.left and before is not None and before not in self.left else 1

    def width(self, shown: Sequence[int], sizes: Sequence[int] | None = None) -> int:
        sizes = self.whole if sizes is None else sizes
        return sum(self.gap(shown, at) + sizes[at] for at in shown)

    def sizes(self, shown: Sequence[int], width: int | None) -> list[int] | None:
        """Return the width of each column, with the widest words wrapped first; None if they do not fit."""
        sizes = list(self.whole)
        while width is not None and self.width(shown, sizes) > width:
            wide = [at for at in shown if sizes[at] > self.least[at]]
            if not wide:
                return None
            sizes[max(wide, key=lambda at: sizes[at])] -= 1
        return sizes

    def lines(
        self, shown: Sequence[int], sizes: Sequence[int], cells: Sequence[Sequence[str]], *, bottom: bool = False
    ) -> Iterator[str]:
        """Yield the lines of a row whose cells may have several lines."""
        high = max(map(len, cells))
        for number in range(high):
            line = ""
            for at, cell in zip(shown, cells, strict=True):
                here = number - (high - len(cell)) if bottom else number
                text = cell[here] if 0 <= here < len(cell) else ""
                pad = " " * (sizes[at] - cell_width(text))
                line += " " * self.gap(shown, at) + (text + pad if at in self.left else pad + text)
            yield line.rstrip()


def _lists(heads: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield every row as a list of its cells, for a terminal that is too narrow for a table."""
    label = min(max((cell_width(head) for head in heads[1:]), default=0), max(8, width // 2 - 4))
    for first, *rest in rows:
        yield from wrapped(first, width)
        for head, cell in zip(heads[1:], rest, strict=True):
            if cell in ("", "-"):
                continue
            name, text = wrapped(head, label), wrapped(cell, max(8, width - label - 4))
            for at in range(max(len(name), len(text))):
                one = name[at] if at < len(name) else ""
                other = text[at] if at < len(text) else ""
                yield f"  {one}{' ' * (label - cell_width(one))}  {other}".rstrip()


def two_lines(head: str) -> list[str]:
    """Break a heading before its unit, else at the space nearest to its middle."""
    spaces = [at for at, letter in enumerate(head) if letter == " "]
    if not spaces:
        return [head]
    unit = head.find(" [")
    at = unit if unit >= 0 else min(spaces, key=lambda at: abs(2 * at + 1 - len(head)))
    return [head[:at], head[at + 1 :]]


def cell_width(text: str) -> int:
    """Return the width of a text on a terminal [letters]: two for an East Asian letter, none for an accent."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in ("W", "F")) for one in text
    )


def wrapped(text: str, width: int | None, *, indent: str = "") -> list[str]:
    """Break a text between words into lines of at most `width` letters; longer words are broken, too.

    Args:
        text: the text; leading spaces are kept.
        width: largest width of a line [letters]; None for no limit.
        indent: indentation of all lines but the first.
    """
    if width is None or cell_width(text) <= width:
        return [text]
    lines, line = [], ""
    for number, word in enumerate(text.split(" ")):
        longer = f"{line} {word}" if number else word
        if cell_width(longer) > width and line.strip():
            lines.append(line.rstrip())
            longer = indent + word
        while cell_width(longer) > width:
            at = max((k for k in range(1, len(longer)) if cell_width(longer[:k]) <= width), default=1)
            lines.append(longer[:at])
            longer = indent + longer[at:] if len(indent) < width else longer[at:]
        line = longer
    return [*lines, line]
