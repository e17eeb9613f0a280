"""How large is the lead of the best of equal ratio schemes by chance? The KTH report's table under pure noise.

    python benchmarks/selection.py

Everything comes from committed results: nothing is trained. Writes SELECTION.md and selection.png beside this file, and
prints the former. `tests/test_selection.py` holds the simulation against integrals over order statistics.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev, variance
from typing import Any

import kth_report  # beside this file
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from senet.execution.store import read_results
from senet.reports.canvas import canvas, legend
from senet.reports.looks import BLACK, GREY, looks
from senet.surgery.folding.folded import share_interval
from senet.tables import Table

HERE = Path(__file__).parent
STUDIES = HERE.parent / "studies"
DRAWS = 200_000
SEED = 0
CONSTANT = 4  # schemes of the first phase of the search; the last of them is (16, 16, 16)
SEEDS = {
    "digits_resnet8": "ResNet-8 on digits, 15 epochs",
    "ratios_resnet8_quick": "quick: ResNet-8 on 2,000 CIFAR-10 images, 6 epochs, held-out images",
    "winners_resnet8_quick": "quick: the same, test images",
    "winners_resnet20_quick": "quick: ResNet-20 on 2,000 CIFAR-10 images, 4 epochs",
}

Leads = Mapping[str, NDArray[np.float64]]
"""The winner's lead over each reference, one value for each drawn table."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What one training of equal networks varies by.

    Attributes:
        name: its source.
        sd: standard deviation of one accuracy [points].
        low: lower end of its 95 % interval.
        high: upper end.
    """

    name: str
    sd: float
    low: float
    high: float

    @classmethod
    def of_spread(cls, name: str, square: float, df: int) -> "Noise":
        """Return a noise with the interval of a normal variance."""
        low, high = (math.sqrt(df * square / float(chi2.ppf(level, df))) for level in (0.975, 0.025))
        return cls(name=name, sd=math.sqrt(square), low=low, high=high)

    def scaled(self, factor: float, name: str) -> "Noise":
        return Noise(name=name, sd=factor * self.sd, low=factor * self.low, high=factor * self.high)


def main() -> None:
    text = "\n".join(page()) + "\n"
    draw(HERE / "selection.png")
    (HERE / "SELECTION.md").write_text(text, encoding="utf-8")
    print(text, end="")


# ---- the table of the report


def schemes() -> dict[str, float]:
    """Read the accuracies of the distinct networks of Table 3: the plain one, then schemes in the order of the search."""
    rows = tomllib.loads((STUDIES / "kth_table3.toml").read_text("utf-8"))["rows"]
    return {str(tuple(row["se"]["reduction"])) if "se" in row else "plain": row["paper"]["accuracy"] for row in rows}


def observed() -> dict[str, float]:
    """Compute the winner's leads of the report [points]."""
    table = schemes()
    return {name: float(lead[0]) for name, lead in leads(np.array([list(table.values())])).items()}


def leads(tables: NDArray[Any]) -> Leads:
    """Compute the winner's lead over three references.

    The search keeps its best scheme as a candidate of the next phase, so its winner is the best of all that it trained.

    Args:
        tables: accuracies `(tables, networks)`: the plain network, the constant schemes, then the others.
    """
    best = tables[:, 1:].max(1)
    return {
        "plain": best - tables[:, 0],
        "best constant": best - tables[:, 1 : 1 + CONSTANT].max(1),
        "(16, 16, 16)": best - tables[:, CONSTANT],
    }


# ---- noise


def seed_noises() -> Iterator[tuple[Noise, int]]:
    """Pool the variance over seeds of all designs of each committed study; with the number of test images."""
    for report, name in SEEDS.items():
        runs: dict[str, list[float]] = {}
        for result in read_results(STUDIES / "reports" / report / "results.jsonl").values():
            runs.setdefault(result.run.design, []).append(result.accuracy)
            images = result.total
        df = sum(len(each) - 1 for each in runs.values())
        square = sum((len(each) - 1) * variance(each) for each in runs.values()) / df
        yield Noise.of_spread(f"seeds, {name} ({images:,} images)", square, df), images


def discordant() -> tuple[float, int]:
    """Return images that exactly one of two of the authors' networks has right, mean over pairs, and the test images."""
    pairs = kth_report.pairs(kth_report.read())
    return fmean(pair.discordant for pair in pairs), pairs[0].total


def image_noise() -> Noise:
    """Return the noise of the test images between equal networks: half the variance of a fair split of the discordant."""
    count, total = discordant()
    share = share_interval(round(count), total)
    sd, low, high = (100 * math.sqrt(each / 100 / total / 2) for each in share)
    return Noise(name=f"test images alone ({total:,}, the authors' networks)", sd=sd, low=low, high=high)


def table_noise() -> Noise:
    values = list(schemes().values())[1:]
    return Noise.of_spread(f"the {len(values)} schemes of the report's table, if they are equal", stdev(values) ** 2, len(values) - 1)


def noises() -> list[Noise]:
    """Return all sources of noise; those over seeds as measured, and as if all of it came from counting few images."""
    total = discordant()[1]
    found = [image_noise()]
    for noise, images in seed_noises():
        found.append(noise)
        found.append(noise.scaled(math.sqrt(images / total), f"{noise.name.rpartition(' (')[0]}, scaled to {total:,} images"))
    return [*found, table_noise()]


# ---- simulation


def normal_leads() -> Leads:
    """Draw tables of equal networks with standard normal noise; a lead of d points at noise sd is one of d / sd here."""
    return leads(np.random.default_rng(SEED).standard_normal((DRAWS, len(schemes()))))


def image_leads() -> Leads:
    """Draw tables in which the test images are the only noise [points].

    Twice the discordant images are undecided: each network has each of them right with 1/2, so that two networks differ
    on half of them, the discordant ones. All other images are right or wrong for all networks.
    """
    count, total = discordant()
    drawn = np.random.default_rng(SEED).binomial(round(2 * count), 0.5, size=(DRAWS, len(schemes())))
    return {name: 100 * lead / total for name, lead in leads(drawn).items()}


def chance(drawn: NDArray[np.float64], lead: float) -> float:
    """Return the share of drawn tables whose winner leads by at least this much [percent]."""
    return 100 * float((drawn >= lead - 1e-9).mean())


# ---- the page


def page() -> Iterator[str]:
    table, seen, normal = schemes(), observed(), normal_leads()
    count, total = discordant()
    asked = [("plain", d) for d in sorted({seen["best constant"], seen["(16, 16, 16)"], seen["plain"]})]
    asked += [(name, seen[name]) for name in ("best constant", "(16, 16, 16)")]
    winner = max(table, key=table.__getitem__)
    yield "# How far the best of equal schemes leads by chance\n"
    yield (
        f"Table 3 of the KTH report has {len(table)} networks, one training each: the plain one and {len(table) - 1} schemes of ratios. "
        f"The winner {winner} was chosen by its accuracy on the test images. It leads the plain network by "
        f"{seen['plain']:+.2f} points, the best constant scheme by {seen['best constant']:+.2f} and (16, 16, 16) by "
        f"{seen['(16, 16, 16)']:+.2f}. Suppose that all {len(table)} are equally good: how often does the winner lead by as much?\n"
    )
    yield "Chance of a lead of at least so many points [percent], with the ends of the interval of the noise:\n"
    heads = ["noise of one training", "sd [points]", "mean lead over plain", *(f"{d:+.2f} over {name}" for name, d in asked)]
    rows = []
    for noise in noises():
        chances = [[chance(normal[name], d / sd) for sd in (noise.sd, noise.low, noise.high)] for name, d in asked]
        cells = [f"{value:.0f} [{low:.0f}, {high:.0f}]" for value, low, high in chances]
        mean = f"{noise.sd * normal['plain'].mean():+.2f}"
        rows.append([noise.name, f"{noise.sd:.2f} [{noise.low:.2f}, {noise.high:.2f}]", mean, *cells])
    yield Table(heads, rows).markdown()
    exact = image_leads()
    said = ", ".join(f"{d:+.2f} over {name} {chance(exact[name], d):.1f} %" for name, d in asked)
    yield (
        f"The first line again, drawn image by image in place of the normal distribution: {said}; mean lead over plain "
        f"{exact['plain'].mean():+.2f} points.\n"
    )
    yield "![chance of a lead by its size](selection.png)\n"
    yield "## What is assumed\n"
    yield f"- All {len(table)} networks have the same true accuracy, the noise of each is independent of the others' and normal."
    yield "- The search keeps its best scheme as a candidate of the next phase, so its winner is the best of all it trained."
    yield (
        f"- Test images: two of the authors' three networks disagree on {count:,.0f} of {total:,} images on average (exactly one is right; "
        "[report](../studies/reports/kth_authors/report.md)). If they are equal, each such image falls to either by a "
        "fair coin. That is the least that one training varies by: what another seed does to the true accuracy comes on top."
    )
    yield (
        "- Seeds: the spread within designs, pooled over designs, of what was trained here. **Fresh seeds of the KTH network "
        "were not trained.** These networks are smaller, their trainings shorter, their test sets smaller, and 'quick' ones "
        "reach 35 to 40 %: they bracket the spread of the KTH network at best. 'Scaled' is the spread if all of it came from "
        "the number of test images; cnn3 has one seed, hence no spread."
    )
    yield "- The last line takes the spread of the report's own schemes as noise; it says what their table looks like if nothing else is in it."
    yield "- Not in it: that the report also chose what to search, and that a lead over a scheme may be real and still be found by chance.\n"
    yield f"Made by `python benchmarks/selection.py`: {DRAWS:,} tables, seed {SEED}, numpy; the Monte Carlo error of a chance is at most 0.1 points."


def draw(path: Path) -> None:
    """Draw the chance of a lead by its size, a panel for each reference."""
    seen, normal, found = observed(), normal_leads(), noises()
    sizes = np.linspace(0, 1.5, 151)
    caption = "lines: chance among equal schemes, by the noise of one training; vertical: the lead in the report"
    with canvas(path, 11, 4.8, title="the lead of the best of 13 equal schemes", caption=caption) as figure:
        panels = figure.subplots(1, len(seen), sharey=True)
        names = [noise.name for noise in found]
        for axes, (name, lead) in zip(panels, seen.items(), strict=True):
            lines = []
            for noise, look in zip(found, looks(names), strict=True):
                shares = [chance(normal[name], size / noise.sd) for size in sizes]
                lines += axes.plot(sizes, shares, color=look.color, linestyle=look.style)
            axes.axvline(lead, color=BLACK, linewidth=1)
            for other in set(seen.values()) - {lead} if name == "plain" else ():
                axes.axvline(other, color=GREY, linewidth=0.8, linestyle=":")
            axes.set(title=f"over {name}: {lead:+.2f} in the report", xlabel="lead [points]", ylim=(0, 100), xlim=(0, 1.5))
        panels[0].set_ylabel("chance of at least this lead [%]")
        legend(figure, lines, names, columns=2)


if __name__ == "__main__":
    main()
