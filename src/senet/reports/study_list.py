"""The list of the studies in a folder: what each shows and what it costs at full and at quick scale."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from senet import settings
from senet.errors import DataError
from senet.experiments.study import Study, read_study
from senet.tables import Table

__all__ = ["SPARE", "list_studies", "titled"]

HEADS = {"runs": "runs", "epochs": "epochs", "macs": "MACs"}
SPARE = ("rows", "quick epochs", "epochs", "quick MACs", "quick runs")
"""Headings of columns that a narrow terminal leaves out, in this order."""


def list_studies(folder: Path) -> list[dict[str, object]]:
    """Return a record of each study in a folder; files named `*_quick.toml` are left out, as they belong to others.

    Returns:
        `study`, `title`, `rows`, `networks` that differ, `full` and `quick`: the `runs`, `epochs` and multiply-adds
        `macs` of all runs [MAC], None where the study does not state them; `quick` is None without a quick scale.

    Raises:
        DataError: if the folder has no study.
    """
    files = [path for path in sorted(folder.glob("*.toml")) if not path.stem.endswith("_quick")]
    if not files:
        raise DataError(f"{folder} has no study; pass the folder of the TOML files.")
    return [_record(path) for path in files]


def titled(records: Sequence[Mapping[str, object]], *, title: bool = True) -> Table:
    """Return the table of studies, as terminal and Markdown show it.

    Args:
        records: what `list_studies` returns.
        title: whether a column holds what a study shows.
    """
    heads = ["study", *["shows"] * title, "rows", *HEADS.values(), *(f"quick {head}" for head in HEADS.values())]
    rows = [
        [
            one["study"],
            *[one["title"]] * title,
            one["rows"],
            *(_said(scale, name) for scale in (one["full"], one["quick"]) for name in HEADS),
        ]
        for one in records
    ]
    return Table(heads, rows, words=("shows",), spare=SPARE, code=True)


def _said(scale: object, name: str) -> object:
    value = scale.get(name) if isinstance(scale, Mapping) else None
    if isinstance(value, list):
        return "/".join(map(str, value))
    return f"{value:.2g}" if isinstance(value, float) else "-" if value is None else value


def _record(path: Path) -> dict[str, object]:
    study = read_study(path)
    return {
        "study": study.name,
        "title": study.title,
        "rows": len(study.rows),
        "networks": len({row.run for row in study.rows}),
        "full": _scale(study),
        "quick": _scale(read_study(path, quick=True)) if "quick" in settings.toml_file(path) else None,
    }


def _scale(study: Study) -> dict[str, object]:
    runs = study.runs()
    stated = re.search(r"(\S+) multiply-adds", study.cost)
    return {
        "runs": len(runs),
        "epochs": sorted({run.recipe.epochs for run in runs}),
        "macs": float(stated[1]) if stated else None,
    }
