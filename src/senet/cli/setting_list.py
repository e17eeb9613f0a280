"""`senet settings`: every setting by its dotted name. The reference page and completion use the same records."""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from fnmatch import fnmatch
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from senet.bounds import RANGES
from senet.cli import settings_words
from senet.cli.options import OUTPUT, Json
from senet.cli.printing import print_json
from senet.errors import no_match
from senet.text import printable

__all__ = ["COMMANDS", "Setting", "setting_list", "settings"]

RUN, SEARCH, COMMANDS = "a run", "a search", "commands"
"""What a setting belongs to: a run, whose id it changes; the space of a search; commands, and not what a run means."""
FILLED_IN = {"model_hash", "weights_hash", "folder", "name", "base"}
"""Fields that a command fills in itself; `data.name` is typed, too."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting.

    Attributes:
        name: dotted name, as it is typed before the `=`.
        default: value where nothing else states it; of the fields of a recipe, where the named recipe leaves it.
        values: the allowed values in words.
        names: the allowed names; empty where it is not one of a list.
        meaning: what it means.
        of: what it belongs to, see `RUN`, `SEARCH` and `COMMANDS`.
    """

    name: str
    default: object
    values: str
    names: tuple[str, ...]
    meaning: str
    of: str


def setting_list() -> list[Setting]:
    """Return all settings: fields of a run, fields of a search, settings of commands. No torch is loaded."""
    from senet.experiments.data_spec import Augment, DataSpec
    from senet.experiments.early_stopping import Rule
    from senet.experiments.recipe import RECIPES, Optim, Recipe, Schedule
    from senet.experiments.run import Run
    from senet.search.choices import Choices
    from senet.search.space import Budget, Shared, Space
    from senet.spec import NAMES, SESpec

    preset = Setting(
        name="recipe.preset", default=None, values=_list(RECIPES), names=tuple(RECIPES), of=RUN,
        meaning="The recipe that the other settings change. The default goes by data set and weights: `senet train "
        "--help` has it.",
    )  # fmt: skip
    runs: dict[str, type[Any]] = {
        "": Run, "data": DataSpec, "recipe": Recipe, "optim": Optim, "schedule": Schedule, "augment": Augment,
        "se": SESpec,
    }  # fmt: skip
    spaces: dict[str, type[Any]] = {
        "": Space, "choices": Choices, "budget": Budget, "stop_early": Rule, "shared": Shared
    }  # fmt: skip
    found = [one for home, kind in runs.items() for one in _fields(home, kind, RUN, NAMES if home == "se" else {})]
    found.insert(next(at for at, one in enumerate(found) if one.name.startswith("recipe.")), preset)
    found += [one for home, kind in spaces.items() for one in _fields(home, kind, SEARCH, {})]
    return [*found, *_of_commands()]


def _fields(home: str, kind: type[Any], of: str, names: Mapping[str, Any]) -> Iterator[Setting]:
    """Yield the fields of a record that hold values; those that hold records have names of their own."""
    said = _attributes(kind)
    for one in fields(kind):
        place = f"{home}.{one.name}" if home else one.name
        if (one.name in FILLED_IN and place != "data.name" and home in ("", "data")) or _is_record(one):
            continue
        known = tuple(names.get(one.name, get_args(one.type) if get_origin(one.type) is Literal else ()))
        yield Setting(
            name=place, default=_default(one), values=_values(place, one.type, known), names=known,
            meaning=said.get(one.name, ""), of=of,
        )  # fmt: skip


def _of_commands() -> Iterator[Setting]:
    """Yield the settings of commands, each once."""
    kinds = [getattr(settings_words, name) for name in settings_words.__all__]
    every = {one.name: one for kind in kinds if isinstance(kind, type) for one in fields(kind)}
    for name, one in sorted(every.items()):
        known = get_args(one.type) if get_origin(one.type) is Literal else ()
        yield Setting(
            name=name, default=_default(one), values=_values(name, one.type, known), names=known,
            meaning=one.metadata["help"], of=COMMANDS,
        )  # fmt: skip


def _attributes(kind: type[Any]) -> dict[str, str]:
    """Return what the docstring of a record and of its bases says of each field, under `Attributes:`."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        section = re.search(r"Attributes:\n(.*?)(\n\n|\Z)", inspect.getdoc(base) or "", re.DOTALL)
        for name, text in re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", section[1] if section else "", re.MULTILINE):
            words = " ".join(text.split())
            found[name] = words[0].upper() + words[1:]
    return found


def _is_record(one: "Field[Any]") -> bool:
    return any(is_dataclass(part) for part in (one.type, *get_args(one.type)))


def _default(one: "Field[Any]") -> object:
    return None if one.default is MISSING else one.default


def _values(place: str, kind: Any, names: tuple[str, ...]) -> str:
    """Return what a setting may be, in words."""
    if names:
        return _list(names)
    if (allowed := RANGES.get(place.removeprefix("se."))) is not None:
        return f"a list, each {allowed}" if get_origin(kind) is tuple else str(allowed)
    return _type_in_words(kind)


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _type_in_words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        return f"{'a list of' if Ellipsis in rest else 1 + len(rest)} {PLURALS.get(first, 'lists of numbers')}"
    return WORDS[kind]


WORDS: Mapping[Any, str] = {bool: "`true` or `false`", int: "a whole number", float: "a number", str: "text"}
PLURALS: Mapping[Any, str] = {int: "whole numbers", float: "numbers", str: "texts"}


def shown_default(value: object) -> str:
    """Return a default as a table shows it; empty where there is none."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(map(shown_default, value))}]" if value else ""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).replace(",", ", ")


def settings(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="A pattern with * and ?, e.g. 'optim.*'.")] = "*",
    as_markdown: Annotated[
        bool, typer.Option("--markdown", rich_help_panel=OUTPUT, help="Print a Markdown table, as in the reference.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the settings that are typed as NAME=VALUE, with their defaults, allowed values and meaning.

    Example: `senet settings 'optim.*'`

    Example: `senet settings 'se.*'`
    """
    from dataclasses import asdict

    from senet.reports.console import show
    from senet.tables import Table

    known = setting_list()
    found = [one for one in known if fnmatch(one.name, pattern)]
    if not found:
        raise no_match("setting", pattern, [one.name for one in known], listed_by="senet settings")
    if as_json:
        print_json([asdict(one) for one in found])
        return
    heads = ("setting", "default", "meaning", "values", "of")
    rows = [[one.name, shown_default(one.default), one.meaning, one.values, one.of] for one in found]
    table = Table(heads, rows, words=("default", "meaning", "values", "of"), spare=("of", "values"), code=True)
    if as_markdown:
        print(printable(table.markdown()), end="")
    else:
        plain = [[str(cell).replace("`", "") for cell in row] for row in rows]
        show(Table(heads, plain, words=table.words, spare=table.spare))
