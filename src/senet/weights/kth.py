"""Tensor names of the KTH study (nlindqv/RRs-in-SENets): units `blocks.0` to `blocks.23`, linear SE layers."""

import re

from torch import nn

__all__ = ["their_name"]

_PARTS = (
    (r"^stem\.conv\.", "conv."),
    (r"^stem\.norm\.", "bn."),
    (r"^stem\.se\.", "se."),
    (r"\.branch\.conv(\d)\.(?:conv\.)?", r".conv\1."),
    (r"\.branch\.norm(\d)\.", r".bn\1."),
    (r"\.shortcut\.conv\.", ".down."),
)


def their_name(key: str, model: nn.Module) -> str:
    """Return the authors' name of a tensor.

    Example:
        >>> from senet.models import create_model
        >>> their_name("stage2.unit1.shortcut.conv.weight", create_model("kth_resnet52"))
        'blocks.8.down.weight'
    """
    if unit := re.match(r"stage(\d+)\.unit(\d+)(?=\.)", key):
        stage, number = map(int, unit.groups())
        before = sum(len(model.get_submodule(f"stage{s}")._modules) for s in range(1, stage))
        key = f"blocks.{before + number - 1}{key[unit.end() :]}"
    for ours, theirs in _PARTS:
        key = re.sub(ours, theirs, key)
    return key
