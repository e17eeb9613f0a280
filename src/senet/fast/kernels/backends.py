"""Who runs the passes over the maps: a name for each, which one suits a device, and whether it can be trusted there."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet.errors import BackendError
from senet.fast.kernels.compiled import identity
from senet.fast.kernels.guard import guarded
from senet.fast.kernels.native import SOURCE, TYPES, native
from senet.fast.kernels.passes import REFERENCE, Passes
from senet.fast.kernels.selfcheck import passes_fault, verdict

__all__ = ["BACKENDS", "backend_for", "is_suited", "live", "obstacle", "passes"]

# values of a map, below which several operators of torch cost less than one of Python (docs/speed.md)
SMALL, SMALL_GATED = 2**19, 2**16
SUITED = {"cpu": "native", "cuda": "triton"}  # by type of device


@cache
def inductor() -> Passes:
    """Compile the plain passes with TorchInductor, once for all sizes: sizes are symbols, memory formats are not."""
    return Passes(**{name: torch.compile(function, dynamic=True) for name, function in vars(REFERENCE).items()})


@cache
def triton() -> Passes:
    """Return the passes in Triton, which give way to plain ones where a GPU has no memory for them.

    Raises:
        BackendError: if Triton is not installed.
    """
    try:
        from senet.fast.kernels.triton_passes import TRITON
    except ImportError as error:
        raise BackendError(f"backend = 'triton' needs Triton ({error}); pip install triton.") from error
    return guarded(TRITON, REFERENCE)


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
    if backend in ("native", "triton") and torch.compiler.is_compiling():
        from senet.fast.kernels.operators import OPERATORS

        return OPERATORS
    return BACKENDS[backend]()


def backend_for(device: torch.device) -> str | None:
    """Return the backend that suits a device; None if there is none for it.

    Raises:
        BackendError: if it cannot run on this machine, with the reason.
    """
    if device.type not in SUITED:
        return None
    if why := obstacle(SUITED[device.type], device):
        raise BackendError(why)
    return SUITED[device.type]


def obstacle(backend: str, device: torch.device) -> str:
    """Return why a backend cannot run on a device: a part that is missing, or wrong results; empty if it can.

    Its results are compared with those of plain torch before its first use (`senet.fast.kernels.selfcheck`).
    """
    if SUITED.get(device.type) != backend:
        return ""  # the plain passes and their compilation run wherever torch does
    try:
        ours = BACKENDS[backend]()
        words = (str(device), *_described(backend, device))
        fault = verdict(backend, words, lambda: passes_fault(ours, device))
    except BackendError as error:
        return str(error)
    except Exception as error:  # an architecture that Triton does not know, a full device: torch may still run
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        return f"backend = {backend!r} fails on {device} ({type(error).__name__}: {reason})"
    return f"backend = {backend!r} computes wrong values on {device}: {fault}" if fault else ""


def _described(backend: str, device: torch.device) -> tuple[str, ...]:
    """Return what the results of a backend depend on."""
    if backend == "native":
        return (identity(SOURCE),)  # with compiler and processor
    import triton

    sources = [
        Path(__file__).with_name(f"triton_{part}.py").read_text(encoding="utf-8") for part in ("kernels", "passes")
    ]
    return triton.__version__, str(torch.cuda.get_device_properties(device)), str(torch.version.cuda), *sources


@cache
def _is_usable(backend: str, device: torch.device) -> bool:
    """Return whether a backend can run on a device; if not, warn once."""
    why = obstacle(backend, device)
    if why:
        warnings.warn(f"{why}; the network runs as torch runs it.", stacklevel=2)
    return not why


def live(u: Tensor) -> Passes:
    """Return who runs the passes over a map of a compiled network: whoever suits its device, otherwise plain torch."""
    backend = SUITED.get(u.device.type, "")
    return BACKENDS[backend]() if backend and _is_usable(backend, u.device) else REFERENCE


def is_suited(backend: str, u: Any, *, gated: bool) -> bool:
    """Return whether a backend can run on a map and pays off; otherwise torch's own operations do.

    Args:
        backend: of `BACKENDS`.
        u: the map, or whatever a module was given.
        gated: a block is part of the operation, which then pays off on smaller maps too.
    """
    if not isinstance(u, Tensor) or u.ndim != 4 or u.numel() == 0 or not u.is_floating_point():
        return False
    compiling = torch.compiler.is_compiling()  # the operators then ask when they run
    if not compiling and type(u) not in (Tensor, nn.Parameter):  # e.g. a fake tensor
        return False
    if backend == "native":
        fits = u.device.type == "cpu" and u.dtype in TYPES and u.numel() >= (SMALL_GATED if gated else SMALL)
    elif backend == "triton":
        fits = u.device.type == "cuda" and u.dtype in (*TYPES, torch.float16)
    else:
        return True
    return fits and (compiling or _is_usable(backend, u.device))
