"""What trains for a search: this process alone or all workers of a storage, with or without stopping early."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from senet.console import Board
from senet.errors import SenetError
from senet.lab.early import Judge, Pruned, Rule
from senet.lab.execute import Setup, execute
from senet.lab.result import Result
from senet.lab.run import Run
from senet.lab.store import Store

if TYPE_CHECKING:
    from senet.lab.trials import Trials

__all__ = ["Bench"]


@dataclass(kw_only=True)
class Bench:
    """Trains what a search asks for, and remembers the order in which it was asked.

    Attributes:
        store: where results are and go.
        setup: device, processes, paths.
        board: shows how it goes.
        rule: stops trainings that fall behind; the plain network is never stopped, and never held against others.
        by: `accuracy` or `loss`: what the rule looks at.
        trials: shares the runs with other workers; None trains here alone.
    """

    store: Store
    setup: Setup
    board: Board
    rule: Rule = field(default_factory=Rule)
    by: str = "accuracy"
    trials: "Trials | None" = None
    order: dict[int, list[str]] = field(default_factory=dict)

    def __call__(self, runs: Sequence[Run]) -> Iterator[Result | Pruned]:
        """Train runs, or read what there is of them.

        Raises:
            SenetError: of the first that failed; with other workers at the end, after the runs that did not.
        """
        self.board.total = max(self.board.total, self.board.done + len(set(runs)))
        stopped: list[Pruned] = []
        for result in self._results(runs, self._judge(runs) if self.rule else None, stopped.append):
            self.board.finish(result)
            yield result
        for pruned in stopped:
            self.board.drop(pruned)
        yield from stopped
        if self.trials is not None and (failed := self.trials.overview(runs).failed):
            (run, first), *_ = failed.items()
            raise SenetError(
                f"{len(failed)} of {len(runs)} runs were given up; the first is {run.model} {run.design} seed "
                f"{run.seed}: {first.line} The same command tries them again."
            )

    def _results(self, runs: Sequence[Run], judge: Judge | None, tell: Callable[[Pruned], None]) -> Iterator[Result]:
        watch = self.board.watch
        if self.trials is None:
            return execute(runs, self.store, self.setup, watch=watch, judge=judge, pruned=tell)
        from senet.lab.shift import work

        self.trials.again(runs)
        say = self.board.note
        return work(runs, self.store, self.trials, self.setup, watch=watch, say=say, judge=judge, pruned=tell)

    def _judge(self, runs: Sequence[Run]) -> Judge:
        for run in runs:
            asked = self.order.setdefault(run.seed, [])
            if run.se and run.id not in asked:
                asked.append(run.id)
        order = {seed: tuple(ids) for seed, ids in self.order.items()}
        return Judge(rule=self.rule, root=self.store.root, order=order, by=self.by)
