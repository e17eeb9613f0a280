"""Handling of kernel failures on a GPU: fall back to torch's operations, or raise a one-line error."""

import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import torch

from senet.errors import BackendError, reason_of
from senet.fast.kernels.passes import Passes

__all__ = ["FullDeviceError", "guarded"]

RESOURCES = "OutOfResources"  # Triton's error for a kernel that needs more registers or shared memory than available
LOST = ("CUDA error", "Triton Error", "HIP error")


class FullDeviceError(BackendError, torch.OutOfMemoryError):
    """The device is out of memory; also a `torch.OutOfMemoryError`, so existing handlers catch it."""


def guarded(passes: Passes, plain: Passes) -> Passes:
    """Return passes that fall back to plain ones, with a warning, if a GPU runs out of memory.

    A pass that writes into its arguments cannot be repeated: it raises FullDeviceError instead. The returned passes
    raise FullDeviceError if the plain pass runs out of memory too, and BackendError if the device is lost, so that
    every later call would fail.
    """
    names = [field.name for field in fields(Passes)]
    return Passes(**{name: _guarded(name, getattr(passes, name), getattr(plain, name)) for name in names})


def _guarded(name: str, ours: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(ours)
    def run(*args: Any) -> Any:
        try:
            return ours(*args)
        except Exception as error:
            if not _is_full(error):
                raise _lost(error) from error
            if name == "combine":  # may have updated running statistics
                raise _full(error) from error
            reason = reason_of(error)
        warnings.warn(f"the fused pass {name!r} ran out of memory ({reason}); using plain torch.", stacklevel=2)
        try:
            return plain(*args)
        except Exception as error:
            raise (_full if _is_full(error) else _lost)(error) from error

    return run


def _is_full(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or type(error).__name__ == RESOURCES


def _full(error: Exception) -> Exception:
    return FullDeviceError(
        f"the GPU is out of memory ({reason_of(error)}); lower the batch size (recipe.batch_size, or raise "
        "recipe.accumulate), or free memory that other processes use."
    )


def _lost(error: Exception) -> Exception:
    """Return the error to raise for one other than out of memory: a BackendError for a lost device, else itself."""
    if isinstance(error, RuntimeError) and any(word in str(error) for word in LOST):
        return BackendError(
            f"the GPU failed in a fused pass ({reason_of(error)}) and is unusable for this process; resume from the "
            "last checkpoint, and if it fails again, without accelerate."
        )
    return error
