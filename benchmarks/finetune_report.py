"""Draw and write what `finetune.py` measured: FINETUNE.md and a figure."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from senet.experiments.statistics import Difference, paired
from senet.experiments.summary import Estimate
from senet.reports.canvas import canvas, legend
from senet.reports.looks import BLACK, GREY, looks
from senet.tables import Table

BASES = ("plain", "plain, equal time")


def report(folder: Path) -> None:
    found = json.loads((folder / "finetune.json").read_text("utf-8"))
    draw(found, folder / "finetune.png")
    (folder.parent / "FINETUNE.md").write_text("\n".join(chapter(found)) + "\n", encoding="utf-8")


def ways(found: Mapping[str, Any]) -> list[str]:
    return list(next(iter(found["seeds"].values())))


def ends(found: Mapping[str, Any], way: str) -> dict[int, float]:
    """Return the accuracy at the end by seed [%]."""
    total = found["test_images"]
    return {int(seed): 100 * each[way]["curve"][-1]["correct"] / total for seed, each in found["seeds"].items()}


def chapter(found: Mapping[str, Any]) -> Iterator[str]:
    seeds = ", ".join(found["seeds"])
    start = 100 * found["pretrained_correct"] / found["test_images"]
    yield "# Fine-tuning after an insertion\n"
    yield (
        f"A plain resnet20 was trained on {found['images']:,} CIFAR-10 images for {found['pretrain_epochs']} epochs "
        f"({found['pretrain_seconds']:.0f} s of CPU time): {found['pretrained_correct']:,} of "
        f"{found['test_images']:,} test images right ({start:.2f} %). Each seed fine-tunes copies of it on the same "
        f"images in the same order, batches of {found['batch_size']}, SGD with Nesterov momentum 0.9 and weight decay "
        "5e-4, bfloat16 autocast, each along a cosine to zero from 0.01 for the host and 0.1 for the blocks (r = 16, 9 "
        "of them). Frozen means: no gradient for the host's parameters, its batch norms in evaluation mode. The rates "
        "were set beforehand and not searched.\n"
    )
    yield "![accuracy over CPU time, and paired differences](finetune/finetune.png)\n"
    rows = []
    for way in ways(found):
        runs = [each[way]["curve"][-1] for each in found["seeds"].values()]
        seconds = Estimate.of([run["seconds"] for run in runs])
        value = Estimate.of(list(ends(found, way).values()))
        numbers = [str(runs[0]["step"]), f"{seconds.mean:.1f} ± {seconds.sd:.1f}", f"{value.mean:.2f} ± {value.sd:.2f}"]
        rows.append([way, *numbers, *(difference(found, way, base) for base in BASES)])
    against = ["against plain, equal steps", "against plain, equal time"]
    yield Table(["fine-tuned", "steps", "CPU time [s]", "top-1 [%]", *against], rows, words=against).markdown().rstrip()
    yield (
        f"\nMean ± standard deviation over {len(found['seeds'])} seeds ({seeds}); differences in percentage points, "
        "paired by seed, with 95 % intervals (Student's t), those with blocks corrected for four comparisons "
        "(Bonferroni). They are about this one host and these test images, whose choice is not in the intervals. "
        "The point between start and end is halfway; the learning rate is half of the first there.\n"
    )
    pairs = [(way, base) for way in ways(found) if way not in BASES for base in BASES]
    decided = [f"{way} against {base}" for way, base in pairs if pair(found, way, base).decided]
    said = f"An interval excludes 0: {'; '.join(decided)}" if decided else "No interval excludes 0"
    image = 100 / found["test_images"]
    yield (f"{said} (of {len(pairs)} comparisons with plain networks; one test image is {image:.2f} points).\n")
    same = all(each[way]["equal_at_step_0"] for each in found["seeds"].values() for way in each)
    kept = all(each["blocks alone"]["host_as_before"] for each in found["seeds"].values())
    yield (
        f"Step 0: the outputs of 500 test images after the insertion are {'' if same else 'NOT '}those of the host bit "
        "for bit, for every seed. After training the blocks alone, `senet.remove` "
        f"{'gives' if kept else 'does NOT give'} the host back bit for bit, statistics included.\n"
    )
    ratios = found["ratios"]
    yield (
        f"Equal time: a step with blocks costs {ratios['blocks and host']:.2f} times a plain one (host trained) and "
        f"{ratios['blocks alone']:.2f} times (host frozen), medians of 6 rounds in turns in one process before the "
        "first seed; the plain network with equal time gets that many more steps than the others. Networks ran "
        "through `senet.accelerate` of that day, which fused the norms of the plain network only; it now fuses those "
        "with an inserted block too, so that a step with blocks costs less and the plain network of equal time would "
        "get fewer steps.\n"
    )
    yield (
        f"Made by `{found['command']}` on {found['date']}: {found['machine']}, torch {found['torch']}; DIR holds "
        "CIFAR-10. Times are CPU times of training without the tests."
    )


def pair(found: Mapping[str, Any], way: str, base: str) -> Difference:
    """Compare two ways of fine-tuning; those with blocks and without are one family, corrected by Bonferroni."""
    one = paired(ends(found, way), ends(found, base))
    number = len(BASES) * (len(ways(found)) - len(BASES))
    return one if {way, base} <= set(BASES) else replace(one, comparisons=number, dunnett=False)


def difference(found: Mapping[str, Any], way: str, base: str) -> str:
    if way == base:
        return "baseline"
    value = pair(found, way, base)
    return f"{value.mean:+.2f} [{value.low:+.2f}, {value.high:+.2f}]"


def draw(found: Mapping[str, Any], path: Path) -> None:
    """Draw accuracy over time, and the differences to the plain network with their intervals."""
    title = "resnet20 on CIFAR-10: fine-tuned plain and with inserted blocks"
    caption = "lines: means; pale points: every seed; bars: 95 % intervals of differences paired by seed"
    with canvas(path, 11, 4.6, title=title, caption=caption) as figure:
        curves, against = figure.subplots(1, 2, width_ratios=(3, 2))
        legend(figure, _draw_curves(curves, found), ways(found))
        _draw_differences(against, found)


def _draw_curves(axes: Any, found: Mapping[str, Any]) -> list[Any]:
    total, start = found["test_images"], 100 * found["pretrained_correct"] / found["test_images"]
    axes.axhline(start, color=GREY, linewidth=0.8, linestyle=":")
    axes.set(xlabel="CPU time of fine-tuning [s]", ylabel="test accuracy [%]", title="from the pretrained network on")
    handles = []
    for way, look in zip(ways(found), looks(ways(found)), strict=True):
        lines = [
            [(0.0, start), *((at["seconds"], 100 * at["correct"] / total) for at in each[way]["curve"])]
            for each in found["seeds"].values()
        ]
        for line in lines:
            axes.plot(*zip(*line[1:], strict=True), **look.point, alpha=0.35)
        means = [tuple(map(fmean, zip(*points, strict=True))) for points in zip(*lines, strict=True)]
        handles += axes.plot(*zip(*means, strict=True), **look.line)
    return handles


def _draw_differences(axes: Any, found: Mapping[str, Any]) -> None:
    look = dict(zip(ways(found), looks(ways(found)), strict=True))
    pairs = [(way, base) for way in ways(found) if way not in BASES for base in BASES]
    axes.axvline(0, color=BLACK, linewidth=0.8)
    for at, (way, base) in enumerate(pairs):
        value = pair(found, way, base)
        axes.errorbar(value.mean, at, xerr=half(value), **look[way].point)
    axes.set_yticks(range(len(pairs)), [f"{way}\n- {base}" for way, base in pairs])
    axes.set(xlabel="difference of accuracies [points]", title="against the plain network", ylim=(len(pairs), -1))


def half(value: Difference) -> float:
    return 0.0 if math.isnan(value.high) else value.high - value.mean
