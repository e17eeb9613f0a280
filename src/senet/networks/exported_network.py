"""A network in an exported file, run by onnxruntime like any other network.

Letters in shapes: n images, c channels, *s sizes, *k outputs.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import CheckpointError, SpecError, not_installed, reason_of

__all__ = ["ExportedNetwork", "FileNetwork", "session_of"]

ERRORS_ONLY = 3  # the runtime's level of its log


class FileNetwork(nn.Module):
    """A network in evaluation mode in an exported file, which takes batches of any size or splits them.

    Args:
        shape: shape of its input; what is not an integer may have any size.
    """

    def __init__(self, shape: Sequence[object]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.eval()

    def run(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n *k"]:
        """Return the main output for a batch that the file takes, on the CPU."""
        raise NotImplementedError

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n *k"]:
        """Return the main output.

        Raises:
            SpecError: if the file does not take images of this shape.
        """
        wanted = [side if type(side) is int else found for side, found in zip(self.shape, x.shape, strict=False)]
        if len(self.shape) != x.ndim or wanted[1:] != list(x.shape[1:]):
            raise SpecError(f"the exported file takes images of shape {self.shape}, not {tuple(x.shape)}.")
        batch = x.detach().cpu().float().contiguous()
        if wanted[0] == len(x):
            return self.run(batch)
        parts = torch.split(batch, wanted[0])
        padded = torch.cat([parts[-1], parts[-1][:1].expand(wanted[0] - len(parts[-1]), *x.shape[1:])])
        return torch.cat([self.run(part) for part in (*parts[:-1], padded)])[: len(x)]


class ExportedNetwork(FileNetwork):
    """A network whose weights are in an ONNX file.

    Args:
        file: the ONNX file, or its content.
        threads: of the runtime; None means as many as torch uses.

    Raises:
        CheckpointError: if the file is damaged, or onnxruntime does not know an operator of it.
        UsageError: if onnxruntime is not installed.
    """

    def __init__(self, file: Path | bytes, *, threads: int | None = None) -> None:
        session = session_of(file, threads=threads)
        super().__init__(session.get_inputs()[0].shape)
        self.session = session

    def run(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n *k"]:
        """Return the first output of onnxruntime."""
        return torch.from_numpy(self.session.run(None, {self.session.get_inputs()[0].name: x.numpy()})[0])


def session_of(file: Path | bytes, *, threads: int | None = None) -> Any:
    """Return an `onnxruntime.InferenceSession` on the CPU, see `ExportedNetwork`."""
    try:
        import onnxruntime
    except ImportError as error:
        raise not_installed("an ONNX file", "onnxruntime", extra="export") from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    place = "the exported file" if isinstance(file, bytes) else str(file)
    try:
        return onnxruntime.InferenceSession(
            file if isinstance(file, bytes) else str(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # of the runtime's own classes
        reason = reason_of(error, whole=True)
        raise CheckpointError(f"{place} cannot be run by onnxruntime: {reason}; export it again.") from error
