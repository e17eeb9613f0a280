"""The measured costs of a study: read where they are, else measured here and kept in the folder of runs."""

import os
import warnings
from collections.abc import Callable
from pathlib import Path

from senet.errors import UsageError, reason_of
from senet.execution.executors import load_cached
from senet.experiments.measured_cost import COSTS, MeasuredCosts, network_key, read_costs
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import Study
from senet.files.atomic import append_line, ensure_writable

__all__ = ["costs_if_possible", "known_costs", "measured_costs"]


def known_costs(study: Study, folder: Path) -> MeasuredCosts | None:
    """Read the latest measurement of all networks of a study in a folder of runs, or of a report; None without one.

    Raises:
        CheckpointError: if the file of measurements is damaged.
    """
    runs = _networks(study)
    return next((found for found in reversed(read_costs(folder / COSTS)) if found.covers(runs)), None)


def measured_costs(
    study: Study, folder: Path, setup: Setup, *, again: bool = False, say: Callable[[str], None] | None = None
) -> MeasuredCosts:
    """Read the costs of the networks of a study, or measure them.

    Args:
        study: rows that are compared with its baseline.
        folder: folder of the runs.
        setup: device and data.
        again: measure them even if they are known.
        say: receives a line before they are measured.

    Raises:
        CheckpointError: if the file of measurements is damaged.
        SenetError: if a network cannot be measured.
        StorageError: if the folder cannot be written.
        UsageError: if this process does not train alone on this machine.
    """
    if not again and (found := known_costs(study, folder)) is not None:
        return found
    if _trains_elsewhere(setup):
        raise UsageError("equal_time measures the cost on this machine first; leave out cluster=... and torchrun.")
    return _kept(_measured(study, setup, say), folder)


def costs_if_possible(
    study: Study, folder: Path, setup: Setup, *, again: bool = False, say: Callable[[str], None] | None = None
) -> MeasuredCosts | None:
    """Read or measure costs, see `measured_costs`; None, with a warning if a network cannot be measured.

    They are not measured where the runs are trained on other machines, or by several processes together.

    Raises:
        CheckpointError: if the file of measurements is damaged.
        StorageError: if the folder cannot be written.
    """
    if not again and (found := known_costs(study, folder)) is not None:
        return found
    if _trains_elsewhere(setup):
        return None
    try:
        measured = _measured(study, setup, say)
    except Exception as error:  # a network of the user that trains, and cannot be copied or timed
        warnings.warn(f"the cost was not measured: {reason_of(error)}", stacklevel=2)
        return None
    return _kept(measured, folder)


def _measured(study: Study, setup: Setup, say: Callable[[str], None] | None) -> MeasuredCosts:
    from senet.training.cost_measurement import measure_costs

    runs = _networks(study)
    if say is not None:
        say(f"measuring the cost of {len(runs)} networks in turn; the result is saved (--no-cost skips this)")
    return measure_costs(runs, load_cached(runs[0].data, setup), device=setup.device)


def _kept(costs: MeasuredCosts, folder: Path) -> MeasuredCosts:
    ensure_writable(folder)
    append_line(folder / COSTS, costs.line())
    return costs


def _trains_elsewhere(setup: Setup) -> bool:
    return bool(setup.cluster) or "WORLD_SIZE" in os.environ


def _networks(study: Study) -> list[Run]:
    """Return a run for each network, that of the baseline first."""
    baseline = next(row.run for row in study.rows if row.id == study.baseline)
    return list({network_key(run): run for run in (baseline, *(row.run for row in study.rows))}.values())
