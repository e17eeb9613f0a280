"""The report of a fold: tables of steps and of blocks, and a figure of the curve and of the blocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet.networks import LIBRARIES
from senet.reports.canvas import canvas, legend, short
from senet.reports.console import say, say_written, show
from senet.reports.looks import BLACK, COLORS, GREY
from senet.surgery import Folded
from senet.surgery.folding.folded import FoldedBlock
from senet.tables import Table
from senet.text import code_span, counted, markdown, one_line
from senet.weights.config import read_config

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["again", "as_csv", "as_markdown", "block_table", "draw", "remarks", "sentence", "show_fold", "step_table"]

TEXT_COLUMNS = {"replaced", "constants went to", ""}
SPARE = (
    "kMAC", "sd", "time", "params", "C", "gate", "params freed", "predictions changed", "top-1 [%]", "varies",
)  # fmt: skip
"""Headings of columns that a narrow terminal leaves out, in this order."""
WORDS = {"accuracy": "top-1 lost", "answers": "predictions changed", "output": "output error"}


def step_table(folded: Folded) -> Table:
    """Return the curve, one row for each step."""
    heads = [
        "blocks",
        "replaced",
        "params freed",
        f"{WORDS[folded.measure]} [95 % interval]",
        "predictions changed",
        "",
    ]
    if folded.measure == "accuracy":
        heads.insert(3, "top-1 [%]")
    rows = []
    for step in folded.steps:
        row: list[object] = [step.blocks, step.name or "none: the original", step.params]
        if step.correct is not None:
            row.append(f"{100 * step.correct / folded.test_images:.2f}")
        loss = f"{step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}]" if step.blocks else ""
        changed = "" if step.changed is None else f"{step.changed:,} of {folded.test_images:,}"
        rows.append([*row, loss, changed, "<- kept" if step.blocks == folded.chosen and not folded.dry_run else ""])
    return Table(heads, rows, words=TEXT_COLUMNS, spare=SPARE)


def block_table(folded: Folded) -> Table:
    """Return the blocks, in the order of the network."""
    heads = ["block", "C", "gate", "sd", "varies", "output error", "params", "kMAC", "time", "order"]
    rows = [
        [
            block.name or "(the network)",
            block.channels,
            f"{block.gate_mean:.3f}",
            f"{block.gate_sd:.3f}",
            f"{100 * block.variation:.2g} %",
            "" if block.error is None else f"{100 * block.error:.2g} %",
            block.params,
            f"{block.macs / 1e3:.1f}",
            f"{block.time_percent:.1f} %",
            block.rank,
            _destination(block),
        ]
        for block in folded.blocks
    ]
    return Table([*heads, "constants went to"], rows, words=TEXT_COLUMNS, spare=SPARE)


def _destination(block: FoldedBlock) -> str:
    if not block.removed and block.where:  # a dry run
        return f"stays; else {block.where}"
    if not block.removed:
        return f"stays: {block.reason}" if block.reason else "stays"
    return f"{block.where}: {block.reason}" if block.reason else block.where


def remarks(folded: Folded) -> list[str]:
    """Return the notes of a fold with the names that things have on the command line."""
    return [
        note.replace("sure=False", "measured=true").replace("give `test`", "give a test split") for note in folded.notes
    ]


def again(folded: Folded, name: str, folder: Path) -> str:
    """Return the Python lines by which the folded network is loaded."""
    if (folder / "config.json").exists():
        config = read_config(folder / "config.json")
        built = "" if config is None else config.model
        own = ":" in built and built.partition(":")[0] not in ("senet", *LIBRARIES)
        return f"model = senet.from_pretrained({one_line(folder)!r}{f', builder={one_line(built)!r}' if own else ''})"
    scaled = f", scaled={list(folded.scaled)}" if folded.scaled else ""
    return (
        f"model = ...  # {one_line(name)}, as it was before\n"
        f"senet.surgery.skeleton(model, {list(folded.removed)}{scaled})\n"
        f"model.load_state_dict(safetensors.torch.load_file({one_line(folder / 'model.safetensors')!r}))"
    )


def sentence(folded: Folded) -> str:
    """Return the result as a sentence."""
    if len(folded.steps) < 2:
        return "Nothing was folded."
    step = folded.steps[folded.chosen]
    verb = "could be removed" if folded.dry_run else "removed"
    kept = f"{counted(len(folded.scaled), 'scale')} with {counted(folded.scale_params, 'parameter')} left"
    scales = f" ({kept})" if folded.scaled else ""
    text = f"{folded.chosen} of {len(folded.blocks)} blocks {verb}{scales}, {folded.params_freed:,} parameters freed"
    if not folded.chosen:
        return f"Nothing was folded: 0 of {len(folded.blocks)} blocks fit the tolerance and the budget."
    return f"{text}; {WORDS[folded.measure]} {step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}] points."


def as_csv(folded: Folded) -> str:
    """Return the curve as CSV, one line a step, with the numbers of the removed block."""
    names = ("blocks", "name", "params", "correct", "changed", "worse", "better", "loss", "low", "high", "error")
    own = ("variation", "spatial", "gate_mean", "gate_sd", "error", "params", "macs", "time_percent")
    blocks = {block.name: block for block in folded.blocks}
    rows = []
    for step in folded.steps:
        block = blocks.get(step.name) if step.blocks else None
        values = [getattr(step, name) for name in names] + [folded.test_images]
        rows.append([*values, *(getattr(block, name, None) for name in own)])
    return Table([*names, "images", *(f"block_{name}" for name in own)], rows).csv(form=".6g")


def as_markdown(
    folded: Folded, *, title: str, command: str, notes: Sequence[str] = (), figure: bool = True, loading: str = ""
) -> str:
    """Return the report as Markdown; `loading` is the text of `again`."""
    images = "none of which is among" if folded.separate else "some of which are among"
    lines = [
        f"# {markdown(title)}: blocks folded",
        "",
        markdown(sentence(folded)),
        "",
        f"Gates and order come from {folded.statistics_images:,} images, the steps from {folded.test_images:,}, "
        f"{images} those. Made by {code_span(command)}.",
        "",
        *(["![curve of the removal, and where the blocks sit](figure.png)", ""] if figure else []),
        step_table(folded).markdown(),
        block_table(folded).markdown(),
        *(f"- {markdown(note)}" for note in (*remarks(folded), *notes)),
    ]
    if loading:
        lines += ["", "To load it again:", "", "```python", loading, "```"]
    return "\n".join(lines).rstrip() + "\n"


def draw(folded: Folded, path: Path, *, title: str) -> None:
    """Draw the curve of the removal, and the blocks in the order of the network.

    Raises:
        UsageError: if matplotlib is not installed.
    """
    caption = f"band: 95 % interval on {folded.test_images:,} images; dashed: {folded.chosen} within the bounds"
    height = max(4.4, 1.6 + 0.19 * len(folded.blocks))
    with canvas(path, 11, height, title=title, caption=caption) as figure:
        curve, where = figure.subplots(1, 2)
        _curve(curve, folded)
        _where(figure, where, folded)


def _level(folded: Folded, loss: float) -> float:
    """Turn a loss into the height of the curve: accuracy where labels are known."""
    if folded.measure != "accuracy":
        return loss
    start = folded.steps[0].correct
    assert start is not None
    return 100 * start / folded.test_images - loss


def _curve(axes: "Axes", folded: Folded) -> None:
    steps = folded.steps
    x = [step.blocks for step in steps]
    low = [_level(folded, s.high if s.blocks else 0.0) for s in steps]
    high = [_level(folded, s.low if s.blocks else 0.0) for s in steps]
    axes.fill_between(x, low, high, color=COLORS[0], alpha=0.18, linewidth=0)
    axes.axvline(folded.chosen, color=COLORS[1], linestyle="--", linewidth=1)
    axes.plot(x, [_level(folded, s.loss) for s in steps], marker="o", color=COLORS[0])
    label = {
        "accuracy": "top-1 accuracy [%]",
        "answers": "predictions changed [%]",
        "output": "relative error of outputs [%]",
    }[folded.measure]
    axes.set(xlabel="blocks replaced by constants, least harmful first", ylabel=label, title="the curve of the removal")
    axes.set_xticks(x if len(x) <= 14 else x[::2])


def _where(figure: Any, axes: "Axes", folded: Folded) -> None:
    """Draw the blocks in the order of the network; a bar of no length ends in a point that is seen."""
    kinds = (("goes", COLORS[2], "s", "//"), ("stays", COLORS[0], "o", ""), ("cannot go", GREY, "x", ""))
    handles, labels = [], []
    for kind, color, marker, hatch in kinds:
        found = [(at, block) for at, block in enumerate(folded.blocks) if _kind(block) == kind]
        if not found:
            continue
        rows = [at for at, _ in found]
        varies = [100 * block.variation if block.rank else 0.0 for _, block in found]
        axes.barh(rows, varies, color=color, hatch=hatch, edgecolor="white", height=0.7, linewidth=0)
        handles += axes.plot(varies, rows, linestyle="none", marker=marker, color=color, clip_on=False, zorder=3)
        labels.append(f"variation of the gate, block {kind}")
    errors = [(at, 100 * block.error) for at, block in enumerate(folded.blocks) if block.error is not None]
    if errors:
        look: dict[str, Any] = {
            "linestyle": "none",
            "marker": "D",
            "color": BLACK,
            "fillstyle": "none",
            "clip_on": False,
            "zorder": 4,
        }
        handles += axes.plot([error for _, error in errors], [at for at, _ in errors], **look)
        labels.append("output error of this block alone")
    axes.set_yticks(range(len(folded.blocks)), [_place(block) for block in folded.blocks], fontsize=7)
    axes.set_ylim(len(folded.blocks) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.set(
        xlabel="relative to the output of the block (bar), of the network (diamond) [%]",
        title="the blocks, with their place in the order of removal",
    )
    legend(figure, handles, labels)


def _kind(block: FoldedBlock) -> str:
    return "goes" if block.removed else "cannot go" if block.rank is None else "stays"


def _place(block: FoldedBlock) -> str:
    """Return the label of a block with its rank; removed blocks are named in words, as their bar may have no length."""
    return f"{short(block.name)}  {'' if block.rank is None else block.rank}{', goes' if block.removed else ''}"


def show_fold(folded: Folded, title: str, notes: Sequence[str], files: Sequence[Path], folder: Path) -> None:
    """Print the tables of a fold, its remarks, and the files that were written."""
    for table in (block_table(folded), step_table(folded)):
        if table.rows:
            show(table)
    for note in (*remarks(folded), *notes):
        say(f"- {note}")
    say(sentence(folded), dim=False)
    say_written(files)
    if not folded.dry_run:
        print("load it again in Python:")
        for line in again(folded, title, folder).splitlines():
            print(one_line(line))
