"""Read the logits and the hidden units of blocks while a network runs.

Letters in shapes: n images, c channels of the block, h hidden units, *s sizes.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float64
from torch import Tensor, nn

from senet.nn import SqueezeExcite
from senet.nn.layers import BATCH_NORMS, LAYERS
from senet.surgery.finding.find import Found

__all__ = ["Excited", "exciting", "layers_of", "logits_of", "units_of"]

HIDDEN = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.Hardswish, nn.GELU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.Mish)
CLOSEST = 1e-6  # of the range: how near to its end a gate may be for its logit to be computed


class Excited:
    """What the layers of a block computed for one batch.

    Attributes:
        logits: sum of the outputs of the last layer `(n, c)`, averaged over positions; None if the last layer has
            another width than the block, or did not run.
        hidden: for each hidden layer, which of its units fire on which image `(n, h)`: those whose activation is
            positive at some position.
    """

    def __init__(self) -> None:
        self.logits: Float64[Tensor, "n c"] | None = None
        self.hidden: dict[int, Bool[Tensor, "n h"]] = {}


def layers_of(block: nn.Module) -> list[nn.Module]:
    """Return the layers of an excitation in order."""
    if isinstance(block, SqueezeExcite) and block.excitation is None:
        return [block.get_submodule(name) for name in block.layers]
    return [module for module in block.modules() if isinstance(module, LAYERS)]


def _is_without_ratio(block: nn.Module) -> bool:
    """Return whether the widths of a block's layers are fixed, so that nothing between them counts as hidden units."""
    return isinstance(block, SqueezeExcite) and block.excitation is None and not block.spec.has_ratio


def units_of(block: nn.Module) -> tuple[bool, bool]:
    """Return whether a hidden unit of a block can be exactly 0, and whether logits are linear while no unit is.

    The first holds for ReLU and hard swish and not for SiLU, GELU and leaky ReLU; the second for ReLU where no norm
    depends on the image. Blocks of other libraries that call a function are taken to use ReLU; of an activation that
    is not known neither is said.
    """
    if isinstance(block, SqueezeExcite) and block.excitation is None:
        act: object = block.activation
    else:
        act = next((module for module in block.modules() if isinstance(module, HIDDEN)), F.relu)
    norms = [m for m in block.modules() if "norm" in type(m).__name__.lower() and not isinstance(m, BATCH_NORMS)]
    is_relu = act in (F.relu, torch.relu) or isinstance(act, nn.ReLU)
    can_die = is_relu or act is F.hardswish or isinstance(act, nn.ReLU6 | nn.Hardswish)
    return can_die, is_relu and not norms


@contextmanager
def exciting(blocks: Mapping[str, tuple[Found, nn.Module]]) -> Iterator[dict[str, Excited]]:
    """Collect what the layers of blocks compute inside the context.

    Args:
        blocks: the blocks by name.

    Yields:
        The values by name. The caller clears the mapping before each batch.
    """
    found: dict[str, Excited] = {}

    def enter(name: str, number: int) -> Callable[[nn.Module, tuple[object, ...]], None]:
        def hook(_: nn.Module, args: tuple[object, ...]) -> None:
            if args and isinstance(args[0], Tensor) and args[0].ndim > 1:
                fires = (args[0] > 0).flatten(2).any(2).cpu() if args[0].ndim > 2 else (args[0] > 0).cpu()
                own = found.setdefault(name, Excited()).hidden
                same = number in own and own[number].shape == fires.shape  # one layer for two descriptors
                own[number] = own[number] | fires if same else fires

        return hook

    def leave(name: str, channels: int) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_: nn.Module, args: tuple[object, ...], z: object) -> None:
            if not isinstance(z, Tensor) or z.ndim < 2:
                return
            axis = 1 if z.shape[1] == channels else -1
            if z.shape[axis] == channels:
                mean = z.detach().movedim(axis, 1).double().reshape(len(z), channels, -1).mean(2).cpu()
                own = found.setdefault(name, Excited())
                own.logits = mean if own.logits is None else own.logits + mean

        return hook

    handles = []
    for name, (one, block) in blocks.items():
        layers = layers_of(block)
        hidden = 0 if _is_without_ratio(block) else len(one.widths) - 2  # a squeeze may have a layer before them
        for number, layer in enumerate(layers[len(layers) - hidden :] if 0 < hidden < len(layers) else []):
            handles.append(layer.register_forward_pre_hook(enter(name, number)))
        if layers:
            handles.append(layers[-1].register_forward_hook(leave(name, one.channels)))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def logits_of(gate: Float64[Tensor, "n c"]) -> Float64[Tensor, "n c"]:
    """Return the logits of gates in (0, 1), for blocks whose own logits cannot be read; other gates as they are."""
    known = gate[~gate.isnan()]
    if not len(known) or float(known.min()) < 0 or float(known.max()) > 1:
        return gate
    logits: Tensor = torch.special.logit(gate, eps=CLOSEST)
    return logits
