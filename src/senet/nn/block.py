"""The squeeze-and-excitation block: `x * gate(excite(squeeze(x)))`.

Letters in shapes: n images, c channels, *s the spatial sizes of the map, *t ones (pooled) or the same sizes.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from senet.errors import SpecError, shown
from senet.nn.excite import layers, pointwise, sizes, sparse_layers
from senet.nn.gate import ACTIVATIONS, GATES
from senet.nn.norm import norm_of
from senet.nn.pooling import squeeze_of, squeezed
from senet.spec import Ratios, SESpec

__all__ = ["RatioWarning", "SqueezeExcite", "without_autocast"]

Layer = Callable[[nn.Module, Tensor], Tensor]

# computed once at import: torch 2.11 cannot compile the call
AUTOCASTS = frozenset(
    kind
    for kind in ("cpu", "cuda", "hpu", "maia", "mps", "mtia", "xla", "xpu")
    if torch.amp.is_autocast_available(kind)
)
FOREIGN_ARGUMENTS: Mapping[str, str] = {
    "rd_ratio": "use reduction=R with R = 1 / rd_ratio, e.g. reduction=16 for rd_ratio=1/16",
    "rd_channels": "use the ratio: reduction=channels // rd_channels",
    "rd_divisor": "use SESpec(rounding='timm') for timm's multiples of 8",
    "squeeze_channels": "use the ratio: reduction=channels // squeeze_channels",
    "ratio": "use reduction=16",
    "gate_layer": "use SESpec(gate='hard_sigmoid')",
    "act_layer": "use SESpec(activation='silu')",
    "scale_activation": "use SESpec(gate='hard_sigmoid')",
}


class RatioWarning(UserWarning):
    """The reduction ratio exceeds the channels of a map, so the hidden layer has a single unit."""


class SqueezeExcite(nn.Module):
    """Reweight the channels of a feature map by a gate computed from its global statistics.

    The gate is computed in float32 under autocast (half-precision sums over large maps overflow, and a gate is
    cheap); the product has the dtype of the map. Weights are `fc1`, `fc2`, ... as 1x1 convolutions, so blocks from
    timm and torchvision checkpoints load unchanged. Maps may have 1, 2 or 3 spatial dimensions.

    Args:
        channels: channels of the map.
        spec: the spec of the block; None means `SESpec()`.
        reduction: short for `SESpec(reduction=...)`; None means the ratio of the spec.
        stage: stage of the block, from 1; selects the ratio if the spec has one per stage.
        unit: unit within the stage, from 1; selects the ratio if the spec has one per block.
        excitation: custom module `(n, c, 1, 1) -> (n, c, 1, 1)` in place of the layers of the spec; its
            parameters are stored under `excitation.`.
        dims: spatial dimensions of the map; used for kernels wider than 1 and under torch.fx, where the map has no
            shape yet.
        device: of the weights; None means torch's default.
        dtype: of the weights; None means torch's default.
        more: rejected; options are passed by name.
        others: rejected; for argument names of timm and torchvision the error names the equivalent here.

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
                f"SqueezeExcite(..., {shown(more[0])}): pass options by name, e.g. reduction=8 or stage=2; only the "
                "channels and a SESpec are positional."
            )
        for name in others:
            hint = FOREIGN_ARGUMENTS.get(name, "pass the spec as SESpec(...)")
            raise SpecError(f"{name} = {others[name]!r} is not an argument of SqueezeExcite; {hint}.")
        if not isinstance(spec, SESpec | None):
            raise SpecError(
                f"spec = {spec!r} is not an SESpec; pass SESpec(reduction=8) or reduction=8, or omit it for the "
                "default."
            )
        spec = spec or SESpec()
        self.spec = spec = spec if reduction is None else spec.but(reduction=reduction)
        self.channels = channels
        self.dims = dims
        self.planned = widths = spec.widths(channels, stage=stage, unit=unit)
        self.squeeze = squeeze_of(spec.squeeze, widths[len(spec.map_kernels)], device=device, dtype=dtype)
        self.activation = _function(spec.activation, ACTIVATIONS)
        self.gate = _function(spec.gate, GATES)
        self.num_map_layers = 0 if excitation else len(spec.map_kernels)
        self.excitation = excitation
        self.layers: tuple[str, ...] = ()
        if excitation is None:
            if spec.has_ratio and spec.ratio(stage, unit) > channels:
                warnings.warn(
                    f"reduction = {spec.ratio(stage, unit)} exceeds the {channels} channels of this map: "
                    f"the hidden layer has {min(widths)} unit; choose a ratio up to {channels}.",
                    RatioWarning,
                    stacklevel=2,
                )
            for name, layer in self._new_layers(dims, device, dtype):
                self.add_module(name, layer)
                self.layers = (*self.layers, name)
        self.norm: nn.Module | None = None
        if excitation is None and spec.norm != "none":
            several = len(self.layers) - self.num_map_layers > 1
            affine = several and spec.activation != "none"  # else the last layer scales and shifts
            width = widths[-2] * (1 if several else spec.numbers)
            if width == 1 and spec.norm != "batch":
                warnings.warn(
                    f"norm = {spec.norm!r} of a hidden layer with 1 unit is constant; choose a smaller ratio.",
                    RatioWarning,
                    stacklevel=2,
                )
            self.norm = norm_of(spec.norm, width, affine=affine, device=device, dtype=dtype)

    def _new_layers(
        self, dims: int, device: torch.device | str | None, dtype: torch.dtype | None
    ) -> Iterator[tuple[str, nn.Module]]:
        """Yield the layers of the spec with their names."""
        spec = self.spec
        if spec.is_sparse:
            yield from sparse_layers(
                str(spec.variant), self.channels, spec.numbers, bias=spec.bias, device=device, dtype=dtype
            )
            return
        fcs = layers(self.planned, bias=spec.bias, map_kernels=spec.map_kernels, dims=dims, device=device, dtype=dtype)
        for number, layer in enumerate(fcs, 1):
            yield f"fc{number}", layer

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of the excitation, read from its current layers: a pruning tool may have changed them."""
        if self.spec.is_sparse:
            return self.planned
        pairs = [sizes(getattr(self, name)) for name in self.layers]  # torch.compile does not support `:=` here
        found = [pair for pair in pairs if pair]
        known = len(found) == len(self.planned) - 1  # False with a custom excitation or layer
        return (found[0][0], *(outputs for _, outputs in found)) if known else self.planned

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *s"]:
        """Scale every channel of `x` by its weight; with the gate `add`, add it."""
        s = self.weights(x)
        s = s if is_symbolic(x) else s.to(x.dtype)
        return x + s if self.adds else x * s

    @property
    def adds(self) -> bool:
        """Whether the block adds its weights to the map instead of multiplying."""
        return self.gate is GATES["add"]

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Set the last layer to zero: with a gate that is 1 at 0, the block then changes no bit of a finite map."""
        for parameter in self.get_submodule(self.layers[-1]).parameters():
            nn.init.zeros_(parameter)

    def weights(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n c *t"]:
        """Return the weight of every channel, `(n, c, 1, 1)`; `(n, c, h, w)` without a squeeze.

        Raises:
            SpecError: if `x` is not a floating-point map with the channels of this block.
        """
        if is_symbolic(x):  # an fx proxy has no dtype, shape or device; the traced graph then works for every dtype
            return self._weights(x, self.dims, None)
        inputs = self.widths[0]
        if x.ndim < 3 or x.shape[1] != inputs or 0 in x.shape[2:] or not x.is_floating_point():
            raise SpecError(
                f"input of shape {tuple(x.shape)} and type {x.dtype} does not fit a block of {inputs} "
                f"channels; pass a floating-point map (n, {inputs}, ...) with 1 to 3 non-empty spatial dimensions."
            )
        with without_autocast(x):
            return self._weights(x, None, self._dtype(x))

    def _weights(self, x: Tensor, dims: int | None, dtype: torch.dtype | None) -> Tensor:
        layer = pointwise if dims is None else partial(pointwise, dims=dims)
        for name in self.layers[: self.num_map_layers]:
            x = self.activation(layer(getattr(self, name), _cast(x, dtype)))
        z = squeezed(self.squeeze, x, dims)
        return self.excite(
            tuple(_cast(one, dtype) for one in z) if isinstance(z, tuple) else _cast(z, dtype), layer=layer
        )

    def excite(
        self, z: Float[Tensor, "n c *t"] | tuple[Float[Tensor, "n c *t"], ...], *, layer: Layer = pointwise
    ) -> Float[Tensor, "n d *t"]:
        """Compute channel weights from a descriptor: the layers after the squeeze, then the gate.

        Args:
            z: the descriptor; the logits of several are added.
            layer: applies one layer to a descriptor.
        """
        if isinstance(z, tuple):
            first, *others = (self._logits(one, layer) for one in z)
            return self.gate(sum(others, start=first))
        return self.gate(self._logits(z, layer))

    def _logits(self, z: Tensor, layer: Layer) -> Tensor:
        """Return the input of the gate; the norm acts before the last layer."""
        if self.excitation is not None:
            return cast("Tensor", self.excitation(z))
        names = self.layers[self.num_map_layers :]
        if len(names) < 2:
            z = self._normalised(z, layer)
        for name in names[:-1]:
            z = layer(getattr(self, name), z)
            if name == names[-2]:
                z = self._normalised(z, layer)
            z = self.activation(z)
        return layer(getattr(self, names[-1]), z) if names else z

    def _normalised(self, z: Tensor, layer: Layer) -> Tensor:
        return z if self.norm is None else layer(self.norm, z)

    def _dtype(self, x: Tensor) -> torch.dtype:
        parameter = next(self.parameters(), None)
        if parameter is not None:
            return parameter.dtype
        return torch.promote_types(x.dtype, torch.float32)

    def __prepare_scriptable__(self) -> "SqueezeExcite":
        """Reject `torch.jit.script`, which calls this hook on every module that it scripts."""
        raise SpecError(
            "torch.jit.script (deprecated by PyTorch) does not support the squeeze-and-excitation blocks of senet; use "
            "torch.jit.trace or torch.export."
        )

    def extra_repr(self) -> str:
        """Show the widths and the spec."""
        return f"{' -> '.join(map(str, self.widths))}, {self.spec}"


def is_symbolic(x: object) -> bool:
    """Return whether a map is a proxy without data, as under `torch.fx.symbolic_trace`."""
    return not isinstance(x, Tensor)


def _cast(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None else x.to(dtype)


def _function(value: object, table: object) -> Callable[[Tensor], Tensor]:
    names = cast("dict[str, Callable[[Tensor], Tensor]]", table)
    return names[value] if isinstance(value, str) else cast("Callable[[Tensor], Tensor]", value)


def without_autocast(x: Tensor) -> AbstractContextManager[object]:
    """Return a context that disables autocast for the device of `x`: gates are computed in float32."""
    # entered only if autocast is on, so that an exported graph contains no autocast region
    kind = x.device.type
    if kind in AUTOCASTS and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
