"""The one table: lines that fit a terminal, Markdown, CSV. All commands, reports and printed results use it."""

import csv
import io
import math
import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from senet.text import code_span, csv_cell, markdown_inline, one_line

__all__ = ["Layout", "Table", "cell_width", "fitted", "room", "wrapped"]

NARROWEST = 18  # smallest width that a column of words is wrapped to [columns]
UNBROKEN = 24  # longest word that is never broken, but in the first column [columns]
MODEST = 40  # width that a longer column of words is wrapped to before a column is left out [columns]
NUMBER = re.compile(r"[-+]?[\d.,]+( %)?|-|")


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
        """The sentence that names the columns that were left out, and says where they are; empty if there are none."""
        if not self.gone:
            return ""
        names = ", ".join(dict.fromkeys(self.gone))
        return f"not shown, as the terminal is too narrow: {names}; a pipe, a file and --json have all columns"


def room() -> int | None:
    """Return the width of the terminal, or `COLUMNS`, now [columns]; None for a file or a pipe, which have no width."""
    if os.environ.get("COLUMNS", "").isdigit() or (sys.stdout is not None and sys.stdout.isatty()):
        return max(20, shutil.get_terminal_size().columns)
    return None


@dataclass(frozen=True)
class Table:
    r"""A table for a terminal, for Markdown and for CSV.

    Attributes:
        heads: a heading for each column; on a terminal one of several words takes two lines.
        rows: a cell for each column. Texts are escaped; whole numbers get separators, except in CSV.
        words: headings of columns that are aligned left and may be wrapped, as the first column is; others are
            aligned right.
        spare: headings of columns that a narrow terminal leaves out, the first one first.
        code: whether Markdown shows the first column as code.

    Example:
        >>> Table(["name", "images"], [["=a", 1200], ["b", None]]).csv()
        "name,images\n'=a,1200\nb,\n"
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[object]]
    words: Collection[str] = ()
    spare: Sequence[str] = ()
    code: bool = False

    @classmethod
    def of_records(
        cls, records: Sequence[Mapping[str, object]], *, spare: Sequence[str] = (), code: bool = False
    ) -> "Table":
        """Return a table of records with equal fields; a field that is a number in all of them is aligned right."""
        rows = [list(record.values()) for record in records]
        columns = {head: [str(_said(row[at])) for row in rows] for at, head in enumerate(records[0])}
        words = {head for head, column in columns.items() if not all(map(NUMBER.fullmatch, column))}
        return cls(list(columns), rows, words=words, spare=spare, code=code)

    def __str__(self) -> str:
        """Return the table as lines that fit the terminal."""
        width = room()
        found = self.layout(width)
        return "\n".join([*found.heads, *found.body, *(wrapped(found.note, width) if found.note else ())])

    def markdown(self) -> str:
        """Return the table as Markdown."""
        rule = ["---" if self._is_left(at) else "---:" for at in range(len(self.heads))]
        cells = [[markdown_inline(_said(cell)) for cell in row] for row in (self.heads, *self.rows)]
        if self.code:
            cells[1:] = [[code_span(row[0]), *cells[at][1:]] for at, row in enumerate(self.rows, 1)]
        return "".join("| " + " | ".join(line) + " |\n" for line in (cells[0], rule, *cells[1:]))

    def csv(self, *, form: str = "") -> str:
        """Return the table as CSV: texts are safe for spreadsheets, cells without a value (None, nan) are empty.

        Args:
            form: format of floats, such as `.4f`; empty writes all their digits.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.heads)
        writer.writerows([_csv_value(cell, form) for cell in row] for row in self.rows)
        return text.getvalue()

    def layout(self, width: int | None) -> Layout:
        """Lay out the table: if it is too wide, leave out spare columns, then wrap words, then make each row a list.

        A column that was left out comes back if it fits beside those that stay.

        Args:
            width: largest width of a line [columns]; None for no limit.
        """
        heads, body = self.heads, [[one_line(_said(cell)) for cell in row] for row in self.rows]
        columns = _Columns(heads, body, {at for at in range(len(heads)) if self._is_left(at)})
        shown = self._shown(columns, width)
        gone = tuple(
            heads[at] for at in self._spare() if at not in shown and any(row[at] not in ("", "-") for row in body)
        )
        sizes = columns.sizes(shown, width)
        if sizes is None:
            return Layout((), tuple(_lists(heads, body, width or 0)))
        rule = " " + "─" * (columns.width(shown, sizes) - 1)
        said = [[part for line in two_lines(heads[at]) for part in wrapped(line, sizes[at])] for at in shown]
        top = tuple(columns.lines(shown, sizes, said, bottom=True))
        cells = [[wrapped(row[at], sizes[at]) for at in shown] for row in body]
        return Layout(top, (rule, *(line for row in cells for line in columns.lines(shown, sizes, row))), gone)

    def _shown(self, columns: "_Columns", width: int | None) -> list[int]:
        """Return the columns of a table of a width, in their order."""
        shown = list(range(len(self.heads)))
        for at in self._spare():
            if width is None or columns.width(shown, columns.modest) <= width:
                return shown
            shown.remove(at)
        for at in reversed(self._spare()):
            if at not in shown and columns.width(sorted([*shown, at]), columns.modest) <= (width or 0):
                shown = sorted([*shown, at])
        return shown

    def _spare(self) -> list[int]:
        """Return the columns that may be left out, the first one first."""
        return [at for head in self.spare for at, one in enumerate(self.heads) if one == head]

    def _is_left(self, at: int) -> bool:
        return at == 0 or self.heads[at] in self.words


def _said(cell: object) -> object:
    return "" if cell is None else f"{cell:,}" if isinstance(cell, int) else cell


def _csv_value(cell: object, form: str) -> object:
    if isinstance(cell, float):
        return "" if math.isnan(cell) else format(cell, form) if form else cell
    return csv_cell(cell) if isinstance(cell, str) else "" if cell is None else cell


class _Columns:
    """The widths of the columns of a table, and its lines."""

    def __init__(self, heads: Sequence[str], rows: Sequence[Sequence[str]], left: Collection[int]) -> None:
        self.left = left
        said = [[*two_lines(head), *(row[at] for row in rows)] for at, head in enumerate(heads)]
        self.whole = [max(map(cell_width, column)) for column in said]
        self.least = [
            max(self._longest(column, at), min(NARROWEST, whole)) if at in left else whole
            for at, (column, whole) in enumerate(zip(said, self.whole, strict=True))
        ]

        self.filled = [sum(map(cell_width, column)) / len(column) for column in said]
        self.modest = [  # for the choice of columns
            max(least, min(whole, MODEST)) if at in left else whole
            for at, (least, whole) in enumerate(zip(self.least, self.whole, strict=True))
        ]

    def _longest(self, column: Sequence[str], at: int) -> int:
        """Return the width of the longest word that is not broken; the first column has names, which stay whole."""
        longest = max((cell_width(word) for text in column for word in text.split()), default=1)
        return min(longest, UNBROKEN) if at else longest

    def gap(self, shown: Sequence[int], at: int) -> int:
        """Return the spaces before a column: two before words that follow numbers, else one."""
        before = shown[shown.index(at) - 1] if at != shown[0] else None
        return 2 if at in self.left and before is not None and before not in self.left else 1

    def width(self, shown: Sequence[int], sizes: Sequence[int] | None = None) -> int:
        sizes = self.whole if sizes is None else sizes
        return sum(self.gap(shown, at) + sizes[at] for at in shown)

    def sizes(self, shown: Sequence[int], width: int | None) -> list[int] | None:
        """Return the width of each column, with the emptiest column wrapped first; None if they do not fit."""
        sizes = list(self.whole)
        while width is not None and self.width(shown, sizes) > width:
            wide = [at for at in shown if sizes[at] > self.least[at]]
            if not wide:
                return None
            sizes[min(wide, key=lambda at: self.filled[at] / sizes[at])] -= 1
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
    """Return the width of a text on a terminal [columns]: 2 for an East Asian character, 0 for a combining accent."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 1 + (unicodedata.east_asian_width(one) in ("W", "F")) for one in text
    )


def wrapped(text: str, width: int | None, *, indent: str = "") -> list[str]:
    """Break a text between words into lines of at most `width` columns; longer words are broken, too.

    Args:
        text: the text; leading spaces are kept.
        width: largest width of a line [columns]; None for no limit.
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


def fitted(lines: Iterable[str]) -> list[str]:
    """Break lines between words where they are longer than the terminal; the rest of a line is indented."""
    width = room()
    return [part for line in lines for part in wrapped(line, width, indent="  ")]
