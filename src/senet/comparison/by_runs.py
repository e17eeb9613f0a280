"""Compare designs of a network on a data set as `senet compare` does, in a folder of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from senet.comparison.designs import named_designs, planned, study_of
from senet.comparison.found import Comparison
from senet.errors import SpecError, shown
from senet.execution.asked_run import asked_values, check_images, check_models, made_run
from senet.experiments.data_spec import DATASETS
from senet.experiments.equal_time import with_equal_time
from senet.experiments.failed_run import Failed, failures
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.experiments.study import Row, Study
from senet.experiments.summary import Line, summarize
from senet.settings import merge
from senet.spec import design_name

__all__ = ["by_runs"]


def by_runs(
    model: str,
    data: Any,
    designs: Sequence[Any],
    *,
    seeds: Any = 5,
    max_seeds: int = 20,
    margin: float = 0.5,
    baseline: str = "plain",
    recipe: str | Mapping[str, Any] | None = None,
    weights: str | None = None,
    runs: str | Path = "runs",
    setup: Setup | None = None,
    retry_failed: bool = False,
    cost: bool = True,
    equal_time: bool = False,
) -> Comparison:
    """Compare as `senet.compare(model, data, designs)` does, see there for the arguments."""
    from senet.execution.cost_store import costs_if_possible, measured_costs
    from senet.execution.execute import execute
    from senet.execution.store import Store
    from senet.files.atomic import ensure_writable

    if not isinstance(recipe, str | Mapping | None):
        raise SpecError(f"recipe = {shown(recipe)} is not a recipe; pass its name, or a mapping of changes.")
    named, folder = _data(data, Path(runs))
    asked = asked_values(
        None,
        data=named if isinstance(named, str) else None,
        data_dir=folder,
        model=model,
        recipe=recipe if isinstance(recipe, str) else None,
        weights=weights,
        base={"data": dict(named)} if isinstance(named, Mapping) else None,
    )
    if isinstance(recipe, Mapping):
        asked["recipe"] = merge(asked["recipe"], recipe)
    plain = made_run(asked)
    rows = [
        Row(id=name, label=design_name(specs), run=replace(plain, se=specs))
        for name, specs in named_designs(designs, baseline).items()
    ]
    plan = planned(seeds, max_seeds)
    title = f"{plain.model} on {plain.data.title}: designs"
    study = plan.applied(study_of(rows, seeds, margin=margin, baseline=baseline, title=title))
    check_models(study)
    ensure_writable(Path(runs))
    setup = setup or Setup(device=_device())
    if folder is not None:
        setup = replace(setup, data_dir=folder)
    check_images(study, Path(runs), setup)
    if equal_time:
        costs = measured_costs(study, Path(runs), setup)
        study = with_equal_time(study, costs, fused=setup.fused)
    results: dict[Run, Result] = {}

    def trained(study: Study) -> list[Line]:
        failed: list[Failed] = []
        wanted = [run for run in study.runs() if run not in results]
        for ended in execute(wanted, Store(Path(runs)), setup, retry_failed=retry_failed):
            if isinstance(ended, Result):
                results[ended.run] = ended
            elif isinstance(ended, Failed):
                failed.append(ended)
        if failed:
            raise failures(failed, len(study.runs()))
        return summarize(study, results)

    study = plan.carry_out(study, trained)
    measured = costs_if_possible(study, Path(runs), setup) if cost else None
    return Comparison(study=study, lines=tuple(summarize(study, results, costs=measured)))


def _data(data: Any, runs: Path) -> tuple[str | Mapping[str, Any] | None, Path | None]:
    """Return the name or the fields of a data set, and the folder of its files."""
    if isinstance(data, tuple | list):
        from senet.data.arrays import from_memory

        return from_memory(data, runs), runs
    if not isinstance(data, str | Path | Mapping):
        raise SpecError(
            f"data = {shown(data)} is not a data set; pass its name, its folder, fields of DataSpec, or a pair of "
            "training and test images."
        )
    if isinstance(data, Mapping) or data in DATASETS:
        return data, None
    return None, Path(data)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
