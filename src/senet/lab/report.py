"""A study on paper: Markdown, CSV, figure and the results themselves, in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from senet.lab.figures import draw
from senet.lab.files import ensure_writable, write_text
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import write_results
from senet.lab.study import Study
from senet.lab.summary import Line, summarize
from senet.lab.table import csv_text, footnotes, markdown

__all__ = ["report_text", "write_report"]


def write_report(study: Study, results: Mapping[Run, Result], folder: Path, *, command: str) -> list[Path]:
    """Write everything that is known about a study.

    Args:
        study: rows, seeds, the paper's numbers.
        results: what there is; the rest is shown as missing.
        folder: gets `report.md`, `table.csv`, `figure.png` and `results.jsonl`.
        command: what made it, for the report.

    Returns:
        The files. The figure is left out while there is nothing to draw.

    Raises:
        StorageError: if the folder cannot be written.
        UsageError: if matplotlib is missing.
    """
    ensure_writable(folder)
    lines = summarize(study, results)
    ordered = [results[run] for run in study.runs() if run in results]
    write_text(folder / "table.csv", csv_text(study, lines))
    write_results(folder / "results.jsonl", ordered)
    files = [folder / "report.md", folder / "table.csv", folder / "results.jsonl"]
    if ordered:
        draw(study, lines, folder / "figure.png")
        files.append(folder / "figure.png")
    write_text(folder / "report.md", report_text(study, lines, ordered, command=command))
    return files


def report_text(study: Study, lines: Sequence[Line], results: Sequence[Result], *, command: str) -> str:
    """Write the report of a study as Markdown."""
    parts = [f"# {study.title}\n"]
    if study.source:
        parts.append(f"Paper: {study.source}.\n")
    parts.append(markdown(study, lines))
    if notes := footnotes(study, lines):
        parts.append("\n".join(f"- {note}." for note in notes) + "\n")
    if results:
        parts.append("![accuracy by epoch, and against parameters](figure.png)\n")
    for head, items in (
        ("Deviations from the paper", study.deviations),
        ("Assumed where the paper is silent", study.assumed),
    ):
        if items:
            parts.append(f"## {head}\n\n" + "\n".join(f"- {item[0].upper()}{item[1:]}." for item in items) + "\n")
    parts.append("## How it was made\n\n" + "\n".join(f"- {line}" for line in _made(study, results, command)) + "\n")
    return "\n".join(parts)


def _made(study: Study, results: Sequence[Result], command: str) -> list[str]:
    run = study.rows[0].run
    recipe = run.recipe
    made = [
        f"Command: `{command}`",
        f"Network `{run.model}`, data `{run.data.name}`, {recipe.epochs} epochs, batch {recipe.batch_size}, "
        f"{recipe.optim.name} lr {recipe.optim.lr:g}, schedule {recipe.schedule.name}, precision "
        f"{'float32' if recipe.amp == 'off' else 'bfloat16 autocast'}",
        f"Seeds: {', '.join(map(str, study.seeds))}",
    ]
    places = sorted({_place(result) for result in results})
    made += [f"Made on {place}" for place in places]
    made += sorted({f"Data {result.data}: {note}" for result in results for note in result.notes})
    return made


def _place(result: Result) -> str:
    where = result.environment
    commit = f", commit {where.commit}" if where.commit else ""
    return (
        f"{where.device}, {where.threads} thread{'s' * (where.threads > 1)} a run, senet {where.senet}{commit}, "
        f"torch {where.torch}, Python {where.python}"
    )
