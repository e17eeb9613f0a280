"""From TOML, JSON and command-line words to frozen records; what does not fit is refused with its dotted place."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from senet.errors import DataError, SpecError, UsageError, unknown
from senet.lab.recipe import RECIPES
from senet.lab.run import SCHEMA, Run
from senet.spec import VARIANTS, SESpec

__all__ = ["assign", "merge", "record", "run", "se_designs", "toml_file", "value"]

T = TypeVar("T")


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
    fields = getattr(kind, "__dataclass_fields__", None)
    if fields is not None:
        kind.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
        for field in fields.values():
            _close(field.type, seen)
    for part in getattr(kind, "__args__", ()):
        _close(part, seen)


def record(kind: type[T], values: Mapping[str, Any], *, place: str = "") -> T:
    """Decode a mapping into a frozen record.

    Args:
        kind: a frozen dataclass of the value tier.
        values: plain values as TOML and JSON have them; lists become tuples.
        place: where they come from, for errors: `study.toml: base`.

    Raises:
        SpecError: one line with the dotted place of the first thing that does not fit.
    """
    try:
        return _adapter(kind).validate_json(json.dumps(values), strict=True)  # type: ignore[no-any-return]
    except ValidationError as error:
        raise SpecError(_sentence(error, kind, place)) from None
    except TypeError as error:
        raise SpecError(f"{place}: {error}; give values that TOML can hold.") from None


def _sentence(error: ValidationError, kind: type[Any], place: str) -> str:
    first = error.errors()[0]
    # pydantic names the branch of a union in the path, e.g. `reduction.int`: not a place of the user's
    path = [p for p in first["loc"] if isinstance(p, int) or not (p.endswith("]") or p in ("int", "callable", "str"))]
    dotted = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).lstrip(".")
    where = f"{place}: " if place else ""
    if first["type"] == "unexpected_keyword_argument":
        return where + str(unknown(_parent(dotted) or "field", path[-1], _fields(kind, path[:-1])))
    if first["type"] == "value_error":
        own = str(first["ctx"]["error"])
        return f"{where}{dotted}: {own}" if dotted else f"{where}{own}"
    return f"{where}{dotted} = {first['input']!r} does not fit: {first['msg'][0].lower()}{first['msg'][1:]}."


def _parent(dotted: str) -> str:
    return dotted.rpartition(".")[0]


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
        SpecError: if it is not TOML, with the line.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the path of a TOML file.") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def assign(words: Sequence[str]) -> dict[str, Any]:
    """Turn words such as `optim.lr=0.05` into nested tables.

    Raises:
        UsageError: if a word has no `=` or no name before it.

    Example:
        >>> assign(["recipe.optim.lr=0.05", "seed=1"])
        {'recipe': {'optim': {'lr': 0.05}}, 'seed': 1}
    """
    tables: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not all(name.split(".")):
            raise UsageError(
                f"{word!r} is no assignment; write name=value with dotted names, e.g. recipe.optim.lr=0.05."
            )
        nested: Any = value(text)
        for part in reversed(name.split(".")):
            nested = {part: nested}
        tables = merge(tables, nested)
    return tables


def se_designs(words: object, *, place: str = "se") -> tuple[SESpec, ...]:
    """Decode designs of blocks: `plain`, a name, `slow_both:reduction=8,bias=false`, a table, or a list of these.

    Several ratios are joined by dashes in a word: `standard:reduction=8-2-16`. Designs joined by `+` share a network.

    Example:
        >>> [str(spec) for spec in se_designs("standard:reduction=8-2-16+standard:slot=pre")]
        ['standard r=8-2-16', 'standard r=16 slot=pre']
    """
    if isinstance(words, str):
        return () if words == "plain" else tuple(_se_word(word, place) for word in words.split("+"))
    if isinstance(words, Mapping):
        return (record(SESpec, words, place=place),)
    if isinstance(words, Sequence):
        return tuple(s for i, word in enumerate(words) for s in se_designs(word, place=f"{place}[{i}]"))
    raise SpecError(f"{place} = {words!r} is no design; give a name, a table or a list of tables.")


def _se_word(word: str, place: str) -> SESpec:
    name, _, rest = word.partition(":")
    fields: dict[str, Any] = {}
    for pair in filter(None, rest.split(",")):
        key, equals, text = pair.partition("=")
        if not equals:
            raise SpecError(f"{place} = {word!r}: {pair!r} is no assignment; write {name}:reduction=8,bias=false.")
        many = key in ("reduction", "stages") and ("-" in text or key == "stages")
        fields[key] = [value(part) for part in text.split("-")] if many else value(text)
    if name not in VARIANTS:
        raise unknown(place, name, [*VARIANTS, "plain"])
    return record(SESpec, {"variant": name, **fields}, place=f"{place} = {word!r}")


def run(values: Mapping[str, Any], *, place: str = "") -> Run:
    """Decode a run as studies write it: `data` and `recipe` may be a name, `recipe.preset` starts from a named one.

    Args:
        values: tables `model`, `se`, `data`, `recipe`, `seed`.
        place: where they come from, for errors.

    Raises:
        SpecError: with the dotted place of what does not fit.
    """
    values = dict(values)
    schema = values.pop("schema", SCHEMA)
    if schema != SCHEMA:
        raise SpecError(
            f"{place}: schema = {schema} is of another version of senet, this one reads {SCHEMA}; run it again."
        )
    where = f"{place}: " if place else ""
    if isinstance(values.get("data"), str):
        values["data"] = {"name": values["data"]}
    recipe = values.get("recipe", {})
    if isinstance(recipe, str):
        recipe = {"preset": recipe}
    if isinstance(recipe, Mapping) and "preset" in recipe:
        recipe = dict(recipe)
        preset = recipe.pop("preset")
        if preset not in RECIPES:
            raise unknown(f"{where}recipe.preset", preset, RECIPES)
        recipe = merge(asdict(RECIPES[preset]), recipe)
    values["recipe"] = recipe
    values["se"] = [asdict(spec) for spec in se_designs(values.get("se", []), place=f"{where}se")]
    return record(Run, values, place=place)
