"""Print a JSON document, the paths of written files, or why there is no figure."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from senet.text import one_line

__all__ = ["print_files", "print_json", "say_to_stderr", "warn_without_figures"]


def print_json(values: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(values, indent=2, default=str))


def print_files(files: Sequence[Path]) -> None:
    """Print the paths that were written, and why the figure is missing if matplotlib is."""
    from senet.reports.console import say_written

    say_written(files)
    warn_without_figures("no figure was drawn")


def say_to_stderr(text: str, *, quiet: bool = False) -> None:
    """Print a remark about the progress as one line; of several processes that train together only the first one."""
    if not quiet and os.environ.get("RANK", "0") == "0":
        print(one_line(text), file=sys.stderr, flush=True)


def warn_without_figures(what: str = "there will be no figure") -> None:
    """Warn that no figure can be drawn here: before hours of training, and at their end."""
    from senet.reports.canvas import no_figures

    if (missing := no_figures()) is not None and os.environ.get("RANK", "0") == "0":
        print(one_line(f"senet: {what}: {missing}"), file=sys.stderr)
