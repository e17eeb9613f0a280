"""The answer of a study as JSON has it: means, paired differences, intervals, p. The same numbers as the table's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.reports.study_table import footnotes, paper_difference

__all__ = ["answer"]


def answer(study: Study, lines: Sequence[Line]) -> dict[str, Any]:
    """Return what is known about a study; null stands for what is not known.

    Args:
        study: rows and seeds.
        lines: what `summarize` made of it.

    Returns:
        `baseline`, `seeds`, and `rows`, each with `id`, `label`, `model`, `design`, `params` [1], `macs` [1], `n` and
        `missing` seeds, `seconds` of a run, `metrics` by name (`mean`, `sd`, `n`; accuracies and errors [%], loss
        [nats]), `versus` (id of its baseline), `difference` of accuracies against it (`mean`, `low`, `high` of the
        95 % interval [points], `n` pairs, `p`) and `paper` with the paper's numbers; `notes` as below the table.
    """
    return {
        "baseline": study.baseline,
        "seeds": list(study.seeds),
        "rows": [_row(study, line) for line in lines],
        "notes": footnotes(study, lines),
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
        "n": len(line.results),
        "missing": list(line.missing),
        "seconds": _known(line.seconds),
        "metrics": {name: _numbers(asdict(value)) for name, value in line.values.items()},
        "versus": study.reference(row),
        "difference": None if line.difference is None else _numbers(asdict(line.difference)),
        "paper": {**dict(row.paper), "difference": paper_difference(study, row)},
    }


def _numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _known(value) for name, value in values.items()}


def _known(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
