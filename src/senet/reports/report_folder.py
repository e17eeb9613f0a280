"""The folder of a report: a report of others in it is not replaced."""

import re
from pathlib import Path

from senet.files.atomic import ensure_writable, not_ours, storage_error

__all__ = ["ensure_free_for_report"]

OF_SENET = re.compile(rb"`senet|senet \d+\.\d")  # the command or the version, which every report names


def ensure_free_for_report(folder: Path) -> None:
    """Check that a report can be written into a folder, see `ensure_writable`, and replaces none of others.

    Raises:
        StorageError: if it cannot, or its `report.md` does not name senet.
    """
    ensure_writable(folder)
    report = folder / "report.md"
    try:
        is_other = report.exists() and not OF_SENET.search(report.read_bytes())
    except OSError as cause:
        raise storage_error(report, cause) from cause
    if is_other:
        raise not_ours(report)
