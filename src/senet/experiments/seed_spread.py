"""How far paired differences spread from seed to seed: one additive model of all rows that share a baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Spread", "spreads"]

LEVEL = 0.01  # of the test for equal spread, over all rows together: an interval of a row alone is far wider
ROUNDING = 1e-9  # of the values: a smaller deviation is one of arithmetic


@dataclass(frozen=True, kw_only=True)
class Spread:
    """The spread of the paired differences of a row over seeds.

    Attributes:
        variance: of a single difference [square of the values' unit].
        df: degrees of freedom of its estimate; 0 without one.
        common: it is estimated from all rows of the family together.
    """

    variance: float
    df: int
    common: bool


def spreads(rows: Sequence[Mapping[int, float]], baseline: Mapping[int, float]) -> list[Spread]:
    """Estimate the spread of the differences to a baseline, for every row.

    The model is value = row + seed + residual. All rows have one residual variance, with (I - 1)(J - 1) degrees of
    freedom for I rows (the baseline among them) and J seeds. Where one row spreads more than the others allow, every
    row has the variance of its own differences, with its number of pairs minus 1.

    Source:
        R. A. Fisher, Statistical Methods for Research Workers (1925): randomized blocks, here the seeds.

    Example:
        >>> spreads([{0: 2.0, 1: 4.0, 2: 6.0}], {0: 1.0, 1: 2.0, 2: 3.0})[0]
        Spread(variance=1.0, df=2, common=True)
    """
    own = [_own(row, baseline) for row in rows]
    compared = [row for row, spread in zip(rows, own, strict=True) if spread.df or row.keys() & baseline.keys()]
    if len(compared) < 2 or _unequal(compared, baseline):
        return own if len(compared) != 1 else [Spread(variance=s.variance, df=s.df, common=True) for s in own]
    residual, df = _residual([baseline, *compared])
    return [Spread(variance=2 * residual, df=df, common=True) for _ in rows]


def _own(row: Mapping[int, float], baseline: Mapping[int, float]) -> Spread:
    from statistics import variance

    differences = [row[seed] - baseline[seed] for seed in sorted(row.keys() & baseline.keys())]
    if len(differences) < 2:
        return Spread(variance=0.0, df=0, common=False)
    scale = max(map(abs, (*row.values(), *baseline.values())))
    return Spread(variance=_cleared(variance(differences), scale), df=len(differences) - 1, common=False)


def _residual(rows: Sequence[Mapping[int, float]]) -> tuple[float, int]:
    """Return the residual variance of the additive model, by least squares, and its degrees of freedom."""
    import numpy as np

    largest = max(abs(value) for row in rows for value in row.values())
    if len({frozenset(row) for row in rows}) == 1:
        df = (len(rows) - 1) * (len(rows[0]) - 1)
        squares = float((_centred(rows, sorted(rows[0])) ** 2).sum())
    else:
        seeds = {seed: at for at, seed in enumerate(sorted(set().union(*rows)))}
        cells = [(number, seeds[seed], value) for number, row in enumerate(rows) for seed, value in row.items()]
        design = np.zeros((len(cells), len(rows) + len(seeds)))
        for at, (row, seed, _) in enumerate(cells):
            design[at, row] = design[at, len(rows) + seed] = 1
        values = np.array([value for *_, value in cells])
        values -= values.mean()
        fitted, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
        df = len(cells) - int(rank)
        squares = float(((values - design @ fitted) ** 2).sum())
    return (_cleared(squares / df, largest), df) if df else (0.0, 0)


def _centred(rows: Sequence[Mapping[int, float]], seeds: Sequence[int]) -> Any:
    """Return the residuals of rows that all have these seeds, `(rows, seeds)`."""
    import numpy as np

    values = np.array([[row[seed] for seed in seeds] for row in rows])
    values -= values.mean(axis=1, keepdims=True)
    return values - values.mean(axis=0, keepdims=True)


def _unequal(rows: Sequence[Mapping[int, float]], baseline: Mapping[int, float]) -> bool:
    """Return whether one of the rows, or the baseline, spreads more than the residuals of the others allow.

    The contrast of a row with the mean of the others is independent of the rest of the residuals, so their ratio has
    Fisher's F distribution where all spread alike.
    """
    import numpy as np
    from scipy.special import fdtrc

    seeds, count = sorted(set(baseline).intersection(*rows)), len(rows) + 1
    if len(seeds) < 2:
        return False
    residuals = _centred([baseline, *rows], seeds)
    contrasts = (residuals**2).sum(axis=1) * count / (count - 1)
    rest = np.maximum((residuals**2).sum() - contrasts, (ROUNDING * 100) ** 2)
    df, df_rest = len(seeds) - 1, (count - 2) * (len(seeds) - 1)
    chances = fdtrc(df, df_rest, contrasts / df / (rest / df_rest))
    return bool((chances < LEVEL / count).any())


def _cleared(variance: float, scale: float) -> float:
    """Return 0 for a variance that only rounding made."""
    return variance if variance > (ROUNDING * scale) ** 2 else 0.0
