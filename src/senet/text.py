"""Escape untrusted text for a terminal, Markdown, a cell of a spreadsheet, or a command.

Titles, labels, class names, notes and paths come from files. Code that prints or writes them calls one of the functions
here, so that they are shown as text, without control codes, markup or formulas.
"""

import codecs
import re
import shlex
import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

__all__ = [
    "PLAIN",
    "Markdown",
    "bullets",
    "code_span",
    "command_line",
    "counted",
    "csv_cell",
    "duration",
    "file_name",
    "listed",
    "markdown",
    "markdown_inline",
    "one_line",
    "printable",
]

PLAIN = "senet.plain"
"""Name of the error handler that replaces characters that an encoding lacks by similar ones in ASCII."""

# Replacements of the characters beyond ASCII that senet's own texts and tables use.
_ASCII = {
    "±": "+-",
    "×": "x",
    "→": "->",
    "←": "<-",
    "…": "...",
    "µ": "u",
    "−": "-",
    "–": "-",
    "—": "-",
    "≤": "<=",
    "≥": ">=",
    "■": "#",
    "●": "*",
    "•": "*",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
}
# Categories of characters that are invisible or change the order of others.
_HIDDEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def one_line(text: object) -> str:
    r"""Return a text as one line with invisible and control characters escaped, safe for a terminal.

    Args:
        text: any value; a line break becomes a visible `\n`.

    Example:
        >>> one_line("red \x1b[31m and\ntwo lines")
        'red \\x1b[31m and\\ntwo lines'
    """
    said = str(text)
    if said.isascii() and said.isprintable():
        return said
    return "".join(_escaped(letter) if unicodedata.category(letter) in _HIDDEN else letter for letter in said)


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def printable(text: object) -> str:
    r"""Return a text of several lines, each escaped by `one_line`.

    Example:
        >>> printable("a\x07\nb")
        'a\\x07\nb'
    """
    return "\n".join(map(one_line, str(text).split("\n")))


class Markdown(str):
    """Text that is Markdown already, so that it is not escaped again."""

    __slots__ = ()


def markdown(text: object) -> Markdown:
    r"""Return a text as one line of Markdown that shows just this text: no markup, link, image, HTML or row of a table.

    Only characters that could be read as markup are escaped, so that usual labels and numbers stay unchanged.

    Example:
        >>> markdown("SE | r=16 <script> [x](javascript:y) SE_all [+0.1, +0.2]")
        'SE \\| r=16 &lt;script> [x\\](javascript:y) SE_all [+0.1, +0.2]'
    """
    return text if isinstance(text, Markdown) else Markdown(_as_paragraph(markdown_inline(text)))


def markdown_inline(text: object) -> str:
    """Return a text as `markdown` does, for a place where the beginning of a line has no meaning: a cell of a table."""
    if isinstance(text, Markdown):
        return text
    said = one_line(" ".join(str(text).split()))
    said = re.sub(r"([\\`*|])", r"\\\1", said)
    said = re.sub(r"&(?=#|\w+;)", "&amp;", said)
    said = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", said)
    said = re.sub(r"\](?=[(\[:])", r"\\]", said)
    said = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", said)  # within a word it has no meaning
    said = said.replace("~~", r"\~\~")
    said = re.sub(r"(?i)\b(https?|ftp|xmpp|mailto):(?=\S)", r"\1&#58;", said)  # some readers make links of addresses
    said = re.sub(r"(?i)\bwww\.(?=\S)", "www&#46;", said)
    return re.sub(r"(?<=[\w.+-])@(?=[\w-])", "&#64;", said)


def _as_paragraph(said: str) -> str:
    """Escape markup of the beginning of a line: headings, quotes, lists, rules, definitions."""
    if re.match(r"[#>~=\[]|[-+](?=\s|$|[-+])|-{2,}", said):
        return "\\" + said
    return re.sub(r"^(\d{1,9})([.)])(?=\s|$)", r"\1\\\2", said)


def code_span(text: object) -> Markdown:
    """Return a text as a code span in Markdown, with a fence that is long enough; valid in a cell of a table, too."""
    said = one_line(" ".join(str(text).split())).replace("|", "\\|")
    fence = "`" * (1 + max(map(len, re.findall("`+", said)), default=0))
    gap = " " if not said or "`" in (said[0], said[-1]) else ""
    return Markdown(f"{fence}{gap}{said}{gap}{fence}")


def bullets(items: Sequence[str], *, sentences: bool = True) -> str:
    """Return texts as a list in Markdown, by default as sentences; empty without items."""
    said = [f"{item[:1].upper()}{item[1:]}." if sentences else item for item in items]
    return "".join(f"- {markdown(item)}\n" for item in said)


def csv_cell(text: str) -> str:
    """Return a text for a cell of a CSV file, quoted if a spreadsheet would read it as a formula."""
    said = one_line(text)
    return f"'{said}" if said[:1] in ("=", "+", "-", "@") else said


def duration(seconds: float) -> str:
    """Return a time in words: `40 s`, `7 min`, `1 h 40 min`, `3 d 2 h`.

    Example:
        >>> duration(41.3), duration(400), duration(6000)
        ('41 s', '7 min', '1 h 40 min')
    """
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def file_name(text: str) -> str:
    """Return a text as the name of a file or folder.

    Example:
        >>> file_name("digits-../my nets/build.py:resnet")
        'digits-my-nets-build.py-resnet'
    """
    return re.sub(r"-{2,}", "-", re.sub(r"\.\.|[^\w.+-]", "-", text)).strip("-.")


def counted(number: int, word: str) -> str:
    """Return a number with a noun: `1 epoch`, `1,200 epochs`."""
    return f"{number:,} {word}{'' if number == 1 else 'es' if word.endswith('s') else 's'}"


def listed(names: Sequence[str], most: int) -> str:
    """Return the first names of a list: `a, b and 3 more`."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def command_line(words: Sequence[str]) -> str:
    """Return a command for a report, without absolute paths and addresses, which may hold names and passwords.

    Args:
        words: arguments of the program.

    Example:
        >>> command_line(["run", "/home/me/s.toml", "--data-dir=/data", "-o/tmp/x", "--storage", "mysql://me:pw@host/db"])
        'senet run s.toml --data-dir=DIR -oDIR --storage URL'
    """
    return " ".join(["senet", *(shlex.quote(_anywhere(one_line(word))) for word in words)])


def _anywhere(word: str) -> str:
    flag, equals, value = word.partition("=")
    if equals and not flag.startswith("/") and "://" not in flag:
        return f"{flag}={_anywhere(value)}"
    if "://" in word:
        return "URL"
    if match := re.match(r"(-[A-Za-z])(?=/)", word):  # `-o/tmp/x`
        return match[1] + _anywhere(word.removeprefix(match[1]))
    if not word.startswith(("/", "~", "\\\\")) and not re.match(r"[A-Za-z]:[\\/]", word):
        return word
    path = PurePath(word.replace("\\", "/"))
    return path.name if path.suffix else "DIR"


def _replace_unencodable(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that an encoding lacks by similar ones in ASCII, else by an escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_likeness(letter) for letter in missing), error.end


def _likeness(letter: str) -> str:
    if letter in _ASCII:
        return _ASCII[letter]
    name = unicodedata.name(letter, "")
    if name.startswith("BOX DRAWINGS"):
        lines = {"HORIZONTAL": "-", "VERTICAL": "|"}
        return lines.get(name.split()[-1], "+")
    return _escaped(letter)


codecs.register_error(PLAIN, _replace_unencodable)
