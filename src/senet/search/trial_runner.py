"""Train the runs of a search, with or without early stopping."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from senet.execution.execute import execute
from senet.execution.store import Store
from senet.experiments.early_stopping import Pruned, Pruner, Rule
from senet.experiments.failed_run import Failed, failures
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.training.progress import Progress

__all__ = ["OpenDisplay", "ProgressDisplay", "TrialRunner"]


@runtime_checkable
class ProgressDisplay(Protocol):
    """The display of progress that a search needs; `senet.reports.console.RunProgress` is one."""

    total: int
    done: int

    def watch(self, progress: Progress) -> None:
        """Show the progress of a run."""

    def note(self, text: str) -> None:
        """Show one line."""

    def end(self, ended: Result | Pruned | Failed) -> None:
        """Count a run that has ended."""


OpenDisplay = Callable[[int], AbstractContextManager[ProgressDisplay]]
"""Opens a display for a number of runs."""


@dataclass(kw_only=True)
class TrialRunner:
    """Train the runs of a search, and keep their order for early stopping.

    Attributes:
        store: reads and keeps the results.
        setup: device, processes, paths.
        display: shows progress.
        rule: rule of early stopping; the plain network is neither stopped nor compared with others.
        by: `accuracy` or `loss`, the value that the rule compares.
        retry_failed: train runs again that failed before.
        order: ids of the requested runs by seed.
    """

    store: Store
    setup: Setup
    display: ProgressDisplay
    rule: Rule = field(default_factory=Rule)
    by: str = "accuracy"
    retry_failed: bool = False
    order: dict[int, list[str]] = field(default_factory=dict)

    def __call__(self, runs: Sequence[Run]) -> Iterator[Result | Pruned]:
        """Train runs, or read their results; those that were stopped early come last.

        Raises:
            RunFailed: at the end, if runs failed by themselves.
        """
        self.display.total = max(self.display.total, self.display.done + len(set(runs)))
        pruner = self.pruner(runs) if self.rule else None
        stopped: list[Pruned] = []
        failed: list[Failed] = []
        for ended in execute(
            runs,
            self.store,
            self.setup,
            watch=self.display.watch,
            say=self.display.note,
            pruner=pruner,
            retry_failed=self.retry_failed,
        ):
            self.display.end(ended)
            if isinstance(ended, Result):
                yield ended
            elif isinstance(ended, Pruned):
                stopped.append(ended)
            else:
                failed.append(ended)
        yield from stopped
        if failed:
            raise failures(failed, len(runs))

    def pruner(self, runs: Sequence[Run]) -> Pruner:
        """Return what stops trainings early, given the runs asked for so far and these after them."""
        for run in runs:
            asked = self.order.setdefault(run.seed, [])
            if run.se and run.id not in asked:
                asked.append(run.id)
        order = {seed: tuple(ids) for seed, ids in self.order.items()}
        return Pruner(rule=self.rule, root=self.store.root, order=order, by=self.by)
