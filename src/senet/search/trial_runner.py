"""What trains for a search, with or without stopping early."""

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
    """Shows how many runs go; see `senet.reports.console.ProgressDisplay`."""

    total: int
    done: int

    def watch(self, progress: Progress) -> None:
        """Show how a run goes."""

    def note(self, text: str) -> None:
        """Show one line."""

    def end(self, ended: Result | Pruned | Failed) -> None:
        """Count a run that has ended."""


OpenDisplay = Callable[[int], AbstractContextManager[ProgressDisplay]]
"""Makes a display for a number of runs."""


@dataclass(kw_only=True)
class TrialRunner:
    """Trains what a search asks for, and remembers the order in which it was asked.

    Attributes:
        store: where results are and go.
        setup: device, processes, paths.
        display: shows how it goes.
        rule: stops trainings that fall behind; the plain network is never stopped, and never held against others.
        by: `accuracy` or `loss`: what the rule looks at.
        retry_failed: train runs again that failed before.
    """

    store: Store
    setup: Setup
    display: ProgressDisplay
    rule: Rule = field(default_factory=Rule)
    by: str = "accuracy"
    retry_failed: bool = False
    order: dict[int, list[str]] = field(default_factory=dict)

    def __call__(self, runs: Sequence[Run]) -> Iterator[Result | Pruned]:
        """Train runs, or read what there is of them; those that were stopped early come last.

        Raises:
            RunFailed: at the end, if runs failed by themselves.
        """
        self.display.total = max(self.display.total, self.display.done + len(set(runs)))
        pruner = self._pruner(runs) if self.rule else None
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

    def _pruner(self, runs: Sequence[Run]) -> Pruner:
        for run in runs:
            asked = self.order.setdefault(run.seed, [])
            if run.se and run.id not in asked:
                asked.append(run.id)
        order = {seed: tuple(ids) for seed, ids in self.order.items()}
        return Pruner(rule=self.rule, root=self.store.root, order=order, by=self.by)
