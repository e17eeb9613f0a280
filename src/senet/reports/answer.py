"""The answer of a study as JSON has it: means, differences, intervals, verdicts. The same numbers as the table's."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from senet.experiments.cautions import cautions
from senet.experiments.measured_cost import NetworkCost
from senet.experiments.statistics import Difference
from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.experiments.verdict import Verdict
from senet.files.documents import finite
from senet.reports.study_cost import cost_notes, cost_values
from senet.reports.study_notes import footnotes, intervals_hold
from senet.reports.study_table import paper_difference

__all__ = ["answer"]


def answer(study: Study, lines: Sequence[Line]) -> dict[str, Any]:
    """Return what is known about a study; null stands for what is not known.

    Returns:
        `baseline`, `seeds`, `looks`, `pilot`, `margin` [points], `half_done`, what the `intervals` hold, `cautions` and
        `rows`, each with `id`, `label`, `model`, `design`, `params` [1], `macs` [1], `n` and
        `missing` seeds, `seconds` of a run, `metrics` by name (`mean`, `sd`, `n`; accuracies and errors [%], loss
        [nats]), `versus` (id of its baseline), `difference` of accuracies against it (`mean`, `low`, `high` of the
        95 % interval, `visible` [points], `n` pairs, `p`, `df`, `common_spread`, `images` "paired" or "unpaired"),
        `verdict` (`word`, `text`, `more_seeds`, `images`), `cost` of the network as `ordinary` and `optimized` (`step`
        and `latency` with `median`, `low`, `high` of the ratios to the baseline, `step_ms`, `latency_ms`, `saved` as a
        ratio, `saved_mb`) and `paper` with the paper's numbers; `cost`, how those were measured; `notes` as below the
        table.
    """
    return {
        "baseline": study.baseline,
        "seeds": list(study.seeds),
        "looks": list(study.looks),
        "pilot": study.pilot,
        "margin": study.margin,
        "half_done": any(line.missing for line in lines),
        "intervals": intervals_hold(study, lines),
        "cautions": cautions(study, lines),
        "rows": [_row(study, line) for line in lines],
        "cost": next((asdict(line.costs.conditions) for line in lines if line.costs is not None), None),
        "notes": [*footnotes(study, lines), *cost_notes(lines)],
    }


def _row(study: Study, line: Line) -> dict[str, Any]:
    row = line.row
    return {
        "id": row.id,
        "label": row.label,
        "model": row.run.model,
        "design": row.run.design,
        "params": line.params,
        "macs": line.macs,
        "n": line.n,
        "missing": list(line.missing),
        "seconds": line.seconds if math.isfinite(line.seconds) else None,
        "metrics": {name: finite(asdict(value)) for name, value in line.values.items()},
        "versus": study.reference(row),
        "difference": None if line.difference is None else _difference(line.difference),
        "verdict": None if line.verdict is None else _verdict(line.verdict),
        "cost": None if line.cost is None else _cost(line.cost),
        "paper": {**dict(row.paper), "difference": paper_difference(study, row)},
    }


def _difference(found: Difference) -> dict[str, Any]:
    names = ("mean", "low", "high", "visible", "n", "p")
    return {
        **finite({name: getattr(found, name) for name in names}),
        "df": found.spread.df,
        "common_spread": found.spread.common,
        "images": None if found.images is None else "paired" if found.images.paired else "unpaired",
    }


def _cost(found: NetworkCost) -> dict[str, Any]:
    return {"ordinary": cost_values(found.ordinary), "optimized": cost_values(found.optimized)}


def _verdict(found: Verdict) -> dict[str, Any]:
    return {"word": found.word, "text": str(found), "more_seeds": found.more_seeds, "images": found.images}
