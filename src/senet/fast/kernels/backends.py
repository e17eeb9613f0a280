"""Backends of the passes over maps: lookup by name, selection for a device, and a check of their results there."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from senet.errors import BackendError, reason_of
from senet.fast.kernels.compiled import identity
from senet.fast.kernels.guard import guarded
from senet.fast.kernels.native import SOURCE, TYPES, native
from senet.fast.kernels.passes import REFERENCE, Passes
from senet.fast.kernels.selfcheck import passes_fault, verdict

__all__ = ["BACKENDS", "backend_for", "is_suited", "is_usable", "live", "obstacle", "passes"]

# values of a map below which several torch operators cost less than the Python overhead of a fused one (docs/speed.md)
SMALL, SMALL_GATED = 2**19, 2**16
SUITED = {"cpu": "native", "cuda": "triton"}  # by device type


@cache
def inductor() -> Passes:
    """Return the reference passes compiled with TorchInductor, with dynamic sizes but one memory format each."""
    return Passes(**{name: torch.compile(function, dynamic=True) for name, function in vars(REFERENCE).items()})


@cache
def triton() -> Passes:
    """Return the passes in Triton, with the reference passes as a fallback if a GPU runs out of memory.

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
    """Return the passes of a backend; during torch.compile, as registered operators that the compiler does not trace.

    Raises:
        BackendError: if this machine cannot run it.
    """
    if backend in ("native", "triton") and torch.compiler.is_compiling():
        from senet.fast.kernels.operators import OPERATORS

        return OPERATORS
    return BACKENDS[backend]()


def backend_for(device: torch.device) -> str | None:
    """Return the backend for a device; None if there is none.

    Raises:
        BackendError: if it cannot run on this machine, with the reason.
    """
    if device.type not in SUITED:
        return None
    if why := obstacle(SUITED[device.type], device):
        raise BackendError(why)
    return SUITED[device.type]


def obstacle(backend: str, device: torch.device) -> str:
    """Return why a backend cannot run on a device (a missing dependency or wrong results); empty if it can.

    Its results are compared with those of the reference before its first use (`senet.fast.kernels.selfcheck`).
    """
    if SUITED.get(device.type) != backend:
        return ""  # the reference and inductor run on every device
    try:
        ours = BACKENDS[backend]()
        words = (str(device), *_described(backend, device))
        fault = verdict(backend, words, lambda: passes_fault(ours, device))
    except BackendError as error:
        return str(error)
    except Exception as error:  # e.g. a GPU that Triton does not support, or a full one: torch may still run
        reason = reason_of(error)
        return f"backend = {backend!r} fails on {device} ({type(error).__name__}: {reason})"
    return f"backend = {backend!r} computes wrong values on {device}: {fault}" if fault else ""


def _described(backend: str, device: torch.device) -> tuple[str, ...]:
    """Return everything that the results of a backend depend on."""
    if backend == "native":
        return (identity(SOURCE),)  # includes compiler and processor
    import triton

    sources = [
        Path(__file__).with_name(f"triton_{part}.py").read_text(encoding="utf-8") for part in ("kernels", "passes")
    ]
    return triton.__version__, str(torch.cuda.get_device_properties(device)), str(torch.version.cuda), *sources


@cache
def is_usable(backend: str, device: torch.device) -> bool:
    """Return whether a backend can run on a device; warn once if it cannot."""
    why = obstacle(backend, device)
    if why:
        warnings.warn(f"{why}; using plain torch.", stacklevel=2)
    return not why


def live(u: Tensor) -> Passes:
    """Return the passes for a map of a compiled network: those of its device's backend, otherwise the reference."""
    backend = SUITED.get(u.device.type, "")
    return BACKENDS[backend]() if backend and is_usable(backend, u.device) else REFERENCE


def is_suited(backend: str, u: Any, *, gated: bool) -> bool:
    """Return whether a backend supports a map and is faster on it than torch's own operations.

    Args:
        backend: a name of `BACKENDS`.
        u: the map; other inputs of a module are not supported.
        gated: whether the operation includes a block, which makes it faster on smaller maps too.
    """
    if not isinstance(u, Tensor) or u.ndim != 4 or u.numel() == 0 or not u.is_floating_point():
        return False
    compiling = torch.compiler.is_compiling()  # the operators check again when they run
    if not compiling and type(u) not in (Tensor, nn.Parameter):  # e.g. a fake tensor
        return False
    if backend == "native":
        fits = u.device.type == "cpu" and u.dtype in TYPES and u.numel() >= (SMALL_GATED if gated else SMALL)
    elif backend == "triton":
        fits = u.device.type == "cuda" and u.dtype in (*TYPES, torch.float16)
    else:
        return True
    return fits and (compiling or is_usable(backend, u.device))
