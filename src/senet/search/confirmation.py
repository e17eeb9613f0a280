"""Confirm the choice of a search: a study against its references, with fresh seeds, on the test set; also as a file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from senet.experiments.run import Run
from senet.experiments.statistics import accuracy_differences
from senet.experiments.study import Row, Study
from senet.experiments.summary import Line, tallies
from senet.search.space import Space
from senet.search.strategy import Design

__all__ = ["against_constants", "confirmation", "study_text"]


def confirmation(space: Space, chosen: Sequence[Design]) -> Study:
    """Make the study that compares choices with the plain network and with constant ratios, pair by pair.

    Args:
        space: references and seeds; without `confirm_seeds` three that no training of the search had.
        chosen: designs.
    """
    designs: dict[Design, str] = {(): "plain"} if space.plain else {}
    designs |= {space.constant(r): f"constant {r}" for r in space.references or _USUAL}
    for design in chosen:
        designs[design] = f"{designs[design]}, chosen" if design in designs else "chosen"
    rows = [_row(space.final(design), label) for design, label in designs.items()]
    return Study(
        name=f"{space.name}-confirmed",
        title=f"{space.title or space.name}: the choice on the test set",
        rows=tuple(rows),
        seeds=space.confirm_seeds or _fresh(space.seeds),
    )


_USUAL = (16,)  # the papers' ratio: a choice that only beats the plain network says nothing about the search


def _fresh(used: Sequence[int]) -> tuple[int, ...]:
    """Return three seeds by which nothing was chosen."""
    first = max(used) + 1
    return tuple(range(first, first + 3))


def against_constants(study: Study, lines: Sequence[Line], chosen: Design | None) -> list[str]:
    """Describe how the choice does against each constant ratio, seed by seed: the table holds both against plain."""
    tests = {line.row.run.se: tallies(line.results) for line in lines}
    others = [row for row in study.rows if row.run.se and row.run.se != chosen]
    said = []
    for row, found in zip(
        others, accuracy_differences([tests[row.run.se] for row in others], tests.get(chosen or (), {})), strict=True
    ):
        if found.n:
            corrected = f" (corrected for {found.comparisons} comparisons)" if found.corrected else ""
            interval = f" [{-found.high:+.2f}, {-found.low:+.2f}]{corrected}" if found.n > 1 else ", one pair"
            interval += f", p {found.p:.3f}" if found.n > 2 else ""
            said.append(f"the choice minus {row.label}: {-found.mean:+.2f} points{interval}")
    return said


def _row(run: Run, label: str) -> Row:
    return Row(id=run.design.replace(" ", "_"), label=f"{run.design} ({label})" if run.se else label, run=run)


def study_text(study: Study, chosen: Run) -> str:
    """Write a study as TOML, every value in full: `senet train` takes its base, `senet run` all of it."""
    head = {"title": study.title, "seeds": study.seeds, "baseline": study.baseline}
    base = {name: value for name, value in asdict(chosen).items() if name != "seed"}
    lines = [f"{name} = {_value(value)}" for name, value in head.items()]
    lines += ["", "[base]", *(f"{name} = {_value(value)}" for name, value in base.items())]
    for row in study.rows:
        lines += ["", "[[rows]]", f"id = {_value(row.id)}", f"label = {_value(row.label)}"]
        lines += [f"se = {_value([asdict(spec) for spec in row.run.se])}"]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # a TOML string is one of JSON's
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(_value, value)) + "]"
