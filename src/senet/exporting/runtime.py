"""Run an exported file: an ONNX file in onnxruntime, a program in torch.

Letters in shapes: n images, c channels, *s sizes.
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from senet.exporting.checking import Run
from senet.exporting.program import quiet
from senet.networks.exported_network import ExportedNetwork

__all__ = ["runner"]


def runner(path: Path) -> Run:
    """Return a function that runs a file that was just written.

    Args:
        path: a `.onnx` or `.pt2` file; programs of others may contain code, so only own ones are loaded.
    """
    if path.suffix == ".onnx":
        return ExportedNetwork(path)
    with quiet():
        program = torch.export.load(path).module()

    @torch.no_grad()
    def run(x: Float[Tensor, "n c *s"]) -> Tensor:
        found: Tensor = program(x)
        return found

    return run
