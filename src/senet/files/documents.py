"""Read text, JSON and TOML from regular files; every invalid document raises a `DocumentError`.

Python's parsers raise undocumented errors: `RecursionError` for a document that is nested too deeply, `ValueError` for
a number of too many digits. All code that reads JSON or TOML uses this module.
"""

import errno
import json
import math
import os
import stat
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["DocumentError", "finite", "parse_json", "parse_toml", "read_bytes", "read_text"]


class DocumentError(ValueError):
    """A text is not valid in its format; the message is the reason, without a path."""


def finite(values: Mapping[str, Any]) -> dict[str, Any]:
    """Replace NaN and infinity, which JSON does not have, by None."""
    return {name: _jsonable(value) for name, value in values.items()}


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return finite(value)
    if isinstance(value, list | tuple):
        return [_jsonable(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_bytes(path: Path) -> bytes:
    """Read a regular file; links, pipes, devices and folders raise an error without blocking.

    Raises:
        OSError: as `open` raises it, or with the number `EINVAL` if the path is not a regular file.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a link; a socket
            raise OSError(errno.EINVAL, "it is a link or a socket, not a regular file", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is a pipe, a device or a folder, not a regular file", str(path))
    with os.fdopen(handle, "rb") as file:
        return file.read()


def read_text(path: Path) -> str:
    """Read a regular file as UTF-8, without the byte order mark of editors on Windows.

    Raises:
        DocumentError: if it is not UTF-8.
        OSError: see `read_bytes`.
    """
    try:
        return read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(f"it is not UTF-8 ({error.reason} at byte {error.start:,}); save it as UTF-8") from None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text; `NaN`, `Infinity` and `1e999`, which Python accepts, raise an error.

    Raises:
        DocumentError: if it is not JSON, nested too deeply, or holds a number that is not finite or of too many digits.
    """
    return _parsed(lambda: json.loads(text, parse_constant=_refuse, parse_float=_finite))


def parse_toml(text: str) -> dict[str, Any]:
    """Return the tables of a TOML text.

    Raises:
        DocumentError: if it is not TOML, nested too deeply, or holds a number of too many digits.
    """
    tables: dict[str, Any] = _parsed(lambda: tomllib.loads(text))
    return tables


def _parsed(parse: Callable[[], Any]) -> Any:
    try:
        return parse()
    except RecursionError:
        raise DocumentError("it is nested too deeply") from None
    except ValueError as error:  # both parsers' own errors are ValueErrors
        digits = "integer string conversion" in str(error)
        raise DocumentError("it holds a number of too many digits" if digits else str(error)) from None


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(text)


def _refuse(number: str) -> NoReturn:
    raise DocumentError(f"{number[:24]} is not a finite number")
