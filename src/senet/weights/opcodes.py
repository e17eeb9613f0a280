"""What a pickle names and how heavy its keys may become, from its opcodes alone: nothing of it is built.

`torch.load(weights_only=True)` executes no stranger's code, but it obeys: it hands out a byte array of 2 GB, decodes
texts that double forty times, and hashes tuples of tuples of tuples for hours. So the opcodes are read first.
"""

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from itertools import islice

from senet.errors import CheckpointError

__all__ = ["DICTS", "INERT", "LONGEST", "Opcodes"]

LONGEST = 4 * 2**20  # [bytes]; the pickle of a ResNet-152 with its optimizer has 0.4 MB: the values lie elsewhere
MOST_STEPS = 400_000  # opcodes; a tensor takes some 30
MOST_LEAVES = 10_000  # of a tuple, each as often as it is reached; a shape has 5
SHOWN = 3  # names that an error lists

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
"""What torch builds weights from, and the types that hyperparameters may name."""

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
"""Plain values that training scripts keep beside the weights; a placeholder is built in their place, or a
dict for those of `DICTS`."""


@dataclass(frozen=True, slots=True)
class _Item:
    """What is known of a value on the stack.

    Attributes:
        leaves: of a tuple: how many values a hash of it visits.
        text: the text itself, the name of a global, the text at the end of a tuple; empty for all else.
    """

    leaves: int = 1
    text: str = ""


class Opcodes:
    """The opcodes of pickles that lie one behind the other.

    Args:
        steps: opcodes of one pickle, at most; 0 stands for `MOST_STEPS`.
        leaves: of one tuple, each as often as it is reached, at most; 0 stands for `MOST_LEAVES`.

    Attributes:
        refused: names that weights have no use for, in the order of the pickles, made harmless to a terminal.
    """

    def __init__(self, *, steps: int = 0, leaves: int = 0) -> None:
        self.steps, self.leaves = steps or MOST_STEPS, leaves or MOST_LEAVES
        self.refused: dict[str, None] = {}

    def check(self, data: bytes, *, count: int) -> None:
        """Read pickles from the start of some bytes.

        Args:
            data: whatever follows the pickles is ignored.
            count: how many there are.

        Raises:
            CheckpointError: if one names what weights have no use for, takes too many steps or too heavy tuples, or
                is broken; the message is one clause.
        """
        file, trouble = BytesIO(data), ""
        try:
            for _ in range(count):
                self._read(file)
        except CheckpointError as error:
            trouble = str(error)
        except Exception as error:  # pickletools raises what it likes on what is not a pickle
            trouble = f"its pickle is broken ({type(error).__name__}: {error})"
        if self.refused:
            names = list(self.refused)
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            trouble = (
                f"it names {', '.join(names[:SHOWN])}{more}, and weights need no Python objects; do not load it by "
                "other means, but save the state dict alone: torch.save(model.state_dict(), FILE)"
            )
        if trouble:
            raise CheckpointError(trouble)

    def _read(self, file: BytesIO) -> None:
        stack: list[_Item] = []
        marks: list[int] = []  # where the marks lie on the stack
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
                    raise CheckpointError("its pickle nests tuples in tuples, which weights have no use for")
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
        raise CheckpointError(f"its pickle takes more than {self.steps:,} steps")

    def _named(self, name: str) -> _Item:
        if name not in KNOWN and name not in INERT:
            self.refused[name[:80].encode("unicode_escape").decode()] = None
        return _Item(text=name)


def _pop(stack: list[_Item], marks: list[int], opcode: pickletools.OpcodeInfo) -> Iterator[_Item]:
    """Take from the stack what an opcode takes, without the mark; in the order in which it was pushed."""
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
