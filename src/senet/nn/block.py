"""The squeeze-and-excitation block: `x * gate(excite(squeeze(x)))`.

Letters in shapes: n images, c channels, *s the sizes of the map, *t either ones (pooled) or the same sizes.
"""

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError, shown
from senet.nn.excite import layers, pointwise, sizes
from senet.nn.gate import ACTIVATIONS, GATES
from senet.nn.squeeze import SQUEEZES
from senet.spec import Ratios, SESpec

__all__ = ["RatioWarning", "SqueezeExcite", "without_autocast"]

Layer = Callable[[nn.Module, Tensor], Tensor]

# asked once: torch 2.11 cannot compile the question
AUTOCASTS = frozenset(
    kind
    for kind in ("cpu", "cuda", "hpu", "maia", "mps", "mtia", "xla", "xpu")
    if torch.amp.is_autocast_available(kind)
)
OTHERS_WORDS: Mapping[str, str] = {
    "rd_ratio": "give reduction=R with R = 1 / rd_ratio, e.g. reduction=16 for rd_ratio=1/16",
    "rd_channels": "give the ratio: reduction=channels // rd_channels",
    "rd_divisor": "give SESpec(rounding='timm') for timm's multiples of 8",
    "squeeze_channels": "give the ratio: reduction=channels // squeeze_channels",
    "ratio": "give reduction=16",
    "gate_layer": "give SESpec(gate='hard_sigmoid')",
    "act_layer": "give SESpec(activation='silu')",
    "scale_activation": "give SESpec(gate='hard_sigmoid')",
}


class RatioWarning(UserWarning):
    """A ratio is wider than the channels of a map, so that a block has one hidden unit."""


class SqueezeExcite(nn.Module):
    """Reweight the channels of a map by what the whole map contains.

    The gate is computed in float32 under autocast (half-precision sums over large maps overflow, and a gate is
    cheap); the product has the dtype of the map. Weights are `fc1`, `fc2`, ... as 1x1 convolutions, so the blocks
    of timm and torchvision checkpoints load as they are. Maps may have 1, 2 or 3 spatial dimensions.

    Args:
        channels: channels of the map.
        spec: the design; None stands for `SESpec()`.
        reduction: short for `SESpec(reduction=...)`; None stands for the ratio of the spec.
        stage: which of several reduction ratios holds, from 1.
        unit: likewise, of those of the stage.
        excitation: your own module `(n, c, 1, 1) -> (n, c, 1, 1)` in place of the layers of the spec; its
            parameters are then under `excitation.`.
        dims: spatial dimensions of the map; matters to wide kernels, and where torch.fx traces, which cannot ask a map.
        device: of the weights; None stands for torch's default.
        dtype: of the weights; None stands for torch's default.
        more: refused.
        others: refused, with our word for it where timm or torchvision have another.

    Raises:
        SpecError: if the channels, the stage or the unit do not fit the spec.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 2-4.

    Example:
        >>> SqueezeExcite(64)(torch.rand(2, 64, 8, 8)).shape
        torch.Size([2, 64, 8, 8])
    """

    def __init__(
        self,
        channels: int,
        spec: SESpec | None = None,
        *more: object,
        reduction: Ratios | None = None,
        stage: int = 1,
        unit: int = 1,
        excitation: nn.Module | None = None,
        dims: int = 2,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **others: object,
    ) -> None:
        super().__init__()
        if more:
            raise SpecError(
                f"SqueezeExcite(..., {shown(more[0])}): the options go by name, e.g. reduction=8 or stage=2; only the "
                "channels and a SESpec stand by position."
            )
        for name in others:  # timm's and torchvision's words for the same things
            hint = OTHERS_WORDS.get(name, "give the design as SESpec(...)")
            raise SpecError(f"{name} = {others[name]!r} is not an argument of SqueezeExcite; {hint}.")
        if not isinstance(spec, SESpec | None):
            raise SpecError(
                f"spec = {spec!r} is not a design; give SESpec(reduction=8) or reduction=8, or leave it out for the "
                "default."
            )
        spec = spec or SESpec()
        self.spec = spec = spec if reduction is None else spec.but(reduction=reduction)
        self.channels = channels
        self.dims = dims
        self.planned = widths = spec.widths(channels, stage=stage, unit=unit)
        self.squeeze = _function(spec.squeeze, SQUEEZES)
        self.activation = _function(spec.activation, ACTIVATIONS)
        self.gate = _function(spec.gate, GATES)
        self.num_map_layers = 0 if excitation else len(spec.map_kernels)
        self.excitation = excitation
        self.layers: tuple[str, ...] = ()
        if excitation is None:
            if spec.ratio(stage, unit) > channels:
                warnings.warn(
                    f"reduction = {spec.ratio(stage, unit)} is wider than the {channels} channels of this map: "
                    f"the hidden layer has {min(widths)} unit; choose a ratio up to {channels}.",
                    RatioWarning,
                    stacklevel=2,
                )
            fcs = layers(widths, bias=spec.bias, map_kernels=spec.map_kernels, dims=dims, device=device, dtype=dtype)
            for number, layer in enumerate(fcs, 1):
                self.add_module(f"fc{number}", layer)
                self.layers = (*self.layers, f"fc{number}")

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the excitation as its layers are now: a tool that prunes channels may have cut them."""
        pairs = [sizes(getattr(self, name)) for name in self.layers]  # torch.compile takes no `:=` in here
        found = [pair for pair in pairs if pair]
        known = len(found) == len(self.planned) - 1  # not so with an excitation or a layer of your own
        return (found[0][0], *(outputs for _, outputs in found)) if known else self.planned

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
        """Scale every channel of `x` by its weight."""
        s = self.weights(x)
        return x * (s if is_symbolic(x) else s.to(x.dtype))

    def weights(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *t"]:
        """Return the weight of every channel, `(n, c, 1, 1)`; `(n, c, h, w)` where nothing is squeezed.

        Raises:
            SpecError: if `x` is no floating-point map with the channels of this block.
        """
        if is_symbolic(x):  # has no type, no sizes and no device to ask for; the graph then suits every type
            return self._weights(x, self.dims, None)
        inputs = self.widths[0]
        if x.ndim < 3 or x.shape[1] != inputs or 0 in x.shape[2:] or not x.is_floating_point():
            raise SpecError(
                f"input of shape {tuple(x.shape)} and type {x.dtype} does not fit a block of {inputs} "
                f"channels; give a floating-point map (n, {inputs}, ...) with 1 to 3 sizes from 1."
            )
        with without_autocast(x):
            return self._weights(x, None, self._dtype(x))

    def _weights(self, x: Tensor, dims: int | None, dtype: torch.dtype | None) -> Tensor:
        layer = pointwise if dims is None else partial(pointwise, dims=dims)
        squeeze: Callable[..., Tensor] = self.squeeze
        if dims is not None and squeeze in SQUEEZES.values():  # one of your own takes the map alone
            squeeze = partial(squeeze, dims=dims)
        for name in self.layers[: self.num_map_layers]:
            x = self.activation(layer(getattr(self, name), _cast(x, dtype)))
        return self.excite(_cast(squeeze(x), dtype), layer=layer)

    def excite(self, z: Float[Tensor, "n c *t"], *, layer: Layer = pointwise) -> Float[Tensor, "n d *t"]:
        """Turn a descriptor into weights: the layers after the squeeze, then the gate.

        Args:
            z: the descriptor.
            layer: applies one layer to a descriptor.
        """
        if self.excitation is not None:
            return self.gate(self.excitation(z))
        names = self.layers[self.num_map_layers :]
        for name in names[:-1]:
            z = self.activation(layer(getattr(self, name), z))
        return self.gate(layer(getattr(self, names[-1]), z))

    def _dtype(self, x: Tensor) -> torch.dtype:
        parameter = next(self.parameters(), None)
        return x.dtype if parameter is None else parameter.dtype

    def __prepare_scriptable__(self) -> "SqueezeExcite":
        """Refuse `torch.jit.script`, which asks every module for what is to be scripted in its place."""
        raise SpecError(
            "torch.jit.script, deprecated by PyTorch, does not take squeeze-and-excitation blocks of senet; use "
            "torch.jit.trace or torch.export."
        )

    def extra_repr(self) -> str:
        """Show the data path in the order in which it runs."""
        return f"{' -> '.join(map(str, self.widths))}, {self.spec}"


def is_symbolic(x: object) -> bool:
    """Return whether a map only stands for one, as under `torch.fx.symbolic_trace`."""
    return not isinstance(x, Tensor)


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None else x.to(dtype)


def _function(value: object, table: object) -> Callable[[Tensor], Tensor]:
    names = cast("dict[str, Callable[[Tensor], Tensor]]", table)
    return names[value] if isinstance(value, str) else cast("Callable[[Tensor], Tensor]", value)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Leave autocast, if there is any: a gate is computed in float32."""
    # entered only where autocast is on: an exported graph then has no autocast region to carry
    kind = x.device.type
    if kind in AUTOCASTS and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
