"""Reading pickled arrays without running what a pickle can run.

A pickle is a program. This reader lets it build numbers, texts, lists, dictionaries and NumPy arrays of plain numbers,
which is what the CIFAR batches hold, and stops at the name of anything else.
"""

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from senet.errors import DataError

__all__ = ["Arrays", "read_pickle"]

Arrays = Mapping[str, object]


def read_pickle(path: Path) -> Arrays:
    """Read a pickled dictionary of arrays, lists and texts.

    Args:
        path: file written by any version of Python.

    Returns:
        The dictionary, its keys as texts.

    Raises:
        DataError: if the file is damaged, holds no dictionary, or names anything that is not allowed.
    """
    try:
        content = _Reader(io.BytesIO(path.read_bytes()), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        # a damaged pickle makes the reader raise nearly anything: UnpicklingError, EOFError, KeyError, MemoryError, ...
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise DataError(f"{path} cannot be read ({reason}); copy it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__} where a dictionary belongs; copy it again.")
    return {_text(key): value.values if isinstance(value, _Array) else value for key, value in content.items()}


class _Dtype:
    """Stands in for `numpy.dtype`: takes its name and byte order, and only those of plain numbers."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        self.name, self.order = _text(name), "|"
        if not _NUMBER.fullmatch(self.name):
            raise DataError(f"arrays of type {self.name!r} are not allowed, only numbers; do not use this file.")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _text(state[1])


class _Array:
    """Stands in for `numpy.ndarray`: none of NumPy's own code sees the state, which could point anywhere."""

    values: "np.ndarray[Any, Any]"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, by_column, content = state
        self.fill(content, dtype, shape, "F" if by_column else "C")

    def fill(
        self, content: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: Literal["C", "F"]
    ) -> "_Array":
        plain = np.dtype(dtype.order.replace("|", "=") + dtype.name)
        self.values = np.frombuffer(content, plain).reshape(shape, order=order)
        return self


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(content: bytes | bytearray, dtype: _Dtype, shape: tuple[int, ...], order: Literal["C", "F"]) -> _Array:
    return _Array().fill(content, dtype, shape, order)


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise DataError(f"the encoding {encoding!r} is not allowed, only latin1; do not use this file.")
    return text.encode("latin-1")


def _text(value: object) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


_NUMBER = re.compile("[biuf][1248]")

_ALLOWED: Mapping[tuple[str, str], object] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 1, as in the published files
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,  # NumPy 2
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,  # protocol 5
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _latin1,  # how Python 3 writes bytes in protocol 2
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(f"it wants to call {module}.{name}, which data never need; do not use this file.")
        return _ALLOWED[module, name]
