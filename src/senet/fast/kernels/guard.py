"""What happens where a kernel fails on a GPU: torch's own operations take over, or one line says what to do."""

import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import Any

import torch

from senet.errors import BackendError
from senet.fast.kernels.passes import Passes

__all__ = ["FullDeviceError", "guarded"]

RESOURCES = "OutOfResources"  # Triton's error for a kernel that needs more registers or shared memory than there are
LOST = ("CUDA error", "Triton Error", "HIP error")


class FullDeviceError(BackendError, torch.OutOfMemoryError):
    """A device whose memory is full; who catches torch's error catches this one too."""


def guarded(passes: Passes, plain: Passes) -> Passes:
    """Let plain passes run where those of a GPU get no memory, with a warning.

    Of a pass that writes into its arguments only the error becomes one line.

    Raises, when a pass runs:
        FullDeviceError: if the plain pass gets no memory either.
        BackendError: if the device is lost: every later call on it would fail too.
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
            if name == "combine":  # has perhaps updated running statistics
                raise _full(error) from error
            reason = _reason(error)
        warnings.warn(f"the fused pass {name!r} got no memory ({reason}); torch's own operations run.", stacklevel=2)
        try:
            return plain(*args)
        except Exception as error:
            raise (_full if _is_full(error) else _lost)(error) from error

    return run


def _is_full(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or type(error).__name__ == RESOURCES


def _full(error: Exception) -> Exception:
    return FullDeviceError(
        f"the GPU has no memory left ({_reason(error)}); lower the batch size (recipe.batch_size, or raise "
        "recipe.accumulate), or free what else is on it."
    )


def _lost(error: Exception) -> Exception:
    """Return the error to raise for one that is not a lack of memory: itself, unless it tells of a lost device."""
    if isinstance(error, RuntimeError) and any(word in str(error) for word in LOST):
        return BackendError(
            f"the GPU failed in a fused pass ({_reason(error)}) and takes no more work from this process; start again "
            "from the last checkpoint, and if it fails in the same place, without accelerate."
        )
    return error


def _reason(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
