"""Compare runs field by field: with the defaults, and the two scales of a study."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from senet.experiments.run import Run

__all__ = ["changed_fields", "differences", "settings", "with_seeds"]


def settings(run: Run) -> str:
    """Return data set, epochs, and the other fields of data and recipe that are not defaults, by dotted names.

    Example:
        >>> settings(Run(seed=3))
        'data.name=digits recipe.epochs=20'
    """
    values = run.as_dict()
    plain = Run().as_dict() | {name: values[name] for name in ("model", "se", "seed")}
    plain["data"]["name"] = plain["recipe"]["epochs"] = None
    return " ".join(f"{place}={_word(value)}" for place, _, value in changed_fields(plain, values))


def differences(
    full: Mapping[str, Run], quick: Mapping[str, Run], *, seeds: tuple[tuple[int, ...], tuple[int, ...]]
) -> tuple[str, ...]:
    """Describe how rows differ at two scales: `recipe.epochs: 50 -> 10`, with the names of rows unless all do.

    Args:
        full: runs by the id of their row.
        quick: runs of the same rows at the quick scale.
        seeds: seeds at both scales.
    """
    changed: dict[tuple[str, str, str], list[str]] = {}
    for row, before in full.items():
        for place, old, new in changed_fields(before.as_dict(), quick[row].as_dict()):
            changed.setdefault((place, _word(old), _word(new)), []).append(row)
    lines = []
    for (place, old, new), rows in changed.items():
        lines.append(f"{place}: {old} -> {new}{_where(rows, list(full))}")
    if seeds[0] != seeds[1]:
        lines.append(f"seeds: {_word(seeds[0])} -> {_word(seeds[1])}")
    return tuple(lines)


def with_seeds(lines: Sequence[str], seeds: tuple[int, ...]) -> tuple[str, ...]:
    """Return lines of `differences` for other seeds at the quick scale; no line where these are the full ones."""
    full = next((line.partition(" -> ")[0] for line in lines if line.startswith("seeds: ")), "")
    others = tuple(line for line in lines if not line.startswith("seeds: "))
    return others if full in ("", f"seeds: {_word(seeds)}") else (*others, f"{full} -> {_word(seeds)}")


def _where(rows: Sequence[str], known: Sequence[str]) -> str:
    others = [row for row in known if row not in rows]
    if not others:
        return ""
    return f" (all but {', '.join(others)})" if len(others) < len(rows) else f" ({', '.join(rows)})"


def changed_fields(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Compare two JSON values field by field.

    Args:
        before: nested tables, lists and plain values.
        now: the value to compare with.
        place: dotted name of both.

    Yields:
        Dotted name, old and new value of every difference; a missing field is None.
    """
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys((*before, *now)):
            yield from changed_fields(before.get(name), now.get(name), f"{place}.{name}".lstrip("."))
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (old, new) in enumerate(zip(before, now, strict=True)):
            yield from changed_fields(old, new, f"{place}[{number}]")
    elif before != now:
        yield place, before, now


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return "(" + ", ".join(map(_word, value)) + ")"
    return str(value)
