"""Static checks of pickles from their opcodes, before anything is unpickled.

`torch.load(weights_only=True)` does not execute arbitrary code, but a hostile pickle can still make it allocate
gigabytes, decode strings that double forty times, or hash deeply nested tuples for hours. These checks reject such
pickles, and pickles that name Python objects other than weights.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice

from senet.errors import CheckpointError
from senet.text import listed

__all__ = ["DICTS", "INERT", "LONGEST", "Opcodes"]

LONGEST = (
    4 * 2**20
)  # [bytes]; the pickle of a ResNet-152 with its optimizer has 0.4 MB: tensor data is stored elsewhere
MOST_STEPS = 400_000  # opcodes; a tensor takes about 30
MOST_LEAVES = 10_000  # leaves of a nested tuple, repeated ones counted again; a shape has 5
SHOWN = 3  # names in an error message

_STORAGES = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_COMPLEX = ("ComplexFloat", "ComplexDouble")
_TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
ENCODE = "_codecs.encode"
KNOWN = frozenset(
    (
        "collections.OrderedDict",
        "torch.Size",
        "torch.device",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        ENCODE,
        *(f"torch.{cuda}{kind}Storage" for kind in (*_STORAGES, *_COMPLEX) for cuda in ("", "cuda.")),
        *(f"torch.{kind}" for kind in _TYPES),
    )
)
"""Globals that torch needs for weights, and the types that hyperparameters may use."""

_PATHS = ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")
DICTS = frozenset(
    (
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
    )
)
INERT = DICTS | frozenset(
    (
        "argparse.Namespace",
        "numpy.dtype",
        "numpy.core.multiarray.scalar",
        "numpy._core.multiarray.scalar",
        *(f"pathlib.{local}{kind}" for kind in _PATHS for local in ("", "_local.")),
    )
)
"""Classes of plain values that training scripts store beside the weights; a placeholder replaces them, and a
dict those of `DICTS`."""


@dataclass(frozen=True, slots=True)
class _Item:
    """What is known about a value on the stack.

    Attributes:
        leaves: values that hashing it visits; more than 1 for a tuple.
        text: the value of a string, the name of a global, the last string of a tuple; empty otherwise.
    """

    leaves: int = 1
    text: str = ""


class Opcodes:
    """A checker of the opcodes of consecutive pickles.

    Args:
        steps: maximum opcodes of one pickle; 0 means `MOST_STEPS`.
        leaves: maximum leaves of one tuple; 0 means `MOST_LEAVES`.

    Attributes:
        refused: globals that weights do not need, in order of appearance, escaped for a terminal.
    """

    def __init__(self, *, steps: int = 0, leaves: int = 0) -> None:
        self.steps, self.leaves = steps or MOST_STEPS, leaves or MOST_LEAVES
        self.refused: dict[str, None] = {}

    def check(self, data: bytes, *, count: int) -> None:
        """Check the pickles at the start of some bytes.

        Raises:
            CheckpointError: if a pickle names globals that weights do not need, has too many opcodes or too deeply
                nested tuples, or is broken; the message is one clause.
        """
        file, trouble = BytesIO(data), ""
        try:
            for _ in range(count):
                self._read(file)
        except CheckpointError as error:
            trouble = str(error)
        except Exception as error:  # pickletools raises many types of exceptions on invalid pickles
            trouble = f"its pickle is broken ({type(error).__name__}: {error})"
        if self.refused:
            trouble = (
                f"it names {listed(list(self.refused), SHOWN)}, and weights need no Python objects; do not load it by "
                "other means, but save only the state dict: torch.save(model.state_dict(), FILE)"
            )
        if trouble:
            raise CheckpointError(trouble)

    def _read(self, file: BytesIO) -> None:
        stack: list[_Item] = []
        marks: list[int] = []  # stack heights at the marks
        memo: dict[int, _Item] = {}
        for opcode, argument, _ in islice(pickletools.genops(file), self.steps):
            name = opcode.name
            if name == "STOP":
                return
            popped = list(_pop(stack, marks, opcode))
            if name in ("GLOBAL", "INST"):
                pushed = self._named(str(argument).replace(" ", ".", 1))
            elif name == "STACK_GLOBAL":
                pushed = self._named(".".join(item.text for item in popped))
            elif name in ("EXT1", "EXT2", "EXT4"):
                pushed = self._named(f"copyreg extension {argument}")
            elif name in ("BINGET", "LONG_BINGET", "GET"):
                pushed = memo[int(argument or 0)]
            elif name.startswith("TUPLE"):
                pushed = _Item(1 + sum(item.leaves for item in popped), popped[-1].text if popped else "")
                if pushed.leaves > self.leaves:
                    raise CheckpointError("its pickle nests tuples too deeply for weights")
            elif isinstance(argument, str):
                pushed = _Item(text=argument)
            elif name in ("DUP", "MEMOIZE"):
                pushed = popped[0]
            else:
                pushed = _Item()
            if name == "REDUCE" and popped[0].text == ENCODE and popped[1].text != "latin1":
                self._named(f"{ENCODE} to {popped[1].text or 'something'!r}")
            if name == "MARK":
                marks.append(len(stack))
            stack += [pushed] * len(opcode.stack_after)
            if "PUT" in name or name == "MEMOIZE":
                memo[len(memo) if argument is None else int(argument)] = stack[-1]
        raise CheckpointError(f"its pickle has more than {self.steps:,} opcodes")

    def _named(self, name: str) -> _Item:
        if name not in KNOWN and name not in INERT:
            self.refused[name[:80].encode("unicode_escape").decode()] = None
        return _Item(text=name)


def _pop(stack: list[_Item], marks: list[int], opcode: pickletools.OpcodeInfo) -> Iterator[_Item]:
    """Pop the operands of an opcode, without the mark, in the order in which they were pushed."""
    fixed = len(opcode.stack_before)
    if pickletools.markobject in opcode.stack_before:
        fixed, place = opcode.stack_before.index(pickletools.markobject), marks.pop()
        above = stack[place + 1 :]
        del stack[place:]
    else:
        above = []
    if len(stack) < fixed:
        raise IndexError("the stack is too short")
    yield from stack[len(stack) - fixed :]
    yield from above
    del stack[len(stack) - fixed :]
