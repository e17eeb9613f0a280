"""Read pickled arrays without running code.

A pickle is a program. This reader allows numbers, strings, lists, dictionaries and NumPy arrays of numbers, as in the
CIFAR batches, and raises an error for any other global name, for a key that is not a short string, and for a set:
hashing a tuple nested 26 times takes 2^26 steps.
"""

import io
import pickle
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from senet.data.dataset_paths import read_bytes
from senet.data.labels import printable
from senet.errors import DataError, reason_of

__all__ = ["Arrays", "read_pickle"]

Arrays = Mapping[str, object]


def read_pickle(path: Path) -> Arrays:
    """Read a pickled dictionary of arrays, lists and strings.

    Raises:
        DataError: if the file is damaged, does not hold a dictionary, or names anything that is not allowed.
    """
    try:
        content = _Reader(io.BytesIO(read_bytes(path)), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:
        # the reader raises many types for damaged files: UnpicklingError, EOFError, KeyError, MemoryError, ...
        reason = reason_of(error)
        raise DataError(f"{path} cannot be read ({reason}); copy it again.") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, expected a dictionary; copy it again.")
    return {_text(key): value.values if isinstance(value, _Array) else value for key, value in content.items()}


class _Dtype:
    """Replacement of `numpy.dtype` that accepts name and byte order of plain numbers only."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        self.name, self.order = _text(name), "|"
        if not _NUMBER.fullmatch(self.name):
            raise DataError(f"arrays of type {self.name!r} are not allowed, only numbers; do not use this file.")

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = _text(state[1])


class _Array:
    """Replacement of `numpy.ndarray`, so that NumPy's own code does not process the untrusted state."""

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


_LONGEST_KEY = 64


class _Reader(pickle._Unpickler):
    """The unpickler in Python: the one in C looks a key up before it can be checked. CIFAR takes it 0.3 s."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            called = printable(f"{module}.{name}")
            raise DataError(f"it calls {called}, which data do not need; do not use this file.")
        return _ALLOWED[module, name]


Operation = Callable[[Any], None]


def _with_checked_keys(operation: Operation, keys: slice) -> Operation:
    """Return an operation that checks the keys on the stack before they are hashed."""

    def load(reader: Any) -> None:
        for key in reader.stack[keys]:
            if not isinstance(key, str | bytes) or len(key) > _LONGEST_KEY:
                raise DataError("it holds a dictionary whose keys are not short strings; do not use this file.")
        operation(reader)

    return load


def _load_bytearray(reader: Any) -> None:
    size = int.from_bytes(reader.read(8), "little")
    reader.append(bytearray(reader.read(size)))  # the original allocates any size before it reads


def _refuse_set(_: object) -> None:
    raise DataError("it holds a set, which data do not need; do not use this file.")


def _guarded(operations: Mapping[int, Operation]) -> dict[int, Operation]:
    """Replace the operations that hash untrusted values, or allocate memory of a claimed size."""
    setitem, setitems, made = (operations[code[0]] for code in (pickle.SETITEM, pickle.SETITEMS, pickle.DICT))
    return {
        **operations,
        pickle.SETITEM[0]: _with_checked_keys(setitem, slice(-2, -1)),
        pickle.SETITEMS[0]: _with_checked_keys(setitems, slice(0, None, 2)),
        pickle.DICT[0]: _with_checked_keys(made, slice(0, None, 2)),
        pickle.BYTEARRAY8[0]: _load_bytearray,
        pickle.EMPTY_SET[0]: _refuse_set,
        pickle.FROZENSET[0]: _refuse_set,
    }


# operations by their byte: private, and the same since Python 3.0
_Reader.dispatch = _guarded(_Reader.dispatch)
