"""Decode runs and designs from files and command lines: names for tables, words for blocks, `name=value`."""

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from senet.errors import SpecError, UsageError, shown, unknown
from senet.experiments.data_spec import Augment, DataSpec
from senet.experiments.recipe import RECIPES, Optim, Recipe, Schedule
from senet.experiments.run import SCHEMA, Run
from senet.kinds import KINDS
from senet.settings import Homes, merge, record, value
from senet.spec import VARIANTS, SESpec

__all__ = ["HOMES", "assign", "run", "se_designs", "tables"]

HOMES: Homes = {
    home: tuple(entry.name for entry in fields(kind))
    for home, kind in {
        "optim": Optim,
        "schedule": Schedule,
        "augment": Augment,
        "data": DataSpec,
        "recipe": Recipe,
        "se": SESpec,
    }.items()
}
"""Tables of a run and the names of their fields."""


def tables(values: object, *, place: str) -> dict[str, Any]:
    """Return the tables of a run in which a name may stand for the table with that name.

    Args:
        values: `{"data": "cifar10", "recipe": "wrn"}`, or with tables there.
        place: file or table, for errors.

    Raises:
        SpecError: if a value is neither a table nor a name.

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
            return (record(SESpec, words, homes=HOMES),)
        except SpecError as error:
            raise SpecError(f"{place}.{error}") from None
    if isinstance(words, Sequence):
        if place.count("[") >= DEEPEST:
            raise SpecError(f"{place} is nested too deeply; give a name, a table or a list of tables.")
        return tuple(s for i, word in enumerate(words) for s in se_designs(word, place=f"{place}[{i}]"))
    raise SpecError(f"{place} = {shown(words)} is not a design; give a name, a table or a list of tables.")


def _se_word(word: str, place: str) -> SESpec:
    name = re.split("[: ]", word, maxsplit=1)[0]
    if name not in VARIANTS and name not in KINDS:
        raise unknown(place, name, [*VARIANTS, *KINDS, "plain"])
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
    if isinstance(found.get("at"), str):
        found["at"] = [found["at"]]
    recipe = dict(found.get("recipe", {}))
    given = recipe.get("optim", {})
    if "preset" in recipe:
        preset = recipe.pop("preset")
        if not isinstance(preset, str) or preset not in RECIPES:
            raise unknown(f"{where}recipe.preset", preset, RECIPES)
        recipe = merge(asdict(RECIPES[preset]), recipe)
    found["recipe"] = recipe
    found["se"] = [asdict(spec) for spec in se_designs(found.get("se", []), place=f"{where}se")]
    decoded = record(Run, found, place=place, homes=HOMES)
    lr = decoded.recipe.optim.lr
    if isinstance(given, Mapping) and given.get("name") in ("adam", "adamw") and "lr" not in given and lr > HIGH:
        warnings.warn(
            f"{where}optim.name = {given['name']} keeps the learning rate {lr:g}, which is made for sgd; set optim.lr, "
            "e.g. optim.lr=0.001.",
            stacklevel=2,
        )
    return decoded
