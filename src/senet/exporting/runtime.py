"""Run an exported file that was just written: an ONNX file in onnxruntime, a program in torch."""

from pathlib import Path

from senet.networks.exported_network import ExportedNetwork, FileNetwork
from senet.networks.program_network import ProgramNetwork

__all__ = ["runner"]


def runner(path: Path) -> FileNetwork:
    """Return the network in a file.

    Args:
        path: a `.onnx` or `.pt2` file; programs of others may contain code, so only own ones are loaded.
    """
    return ExportedNetwork(path) if path.suffix == ".onnx" else ProgramNetwork(path)
