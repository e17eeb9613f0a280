"""The published kinds of channel attention as plain loops over Python floats, one function for each paper.

Every function takes the channels of one image, each a list of its values in the order of positions, the sizes of the
map, and the numbers of the block by name. It returns the weight of every channel.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from statistics import fmean

import reference

__all__ = ["WEIGHTS", "batch_weights"]

Channels = Sequence[Sequence[float]]
Numbers = Mapping[str, list]  # nested lists of floats

sigmoid = reference.GATES["sigmoid"]
relu = reference.ACTIVATIONS["relu"]


def matrix(rows: list, bias: list, z: Sequence[float]) -> list[float]:
    return [
        sum(w[0][0] * value for w, value in zip(row, z, strict=True)) + b for row, b in zip(rows, bias, strict=True)
    ]


def standardised(values: Sequence[float], eps: float) -> list[float]:
    mean = fmean(values)
    spread = math.sqrt(fmean((value - mean) ** 2 for value in values) + eps)
    return [(value - mean) / spread for value in values]


def logits(p: Numbers, z: Sequence[float]) -> list[float]:
    hidden = [relu(value) for value in matrix(p["fc1.weight"], p["fc1.bias"], z)]
    return matrix(p["fc2.weight"], p["fc2.bias"], hidden)


def se(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    return [sigmoid(value) for value in logits(p, [fmean(channel) for channel in image])]


def cbam(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    averages = logits(p, [fmean(channel) for channel in image])
    maxima = logits(p, [max(channel) for channel in image])
    return [sigmoid(a + b) for a, b in zip(averages, maxima, strict=True)]


def eca(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    z = [fmean(channel) for channel in image]
    t = abs(math.log2(len(z)) / 2 + 1 / 2)
    size = int(t) if int(t) % 2 else int(t) + 1
    (kernel,) = p["conv.weight"][0]
    assert len(kernel) == size
    weights = []
    for channel in range(len(z)):
        near = [(channel + step - size // 2, w) for step, w in enumerate(kernel)]
        weights.append(sigmoid(sum(w * z[at] for at, w in near if 0 <= at < len(z))))
    return weights


def ese(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    z = matrix(p["fc1.weight"], p["fc1.bias"], [fmean(channel) for channel in image])
    return [min(max(value + 3, 0), 6) / 6 for value in z]


def ge(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    return [sigmoid(fmean(channel)) for channel in image]


def gct(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    alpha = [row[0] for row in p["fc1.weight"]]
    gamma, beta = [row[0] for row in p["fc2.weight"]], p["fc2.bias"]
    s = [a * math.sqrt(sum(v * v for v in channel) + 1e-5) for a, channel in zip(alpha, image, strict=True)]
    norm = math.sqrt(sum(value * value for value in s) + len(s) * 1e-6)
    shares = [math.sqrt(len(s)) * value / norm for value in s]
    return [1 + math.tanh(g * value + b) for g, value, b in zip(gamma, shares, beta, strict=True)]


def gct_gaussian(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    z = standardised([fmean(channel) for channel in image], 1e-6)
    return [math.exp(-(value**2) / (2 * 2**2)) for value in z]


def lct(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    z = [fmean(channel) for channel in image]
    size = len(z) // max(g for g in range(1, 17) if len(z) % g == 0 and len(z) // g >= 4)
    groups = (standardised(z[start : start + size], 1e-6) for start in range(0, len(z), size))
    normal = [value for group in groups for value in group]
    w, b = [row[0] for row in p["fc1.weight"]], p["fc1.bias"]
    return [sigmoid(a * value + c) for a, value, c in zip(w, normal, b, strict=True)]


def gc(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    (rows,) = p["squeeze.weight"]
    queries = [w[0][0] for w in rows]
    scores = [sum(w * value for w, value in zip(queries, place, strict=True)) for place in zip(*image, strict=True)]
    shares = [math.exp(score) for score in scores]
    context = [sum(a * v for a, v in zip(shares, channel, strict=True)) / sum(shares) for channel in image]
    hidden = standardised(matrix(p["fc1.weight"], p["fc1.bias"], context), 1e-6)
    scaled = [relu(g * h + b) for g, h, b in zip(p["norm.weight"], hidden, p["norm.bias"], strict=True)]
    return [sigmoid(value) for value in matrix(p["fc2.weight"], p["fc2.bias"], scaled)]


def fca(image: Channels, sizes: Sequence[int], p: Numbers) -> list[float]:
    places = list(product(*map(range, sizes)))
    lowest = sorted((f for f in product(*map(range, sizes))), key=lambda f: (sum(f), f))[:16]
    z = []
    for number, channel in enumerate(image):
        frequency = lowest[16 * number // len(image) % len(lowest)]
        total = 0.0
        for value, place in zip(channel, places, strict=True):
            basis = 1.0
            for u, i, size in zip(frequency, place, sizes, strict=True):
                basis *= math.cos(math.pi * u / size * (i + 0.5)) * (math.sqrt(2) if u else 1)
            total += value * basis
        z.append(total / len(channel))
    return [sigmoid(value) for value in logits(p, z)]


def srm(images: Sequence[Channels], p: Numbers, *, training: bool) -> list[list[float]]:
    """Return the weights of all images of a batch, whose statistics the norm takes in training."""
    styles = []
    for image in images:
        spreads = [math.sqrt(fmean((v - fmean(channel)) ** 2 for v in channel) + 1e-5) for channel in image]
        styles.append(
            [w[0] * fmean(channel) + w[1] * s for w, channel, s in zip(p["fc1.weight"], image, spreads, strict=True)]
        )
    gamma, beta = [row[0] for row in p["fc2.weight"]], p["fc2.bias"]
    columns = []
    for number, z in enumerate(zip(*styles, strict=True)):
        mean, var = p["norm.running_mean"][number], p["norm.running_var"][number]
        if training:
            mean = fmean(z)
            var = fmean((value - mean) ** 2 for value in z)
        columns.append([sigmoid(gamma[number] * (v - mean) / math.sqrt(var + 1e-5) + beta[number]) for v in z])
    return [list(row) for row in zip(*columns, strict=True)]


WEIGHTS: Mapping[str, Callable[[Channels, Sequence[int], Numbers], list[float]]] = {
    "se": se,
    "cbam": cbam,
    "eca": eca,
    "ese": ese,
    "ge": ge,
    "gct": gct,
    "gct_gaussian": gct_gaussian,
    "lct": lct,
    "gc": gc,
    "fca": fca,
}


def batch_weights(
    kind: str, images: Sequence[Channels], sizes: Sequence[int], p: Numbers, *, training: bool = False
) -> list[list[float]]:
    """Return the weights of every image of a batch."""
    if kind == "srm":
        return srm(images, p, training=training)
    return [WEIGHTS[kind](image, sizes, p) for image in images]
