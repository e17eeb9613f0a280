"""What a comparison found, as the public `Comparison`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.printed import Printed

__all__ = ["Comparison"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Comparison(Printed):
    """What a comparison found: the tables, the verdicts and the figure that `senet compare` makes.

    Attributes:
        study: rows, seeds and margin.
        lines: what is known about each row: `values`, `difference` to the baseline, `verdict`, `cost`.
    """

    study: Study
    lines: tuple[Line, ...]

    def table(self) -> str:
        """Return the table of accuracies as text; columns without a known value are left out."""
        from senet.reports.study_table import study_table

        return str(study_table(self.study, self.lines))

    def cost_table(self) -> str:
        """Return the table of measured costs as text; empty if they are not known."""
        from senet.reports.study_cost import cost_heading, cost_table

        found = cost_table(self.lines)
        return "" if found is None else f"{cost_heading(self.lines)}\n{found}"

    def __str__(self) -> str:
        """Return the tables, the verdicts in words and the notes."""
        from senet.reports.study_cost import cost_notes
        from senet.reports.study_notes import footnotes, verdict_heading, verdicts

        said = [f"- {sentence}" for sentence in verdicts(self.study, self.lines)]
        cost = ["", self.cost_table()] if cost_notes(self.lines) else []
        notes = [f"- {note}" for note in (*footnotes(self.study, self.lines), *cost_notes(self.lines))]
        return "\n".join([self.table(), verdict_heading(self.study), *said, *cost, "", *notes])

    def as_dict(self) -> Mapping[str, Any]:
        """Return what `senet compare --json` prints of a study: `rows` with means, differences, verdicts, and notes."""
        from senet.reports.answer import answer

        return answer(self.study, self.lines)

    def figure(self, path: str | Path) -> None:
        """Draw the figure of the comparison.

        Args:
            path: `.png`, `.svg` or `.pdf`.

        Raises:
            StorageError: if the file cannot be written.
            UsageError: if matplotlib is not installed.
        """
        from senet.reports.study_figure import draw

        draw(self.study, self.lines, Path(path))
