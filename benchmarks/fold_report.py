"""Draw and write what `fold_curves.py` measured: a figure and a CSV for each network, and FOLD.md for both."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from senet.reports.fold_report import as_csv, draw
from senet.surgery.folding.folded import Bounds, Folded, FoldedBlock, Step
from senet.tables import Table

NETWORKS = ("mobilenet", "kth")
LOST = "lost [95 % interval]"


def report(folder: Path) -> None:
    found = {name: json.loads((folder / f"{name}.json").read_text("utf-8")) for name in NETWORKS}
    for name, values in found.items():
        folded = restored(values["report"])
        draw(folded, folder / f"{name}.png", title=values["title"])
        (folder / f"{name}.csv").write_text(as_csv(folded), encoding="utf-8")
    text = "\n".join([HEAD, *(line for name, values in found.items() for line in chapter(name, values)), FOOT])
    (folder.parent / "FOLD.md").write_text(text, encoding="utf-8")


def restored(values: Mapping[str, Any]) -> Folded:
    """Make the report of a fold from its JSON; the drawn choice is that of a loss of at most one point as measured."""
    steps = tuple(Step(**step) for step in values["steps"])
    bounds = Bounds(tolerance=1.0, sure=False)
    chosen = bounds.longest(steps)
    blocks = [FoldedBlock(**block) for block in values["blocks"]]
    marked = tuple(
        FoldedBlock(**{**vars(block), "removed": block.rank is not None and block.rank <= chosen}) for block in blocks
    )
    names = ("measure", "statistics_images", "test_images", "separate", "dry_run")
    return Folded(blocks=marked, steps=steps, chosen=chosen, bounds=bounds, **{name: values[name] for name in names})


def chapter(name: str, values: Mapping[str, Any]) -> Iterator[str]:
    folded = restored(values["report"])
    total, first = folded.test_images, folded.steps[0]
    assert first.correct is not None
    yield f"\n## {values['title']}\n"
    yield f"{values['data']}. Before folding: {first.correct:,} of {total:,} right on the images of the curve" + (
        f", {values['before']['correct']:,} of {values['before']['total']:,} on all test images.\n"
        if values["before"]["total"] != total
        else ".\n"
    )
    yield f"![curve and places](fold/{name}.png)\n"
    heads = ("blocks", "replaced", "gate varies", "output error alone", "params freed", "top-1 [%]", LOST)
    rows: list[list[object]] = []
    blocks = {block.name: block for block in folded.blocks}
    for step in folded.steps:
        assert step.correct is not None
        block = blocks.get(step.name)
        alone = [percent(block.variation), percent(block.error or 0.0)] if step.blocks and block else ["", ""]
        lost = interval(vars(step)) if step.blocks else ""
        top1 = f"{100 * step.correct / total:.2f}"
        rows.append([step.blocks, step.name or "the original", *alone, step.params, top1, lost])
    yield Table(heads, rows, words=("replaced", LOST)).markdown().rstrip()
    yield f"\nHow many may go, of {len(folded.blocks)}:\n"
    rows = [
        [tolerance, *(Bounds(tolerance=tolerance, sure=sure).longest(folded.steps) for sure in (False, True))]
        for tolerance in (0.0, 0.5, 1.0, 2.0)
    ]
    yield Table(("tolerance [points]", "as measured", "surely (end of the interval)"), rows).markdown().rstrip()
    yield f"\nOne stage at a time, on the images of the curve ({total:,}):\n"
    rows = [
        [stage, step["blocks"], step["params"], interval(step), step["changed"]]
        for stage, step in values["stages"].items()
    ]
    heads_of_stages = ("stage", "blocks", "params freed", LOST, "predictions changed")
    yield Table(heads_of_stages, rows, words=(LOST,)).markdown().rstrip()
    last, before = values["last_stage"], values["before"]
    if before["total"] != total:
        yield (
            f"\nThe last stage on all {before['total']:,} test images: {before['correct']:,} right before, "
            f"{last['correct']:,} after, lost {interval(last)} points."
        )
    yield "\nThe constant: the one of least squares against the plain mean of the gate, output error and points:\n"
    rows = [
        [
            number,
            *(f"{percent(one['error'])}, {interval(one)} points" for one in (vars(folded.steps[int(number)]), mean)),
        ]
        for number, mean in values["plain_means"].items()
    ]
    yield Table(("blocks replaced", "least squares", "mean"), rows).markdown().rstrip()
    scaled = [block for block, where in values["where"].items() if "(" not in where]
    sides = [where for where in values["where"].values() if "(" in where]
    before_count = sum("(before)" in where for where in sides)
    yield (
        f"\nWhere the constants went: {before_count} blocks into a layer before, {len(sides) - before_count} into "
        f"layers after, {len(scaled)} left a `ChannelScale`. Folding all of them changed the outputs by "
        f"{values['rounding']:.1e} relative."
    )
    yield (
        f"\nMade by `{values['command']}` in {values['seconds']:,} s ({values['cpu_seconds']:,} s of CPU time, torch "
        f"{values['torch']}, {values['threads']} thread, a machine shared with other work)."
    )


def percent(value: float) -> str:
    return "0 %" if value < 1e-6 else f"{100 * value:.3g} %"


def interval(step: Mapping[str, Any]) -> str:
    return f"{step['loss']:+.2f} [{step['low']:+.2f}, {step['high']:+.2f}]"


HEAD = """# Folding real networks

Made by `benchmarks/fold_curves.py` from networks trained by others. "Gate varies" is the relative error of a block's
output with the nearest constant in the gate's place; "output error alone" that of the logits with this block alone
replaced. Blocks go in the order of that second number, measured once on the images of the statistics; no weight is
trained afterwards. Points are percentage points of top-1 accuracy, intervals are paired (Bonett and Price). In the
figures a dashed line marks how far a loss of one point as measured reaches."""

FOOT = """
What these curves say about the paper's remark on the last stage is in [docs/fold.md](../docs/fold.md)."""
