"""A study on paper: Markdown, CSV, figure and the results themselves, in one folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from senet.files.atomic import ensure_writable, write_text
from senet.lab.confusion import Answers, class_csv, confusion_csv, draw_classes, draw_confusion
from senet.lab.curves import draw_curves
from senet.lab.figures import draw
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import write_results
from senet.lab.study import Study
from senet.lab.summary import Line, summarize
from senet.lab.table import csv_text, footnotes, markdown

__all__ = ["draw_pictures", "report_text", "write_report"]

PICTURE_TITLES = {
    "curves": "training and test curves",
    "confusion": "confusion matrices",
    "per_class": "accuracy by class",
}


def write_report(study: Study, results: Mapping[Run, Result], folder: Path, *, command: str) -> list[Path]:
    """Write everything that is known about a study.

    Args:
        study: rows, seeds, the paper's numbers.
        results: what there is; the rest is shown as missing.
        folder: gets `report.md`, `table.csv`, `figure.png`, `results.jsonl`, and the pictures the study asks for.
        command: what made it, for the report.

    Returns:
        The files. Pictures are left out while there is nothing to draw.

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
    extra = draw_pictures(study, lines, folder)
    text = report_text(study, lines, ordered, command=command, pictures=[f.name for f in extra if f.suffix == ".png"])
    write_text(folder / "report.md", text)
    return files + extra


def draw_pictures(study: Study, lines: Sequence[Line], folder: Path) -> list[Path]:
    """Draw the pictures that a study asks for, of those of their rows that have results; matrices also as CSV."""
    files: list[Path] = []
    for kind, ids in study.pictures:
        shown = [line for line in lines if line.results and (not ids or line.row.id in ids)]
        if not shown:
            continue
        picture, table = folder / f"{kind}.png", folder / f"{kind}.csv"
        files.append(picture)
        if kind == "curves":
            draw_curves(shown, picture)
            continue
        answers = [_answers(line) for line in shown]
        (draw_confusion if kind == "confusion" else draw_classes)(answers, picture)
        write_text(table, (confusion_csv if kind == "confusion" else class_csv)(answers))
        files.append(table)
    return files


def _answers(line: Line) -> Answers:
    """Add the confusion matrices of all seeds of a row."""
    results = list(line.results.values())
    matrices = [result.confusion for result in results]
    added = tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*matrices, strict=True))
    return Answers(label=line.row.label, classes=results[0].classes, confusion=added)


def report_text(
    study: Study, lines: Sequence[Line], results: Sequence[Result], *, command: str, pictures: Sequence[str] = ()
) -> str:
    """Write the report of a study as Markdown; `pictures` are files beside it."""
    parts = [f"# {study.title}\n"]
    if study.scaled:
        parts.append("**Quick scale: this is not the paper's setting**; what differs is listed below.\n")
    if study.source:
        parts.append(f"Paper: {study.source}.\n")
    parts.append(markdown(study, lines))
    if notes := footnotes(study, lines):
        parts.append("\n".join(f"- {note}." for note in notes) + "\n")
    if results:
        parts.append("![accuracy by epoch, and against parameters](figure.png)\n")
    parts += [f"![{PICTURE_TITLES[name.removesuffix('.png')]}]({name})\n" for name in pictures]
    recipe = (study.recipe_source,) if study.recipe_source else ()
    for head, items in (
        ("Quick scale: full value -> value here", study.scaled),
        ("Deviations from the paper", study.deviations),
        ("Assumed where the paper is silent", study.assumed),
        ("Where the paper differs from itself or from what can be counted", study.discrepancies),
        ("Where the recipe is from", recipe),
    ):
        if items:
            said = items if head.startswith("Quick") else [f"{item[0].upper()}{item[1:]}." for item in items]
            parts.append(f"## {head}\n\n" + "\n".join(f"- {item}" for item in said) + "\n")
    parts.append("## How it was made\n\n" + "\n".join(f"- {line}" for line in _made(study, results, command)) + "\n")
    return "\n".join(parts)


def _made(study: Study, results: Sequence[Result], command: str) -> list[str]:
    run = study.rows[0].run
    recipe = run.recipe
    models = list(dict.fromkeys(row.run.model for row in study.rows))
    made = [
        f"Command: `{command}`",
        f"Network{'s' * (len(models) > 1)} {', '.join(f'`{name}`' for name in models)}, "
        f"data `{run.data.name}`, {recipe.epochs} epochs, batch {recipe.batch_size}, "
        f"{recipe.optim.name} lr {recipe.optim.lr:g}, schedule {recipe.schedule.name}, precision "
        f"{'float32' if recipe.amp == 'off' else 'bfloat16 autocast'}"
        f"{' (first row; others have their own)' * (len({row.run.recipe for row in study.rows}) > 1)}",
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
