"""A search on the terminal."""

from collections.abc import Callable, Mapping

from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Study
from senet.experiments.summary import summarize
from senet.reports import search_table as table
from senet.reports.console import say, show_rows
from senet.search.confirmation import against_constants
from senet.search.findings import Findings
from senet.spec import design_name

__all__ = ["show"]


def show(found: Findings, study_table: Callable[[Study, Mapping[Run, Result]], None]) -> None:
    """Print a search: what was tried, what the test set would have said, and the confirmation.

    Args:
        found: the search.
        study_table: prints a study.
    """
    outcome = found.outcome
    show_rows(
        table.columns(outcome, found.tests),
        table.cells(outcome, found.tests),
        title=f"{outcome.space.title or outcome.space.name}: {outcome.strategy}",
        words={"asked for in"},
    )
    for note in table.notes(outcome, found.tests):
        say(f"- {note}")
    for claim in found.claims:
        against = f" ({claim.gain:+.2f} against {design_name(claim.reference)})" if claim.reference is not None else ""
        say(f"- {claim.way}: {design_name(claim.design)}, test {claim.test:.2f} %{against}")
    if found.shared is not None:
        real = {design: trial.score for design, trial in found.pool.items()}
        say(f"- shared network: {found.shared.per_minute:,.0f} designs a minute")
        for label, value in table.agreement(found.shared.scores, real):
            say(f"- {label}: {value}")
    if found.study is not None:
        study_table(found.study, found.results)
        for line in against_constants(found.study, summarize(found.study, found.results), outcome.chosen):
            say(f"- {line}")
