"""The choice against its references: fresh seeds, all training images, the test set. And as a file to go on with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from senet.lab.run import Run
from senet.lab.search.space import Space
from senet.lab.search.strategy import Design
from senet.lab.study import Row, Study

__all__ = ["confirmation", "study_text"]


def confirmation(space: Space, chosen: Sequence[Design]) -> Study:
    """Make the study that compares choices with the plain network and with constant ratios, pair by pair.

    Args:
        space: references and seeds; without `confirm_seeds` the seeds 0 to 2.
        chosen: designs.
    """
    designs: dict[Design, str] = {(): "plain"} if space.plain else {}
    designs |= {space.constant(r): f"constant {r}" for r in space.references}
    for design in chosen:
        designs[design] = f"{designs[design]}, chosen" if design in designs else "chosen"
    rows = [_row(space.final(design), label) for design, label in designs.items()]
    return Study(
        name=f"{space.name}-confirmed",
        title=f"{space.title or space.name}: the choice on the test set",
        rows=tuple(rows),
        seeds=space.confirm_seeds or (0, 1, 2),
    )


def _row(run: Run, label: str) -> Row:
    return Row(id=run.design.replace(" ", "_"), label=f"{run.design} ({label})" if run.se else label, run=run)


def study_text(study: Study, chosen: Run) -> str:
    """Write a study as TOML, every value in full: `senet train` takes its base, `senet run` all of it.

    Args:
        study: as `confirmation` makes it.
        chosen: the run that is the base.
    """
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
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case int() | float():
            return repr(value)
        case Mapping():
            return "{ " + ", ".join(f"{name} = {_value(inner)}" for name, inner in value.items()) + " }"
        case _:
            return "[" + ", ".join(map(_value, value)) + "]"
