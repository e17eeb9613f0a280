"""A search on the terminal."""

from senet.experiments.summary import summarize
from senet.reports import search_table
from senet.reports.console import say, show, show_table
from senet.search.confirmation import against_constants
from senet.search.findings import Findings
from senet.spec import design_name

__all__ = ["show_search"]


def show_search(found: Findings) -> None:
    """Print a search: its trials, their test accuracies, and the confirmation of its choice."""
    outcome = found.outcome
    title = f"{outcome.space.title or outcome.space.name}: {outcome.strategy}"
    show(search_table.table(outcome, found.tests), title=title)
    for note in search_table.notes(outcome, found.tests):
        say(f"- {note}")
    for selection in found.selections:
        against = (
            f" ({selection.gain:+.2f} against {design_name(selection.reference)})"
            if selection.reference is not None
            else ""
        )
        say(f"- {selection.criterion}: {design_name(selection.design)}, test {selection.test:.2f} %{against}")
    if found.shared is not None:
        real = {design: trial.score for design, trial in found.pool.items()}
        say(f"- shared network: {found.shared.per_minute:,.0f} designs a minute")
        for label, value in search_table.agreement(found.shared.scores, real):
            say(f"- {label}: {value}")
    if found.study is not None:
        lines = summarize(found.study, found.results)
        show_table(found.study, lines)
        for line in against_constants(found.study, lines, outcome.chosen):
            say(f"- {line}")
