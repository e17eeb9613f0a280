"""Options that belong together, written once as a dataclass and taken by a command as one parameter."""

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, get_type_hints

__all__ = ["unfolded"]


def unfolded(command: Callable[..., None]) -> Callable[..., None]:
    """Spread every parameter of a command whose type is a dataclass into one option for each of its fields.

    Typer reads the signature of the function that this returns. The options stand where the parameter stood.

    Args:
        command: has types at all parameters; the fields of its dataclasses have Typer's, and defaults.
    """
    hints = get_type_hints(command, include_extras=True)
    bundles: dict[str, type[Any]] = {}
    options: list[inspect.Parameter] = []
    for parameter in inspect.signature(command).parameters.values():
        kind = hints[parameter.name]
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            bundles[parameter.name] = kind
            fields, types = dataclasses.fields(kind), get_type_hints(kind, include_extras=True)
            options += [
                parameter.replace(name=one.name, annotation=types[one.name], default=one.default) for one in fields
            ]
        else:
            options.append(parameter.replace(annotation=hints[parameter.name]))

    @wraps(command)
    def spread(**values: Any) -> None:
        for name, kind in bundles.items():
            values[name] = kind(**{one.name: values.pop(one.name) for one in dataclasses.fields(kind)})
        command(**values)

    spread.__annotations__ = {option.name: option.annotation for option in options}
    spread.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]  # what `inspect` looks for
    return spread
