"""Groups of options and of settings, each written once as a dataclass and taken by a command as one parameter."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

from senet.cli.settings_words import Settings, taken

__all__ = ["unfolded"]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Replace every parameter whose type is a dataclass by one option for each of its fields.

    A parameter whose type is a `Settings` takes its values from the words of the command instead, which then gets the
    other words only. Typer reads the signature of the returned function; its attribute `settings` is that type.

    Args:
        command: function with types at all parameters; the fields of its dataclasses have Typer's types and defaults.
            With settings, it has a parameter `words`.
    """
    hints = get_type_hints(command, include_extras=True)
    groups: dict[str, type[Any]] = {}
    settings: dict[str, type[Settings]] = {}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if isinstance(kind, type) and issubclass(kind, Settings):
            settings[parameter.name] = kind
        elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
            groups[parameter.name] = kind
            fields, types = dataclasses.fields(kind), get_type_hints(kind, include_extras=True)
            options += [
                parameter.replace(name=one.name, annotation=types[one.name], default=one.default) for one in fields
            ]
        else:
            options.append(parameter.replace(annotation=hints[parameter.name]))

    @wraps(command)
    def spread(**values: Any) -> None:
        for name, kind in groups.items():
            values[name] = kind(**{one.name: values.pop(one.name) for one in dataclasses.fields(kind)})
        for name, kind in settings.items():
            values[name], values["words"] = taken(values["words"] or [], kind)
        command(**values)

    spread.__annotations__ = {option.name: option.annotation for option in options}
    spread.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # what `inspect` looks for
    spread.settings = next(iter(settings.values()), None)  # type: ignore[attr-defined]
    return spread
