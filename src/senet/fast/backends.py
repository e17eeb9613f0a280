"""Who runs the passes over the maps: a name for each, and which one suits a device."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from senet.fast.native import TYPES, compiler, native
from senet.fast.passes import REFERENCE, Passes

__all__ = ["BACKENDS", "backend_for", "is_suited", "passes"]

# values of a map, below which several operators of torch cost less than one of Python (docs/speed.md)
SMALL, SMALL_GATED = 2**19, 2**16


@cache
def inductor() -> Passes:
    """Compile the plain passes with TorchInductor, once for all sizes: sizes are symbols, memory formats are not."""
    return Passes(**{name: torch.compile(function, dynamic=True) for name, function in vars(REFERENCE).items()})


@cache
def triton() -> Passes:
    """Give the passes in Triton."""
    from senet.fast.triton_passes import TRITON

    return TRITON


BACKENDS: Mapping[str, Callable[[], Passes]] = {
    "reference": lambda: REFERENCE,
    "native": native,
    "inductor": inductor,
    "triton": triton,
}


def passes(backend: str) -> Passes:
    """Give the passes of a backend; while a whole network is compiled, as operators that the compiler does not open.

    Raises:
        BackendError: if this machine cannot run it.
    """
    if backend == "native" and torch.compiler.is_compiling():
        from senet.fast.operators import OPERATORS

        return OPERATORS
    return BACKENDS[backend]()


def backend_for(device: torch.device) -> str | None:
    """Give the backend that suits a device; None if this machine has none that pays off."""
    if device.type == "cuda":
        return "triton" if find_spec("triton") else "inductor"
    return "native" if device.type == "cpu" and compiler() else None


def is_suited(backend: str, u: Any, *, gated: bool) -> bool:
    """Say whether a backend can run on a map and pays off; otherwise torch's own operations do.

    Args:
        backend: of `BACKENDS`.
        u: the map, or whatever a module was given.
        gated: a block is part of the operation, which then pays off on smaller maps too.
    """
    if not isinstance(u, Tensor) or u.ndim != 4 or u.numel() == 0 or not u.is_floating_point():
        return False
    if not torch.compiler.is_compiling() and type(u) not in (Tensor, nn.Parameter):  # e.g. a fake tensor
        return False
    if backend == "native":
        return u.device.type == "cpu" and u.dtype in TYPES and u.numel() >= (SMALL_GATED if gated else SMALL)
    if backend == "triton":
        return u.device.type == "cuda" and u.dtype in (*TYPES, torch.float16)
    return True
