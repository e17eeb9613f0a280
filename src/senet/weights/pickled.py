"""What a pickle would build, found out without building anything.

`torch.load(weights_only=True)` executes no stranger's code, but it obeys: it hands out tensors of 10^12 elements from
a file of one kilobyte, and hashes keys for hours. So the pickle is first walked through here on paper: its values
become plain Python values, its tensors become records of their sizes, and whatever a file of weights has no use for
is refused by name.

Only what `torch.save` writes for weights is understood: pickle protocol 2, dicts, lists, tuples, numbers, strings
and dense tensors.
"""

import pickletools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from math import prod
from typing import Any

from senet.errors import CheckpointError

__all__ = ["LONGEST", "Blueprint", "globals_named", "read_blueprint"]

LONGEST = 4 * 2**20  # [bytes]; the pickle of a ResNet-152 with its optimizer has 0.4 MB: the values lie elsewhere
MOST_STEPS = 600_000  # opcodes; a tensor takes some 30, and one makes at most some 100 bytes of objects

# Storage classes by name, and the size of an element [bytes].
_STORAGES = {
    "torch.DoubleStorage": 8,
    "torch.FloatStorage": 4,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
    "torch.ComplexFloatStorage": 8,
    "torch.ComplexDoubleStorage": 16,
}
_STORAGES |= {name.replace("torch.", "torch.cuda."): size for name, size in _STORAGES.items()}

# Constants of torch that hyperparameters may name; they build nothing.
_CONSTANTS = frozenset(
    f"torch.{name}"
    for name in ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
)


@dataclass(frozen=True)
class _Global:
    name: str


@dataclass(frozen=True)
class _Storage:
    key: str
    elements: int
    element_size: int


@dataclass(frozen=True)
class Blueprint:
    """A dense tensor that a pickle describes.

    Attributes:
        shape: its sizes [1].
        size: what it takes when it is stored densely [bytes]; more than the file has, for an expanded one.
    """

    shape: tuple[int, ...]
    size: int


def globals_named(data: bytes, *, count: int) -> list[str]:
    """List the Python objects that pickles name and weights have no use for, as far as they can be read.

    Args:
        data: pickles in a row; whatever follows is ignored.
        count: how many there are.
    """
    found: dict[str, None] = {}
    file = BytesIO(data)
    try:
        for _ in range(count):
            for name in _globals(file):
                if not _is_known(name):
                    found[name[:80].encode("unicode_escape").decode()] = None
    except Exception:  # pickletools raises what it likes on what is no pickle; the names so far are the answer
        return list(found)
    return list(found)


def _is_known(name: str) -> bool:
    return name in _BUILDERS or name in _STORAGES or name in _CONSTANTS


def _globals(file: BytesIO) -> Iterator[str]:
    texts: list[str] = []  # the strings pushed so far: STACK_GLOBAL takes its name from the last two
    memo: dict[int, str] = {}
    last = ""
    for opcode, value, _ in islice(pickletools.genops(file), MOST_STEPS):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(value).replace(" ", ".", 1)
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif opcode.name in ("EXT1", "EXT2", "EXT4"):
            yield f"copyreg extension {value}"
        elif "PUT" in opcode.name or opcode.name == "MEMOIZE":
            memo[len(memo) if value is None else int(value)] = last
        elif "GET" in opcode.name:
            texts.append(memo.get(int(value or 0), ""))
        last = value if isinstance(value, str) else ""
        if last and ("UNICODE" in opcode.name or "STRING" in opcode.name):
            texts.append(last)


def read_blueprint(file: BytesIO) -> tuple[Any, int]:
    """Walk through the next pickle of a file.

    Args:
        file: stands at the pickle; afterwards behind it.

    Returns:
        What it would build, with a `Blueprint` in the place of each tensor, and the size of all storages [bytes].

    Raises:
        CheckpointError: if it does anything that weights have no use for; the message is one clause.
    """
    walk = _Walk()
    try:
        for opcode, value, _ in islice(pickletools.genops(file), MOST_STEPS):
            if opcode.name == "STOP":
                return walk.stack.pop(), walk.stored()
            walk.step(opcode.name, value)
    except CheckpointError:
        raise
    except Exception as error:  # what a broken pickle leads to: IndexError, KeyError, TypeError, UnicodeDecodeError...
        raise CheckpointError(f"its pickle is broken ({type(error).__name__}: {error})") from error
    raise CheckpointError(f"its pickle takes more than {MOST_STEPS:,} steps")


class _Walk:
    """The pickle machine, on paper."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._storages: dict[str, _Storage] = {}

    def stored(self) -> int:
        """Give the size of all storages [bytes]."""
        return sum(storage.elements * storage.element_size for storage in self._storages.values())

    def step(self, name: str, value: Any) -> None:
        """Do what one opcode says."""
        if name in _VALUES:
            self.stack.append(_VALUES[name](value))
        elif name in _LENGTHS:
            length = _LENGTHS[name]
            self.stack[len(self.stack) - length :] = [tuple(self.stack[len(self.stack) - length :])]
        elif name in ("BINPUT", "LONG_BINPUT"):
            self.memo[value] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[value])
        elif name == "MARK":
            self.marks.append(self.stack)
            self.stack = []
        elif name in ("TUPLE", "APPENDS", "SETITEMS"):
            inner, self.stack = self.stack, self.marks.pop()
            if name == "TUPLE":
                self.stack.append(tuple(inner))
            elif name == "APPENDS":
                _list(self.stack[-1]).extend(inner)
            else:
                self._set_items(inner)
        elif name == "APPEND":
            item = self.stack.pop()
            _list(self.stack[-1]).append(item)
        elif name == "SETITEM":
            items = self.stack[-2:]
            del self.stack[-2:]
            self._set_items(items)
        elif name == "BINPERSID":
            self.stack.append(self._storage(self.stack.pop()))
        elif name == "REDUCE":
            arguments = self.stack.pop()
            self.stack.append(_build(self.stack.pop(), arguments))
        elif name == "BUILD":
            self._attributes(self.stack.pop())
        elif name != "PROTO" or value != 2:
            what = f"protocol {value}" if name == "PROTO" else f"the opcode {name}"
            raise CheckpointError(f"its pickle uses {what}, which torch.save does not write for weights")

    def _set_items(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict):
            raise CheckpointError("its pickle sets items of something that is no dict")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_key(key)] = value

    def _attributes(self, attributes: Any) -> None:
        # A state dict carries its `_metadata` so; nothing else has a use for it.
        if not isinstance(self.stack[-1], dict) or not isinstance(attributes, dict):
            raise CheckpointError("its pickle sets attributes of something that is no dict")

    def _storage(self, name: Any) -> _Storage:
        match name:
            case ("storage", _Global(kind), str(key), str(), int(elements)) if kind in _STORAGES and elements >= 0:
                pass
            case ("storage", _Global(kind), str(key), str(), int(elements), None) if (
                kind in _STORAGES and elements >= 0
            ):
                pass
            case _:
                raise CheckpointError("its pickle names a storage that torch.save would not write")
        storage = _Storage(key, elements, _STORAGES[kind])
        if self._storages.setdefault(key, storage) != storage:
            raise CheckpointError(f"its pickle gives storage {key!r} two sizes")
        return storage


def _key(key: Any) -> str | int | float | None:
    # A tuple of tuples of tuples takes for ever to hash.
    if key is None or isinstance(key, str | int | float):
        return key
    raise CheckpointError(f"its pickle has a dict key of type {type(key).__name__}")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise CheckpointError("its pickle appends to something that is no list")
    return value


def _int(value: int) -> int:
    if abs(value) >= 2**63:
        raise CheckpointError("its pickle has an integer of more than 64 bits")
    return value


def _global(value: str) -> _Global:
    name = value.replace(" ", ".", 1)
    if not _is_known(name):
        raise CheckpointError(f"it names {name!r}")
    return _Global(name)


def _build(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or function.name not in _BUILDERS or not isinstance(arguments, tuple):
        raise CheckpointError("its pickle calls something that builds no weights")
    return _BUILDERS[function.name](*arguments)


def _tensor(storage: Any, offset: Any, shape: Any, stride: Any, *others: Any) -> Blueprint:
    # The others: requires_grad, hooks, metadata. Hooks and metadata of weights are empty.
    numbers = (offset, *shape, *stride)
    if not isinstance(storage, _Storage) or any(type(number) is not int or number < 0 for number in numbers):
        raise CheckpointError("its pickle describes a tensor that torch.save would not write")
    if len(shape) != len(stride) or len(shape) > 64 or any(others[1:]):
        raise CheckpointError("its pickle describes a tensor that torch.save would not write")
    last = sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if prod(shape) and offset + last >= storage.elements:
        raise CheckpointError(f"a tensor reaches beyond its storage {storage.key!r}")
    size = prod(shape) * storage.element_size
    if size >= 2**63:
        raise CheckpointError("a tensor would take more than 2^63 bytes")
    return Blueprint(tuple(shape), size)


def _parameter(data: Any, requires_grad: Any, hooks: Any) -> Blueprint:
    if not isinstance(data, Blueprint) or not isinstance(requires_grad, bool) or hooks:
        raise CheckpointError("its pickle describes a parameter that torch.save would not write")
    return data


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    # Python 2 gives the pairs here, Python 3 afterwards.
    return {_key(key): value for key, value in pairs}


def _size(sizes: Any) -> tuple[int, ...]:
    if any(type(size) is not int for size in sizes):
        raise CheckpointError("its pickle describes a shape of something that is no number")
    return tuple(sizes)


_VALUES: dict[str, Callable[[Any], Any]] = {
    "NONE": lambda _: None,
    "NEWTRUE": lambda _: True,
    "NEWFALSE": lambda _: False,
    "BININT": int,
    "BININT1": int,
    "BININT2": int,
    "LONG1": _int,
    "BINFLOAT": float,
    "BINUNICODE": str,
    "SHORT_BINSTRING": str,
    "EMPTY_DICT": lambda _: {},
    "EMPTY_LIST": lambda _: [],
    "GLOBAL": _global,
}
_LENGTHS = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}

# The functions that pickles of weights call.
_BUILDERS: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch.Size": _size,
}
