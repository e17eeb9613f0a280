"""A network as a program of `torch.export`, with the dimensions that may change."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from senet.errors import SpecError, reason_of
from senet.exporting.example import Example
from senet.files.atomic import write_synced
from senet.surgery.folding.answers import class_of
from senet.text import one_line
from senet.torch_internals import quiet_export

__all__ = ["save_program", "to_program"]


def to_program(model: nn.Module, example: Example) -> ExportedProgram:
    """Export a network as a program.

    Args:
        model: the network, in evaluation mode, on the CPU.
        example: its input, and what may change in it.

    Raises:
        SpecError: if torch.export cannot follow the network, or it does not take the batches or sizes asked for.
    """
    dynamic = dict.fromkeys(example.axes, Dim.DYNAMIC)
    x = example.images(example.shape[0])
    try:
        with quiet_export(), torch.no_grad():
            return torch.export.export(model, (x,), dynamic_shapes=(dynamic,))
    except Exception as error:  # torch.export raises errors of many classes, and the network its own
        raise _refusal(model, example, error) from error


def save_program(program: ExportedProgram, path: Path, metadata: Mapping[str, str]) -> dict[str, Sequence[str]]:
    """Write a program as a `.pt2` file; raises `OSError`.

    Args:
        program: the network as `torch.export` sees it.
        path: the file.
        metadata: texts by name, for the file.

    Returns:
        The nodes of the blocks, which have no names there: none.
    """
    held = io.BytesIO()  # a full disk would be a RuntimeError of torch that does not name the disk
    with quiet_export():
        torch.export.save(program, held, extra_files=dict(metadata))
    write_synced(path, held.getbuffer())
    return {}


def _refusal(model: nn.Module, example: Example, error: Exception) -> SpecError:
    title, reason = class_of(model), reason_of(error, whole=True)
    if example.size and not _fails(model, Example(shape=example.shape, batch=example.batch)):
        sizes = "x".join(map(str, example.shape[2:]))
        return SpecError(
            f"{title} does not take images of any size; leave out the dynamic size, it is exported for {sizes}."
        )
    if example.batch and not _fails(model, Example(shape=example.shape, batch=False)):
        return SpecError(
            f"{title} does not take batches of any size; use static=True (--static) and the batch of shape (--shape)."
        )
    return SpecError(
        f"{title} cannot be exported: {one_line(reason)}; export a part of it that torch.export can follow."
    )


def _fails(model: nn.Module, example: Example) -> bool:
    try:
        with quiet_export(), torch.no_grad():
            dynamic = dict.fromkeys(example.axes, Dim.DYNAMIC)
            torch.export.export(model, (example.images(example.shape[0]),), dynamic_shapes=(dynamic,))
    except Exception:  # see `to_program`
        return True
    return False
