"""Where a report goes: beside the reports of others, never over them."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from senet.text import one_line

if TYPE_CHECKING:
    from senet.experiments.run import Run

__all__ = ["place_of_report"]


def place_of_report(folder: Path, belongs: "Callable[[Run], bool]", *, said: bool) -> Path:
    """Return a folder for a report that can be written, and say where it goes if that is not where it is expected.

    Args:
        folder: as asked for, or named after what is compared.
        belongs: whether a run is one of this comparison.
        said: the folder was named on the command line: then it is taken, and what is replaced is said.

    Raises:
        StorageError: if it cannot be written.
    """
    from senet.files.atomic import ensure_writable
    from senet.reports.study_report import free_folder

    free = free_folder(folder, belongs)
    place = folder if said else free
    ensure_writable(place)  # before hours of training, not after
    if free != folder and os.environ.get("RANK", "0") == "0":
        held = f"{one_line(folder)} holds the report of another comparison"
        now = "it will be replaced" if said else f"this one goes to {one_line(free)}"
        print(one_line(f"senet: {held}; {now}"), file=sys.stderr)
    return place
