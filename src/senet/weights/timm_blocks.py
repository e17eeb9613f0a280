"""timm's names of the tensors of blocks, in networks of the zoo and in networks of timm with inserted blocks.

timm keeps a block in the unit, whatever it gates: `layer1.0.bn3.se.conv` of an inserted block is `layer1.0.se.conv` in
`ecaresnet50d`.
"""

import re
from collections.abc import Mapping

from torch import nn

from senet.nn import SqueezeExcite
from senet.weights.origin import TheirName, rename

__all__ = ["by_timm"]

INSIDE: Mapping[str, str] = {"timm.models.resnet": "se", "timm.models.vovnet": "attn"}
"""Name of the block of a unit, by the module that defines the network."""

IN_UNIT = re.compile(r"(.*\.\d+)\.")


def by_timm(names: Mapping[str, str]) -> TheirName:
    """Return the function from a tensor name to that of timm.

    Args:
        names: timm's names of the modules of the zoo, by those of senet.
    """

    def their_name(key: str, model: nn.Module) -> str:
        block = _block_of(key, model)
        home = INSIDE.get(type(model).__module__)
        if home is None:
            return rename(key, {**names, "se.fc1": "se.fc"} if _is_direct(model, block) else names)
        if not block:
            return key
        unit = IN_UNIT.match(block)
        if unit is None:
            raise KeyError(key)
        layer = key.removeprefix(f"{block}.")
        return f"{unit[1]}.{home}.{layer.replace('fc1.', 'fc.') if _is_direct(model, block) else layer}"

    return their_name


def _block_of(key: str, model: nn.Module) -> str:
    """Return the path of the block that holds a tensor; empty if it is in none."""
    module, path = model, ""
    for part in key.split(".")[:-1]:
        inner = module._modules.get(part)
        if inner is None:
            return ""
        module, path = inner, f"{path}.{part}".lstrip(".")
        if isinstance(module, SqueezeExcite):
            return path
    return ""


def _is_direct(model: nn.Module, block: str) -> bool:
    module = model.get_submodule(block)
    return isinstance(module, SqueezeExcite) and module.spec.variant == "direct"
