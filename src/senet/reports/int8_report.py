"""The report of a quantisation: the networks of the search, every block and layer, and the curve."""

import math
from collections.abc import Sequence
from pathlib import Path

from senet.exporting.int8.report import BoundError, Quantized
from senet.exporting.latency import Latency
from senet.files.atomic import write_json, write_text
from senet.files.documents import finite
from senet.reports.canvas import canvas, legend, no_figures
from senet.reports.looks import COLORS, GREY
from senet.surgery.folding.folded import Step
from senet.tables import Table
from senet.text import code_span, markdown

__all__ = ["part_table", "step_table", "write_int8"]

MIB = 2**20


def step_table(quantized: Quantized) -> Table:
    """Return the networks that were measured, from everything in int8 to the most parts in float."""
    heads = ["network", "parts in float", "weights in int8 [%]", "lost [95 % interval]", "predictions changed", ""]
    if quantized.correct is not None:
        heads.insert(3, "top-1 [%]")
    rows = []
    for step in reversed(quantized.curve):
        row: list[object] = [step.name, step.blocks, f"{quantized.share(step):.1f}"]
        if step.correct is not None:
            row.append(f"{100 * step.correct / quantized.images:.2f}")
        loss = f"{step.loss:+.2f} [{step.low:+.2f}, {step.high:+.2f}]"
        changed = "" if step.changed is None else f"{step.changed:,} of {quantized.images:,}"
        rows.append([*row, loss, changed, "<- file" if step == quantized.chosen else ""])
    if quantized.correct is not None:
        rows.append(["float", "all", "0.0", f"{100 * quantized.correct / quantized.images:.2f}", "", "", ""])
    return Table(heads, rows, words=("",), spare=("predictions changed", "weights in int8 [%]", "parts in float"))


def part_table(quantized: Quantized) -> Table:
    """Return the blocks and layers, the one with the most noise first."""
    rows: list[list[object]] = [
        [
            part.name,
            "block" if part.block else "layer",
            part.precision,
            f"{part.snr:.1f}" if math.isfinite(part.snr) else "no noise",
            part.weights,
        ]
        for part in sorted(quantized.parts, key=lambda part: part.snr)
    ]
    rows += [[name, "block", "folded", "", ""] for name in quantized.folded]
    return Table(
        ["part", "kind", "precision", "SNR alone in int8 [dB]", "weights"], rows, words=("kind", "precision"), code=True
    )


def write_int8(
    quantized: Quantized,
    folder: Path,
    *,
    title: str,
    command: str,
    notes: Sequence[str],
    file: str | None = None,
    latency: Latency | None = None,
) -> list[Path]:
    """Write `report.json`, `report.md` and, with matplotlib, `curve.png`.

    Args:
        quantized: what was measured.
        folder: folder of the files.
        title: name of the network.
        command: command that made them.
        notes: remarks on the export, the network and its images.
        file: name of the exported file; None if no network is within the bound, so that there is none.
        latency: of the exported file.

    Raises:
        StorageError: if a file cannot be written.
    """
    figure = no_figures() is None
    files = [folder / "report.json", folder / "report.md", *([folder / "curve.png"] if figure else [])]
    values = {"network": title, "command": command, "file": file, **quantized.as_dict()}
    write_json(files[0], finite(values))
    write_text(files[1], _markdown(quantized, title, command, notes, latency, figure=figure))
    if figure:
        _draw(quantized, files[2], title)
    return files


def _markdown(
    quantized: Quantized, title: str, command: str, notes: Sequence[str], latency: Latency | None, *, figure: bool
) -> str:
    sizes = ", ".join(f"{name} {size / MIB:.2f} MiB" for name, size in quantized.bytes.items())
    lines = [
        f"# {markdown(title)} in int8",
        "",
        f"Ranges from {quantized.calibrated:,} images, networks compared on {quantized.images:,} test images; bound: "
        f"{quantized.settings.max_drop:g} points at the upper end of the 95 % interval. Made by {code_span(command)}.",
        "",
        *([f"**{markdown(BoundError(quantized))}** No file was written.", ""] if quantized.chosen is None else []),
        step_table(quantized).markdown(),
        f"Sizes: {sizes}.",
        "",
        *([markdown(latency), ""] if latency else []),
        *(["![share of weights in int8 against the loss](curve.png)", ""] if figure else []),
        part_table(quantized).markdown(),
        *(f"- {markdown(note)}" for note in (*quantized.notes, *notes)),
    ]
    return "\n".join(lines).rstrip() + "\n"


def _draw(quantized: Quantized, path: Path, title: str) -> None:
    unit = "points" if quantized.measure == "accuracy" else "%"
    caption = (
        f"bars: 95 % interval on {quantized.images:,} images, paired; dashed: the bound, which the upper end must keep"
    )
    with canvas(path, 7, 4.6, title=f"{title}: loss against the share of int8", caption=caption) as figure:
        axes = figure.subplots()
        handles, labels = [], []
        named = {"plain int8": quantized.plain, "gates in float": quantized.gates}
        if quantized.chosen is not None:
            named["the file"] = quantized.chosen
        others = [step for step in quantized.curve if step not in named.values()]
        looks = zip(COLORS, ("s", "o", "D"), strict=False)
        for (name, step), (color, marker) in zip(named.items(), looks, strict=False):
            handles.append(_point(axes, quantized, step, color, marker, size=8))
            labels.append(name)
        for step in others:
            _point(axes, quantized, step, GREY, ".", size=5)
        axes.axhline(quantized.settings.max_drop, color=GREY, linestyle="--", linewidth=1)
        axes.set(xlabel="weights in int8 [%]", ylabel=f"top-1 lost [{unit}]" if unit == "points" else "changed [%]")
        legend(figure, handles, labels)


def _point(axes: object, quantized: Quantized, step: Step, color: str, marker: str, *, size: int) -> object:
    bars = [[step.loss - step.low], [step.high - step.loss]]
    look = {"color": color, "marker": marker, "markersize": size, "linestyle": "none"}
    return axes.errorbar([quantized.share(step)], [step.loss], yerr=bars, **look)  # type: ignore[attr-defined]
