"""Extraction of the excitation from a block, as a map from a descriptor to weights; for blocks of any library.

Letters in shapes: n images, c and d channels.
"""

import operator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, fx, nn

from senet.fast.conv_norm import Conv, Pointwise, is_pointwise, matrix
from senet.fast.inference.tracing import Tracer
from senet.nn import SqueezeExcite

__all__ = ["Excitation", "LeftAlone", "excitation", "fuse_first"]

SIZES = {"size", "expand_as"}
SPATIAL = ({2, 3}, {-1, -2})
PRODUCTS = {operator.mul, operator.imul, torch.mul}


class LeftAlone(Exception):  # noqa: N818 (not an error: the block runs unchanged)
    """Raised for a block that cannot be rewritten; the message is the reason."""


class Excitation(nn.Module):
    """Computes channel weights from the average of a map, `(n, c) -> (n, d)`.

    Args:
        body: the module that computes the weights.
        first: name in `body` of the first layer, if no other part of `body` reads the descriptor; otherwise empty.
    """

    def __init__(self, body: nn.Module, *, first: str) -> None:
        super().__init__()
        self.body = body
        self.first = first
        self.project: Pointwise | None = None
        for name, layer in list(body.named_modules()):
            if is_pointwise(layer):
                body.set_submodule(name, Pointwise(layer.weight.detach().flatten(1), _bias(layer)))

    def forward(self, z: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
        """Return the weights in the dtype of the parameters."""
        z = z if self.project is None else self.project(z)
        if isinstance(self.body, SqueezeExcite) and self.body.excitation is None and not self.body.spec.is_sparse:
            return self.body.excite(z)
        map_ = z.to(next(self.parameters()).dtype)[:, :, None, None]  # other libraries' may check the dimensions
        weights: Tensor = self.body.excite(map_) if isinstance(self.body, SqueezeExcite) else self.body(map_)
        return weights.flatten(1)


def excitation(block: nn.Module) -> Excitation:
    """Extract the excitation of a block whose squeeze is the average.

    Args:
        block: a block of senet, or one that `senet.surgery.find` finds; it must not be used afterwards.

    Raises:
        LeftAlone: if the weights depend on more than the average of the map.
    """
    if isinstance(block, SqueezeExcite):
        if block.adds:
            raise LeftAlone("its gate adds to the map")
        if block.spec.squeeze != "avg":
            raise LeftAlone(f"its squeeze is {block.spec.squeeze!r}, and only an average commutes with a convolution")
        if block.num_map_layers:
            raise LeftAlone(f"the variant {block.spec.variant!r} has layers before the squeeze")
        if next(block.parameters(), None) is None:
            raise LeftAlone("it has no layers")
        other = block.excitation is not None or block.spec.is_sparse
        normed = block.norm is not None and len(block.layers) < 2  # the norm reads the average
        return Excitation(block, first="" if other or normed else block.layers[0])
    return _foreign(block)


def fuse_first(excite: Excitation, conv: Conv) -> bool:
    """Make an excitation take the average of the input of a 1x1 convolution, `W1 (W m + b) + b1`.

    Returns:
        Whether the product `W1 W` was fused into one matrix; otherwise `W` is applied separately.
    """
    weight, bias = matrix(conv), conv.bias
    dtype = next(excite.parameters()).dtype
    layer = excite.body.get_submodule(excite.first) if excite.first else None
    if not isinstance(layer, Pointwise | nn.Linear):
        excite.project = Pointwise(weight.to(dtype), None if bias is None else bias.detach().to(dtype))
        return False
    own = layer.weight.detach().double()
    total = None if layer.bias is None else layer.bias.detach().double()
    if bias is not None:
        total = own @ bias.detach().double() + (0.0 if total is None else total)
    fused = Pointwise((own @ weight).to(dtype), None if total is None else total.to(dtype))
    excite.body.set_submodule(excite.first, fused)
    return True


def _foreign(block: nn.Module) -> Excitation:
    """Remove the final product from a traced block; the rest computes the weights, also for a map of one position."""
    try:
        body = fx.GraphModule(block, Tracer().trace(block))
    except Exception as error:
        raise LeftAlone(f"its class {type(block).__name__} cannot be traced ({error})") from error
    graph = body.graph
    x, output = (next(node for node in graph.nodes if node.op == op) for op in ("placeholder", "output"))
    product = output.args[0]
    if not isinstance(product, fx.Node) or product.target not in {*PRODUCTS, "mul", "mul_"} or x not in product.args:
        raise LeftAlone(f"its class {type(block).__name__} does not end with the product of the map and its weights")
    weights = next((arg for arg in product.args if arg is not x), None)
    others = [node for node in x.users if node is not product]
    others_left = [node for node in others if not _averages(block, node) and not _asks_size(node)]
    if not isinstance(weights, fx.Node) or others_left:
        raise LeftAlone(f"the weights of its class {type(block).__name__} depend on more than the average of the map")
    if weights.target == "expand_as":  # weights broadcast without it, for every map size
        weights = weights.args[0]
    output.args = (weights,)
    graph.eliminate_dead_code()
    body.recompile()
    squeezes = list(x.users)
    alone = len(squeezes) == 1 and len(squeezes[0].users) == 1
    after = next(iter(squeezes[0].users)) if alone else None
    first = str(after.target) if after is not None and after.op == "call_module" else ""
    if first and not is_pointwise(block.get_submodule(first)):
        first = ""
    return Excitation(body, first=first)


def _averages(block: nn.Module, node: fx.Node) -> bool:
    """Return whether a node is the average of its input over all positions."""
    if node.op == "call_module":
        module = block.get_submodule(str(node.target))
        return isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1))
    if node.target is F.adaptive_avg_pool2d:
        size = node.kwargs.get("output_size", node.args[1] if len(node.args) > 1 else None)
        return size in (1, (1, 1), [1, 1])
    if node.target not in ("mean", torch.mean):
        return False
    dims = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else None)
    return isinstance(dims, tuple | list) and all(isinstance(dim, int) for dim in dims) and set(dims) in SPATIAL


def _asks_size(node: fx.Node) -> bool:
    return bool(node.target in SIZES or (node.target is getattr and node.args[1] == "shape"))


def _bias(layer: nn.Module) -> Tensor | None:
    return layer.bias.detach() if isinstance(layer.bias, Tensor) else None
