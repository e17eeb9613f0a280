"""What `senet studies` prints: the studies of a folder, what they transcribe and what they cost at both scales."""

from pathlib import Path

from senet import settings
from senet.errors import DataError
from senet.experiments.study import Study, read_study
from senet.text import code_span, markdown

__all__ = ["list_studies", "studies_markdown"]


def list_studies(folder: Path) -> list[dict[str, str]]:
    """Read every study of a folder; those named `_quick` are quick scales written out and belong to another.

    Raises:
        DataError: if the folder holds no study.
    """
    files = [path for path in sorted(folder.glob("*.toml")) if not path.stem.endswith("_quick")]
    if not files:
        raise DataError(f"{folder} holds no study; give the folder of the TOML files, e.g. studies.")
    return [_row(path) for path in files]


def studies_markdown(rows: list[dict[str, str]]) -> str:
    """Write the list as a Markdown table, names as code."""
    heads = list(rows[0])
    lines = [[code_span(row["study"]), *map(markdown, list(row.values())[1:])] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in (heads, ["---"] * len(heads), *lines))


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
    """Give the first part of a cost: runs, epochs, multiply-adds."""
    return study.cost.split(",")[0].split(";")[0] or "not said"
