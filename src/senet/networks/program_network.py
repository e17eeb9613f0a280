"""A network in a program of torch.export (`.pt2`), run like any other network.

Letters in shapes: n images, c channels, *s sizes, *k outputs.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from senet.errors import CheckpointError, reason_of
from senet.networks.exported_network import FileNetwork
from senet.torch_internals import quiet_export

__all__ = ["ProgramNetwork"]


class ProgramNetwork(FileNetwork):
    """A network in a program of torch.export.

    Args:
        file: the program. It may contain any code, which `load` runs: only for files that the user trusts.
        load: function of the path that returns an `ExportedProgram`.

    Raises:
        CheckpointError: if the file cannot be loaded.
    """

    def __init__(self, file: Path, load: Callable[[Path], Any] = torch.export.load) -> None:
        try:
            with quiet_export():
                program = load(file)
            name = program.graph_signature.user_inputs[0]
            (value,) = (node.meta["val"] for node in program.graph.nodes if node.name == name)
        except Exception as error:  # torch.export.load raises errors of many classes
            reason = reason_of(error, whole=True)
            raise CheckpointError(f"{file} cannot be loaded as a program: {reason}; export it again.") from error
        super().__init__([side if type(side) is int else "any" for side in value.shape])
        self.programs = [program.module()]  # in a list: a program has no evaluation mode to switch to

    @torch.no_grad()
    def run(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n *k"]:
        """Return the output of the program."""
        found: Tensor = self.programs[0](x)
        return found
