"""Excitations as chains of matrices with a function after each, extracted from blocks of any library.

Letters in shapes: n images, c and d channels.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

from senet.fast.conv_norm import Pointwise
from senet.fast.inference.excitation import Excitation
from senet.fast.listeners import is_plain
from senet.nn import SqueezeExcite
from senet.nn.channelwise import ChannelConv
from senet.nn.gate import ACTIVATIONS, GATES

__all__ = ["FUNCTIONS", "Chain", "Layer", "flat"]

DENSE = 512  # channels up to which a convolution over channels is a matrix: at most 1 MB, read in the one native call
# in the order of `activated` in excite.cpp, which selects a function by its index here
FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "none": ACTIVATIONS["none"],
    "relu": ACTIVATIONS["relu"],
    "sigmoid": GATES["sigmoid"],
    "hard_sigmoid": GATES["hard_sigmoid"],
    "silu": ACTIVATIONS["silu"],
    "hard_swish": ACTIVATIONS["hard_swish"],
    "leaky_relu": ACTIVATIONS["leaky_relu"],
    "tanh": GATES["tanh"],
    "gelu": ACTIVATIONS["gelu"],
    "unit_sigmoid": GATES["unit_sigmoid"],
    "unit_tanh": GATES["unit_tanh"],
    "residual_sigmoid": GATES["residual_sigmoid"],
}
MODULES: Mapping[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.Sigmoid: "sigmoid",
    nn.Hardsigmoid: "hard_sigmoid",
    nn.SiLU: "silu",
    nn.Hardswish: "hard_swish",
    nn.Tanh: "tanh",
}
METHODS = ("relu", "relu_", "sigmoid", "sigmoid_", "tanh", "tanh_")
CALLED: Mapping[Any, str] = {
    **{function: name for name, function in FUNCTIONS.items()},
    **{name: name.rstrip("_") for name in METHODS},
    torch.relu: "relu",
    F.sigmoid: "sigmoid",
    F.tanh: "tanh",
}
SHAPED = ("view", "reshape", "flatten", "squeeze", "unsqueeze", torch.flatten, torch.reshape)


class Layer(NamedTuple):
    """One matrix and the function applied to its output."""

    module: Pointwise | nn.Linear
    function: str


class Chain(nn.Module):
    """`f2(W2 f1(W1 z + b1) + b2)` with any number of layers; all matrices are parameters of this module.

    Args:
        layers: at least one; their parameters are reused.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        super().__init__()
        self.functions = tuple(layer.function for layer in layers)
        for number, layer in enumerate(layers, 1):
            for name in ("weight", "bias"):
                self.register_parameter(f"{name}{number}", layer.module._parameters.get(name))

    def layers(self) -> list[tuple[Tensor, Tensor | None, str]]:
        """Return weight, bias and function of every layer."""
        numbers = range(1, len(self.functions) + 1)
        return [
            (getattr(self, f"weight{n}"), getattr(self, f"bias{n}"), f)
            for n, f in zip(numbers, self.functions, strict=True)
        ]

    def forward(self, z: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """Return the channel weights for channel averages, in the dtype of the parameters."""
        for weight, bias, function in self.layers():
            z = FUNCTIONS[function](F.linear(z.to(weight.dtype), weight, bias))
        return z

    def extra_repr(self) -> str:
        """Show sizes and functions in execution order."""
        return "; ".join(f"{weight.shape[1]} -> {weight.shape[0]}, {function}" for weight, _, function in self.layers())


def flat(excite: Excitation) -> Excitation | Chain:
    """Convert an excitation to a chain if possible; otherwise return it. The argument must not be used afterwards."""
    layers = read(excite.body)
    if not layers:
        return excite
    return Chain(layers if excite.project is None else [Layer(excite.project, "none"), *layers])


def read(body: nn.Module) -> list[Layer]:
    """Return the layers of an excitation that is a chain; empty if it has another structure or a custom function.

    Args:
        body: a block of senet, or the traced excitation of another library's, its 1x1 convolutions as `Pointwise`.
    """
    if not all(is_plain(module) for module in body.modules()):  # hooks must run
        return []
    layers = _ours(body) if isinstance(body, SqueezeExcite) else []
    layers = _traced(body) if isinstance(body, fx.GraphModule) else layers
    shapes = [layer.module.weight.shape for layer in layers]
    return layers if all(one[0] == other[1] for one, other in pairwise(shapes)) else []


def _ours(block: SqueezeExcite) -> list[Layer]:
    names = block.layers[block.num_map_layers :]
    functions = [CALLED.get(function, "") for function in (*[block.activation] * (len(names) - 1), block.gate)]
    modules = [block.get_submodule(name) for name in names]
    if block.excitation is not None or block.norm is not None or not all(functions):
        return []
    if len(modules) == 1 and isinstance(modules[0], ChannelConv) and block.channels <= DENSE:
        modules = [_dense(modules[0], block.channels)]
    return [Layer(m, f) for m, f in zip(modules, functions, strict=True) if isinstance(m, Pointwise)]


@torch.no_grad()
def _dense(layer: ChannelConv, channels: int) -> Pointwise:
    """Return a convolution over the channels as a matrix, most of whose values are 0."""
    weight = layer.weight.detach()
    columns = F.conv1d(torch.eye(channels, device=weight.device, dtype=weight.dtype)[:, None], weight, padding="same")
    return Pointwise(columns[:, 0].T.contiguous(), None if layer.bias is None else layer.bias.detach().repeat(channels))


def _traced(body: fx.GraphModule) -> list[Layer]:
    """Follow the graph backwards from the weights to the average; every node must have one input."""
    layers: list[Layer] = []
    function = "none"
    node = next(node for node in body.graph.nodes if node.op == "output").args[0]
    while isinstance(node, fx.Node):
        before = node.args[0] if node.args else None
        module = body.get_submodule(str(node.target)) if node.op == "call_module" else None
        if isinstance(module, Pointwise | nn.Linear):
            layers.insert(0, Layer(module, function))
            function = "none"
        elif name := _function(node, module):
            if function != "none":  # two in a row
                return []
            function = name
        elif not isinstance(module, nn.Identity) and (module is not None or node.target not in SHAPED):
            # the traced excitation only reads the average of the map (`excitation`)
            squeezed = isinstance(before, fx.Node) and before.op == "placeholder"
            return layers if squeezed and function == "none" else []
        node = before
    return []


def _function(node: fx.Node, module: nn.Module | None) -> str:
    """Return the name of a function of one tensor; empty for anything else, or for other settings than the default."""
    if module is not None:
        return MODULES.get(type(module), "")
    plain = node.op in ("call_function", "call_method") and len(node.args) == 1 and not set(node.kwargs) - {"inplace"}
    return CALLED.get(node.target, "") if plain else ""
