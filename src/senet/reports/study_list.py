"""The list of the studies in a folder: what each shows and what it costs at full and at quick scale."""

from pathlib import Path

from senet import settings
from senet.errors import DataError
from senet.experiments.study import Study, read_study

__all__ = ["list_studies"]


def list_studies(folder: Path) -> list[dict[str, str]]:
    """Return a record of each study in a folder; files named `*_quick.toml` are left out, as they belong to others.

    Raises:
        DataError: if the folder has no study.
    """
    files = [path for path in sorted(folder.glob("*.toml")) if not path.stem.endswith("_quick")]
    if not files:
        raise DataError(f"{folder} has no study; pass the folder of the TOML files.")
    return [_row(path) for path in files]


def _row(path: Path) -> dict[str, str]:
    study = read_study(path)
    quick = _short(read_study(path, quick=True)) if "quick" in settings.toml_file(path) else "-"
    networks = len({row.run for row in study.rows})
    return {
        "study": study.name,
        "shows": study.title,
        "rows": f"{len(study.rows)} ({networks} networks)" if networks < len(study.rows) else f"{len(study.rows)}",
        "full scale": _short(study),
        "quick scale": quick,
    }


def _short(study: Study) -> str:
    """Return the first part of a cost: runs, epochs, multiply-adds."""
    return study.cost.split(",")[0].split(";")[0] or "not stated"
