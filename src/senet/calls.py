"""One-line errors for calls that do not fit: values by position that go by name, and unknown names."""

import inspect
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from senet.errors import SpecError, shown, unknown

__all__ = ["CallError", "by_name", "refuse_unknown"]

Target = TypeVar("Target", bound=Callable[..., Any])


class CallError(SpecError, TypeError):
    """A call whose arguments do not fit the function or class; a TypeError too, as Python raises it."""


def by_name(target: Target) -> Target:
    """Wrap a function so that a call that does not fit raises a one-line error.

    Args:
        target: a function, or a class whose constructor is meant.

    Example:
        >>> @by_name
        ... def insert(model: str, *, reduction: int = 16) -> str:
        ...     return f"{model} {reduction}"
        >>> insert("resnet", 8)
        Traceback (most recent call last):
        senet.calls.CallError: insert(..., 8): 8 is passed by position; it goes by name, e.g. insert(..., \
reduction=8), one of: reduction.
    """
    function: Any = vars(target)["__init__"] if isinstance(target, type) else target
    parameters = list(inspect.signature(function).parameters.values())
    if isinstance(target, type):
        del parameters[0]
    places = sum(one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD) for one in parameters)
    more = any(one.kind is one.VAR_POSITIONAL for one in parameters)
    names = {one.name for one in parameters if one.kind in (one.KEYWORD_ONLY, one.POSITIONAL_OR_KEYWORD)}
    others = any(one.kind is one.VAR_KEYWORD for one in parameters)
    options = [one for one in parameters if one.kind is one.KEYWORD_ONLY]
    own = int(isinstance(target, type))  # self

    @wraps(function)
    def called(*args: Any, **kwargs: Any) -> Any:
        if len(args) - own > places and not more:
            raise _by_position(target.__name__, args[own + places], options, first=not places)
        if not others:
            refuse_unknown(target.__name__, kwargs, names)
        return function(*args, **kwargs)

    if isinstance(target, type):
        target.__init__ = called  # type: ignore[misc]
        return target
    return called  # type: ignore[return-value]


def refuse_unknown(function: str, given: Iterable[str], names: Iterable[str]) -> None:
    """Refuse arguments that a function does not have.

    Args:
        function: its name.
        given: names of the arguments of a call.
        names: those that it has.

    Raises:
        CallError: naming the first unknown one and what is like it.
    """
    if unknown_names := set(given).difference(names):
        raise unknown(f"{function}: the argument", min(unknown_names), names, error=CallError)


def _by_position(name: str, value: object, options: list[inspect.Parameter], *, first: bool) -> CallError:
    before = "" if first else "..., "
    if not options:
        return CallError(f"{name}({before}{shown(value)}): {shown(value)} is one argument too many; leave it out.")
    if any(one.name == "shape" for one in options) and _holds_tensor(value):
        shape = tuple(getattr(value, "shape", ())) or "(N, C, H, W)"  # of several tensors, none is the images
        return CallError(
            f"{name}({before}{shown(value)}): the network takes one tensor of images, and its shape is passed, by "
            f"name: {name}({before}shape={shape})."
        )
    like = next((one for one in options if type(one.default) is type(value)), None)
    like = like or next((one for one in options if one.default is None), options[0])
    names = ", ".join(one.name for one in options)
    return CallError(
        f"{name}({before}{shown(value)}): {shown(value)} is passed by position; it goes by name, e.g. "
        f"{name}({before}{like.name}={shown(value)}), one of: {names}."
    )


def _holds_tensor(value: object) -> bool:
    values = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else (value,)
    return any(getattr(one, "shape", ()) for one in values)
