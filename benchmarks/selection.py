"""How far does the best of equal ratio schemes lead by chance? Noise of one training, and tables drawn from it.

`selection_report.py` writes the page. `tests/test_selection.py` holds the simulation against integrals over order
statistics.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, variance
from typing import Any

import kth_report  # beside this file
import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from senet.execution.store import read_results
from senet.experiments.result import Result
from senet.surgery.folding.folded import share_interval

HERE = Path(__file__).parent
STUDIES = HERE.parent / "studies"
DRAWS = 200_000
SEED = 0
CONSTANT = 4  # schemes of the first phase of the search; the last of them is (16, 16, 16)
SEEDS = {
    "digits_resnet8": "seeds: ResNet-8, digits",
    "ratios_resnet8_quick": "seeds: quick ResNet-8, held-out",
    "winners_resnet8_quick": "seeds: quick ResNet-8",
    "winners_resnet20_quick": "seeds: quick ResNet-20",
    "variations_table1_quick": "seeds: 3-layer network, CIFAR-10",
}

Leads = Mapping[str, NDArray[np.float64]]
"""The winner's lead over each reference, one value for each drawn table."""


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What one training of equal networks varies by.

    Attributes:
        name: its source.
        images: test images.
        sd: standard deviation of one accuracy [points].
        low: lower end of its 95 % interval.
        high: upper end.
    """

    name: str
    images: int
    sd: float
    low: float
    high: float

    @classmethod
    def of_spread(cls, name: str, square: float, df: int, *, images: int) -> "Noise":
        """Return a noise with the interval of a normal variance."""
        low, high = (math.sqrt(df * square / float(chi2.ppf(level, df))) for level in (0.975, 0.025))
        return cls(name=name, images=images, sd=math.sqrt(square), low=low, high=high)

    def scaled(self, images: int) -> "Noise":
        """Return the noise on more test images if all of it came from their number."""
        factor = math.sqrt(self.images / images)
        ends = {"sd": factor * self.sd, "low": factor * self.low, "high": factor * self.high}
        return Noise(name=f"{self.name}, scaled", images=images, **ends)


# ---- the table of the report


def schemes() -> dict[str, float]:
    """Read the accuracies of the networks of Table 3: the plain one, then the schemes in the order of the search."""
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


def seed_noises() -> Iterator[Noise]:
    """Pool the variance over seeds of all designs of each committed study."""
    for report, name in SEEDS.items():
        results = results_of(report)
        runs: dict[str, list[float]] = {}
        for result in results:
            runs.setdefault(result.run.design, []).append(result.accuracy)
        df = sum(len(each) - 1 for each in runs.values())
        square = sum((len(each) - 1) * variance(each) for each in runs.values()) / df
        yield Noise.of_spread(name, square, df, images=results[0].total)


def results_of(report: str) -> list[Result]:
    """Return the results of a committed study."""
    return list(read_results(STUDIES / "reports" / report / "results.jsonl").values())


def discordant() -> tuple[float, int]:
    """Return how many images exactly one of two of the authors' networks has right, on average, and of how many."""
    pairs = kth_report.pairs(kth_report.read())
    return fmean(pair.discordant for pair in pairs), pairs[0].total


def image_noise() -> Noise:
    """Return the noise of the test images: half the variance of a fair split of the discordant images."""
    count, total = discordant()
    share = share_interval(round(count), total)
    sd, low, high = (100 * math.sqrt(each / 100 / total / 2) for each in share)
    return Noise(name="test images alone", images=total, sd=sd, low=low, high=high)


def noises() -> list[Noise]:
    """Return all sources of noise: images, seeds as measured and scaled, and the spread of the report's own schemes."""
    images = image_noise()
    schemes_alone = list(schemes().values())[1:]
    df = len(schemes_alone) - 1
    own = Noise.of_spread("schemes of the report", variance(schemes_alone), df, images=images.images)
    seeds = [
        each
        for noise in seed_noises()
        for each in ((noise,) if noise.images == images.images else (noise, noise.scaled(images.images)))
    ]
    return [images, *seeds, own]


# ---- simulation


def normal_leads() -> Leads:
    """Draw tables of equal networks with standard normal noise: a lead of d points at noise sd is one of d / sd."""
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
