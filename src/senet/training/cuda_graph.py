"""Record a training step on a GPU and replay it in one call, so that a small network does not wait for Python.

Letters in shapes: n images, c channels, h and w sizes.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from senet.errors import SenetError, UsageError, reason_of
from senet.nn.layers import BATCH_NORMS

__all__ = ["Record", "Recorded", "Step", "capture", "refuse_unrecordable"]

Step = Callable[[Tensor, Tensor], Tensor]
"""Takes images and labels, does one step, returns the loss."""

Record = Callable[[Step, Tensor, Tensor], tuple[Callable[[], None], Tensor]]
"""Records a step on buffers for images and labels; returns the function that replays it, and the buffer of the loss."""

WARM_UP = 3  # steps in which libraries choose kernels and optimizers allocate their state


class Recorded:
    """A step that is run a few times as it is, then recorded, and replayed from then on.

    A replay repeats the operations on the device without the Python around them: every value that changes from step to
    step must be in device memory. All batches must have one shape.

    Source:
        CUDA graphs; torch's notes on capturing a whole network.
    """

    def __init__(self, take: Step, *, record: Record | None = None) -> None:
        self._take, self._record = take, record or capture
        self._before = WARM_UP
        self._replay: Callable[[], None] | None = None

    def __call__(self, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"]) -> Tensor:
        """Run the step; the loss is valid until the next call."""
        if self._replay is None and self._before:
            self._before -= 1
            return _aside(self._take, x, y)
        if self._replay is None:
            self._x, self._y = torch.empty_like(x), torch.empty_like(y)
            self._replay, self._loss = self._record(self._take, self._x, self._y)
        self._x.copy_(x)
        self._y.copy_(y)
        self._replay()
        return self._loss


def capture(take: Step, x: Tensor, y: Tensor) -> tuple[Callable[[], None], Tensor]:
    """Record a step as a CUDA graph without computing it.

    Raises:
        SenetError: if the step cannot be recorded, for example because it reads a value back to the CPU.
    """
    graph = torch.cuda.CUDAGraph()
    try:
        # only this thread is restricted: others read images meanwhile
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            loss = take(x, y)
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        why = reason_of(error)
        raise SenetError(f"this network's training step cannot be recorded ({why}); leave out graph=true.") from error
    return graph.replay, loss


def refuse_unrecordable(model: nn.Module, device: torch.device, *, processes: int) -> None:
    """Raise an error for a step that cannot be recorded.

    Raises:
        UsageError: with the reason.
    """
    if device.type != "cuda":
        raise UsageError(f"graph=true records a training step on a GPU, and the device is {device}; leave it out.")
    if processes > 1:
        raise UsageError(f"graph=true records the step of one process, and {processes} train together; leave it out.")
    for name, module in model.named_modules():
        if isinstance(module, BATCH_NORMS) and module.momentum is None:
            raise UsageError(f"graph=true cannot record {name}: momentum None counts steps on the CPU; leave it out.")


def _aside(take: Step, x: Tensor, y: Tensor) -> Tensor:
    """Run a step on a side stream, as a recording will, so that autograd is not bound to the current one."""
    if x.device.type != "cuda":
        return take(x, y)
    usual, side = torch.cuda.current_stream(x.device), torch.cuda.Stream(x.device)  # type: ignore[no-untyped-call]
    side.wait_stream(usual)
    with torch.cuda.stream(side):
        loss = take(x, y)
    usual.wait_stream(side)
    return loss
