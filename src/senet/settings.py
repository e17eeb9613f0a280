"""Decode TOML, JSON and words into frozen records; errors name the dotted place of the value that does not fit."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from senet.errors import DataError, SpecError, shown, unknown
from senet.files.documents import DocumentError, parse_toml

__all__ = ["merge", "record", "toml_file", "value"]

T = TypeVar("T")
Homes = Mapping[str, Collection[str]]
NO_HOMES: Homes = {}


@cache
def _adapter(kind: type[Any]) -> TypeAdapter[Any]:
    # pydantic reads a stdlib dataclass through a config attached to the class; nested ones inherit nothing, so every
    # record is closed here once
    _close(kind, set())
    return TypeAdapter(kind)


def _close(kind: Any, seen: set[Any]) -> None:
    if kind in seen:
        return
    seen.add(kind)
    entries = getattr(kind, "__dataclass_fields__", None)
    if entries is not None:
        kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
        for field in entries.values():
            _close(field.type, seen)
    for part in getattr(kind, "__args__", ()):
        _close(part, seen)


def record(kind: type[T], values: Mapping[str, Any], *, place: str = "", homes: Homes = NO_HOMES) -> T:
    """Decode a mapping into a frozen record.

    Args:
        kind: a frozen dataclass.
        values: plain values as TOML and JSON have them; lists become tuples.
        place: origin of the values, for errors: `study.toml: base`.
        homes: nested tables with the names of their fields, to hint at the table that an unknown key belongs to.

    Raises:
        SpecError: with the dotted place of the first value that does not fit.
    """
    where = f"{place}: " if place else ""
    try:
        text = json.dumps(values)
    except (TypeError, ValueError, RecursionError) as error:  # a date; a number of 5,000 digits; nested too deeply
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise SpecError(f"{where}{why}; give numbers, strings, true or false, lists and tables.") from None
    try:
        return _adapter(kind).validate_json(text, strict=True)  # type: ignore[no-any-return, arg-type]
    except ValidationError as error:
        raise SpecError(where + _sentence(error, kind, homes)) from None


def _sentence(error: ValidationError, kind: type[Any], homes: Homes) -> str:
    errors = error.errors()
    path = _path(errors[0])
    # every branch of a union has an error: the deepest one is most specific
    first = max((e for e in errors if _path(e)[: len(path)] == path), key=lambda e: len(_path(e)))
    path = _path(first)
    dotted = _dotted(path)
    if first["type"] == "unexpected_keyword_argument":
        return dotted + _unknown_key(path[-1], _fields(kind, path[:-1]), homes)
    if first["type"] == "literal_error":
        return str(unknown(dotted, first["input"], re.findall("'([^']*)'", first["ctx"]["expected"])))
    if first["type"] in ("missing", "missing_argument"):
        return f"{dotted} is missing."
    if first["type"] == "value_error":  # our own: of a record, which may name itself: `optim.lr = -1 is ...`
        own = str(first["ctx"]["error"])
        if path and own.startswith(f"{path[-1]}."):
            return _dotted(path[:-1]) + "." * (len(path) > 1) + own
        return f"{dotted}.{own}" if dotted else own
    if first["type"] in ("tuple_type", "list_type"):
        return f"{dotted or 'this'} = {shown(first['input'])} is not a list; write [VALUE, VALUE]."
    return f"{dotted or 'this'} = {shown(first['input'])} does not fit: {first['msg'][0].lower()}{first['msg'][1:]}."


def _unknown_key(key: int | str, known: Sequence[str], homes: Homes) -> str:
    """Return the sentence about an unknown key, with the table that has a field of this name."""
    sentence = str(unknown("", key, known)).removeprefix(f" = {shown(key)}")
    places = [f"{home}.{key}" for home, names in homes.items() if key in names]
    if places:
        return f"{sentence} {' or '.join(places)} is the full name."
    return f"{sentence} `senet settings` explains them." if homes and "Did you mean" not in sentence else sentence


def _path(error: Mapping[str, Any]) -> list[int | str]:
    # pydantic names the branch of a union, e.g. `reduction.int`: not a place of the user's, but a key may be called so
    *places, last = error["loc"] or ("",)
    is_key = error["type"] == "unexpected_keyword_argument"
    return [p for p in places if not _is_branch(p)] + ([last] if is_key or not _is_branch(last) else [])


def _is_branch(part: int | str) -> bool:
    return isinstance(part, str) and (part.endswith("]") or part in ("", "int", "callable", "str"))


def _dotted(path: Sequence[int | str]) -> str:
    words = (f".{p}" if isinstance(p, str) and p.isidentifier() else f"[{p!r}]" for p in path)
    return "".join(words).lstrip(".")


def _fields(kind: Any, path: Sequence[int | str]) -> list[str]:
    for part in path:
        if isinstance(part, str):
            kind = kind.__dataclass_fields__[part].type
        kind = next((k for k in (kind, *getattr(kind, "__args__", ())) if hasattr(k, "__dataclass_fields__")), kind)
    return list(getattr(kind, "__dataclass_fields__", {}))


def toml_file(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        DataError: if there is no such file.
        SpecError: if it is not TOML, with the number of the line.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; pass the path of a TOML file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise SpecError(
            f"{path} is not TOML: it is not utf-8 ({error.reason} at byte {error.start:,}); save it as UTF-8."
        ) from None
    except DocumentError as error:
        raise SpecError(f"{path} is not TOML: {error}.") from None


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Put `changes` over `base`, table by table."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def value(text: str) -> Any:
    """Read a value as TOML would: a number, true, a list, a string with or without quotes."""
    try:
        return parse_toml(f"v = {text}")["v"]
    except DocumentError:
        return text
