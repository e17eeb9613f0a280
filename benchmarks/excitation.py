"""Does the paper's figure of excitation hold? Four claims of the SENet paper, from explanations of trained networks.

First explain the networks (minutes each on one core), then write the report:

    senet explain kth_resnet52 --se standard:reduction=8 --weights se_resnet50_cifar10_r8-8-8.safetensors --origin kth \
        --data-dir CIFAR10_FOLDER data.normalize=kth -o kth
    senet explain kth_resnet52 ... data.test_size=2000 images=0 interventions=stages -o kth_stages
    senet explain timm:tf_mobilenetv3_small_100 --weights mobilenetv3_small.safetensors --data-dir PHOTOGRAPHS \
        --normalize half data.crop=1 images=0 -o mobilenet
    senet train --model resnet20 --se standard:reduction=4 --data digits --epochs 20 -o run
    senet explain run images=0 -o digits
    python benchmarks/excitation.py kth mobilenet digits

A folder NAME_stages beside NAME, if there is one, has the effect of constants in whole stages on more images.
The report goes into studies/reports/excitation. The rules of the verdicts are the functions below. They were written
after a first look at the class shares of two of the networks; their limits are round numbers.
"""

import argparse
import json
import math
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from scipy.stats import spearmanr

from senet import list_models
from senet.files.atomic import write_text
from senet.reports.canvas import canvas, short
from senet.reports.looks import COLORS, GREY
from senet.tables import Table
from senet.text import code_span, counted, markdown

HERE = Path(__file__).parents[1] / "studies" / "reports" / "excitation"
ALIKE = 0.1  # class share up to which the gates of a block are called alike for all classes
HALF = 0.5  # share of gates above which a block is called near saturation
MARGIN = 0.5  # top-1 accuracy that blocks may cost and still be called removable [points]; the default of `senet fold`
CONSTANT = 1e-5  # relative error of the output with constants that is due to rounding
Z = 1.96
FIGURES = ("classes", "importance")


@dataclass(frozen=True)
class Verdict:
    """A claim on one network: the numbers that it rests on, and what follows by the rule."""

    numbers: str
    word: str


def main() -> None:
    """Read explanations and write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="folders of `senet explain`")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the report")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    found = {folder.name: _told(folder) for folder in asked.folders}
    for folder in asked.folders:
        for kind in FIGURES:
            _copy(folder / f"{kind}.png", asked.output / f"{folder.name}_{kind}.png")
        shutil.copyfile(folder / "blocks.csv", asked.output / f"{folder.name}_blocks.csv")
    draw(found, asked.output / "class_share.png")
    write_text(asked.output / "report.md", report(found))


def _told(folder: Path) -> dict[str, Any]:
    """Read an explanation, with the stages of the one beside it that measured them on more images."""
    told: dict[str, Any] = json.loads((folder / "explain.json").read_text(encoding="utf-8"))
    more = folder.with_name(f"{folder.name}_stages") / "explain.json"
    if more.exists():
        own = json.loads(more.read_text(encoding="utf-8"))
        told["stages"] = own["stages"]
        told["made"]["command"] += f"; {own['made']['command']}"
    told["made"]["command"] = typed(told["made"]["command"])
    return told


def typed(command: str) -> str:
    """Return commands with placeholders where the folders and files of this machine were.

    Example:
        >>> typed("senet explain my_run images=0 -o out3")
        'senet explain DIR images=0 -o DIR'
        >>> typed("senet explain resnet20 --weights my.safetensors -o a; senet explain resnet20 -o b")
        'senet explain resnet20 --weights FILE -o DIR; senet explain resnet20 -o DIR'
    """
    known = set(list_models())
    command = re.sub(r"(--weights )[^ ;]+", r"\1FILE", re.sub(r"(-o |--output |--data-dir )[^ ;]+", r"\1DIR", command))
    return re.sub(
        r"(?<=senet explain )[^ ;]+", lambda name: name[0] if name[0] in known or ":" in name[0] else "DIR", command
    )


def _copy(path: Path, copy: Path) -> None:
    """Copy a picture with 96 colours, a quarter of the bytes."""
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(96).save(copy, optimize=True)


def draw(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw the class share of every block over its depth, one panel a network, with the stages marked."""
    caption = "Share of the variance of the gates that the class explains, less its chance level; bars: 95 % intervals."
    title = "Class share of the gates by depth"
    with canvas(path, 9, 2.9, title=title, caption=caption) as figure:
        for axes, told in zip(
            figure.subplots(1, len(found), sharey=True, squeeze=False)[0], found.values(), strict=True
        ):
            blocks = told["blocks"]
            value = [block["statistics"]["class_share"] for block in blocks]
            ends = [_interval(block) for block in blocks]
            bars = [[abs(end[side] - v) for v, end in zip(value, ends, strict=True)] for side in (0, 1)]
            for stage in sorted({block["stage"] for block in blocks}):
                own = [number for number, block in enumerate(blocks, 1) if block["stage"] == stage]
                if stage % 2 == 0:
                    axes.axvspan(own[0] - 0.5, own[-1] + 0.5, color=GREY, alpha=0.12, linewidth=0)
            axes.axhline(0, color=GREY, linewidth=0.8)
            axes.errorbar(
                range(1, len(value) + 1), value, yerr=bars, color=COLORS[0], marker="o", markersize=4, linewidth=1.2
            )
            axes.set_title(short(told["model"]["name"]), fontsize=9)
            axes.set_xlabel("block (stages shaded in turns)")
        figure.axes[0].set_ylabel("class share")


def early(told: Mapping[str, Any]) -> Verdict:
    """Claim 1: holds if the upper end of every block's interval in the first stage is at most 0.1."""
    blocks = [block for block in told["blocks"] if block["stage"] == 1]
    worst = max(blocks, key=lambda block: block["statistics"]["class_share"])
    low, high = _interval(worst)
    text = f"largest class share of {counted(len(blocks), 'block')}: {_share(worst)} ({worst['name']})"
    if all(block["statistics"]["varies"] < CONSTANT for block in blocks):
        text += "; constant gates, so it holds for a trivial reason"
    return Verdict(text, _word(holds=high <= ALIKE, fails=low > ALIKE))


def deep(told: Mapping[str, Any]) -> Verdict:
    """Claim 2: holds if the class share rises with depth and the best deep block exceeds the first one by 0.1."""
    blocks = told["blocks"]
    shares = [block["statistics"]["class_share"] for block in blocks]
    last = max(block["stage"] for block in blocks)
    best = max(
        (block for block in blocks if block["stage"] == last), key=lambda block: block["statistics"]["class_share"]
    )
    difference = best["statistics"]["class_share"] - shares[0]
    (a, b), (c, d) = _interval(blocks[0]), _interval(best)
    half = math.hypot(b - a, d - c) / 2
    rank = spearmanr(range(len(shares)), shares)
    text = (
        f"{best['name']} {_share(best)}, {difference:+.3f} [{difference - half:+.3f}, {difference + half:+.3f}] from "
        f"{blocks[0]['name']}; rank correlation with depth {rank.statistic:+.2f} (p = {rank.pvalue:.2g})"
    )
    rises = rank.statistic > 0 and rank.pvalue < 0.05
    return Verdict(text, _word(holds=difference - half > ALIKE and rises, fails=difference + half < ALIKE))


def saturated(told: Mapping[str, Any]) -> Verdict:
    """Claim 3: holds if half of the gates of one of the last two blocks are open, or the class share falls by half.

    The interval of the share of open gates is the widest that a mean over images with values in [0, 1] can have.
    """
    blocks, images = told["blocks"], told["data"]["images"]
    last = blocks[-2:]
    opened = max(last, key=lambda block: block["statistics"]["open"] or 0.0)
    share = opened["statistics"]["open"] or 0.0
    shut = max(block["statistics"]["shut"] for block in last)
    half = Z * math.sqrt(share * (1 - share) / images)
    top = max(blocks, key=lambda block: block["statistics"]["class_share"])
    alike = _interval(blocks[-1])[1] < top["statistics"]["class_share"] / 2
    text = (
        f"open at most {100 * share:.1f} % [{100 * max(0, share - half):.1f}, {100 * min(1, share + half):.1f}] of the "
        f"gates of the last two blocks, shut up to {100 * shut:.1f} %; class share of the last block "
        f"{_share(blocks[-1])}, largest of all {_share(top)}"
    )
    return Verdict(text, _word(holds=share - half > HALF or alike, fails=share + half < HALF and not alike))


def removable(told: Mapping[str, Any]) -> Verdict:
    """Claim 4: holds if constants in all blocks of the last stage cost at most 0.5 points of top-1 accuracy."""
    if not told.get("stages"):
        return Verdict("not measured", "not measured")
    stage = told["stages"][-1]
    change, low, high = stage["constant"]["top1"]
    loss = stage["constant"]["loss"]
    text = (
        f"constants in its {len(stage['blocks'])} blocks: top-1 {change:+.2f} [{low:+.2f}, {high:+.2f}] points, loss "
        f"{loss[0]:+.3f} [{loss[1]:+.3f}, {loss[2]:+.3f}], on {stage['constant']['images']:,} images"
    )
    return Verdict(text, _word(holds=low >= -MARGIN, fails=high < -MARGIN))


CLAIMS: Mapping[str, Callable[[Mapping[str, Any]], Verdict]] = {
    "Early blocks are alike for all classes": early,
    "Deeper blocks are class-specific": deep,
    "The last blocks are near saturation or alike": saturated,
    "The last stage is removable": removable,
}


def _interval(block: Mapping[str, Any]) -> tuple[float, float]:
    """Return the interval of a class share; a constant gate has the share 0 for certain."""
    found = block["statistics"]["class_share_interval"]
    return tuple(found) if found else (block["statistics"]["class_share"],) * 2


def _share(block: Mapping[str, Any]) -> str:
    low, high = _interval(block)
    return f"{block['statistics']['class_share']:.3f} [{low:.3f}, {high:.3f}]"


def _word(*, holds: bool, fails: bool) -> str:
    return "holds" if holds else "does not hold" if fails else "undecided"


SOURCE = (
    "Source: Hu et al., arXiv:1709.01507, section 7.2 (the role of excitation), on SE-ResNet-50 and ImageNet: the"
    " gates of early blocks are alike for all classes, those of deeper ones are class-specific, those of the last"
    " blocks are near saturation or alike again, and the blocks of the last stage can be removed at a marginal "
    "cost."
)
RULES = (
    "The rules (`benchmarks/excitation.py`). Alike: the upper end of the interval of the class share is at most "
    f"{ALIKE} in every block of the first stage. Class-specific: the best block of the last stage exceeds the "
    f"first block by more than {ALIKE} for certain, and the share rises with depth (rank correlation, p < 0.05). "
    "Near saturation: more than half of the gates of one of the last two blocks are above 98 % of their range, as"
    " in the paper; alike again: the last block has for certain less than half of the largest class share. "
    f"Removable: constants in all of its blocks cost for certain at most {MARGIN} points of top-1 accuracy. The "
    "paper trains without these blocks; here constants replace them after the training and nothing is trained "
    "again, which is the stricter test. The rules were written after a first look at the class shares of the "
    "first two networks; their limits are round numbers and were not tuned."
)


def report(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the report as Markdown."""
    verdicts = {claim: {name: rule(told) for name, told in found.items()} for claim, rule in CLAIMS.items()}
    titles = {name: told["model"]["name"] for name, told in found.items()}
    summary = Table(
        ["claim of the paper", *titles.values()],
        [[claim, *(own[name].word for name in found)] for claim, own in verdicts.items()],
        words=set(titles.values()),
    )
    lines = [
        "# Does the paper's figure of excitation hold?",
        "",
        SOURCE,
        "",
        summary.markdown(),
        RULES,
        "",
        "![class share of the gates by depth](class_share.png)",
        "",
        _networks(found),
    ]
    for claim, own in verdicts.items():
        rows = [[titles[name], own[name].numbers, own[name].word] for name in found]
        lines += [
            f"## {claim}",
            "",
            Table(["network", "numbers [95 %]", "verdict"], rows, words={"numbers [95 %]", "verdict"}).markdown(),
        ]
    for name in found:
        lines += [f"## {markdown(titles[name])}", "", _blocks(found[name])]
        lines += [
            f"![gates by class]({name}_classes.png)",
            "",
            f"![what the gates are worth]({name}_importance.png)",
            "",
        ]
    return "\n".join(lines)


def _networks(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return what the networks were measured on, and by which commands."""
    rows: list[Sequence[object]] = []
    for told in found.values():
        data, counts = told["data"], told["data"]["images_per_class"]
        each = str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        rows.append(
            [
                told["model"]["name"],
                data["name"],
                data["images"],
                each,
                f"{data['top1']:.2f}",
                f"{100 * data['chance']:.1f}",
            ]
        )
    heads = ["network", "images of", "images", "a class", "top-1 [%]", "chance [%]"]
    commands = "".join(f"- {code_span(told['made']['command'])}\n" for told in found.values())
    made = next(iter(found.values()))["made"]
    at = f" at {made['commit']}" if made["commit"] else ""
    origin = f"senet {made['senet']}{at}, torch {made['torch']}, {made['device']}."
    return f"{Table(heads, rows, words={'images of'}).markdown()}\n{origin} Commands:\n\n{commands}"


def _blocks(told: Mapping[str, Any]) -> str:
    heads = ["block", "stage", "C", "class share [95 %]", "open", "shut", "constant: loss [95 %]"]
    rows = []
    for block in told["blocks"]:
        own, effect = block["statistics"], block["importance"]["constant"]["loss"]
        rows.append(
            [
                block["name"], block["stage"], block["channels"], _share(block),
                f"{100 * own['open']:.1f} %", f"{100 * own['shut']:.1f} %",
                f"{effect[0]:+.3f} [{effect[1]:+.3f}, {effect[2]:+.3f}]",
            ]
        )  # fmt: skip
    return Table(heads, rows).markdown()


if __name__ == "__main__":
    main()
