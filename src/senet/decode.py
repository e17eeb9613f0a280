"""From TOML, JSON and command-line words to frozen records; what does not fit is refused with its dotted place."""

import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from senet.data.spec import Augment, DataSpec
from senet.errors import DataError, SpecError, UsageError, shown, unknown
from senet.files.documents import DocumentError, parse_toml
from senet.lab.recipe import RECIPES, Optim, Recipe, Schedule
from senet.lab.run import SCHEMA, Run
from senet.spec import VARIANTS, SESpec

__all__ = ["assign", "merge", "record", "run", "se_designs", "tables", "toml_file", "value"]

T = TypeVar("T")
HOMES: Mapping[str, type[Any]] = {
    "optim": Optim,
    "schedule": Schedule,
    "augment": Augment,
    "data": DataSpec,
    "recipe": Recipe,
    "se": SESpec,
}


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


def record(kind: type[T], values: Mapping[str, Any], *, place: str = "") -> T:
    """Decode a mapping into a frozen record.

    Args:
        kind: a frozen dataclass of the value tier.
        values: plain values as TOML and JSON have them; lists become tuples.
        place: where they come from, for errors: `study.toml: base`.

    Raises:
        SpecError: one line with the dotted place of the first thing that does not fit.
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
        raise SpecError(where + _sentence(error, kind)) from None


def _sentence(error: ValidationError, kind: type[Any]) -> str:
    errors = error.errors()
    path = _path(errors[0])
    # every branch of a union complains: the one that got furthest knows best
    first = max((e for e in errors if _path(e)[: len(path)] == path), key=lambda e: len(_path(e)))
    path = _path(first)
    dotted = _dotted(path)
    if first["type"] == "unexpected_keyword_argument":
        return dotted + _unknown_key(path[-1], _fields(kind, path[:-1]))
    if first["type"] in ("missing", "missing_argument"):
        return f"{dotted} is missing."
    if first["type"] == "value_error":  # our own: of a record, which may name itself: `optim.lr = -1 is ...`
        own = str(first["ctx"]["error"])
        if path and own.startswith(f"{path[-1]}."):
            return _dotted(path[:-1]) + "." * (len(path) > 1) + own
        return f"{dotted}.{own}" if dotted else own
    return f"{dotted or 'this'} = {shown(first['input'])} does not fit: {first['msg'][0].lower()}{first['msg'][1:]}."


def _unknown_key(key: int | str, known: Sequence[str]) -> str:
    """Describe what stands there instead, and where a field of this name belongs."""
    sentence = str(unknown("", key, known)).removeprefix(f" = {shown(key)}")
    places = [f"{home}.{key}" for home, kind in HOMES.items() if key in {entry.name for entry in fields(kind)}]
    return f"{sentence} {' or '.join(places)} is the name in full." if places else sentence


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
        SpecError: if it is not TOML, with the line.
    """
    try:
        return parse_toml(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; give the path of a TOML file.") from None
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


def tables(values: object, *, place: str) -> dict[str, Any]:
    """Return the tables of a run in which a name may stand for the table with that name.

    Args:
        values: `{"data": "cifar10", "recipe": "wrn"}`, or with tables there.
        place: where they come from, for errors.

    Raises:
        SpecError: if something else than a table stands where one belongs.

    Example:
        >>> tables({"data": "digits", "seed": 1}, place="base")
        {'data': {'name': 'digits'}, 'seed': 1}
    """
    where = f"{place}: " if place else ""
    if not isinstance(values, Mapping):
        raise SpecError(f"{where}{shown(values)} is not a table; give names and values.")
    found = dict(values)
    for name, short in (("recipe", "preset"), ("data", "name")):
        if isinstance(found.get(name), str):
            found[name] = {short: found[name]}
        if not isinstance(found.get(name, {}), Mapping):
            raise SpecError(f"{where}{name} = {shown(found[name])} is not a name or a table.")
    return found


IN_RECIPE = ("preset", *Recipe.__dataclass_fields__)
HIGH = 0.01  # a learning rate with which adam and adamw rarely learn
DEEPEST = 10  # parts of a dotted name


def assign(words: Sequence[str]) -> dict[str, Any]:
    """Turn words such as `optim.lr=0.05`, which is short for `recipe.optim.lr=0.05`, into nested tables.

    Raises:
        UsageError: if a word has no `=` or no name before it.

    Example:
        >>> assign(["optim.lr=0.05", "epochs=3", "seed=1"])
        {'recipe': {'optim': {'lr': 0.05}, 'epochs': 3}, 'seed': 1}
    """
    tables: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not all(name.split(".")) or name.count(".") >= DEEPEST:
            raise UsageError(
                f"{shown(word)} is not an assignment; write name=value with dotted names, e.g. optim.lr=0.05."
            )
        nested: Any = value(text)
        for part in reversed(name.split(".")):
            nested = {part: nested}
        tables = merge(tables, {"recipe": nested} if name.partition(".")[0] in IN_RECIPE else nested)
    return tables


def se_designs(words: object, *, place: str = "se") -> tuple[SESpec, ...]:
    """Decode designs of blocks: `plain`, a name, `slow_both:reduction=8,bias=false`, a table, or a list of these.

    In a word, ratios of stages are joined by dashes and those of the blocks of a stage by dots:
    `standard:reduction=8-2-16`, `standard:reduction=8.8.4-2-16`. Designs joined by `+` share a network.

    Example:
        >>> [str(spec) for spec in se_designs("standard:reduction=8-2-16+standard:slot=pre")]
        ['standard r=8-2-16', 'standard r=16 slot=pre']
    """
    if isinstance(words, str):
        return () if words == "plain" else tuple(_se_word(word, place) for word in words.split("+"))
    if isinstance(words, Mapping):
        try:
            return (record(SESpec, words),)
        except SpecError as error:
            raise SpecError(f"{place}.{error}") from None
    if isinstance(words, Sequence):
        return tuple(s for i, word in enumerate(words) for s in se_designs(word, place=f"{place}[{i}]"))
    raise SpecError(f"{place} = {shown(words)} is not a design; give a name, a table or a list of tables.")


def _se_word(word: str, place: str) -> SESpec:
    name = re.split("[: ]", word, maxsplit=1)[0]
    if name not in VARIANTS:
        raise unknown(place, name, [*VARIANTS, "plain"])
    try:
        return SESpec.parse(word)
    except SpecError as error:
        raise SpecError(f"{place} = {shown(word)}: {error}") from None


def run(values: object, *, place: str = "") -> Run:
    """Decode a run as studies write it: `data` and `recipe` may be a name, `recipe.preset` starts from a named one.

    Args:
        values: tables `model`, `se`, `data`, `recipe`, `seed`, from a file of which nothing is known.
        place: where they come from, for errors.

    Raises:
        SpecError: with the dotted place of what does not fit.
    """
    where = f"{place}: " if place else ""
    found = tables(values, place=place)
    schema = found.pop("schema", SCHEMA)
    if schema != SCHEMA:
        raise SpecError(
            f"{where}schema = {shown(schema)} is of another version of senet, this one reads {SCHEMA}; run it again."
        )
    recipe = dict(found.get("recipe", {}))
    given = recipe.get("optim", {})
    if "preset" in recipe:
        preset = recipe.pop("preset")
        if not isinstance(preset, str) or preset not in RECIPES:
            raise unknown(f"{where}recipe.preset", preset, RECIPES)
        recipe = merge(asdict(RECIPES[preset]), recipe)
    found["recipe"] = recipe
    try:
        found["se"] = [asdict(spec) for spec in se_designs(found.get("se", []), place=f"{where}se")]
    except RecursionError:
        raise SpecError(f"{where}se is nested too deeply; give a name, a table or a list of tables.") from None
    decoded = record(Run, found, place=place)
    lr = decoded.recipe.optim.lr
    if isinstance(given, Mapping) and given.get("name") in ("adam", "adamw") and "lr" not in given and lr > HIGH:
        warnings.warn(
            f"{where}optim.name = {given['name']} keeps the learning rate {lr:g}, which is made for sgd; set optim.lr, "
            "e.g. optim.lr=0.001.",
            stacklevel=2,
        )
    return decoded
