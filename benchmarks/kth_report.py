"""Write and draw what `kth_pictures.py` counted: the report of the KTH authors' own networks."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from scipy.stats import binomtest

from senet.experiments.image_bits import check_bits, unpack
from senet.files.atomic import write_text
from senet.reports.confusion import Answers, class_csv, confusion_csv, draw_classes, draw_confusion
from senet.reports.looks import looks
from senet.spec import SESpec
from senet.surgery.folding.folded import paired_interval
from senet.tables import Table

HERE = Path(__file__).parents[1] / "studies" / "reports" / "kth_authors"
RESULTS = "results.json"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two networks on the same test images.

    Attributes:
        first: label of the first network.
        second: label of the second.
        losses: images that only the first has right.
        gains: images that only the second has right.
        total: test images.
    """

    first: str
    second: str
    losses: int
    gains: int
    total: int

    @property
    def discordant(self) -> int:
        """Images that exactly one of the two has right."""
        return self.losses + self.gains

    @property
    def p(self) -> float:
        """McNemar's exact test: the chance of such a split if each discordant image falls to either with 1/2."""
        return float(binomtest(self.gains, self.discordant).pvalue) if self.discordant else 1.0

    @property
    def interval(self) -> tuple[float, float, float]:
        """Second minus first [points] with its 95 % interval over images, by Bonett and Price."""
        return paired_interval(self.gains, self.losses, self.total)


def read(folder: Path = HERE) -> dict[str, Any]:
    """Read the counts; a record of right images that contradicts its matrix is refused."""
    found: dict[str, Any] = json.loads((folder / RESULTS).read_text("utf-8"))
    for one in answers(found):
        (right,) = (network["right"] for network in found["networks"] if network["label"] == one.label)
        check_bits(right, correct=one.correct, total=one.total)
    return found


def answers(found: Mapping[str, Any]) -> list[Answers]:
    return [
        Answers(label=one["label"], classes=tuple(found["classes"]), confusion=tuple(map(tuple, one["confusion"])))
        for one in found["networks"]
    ]


def pairs(found: Mapping[str, Any]) -> list[Pair]:
    """Compare every two of the networks image by image."""
    totals = {one.label: one.total for one in answers(found)}
    right = {one["label"]: unpack(one["right"], totals[one["label"]]) > 0 for one in found["networks"]}
    return [paired((first, right[first]), (second, right[second])) for first, second in combinations(right, 2)]


def paired(first: tuple[str, Any], second: tuple[str, Any]) -> Pair:
    """Compare two networks, each given by its label and by which images it has right."""
    (before, had), (after, has) = first, second
    losses, gains = (int(one.sum()) for one in (had & ~has, has & ~had))
    return Pair(first=before, second=after, losses=losses, gains=gains, total=len(had))


def report(folder: Path) -> None:
    """Write report, tables and pictures of `results.json` beside it."""
    found = read(folder)
    all_answers = answers(found)
    draw_confusion(all_answers, folder / "confusion.png")
    designs = [
        str(SESpec(reduction=tuple(one["reduction"]))) if one["reduction"] else "plain" for one in found["networks"]
    ]
    draw_classes(all_answers, folder / "per_class.png", styles=looks(designs))
    write_text(folder / "confusion.csv", confusion_csv(all_answers))
    write_text(folder / "per_class.csv", class_csv(all_answers))
    write_text(folder / "report.md", page(found))


def page(found: Mapping[str, Any]) -> str:
    """Return the report: the networks, the pairs, what the differences mean, the pictures."""
    heads = ("network", "right", "top-1 [%] ± standard error", "Table 3", "test loss", "Table 3")
    rows: list[Sequence[object]] = [
        (
            one.label,
            one.correct,
            with_error(one),
            said["table3"]["accuracy"],
            f"{said['loss']:.4f}",
            said["table3"]["loss"],
        )
        for one, said in zip(answers(found), found["networks"], strict=True)
    ]
    compared = pairs(found)
    shown: list[Sequence[object]] = [
        (
            f"{pair.second} - {pair.first}",
            pair.gains,
            pair.losses,
            points(pair),
            f"{pair.p:.3f}",
            f"{min(1.0, len(compared) * pair.p):.3f}",
        )
        for pair in compared
    ]
    pair_heads = (
        "pair",
        "only the first right",
        "only the second right",
        "difference [95 % interval]",
        "p",
        f"{len(compared)} p",
    )
    return f"""# KTH: the authors' own networks, tested here

Source: Holm, Lindqvist and Persson, Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation Networks,
Table 3; their public weights, loaded by name into `kth_resnet52` (`origin="kth"`) with their preprocessing
(`data.normalize=kth`), all {answers(found)[0].total:,} test images of CIFAR-10 once each.

{Table(heads, rows).markdown()}
The standard errors are binomial, of one trained network on these images; that of another training is not in them.
Our loss is not clipped; Keras clips probabilities at 1e-7, and with that clip `tests/weights/test_kth.py` finds their
fourth digit.

## Do they differ? The same images, pair by pair

{Table(pair_heads, shown, words=("pair", "difference [95 % interval]")).markdown()}
Differences in percentage points, with the interval of Bonett and Price for paired shares; p is McNemar's exact test;
the last column is corrected for {len(compared)} pairs (Bonferroni). Both cover the choice of the test images alone:
they compare these trained networks, and say nothing about another training of the same designs. (8, 2, 16) was chosen
among 13 schemes by its accuracy on these very images, so its differences and its p are flattered. How large such a lead
is by chance: [benchmarks/SELECTION.md](../../../benchmarks/SELECTION.md).

## Pictures

![confusion matrices](confusion.png)

![accuracy by class, with binomial standard errors](per_class.png)

Training curves need runs: `senet run studies/kth_table3.toml` draws them, and these pictures, for the networks it
trains.

Made by `{found["command"]}` on {found["date"]}: {found["machine"]}, torch {found["torch"]}; the numbers, and which
images each network has right, are in [results.json](results.json), [confusion.csv](confusion.csv) and
[per_class.csv](per_class.csv).
"""


def points(pair: Pair) -> str:
    """Return the difference and its interval: `+0.20 [-0.36, +0.76]`."""
    mean, low, high = pair.interval
    return f"{mean:+.2f} [{low:+.2f}, {high:+.2f}]"


def with_error(one: Answers) -> str:
    """Return the accuracy with its binomial standard error."""
    share = one.correct / one.total
    return f"{100 * share:.2f} ± {100 * math.sqrt(share * (1 - share) / one.total):.2f}"
