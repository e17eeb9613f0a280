"""The page as a document: one HTML file that holds all it needs and may request nothing."""

import base64
import hashlib
import html
import re
from collections.abc import Sequence
from pathlib import Path

from senet.errors import DataError
from senet.explanation.page.content import content
from senet.explanation.page.tables import Explained
from senet.files.atomic import write_text

__all__ = ["LIMIT", "write"]

LIMIT = 5_000_000
"""Largest size of the page [bytes]."""

_ASSETS = Path(__file__).with_name("assets")
_UPLOT = Path(__file__).with_name("uplot")
# the scripts in the order in which they define their names; one script of the page
_SCRIPTS = (
    "dom",
    "numbers",
    "state",
    "data",
    "colors",
    "names",
    "csv",
    "picture",
    "figure",
    "strip",
    "classes",
    "order",
    "plot",
    "curves",
    "heatmap",
    "channel",
    "statistics",
    "histograms",
    "squeeze",
    "gate_curve",
    "importance",
    "main",
)


def write(folder: Path, explained: Sequence[Explained]) -> Path:
    """Write the page of an explanation, `explain.html`.

    The page opens from disk in any browser of 2024 or later. It makes no request, which its Content-Security-Policy
    enforces, and runs only the scripts whose hashes that policy names. The page says what was left out because it did
    not fit.

    Args:
        folder: where the page is written.
        explained: an explanation, or two of the same images.

    Returns:
        The path of the page, in `folder`.

    Raises:
        DataError: if statistics and names alone do not fit.
        StorageError: if the page cannot be written.
    """
    licence = _text(_UPLOT / "LICENSE")
    styles = [_text(_UPLOT / "uPlot.min.css"), _text(_ASSETS / "page.css")]
    scripts = [_text(_UPLOT / "uPlot.iife.min.js"), _script()]
    frame = {
        "policy": _policy(scripts, styles),
        "styles": "\n".join(f"<style>{style}</style>" for style in styles),
        "scripts": "\n".join(f"<script>{script}</script>" for script in scripts),
    }
    template = _text(_ASSETS / "page.html")
    room = LIMIT - len(template.encode()) - sum(len(part.encode()) for part in frame.values())
    held = content(explained, room, licence=licence)
    filled = frame | {"data": held.data, "parts": held.parts}
    document = re.sub(r"\{\{(\w+)\}\}", lambda name: filled[name[1]], template)
    if len(document.encode()) > LIMIT:
        raise DataError(
            f"{folder}: statistics and names alone are larger than a page of {LIMIT:,} bytes; explain fewer blocks."
        )
    path = folder / "explain.html"
    write_text(path, document)
    return path


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _script() -> str:
    parts = "\n".join(_text(_ASSETS / f"{name}.js") for name in _SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


def _policy(scripts: list[str], styles: list[str]) -> str:
    """Return a Content-Security-Policy that allows these scripts and styles, and pictures within the page."""
    hashes = [" ".join(f"'sha256-{_hash(text)}'" for text in texts) for texts in (scripts, styles)]
    rules = (
        "default-src 'none'",
        f"script-src {hashes[0]}",
        f"style-src {hashes[1]}",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return html.escape("; ".join(rules), quote=False)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
