"""Write the report of a study: Markdown, CSV, figure and the results themselves, in one folder."""

from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path, PurePath

from senet.errors import CheckpointError
from senet.execution.store import read_results, write_results
from senet.experiments.measured_cost import COSTS, MeasuredCosts
from senet.experiments.result import NETWORK_NOTE, Result
from senet.experiments.run import BUILT, Run
from senet.experiments.study import Study
from senet.experiments.summary import Line, summarize
from senet.files.atomic import ensure_writable, write_text
from senet.reports.canvas import no_figures
from senet.reports.confusion import Answers, class_csv, confusion_csv, draw_classes, draw_confusion
from senet.reports.curves import draw_curves
from senet.reports.gate_curves import draw_gates, gates_csv, watched
from senet.reports.study_cost import cost_heading, cost_notes, cost_table
from senet.reports.study_figure import draw, study_looks
from senet.reports.study_notes import footnotes, verdict_heading, verdicts
from senet.reports.study_table import csv_text, markdown
from senet.text import bullets, code_span, counted
from senet.text import markdown as as_markdown

__all__ = ["draw_pictures", "free_folder", "report_text", "write_lines", "write_report"]

PICTURE_TITLES = {
    "figure": "accuracy by epoch, differences to the baseline, and what they cost",
    "curves": "training and test curves",
    "gates": "gates of each block by epoch: shares that are open, shut, in the middle, and channels that are stuck",
    "confusion": "confusion matrices",
    "per_class": "accuracy by class",
}


def free_folder(folder: Path, belongs: Callable[[Run], bool]) -> Path:
    """Return a folder for a report that loses no other: the one asked for, or the first free one beside it.

    A folder is free if it holds no results, or only such as belong to this report and will be in it again.

    Args:
        folder: as it is named after what is compared.
        belongs: whether a run is one of this comparison.

    Returns:
        `folder`, `folder-2`, `folder-3`, ...
    """
    for number in count(1):
        place = folder if number == 1 else folder.with_name(f"{folder.name}-{number}")
        held = place / "results.jsonl"
        try:
            if not held.exists() or all(belongs(result.run) for result in read_results(held).values()):
                return place
        except CheckpointError:  # of another version, or damaged: not ours to replace
            continue
    raise AssertionError


def write_report(
    study: Study,
    results: Mapping[Run, Result],
    folder: Path,
    *,
    command: str,
    costs: MeasuredCosts | None = None,
) -> list[Path]:
    """Write everything that is known about a study.

    Without matplotlib figures are left out, and the report says what to install.

    Args:
        study: rows, seeds, the paper's numbers.
        results: results that exist; other runs are shown as missing.
        folder: gets `report.md`, `table.csv`, `figure.png`, `results.jsonl`, the pictures the study asks for, and
            `gates.png` and `gates.csv` of trainings that watched their gates.
        command: what made it, for the report.
        costs: measurement of the networks, kept as `costs.jsonl`; None if there is none.

    Returns:
        The files. Pictures are left out while there is nothing to draw.

    Raises:
        CheckpointError: if the results have different images.
        StorageError: if the folder cannot be written.
    """
    return write_lines(study, summarize(study, results, costs=costs), folder, command=command)


def write_lines(study: Study, lines: Sequence[Line], folder: Path, *, command: str) -> list[Path]:
    """Write what is known about a study, see `write_report`; without results no `results.jsonl`."""
    found = {study.run(line.row, seed): result for line in lines for seed, result in line.results.items()}
    ordered = [found[run] for run in study.runs() if run in found]
    costs = next((line.costs for line in lines if line.costs is not None), None)
    ensure_writable(folder)
    write_text(folder / "table.csv", csv_text(study, lines))
    files = [folder / "report.md", folder / "table.csv"]
    if ordered:
        write_results(folder / "results.jsonl", ordered)
        files.append(folder / "results.jsonl")
    if costs is not None:
        write_text(folder / COSTS, costs.line() + "\n")
        files.append(folder / COSTS)
    if any(line.n for line in lines) and no_figures() is None:
        draw(study, lines, folder / "figure.png")
        files.append(folder / "figure.png")
    files += draw_pictures(study, lines, folder)
    files += _gates(lines, folder)
    text = report_text(study, lines, ordered, command=command, pictures=[f.stem for f in files if f.suffix == ".png"])
    write_text(folder / "report.md", text)
    return files


def draw_pictures(study: Study, lines: Sequence[Line], folder: Path) -> list[Path]:
    """Draw the pictures that a study asks for, of those of their rows that have results; matrices also as CSV."""
    files: list[Path] = []
    look, drawn = study_looks(study), no_figures() is None
    for kind, ids in study.pictures:
        shown = [line for line in lines if line.results and (not ids or line.row.id in ids)]
        if not shown:
            continue
        picture, table = folder / f"{kind}.png", folder / f"{kind}.csv"
        styles = [look[line.row.id] for line in shown]
        answers = [] if kind == "curves" else [_answers(line) for line in shown]
        if drawn:
            files.append(picture)
            if kind == "curves":
                draw_curves(shown, picture, styles=styles)
            elif kind == "confusion":
                draw_confusion(answers, picture)
            else:
                draw_classes(answers, picture, styles=styles)
        if answers:
            write_text(table, (confusion_csv if kind == "confusion" else class_csv)(answers))
            files.append(table)
    return files


def _gates(lines: Sequence[Line], folder: Path) -> list[Path]:
    """Draw gates by epoch, of the rows whose trainings watched them; their shares also as CSV."""
    if not (shown := watched(lines)):
        return []
    picture, table = folder / "gates.png", folder / "gates.csv"
    write_text(table, gates_csv(shown))
    if no_figures() is not None:
        return [table]
    draw_gates(shown, picture)
    return [picture, table]


def _answers(line: Line) -> Answers:
    """Add the confusion matrices of all seeds of a row."""
    results = list(line.results.values())
    matrices = [result.confusion for result in results]
    added = tuple(tuple(map(sum, zip(*rows, strict=True))) for rows in zip(*matrices, strict=True))
    return Answers(label=line.row.label, classes=results[0].classes, confusion=added)


def report_text(
    study: Study, lines: Sequence[Line], results: Sequence[Result], *, command: str, pictures: Sequence[str] = ()
) -> str:
    """Write the report of a study as Markdown; `pictures` are the stems of PNG files beside it."""
    parts = [f"# {as_markdown(study.title)}\n"]
    if study.scaled:
        parts.append("**Quick scale: this is not the paper's setting**; what differs is listed below.\n")
    if study.source:
        parts.append(f"Paper: {as_markdown(study.source)}.\n")
    parts.append(markdown(study, lines))
    if judged := verdicts(study, lines):
        parts.append(f"**{as_markdown(verdict_heading(study))}**\n\n{bullets(judged, sentences=False)}")
    parts.append(bullets(footnotes(study, lines)))
    if (cost := cost_table(lines)) is not None:
        parts.append(f"**{as_markdown(cost_heading(lines))}**\n\n{cost.markdown()}\n{bullets(cost_notes(lines))}")
    titles = PICTURE_TITLES if results else {"figure": "differences to the baseline"}
    parts += [f"![{titles[name]}]({name}.png)\n" for name in pictures]
    recipe = (study.recipe_source,) if study.recipe_source else ()
    for head, items in (
        ("Quick scale: full value -> value here", study.scaled),
        ("Deviations from the paper", study.deviations),
        ("Assumed where the paper is silent", study.assumed),
        ("Where the paper differs from itself or from what can be counted", study.discrepancies),
        ("Where the recipe is from", recipe),
    ):
        if items:
            section = bullets(items, sentences=not head.startswith("Quick"))
            parts.append(f"## {head}\n\n{section}")
    lacking = no_figures()
    made = [*_made(study, results, command), *([f"No figures: {as_markdown(lacking)}"] if lacking else [])]
    parts.append("## How it was made\n\n" + "\n".join(f"- {line}" for line in made) + "\n")
    return "\n".join(part for part in parts if part)


def _made(study: Study, results: Sequence[Result], command: str) -> list[str]:
    """Return lines of Markdown."""
    if not results:
        return [f"Command: {code_span(command)}", f"Seeds: {', '.join(map(str, study.seeds))}{_how_many(study)}"]
    run = study.rows[0].run
    recipe = run.recipe
    models = list(dict.fromkeys(row.run.model for row in study.rows))
    made = [
        f"Command: {code_span(command)}",
        f"Network{'s' * (len(models) > 1)} {', '.join(map(code_span, models))}, "
        f"data {code_span(run.data.name)}, {counted(recipe.epochs, 'epoch')}, batch {recipe.batch_size}, "
        f"{recipe.optim.name} lr {recipe.optim.lr:g}, schedule {recipe.schedule.name}, precision "
        f"{'float32' if recipe.amp == 'off' else 'bfloat16 autocast'}"
        f"{' (first row; others have their own)' * (len({row.run.recipe for row in study.rows}) > 1)}",
        *_start(run),
        f"Seeds: {', '.join(map(str, study.seeds))}{_how_many(study)}",
    ]
    made += [f"Made on {as_markdown(place)}" for place in sorted({_place(result) for result in results})]
    of_data = {(result.data, note) for result in results for note in result.notes if not note.startswith(NETWORK_NOTE)}
    made += sorted(as_markdown(f"Data {data}: {note}") for data, note in of_data)
    return made


def _start(run: Run) -> list[str]:
    """Describe where the network starts, and images that are preprocessed in another way than the data set's."""
    data, optim = run.data, run.recipe.optim
    said = []
    if run.weights:
        known = f" (sha256 {run.weights_hash}...)" if run.weights_hash else ""
        name = PurePath(run.weights).name if known and not run.weights.startswith("hf:") else run.weights
        named = f"that {code_span(run.model)} loads" if run.weights == BUILT else code_span(name)
        said.append(f"Starts from the weights {named}{known}; new blocks start as the identity")
    if optim.block_lr != 1 or run.recipe.freeze:
        rest = "is not trained" if run.recipe.freeze else "has the rate of the recipe"
        said.append(f"Blocks and a new classifier learn at {optim.block_lr:g} times the rate; the rest {rest}")
    if data.mean:
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (data.mean, data.std))
        size = f"{data.size} pixels, crop {data.crop:.4g}, {data.interpolation}, " if data.size else ""
        said.append(f"Images: {size}mean {mean}, deviation {std}")
    return said


def _how_many(study: Study) -> str:
    """Describe how the number of seeds came to be: a table that is looked at and then extended finds too much."""
    if study.looks:
        return f", in looks after {', '.join(map(str, study.looks))}; their intervals are wide enough for all looks"
    if study.pilot:
        first = counted(study.pilot, "seed")
        return f"; planned from the spread of the first {first}, and the intervals are wider for that"
    if len(study.seeds) == 1:
        return ""
    return "; the number is taken as fixed before the start (`--seeds auto` may look and go on)"


def _place(result: Result) -> str:
    where = result.environment
    commit = f", commit {where.commit}" if where.commit else ""
    return (
        f"{where.device}, {counted(where.threads, 'thread')} a run, senet {where.senet}{commit}, "
        f"torch {where.torch}, Python {where.python}"
    )
