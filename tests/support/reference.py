"""The equations of the block as plain loops over Python floats (float64): slow, and easy to hold against the papers."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import product

import torch
from torch import Tensor

__all__ = ["ACTIVATIONS", "GATES", "squeeze_excite", "widths"]

Position = tuple[int, ...]
Channel = dict[Position, float]


def _sigmoid(z: float) -> float:
    return 1 / (1 + math.exp(-z))


GATES: Mapping[str, Callable[[float], float]] = {
    "sigmoid": _sigmoid,
    "tanh": math.tanh,
    "relu": lambda z: max(z, 0.0),
    "hard_sigmoid": lambda z: min(max(z + 3, 0.0), 6.0) / 6,
    "unit_sigmoid": lambda z: 2 * _sigmoid(z),
    "unit_tanh": lambda z: 1 + math.tanh(z),
    "unit_hard_sigmoid": lambda z: min(max(z + 3, 0.0), 6.0) / 3,
    "residual_sigmoid": lambda z: 1 + _sigmoid(z),
    "gaussian": lambda z: math.exp(-z * z / 8),
    "add": lambda z: z,
}
ACTIVATIONS: Mapping[str, Callable[[float], float]] = {
    "relu": lambda z: max(z, 0.0),
    "silu": lambda z: z * _sigmoid(z),
    "gelu": lambda z: z * (1 + math.erf(z / math.sqrt(2))) / 2,
    "leaky_relu": lambda z: z if z >= 0 else 0.01 * z,
    "hard_swish": lambda z: z * min(max(z + 3, 0.0), 6.0) / 6,
    "none": lambda z: z,
}


def widths(variant: str, C: int, r: int) -> list[int]:
    """Follow the words of arXiv:2304.06502, section 4, with `reduction//2` for the slow steps."""
    h = C // r if r <= C else 1
    half = r // 2 if r >= 2 else 1
    m = C // half if half <= C else 1
    hidden = {
        "standard": [h],
        "slow_squeeze": [m, h],
        "slow_excite": [h, m],
        "slow_both": [m, h, m],
        "bump": [h, h],
        "bump_conv": [h, h],
        "channelwise_both": [C],
    }
    return [C, *hidden.get(variant, []), C]


def squeeze_excite(
    x: Tensor, layers: Sequence[tuple[Tensor, Tensor | None]], *, squeeze: str, gate: str, activation: str, on_map: int
) -> Tensor:
    """Return x * gate(excite(squeeze(x))).

    `layers` are kernels and biases in order; the first `on_map` of them act on the map before it is squeezed.
    """
    y = torch.empty_like(x, dtype=torch.float64)
    for n in range(x.shape[0]):
        image = [{p: x[(n, c, *p)].item() for p in positions(x)} for c in range(x.shape[1])]
        gated = _image(image, layers, squeeze, GATES[gate], ACTIVATIONS[activation], on_map)
        for c, channel in enumerate(gated):
            for p, value in channel.items():
                y[(n, c, *p)] = value
    return y


def positions(x: Tensor) -> Iterator[Position]:
    return product(*(range(side) for side in x.shape[2:]))


def _image(
    image: list[Channel],
    layers: Sequence[tuple[Tensor, Tensor | None]],
    squeeze: str,
    gate: Callable[[float], float],
    activation: Callable[[float], float],
    on_map: int,
) -> list[Channel]:
    z = image
    for kernel, bias in layers[:on_map]:
        z = [{p: activation(v) for p, v in channel.items()} for channel in _convolve(z, kernel, bias)]
    if squeeze == "none":
        descriptors = {p: [channel[p] for channel in z] for p in image[0]}
        weights = {p: _excite(d, layers[on_map:], gate, activation) for p, d in descriptors.items()}
        return [{p: v * weights[p][c] for p, v in channel.items()} for c, channel in enumerate(image)]
    pool = {"avg": lambda values: math.fsum(values) / len(values), "max": max}[squeeze]
    s = _excite([pool(list(channel.values())) for channel in z], layers[on_map:], gate, activation)
    return [{p: v * s[c] for p, v in channel.items()} for c, channel in enumerate(image)]


def _excite(
    z: list[float],
    layers: Sequence[tuple[Tensor, Tensor | None]],
    gate: Callable[[float], float],
    activation: Callable[[float], float],
) -> list[float]:
    for number, (kernel, bias) in enumerate(layers, 1):
        rows = kernel.flatten(1).tolist()
        shifts = [0.0] * len(rows) if bias is None else bias.tolist()
        z = [
            math.fsum(w * value for w, value in zip(row, z, strict=True)) + b
            for row, b in zip(rows, shifts, strict=True)
        ]
        z = [(gate if number == len(layers) else activation)(value) for value in z]
    return z


def _convolve(image: list[Channel], kernel: Tensor, bias: Tensor | None) -> list[Channel]:
    """Correlate with zeros outside of the map; kernels of odd sides, 1x1 kernels for maps of any dimensions."""
    dims = len(next(iter(image[0])))
    if kernel[0, 0].numel() == 1:
        kernel = kernel.reshape(*kernel.shape[:2], *[1] * dims)
    offsets = list(product(*(range(side) for side in kernel.shape[2:])))
    result: list[Channel] = []
    for o in range(kernel.shape[0]):
        channel = {}
        for p in image[0]:
            total = 0.0 if bias is None else bias[o].item()
            for i, inputs in enumerate(image):
                for offset in offsets:
                    q = tuple(a + b - side // 2 for a, b, side in zip(p, offset, kernel.shape[2:], strict=True))
                    total += kernel[(o, i, *offset)].item() * inputs.get(q, 0.0)
            channel[p] = total
        result.append(channel)
    return result
