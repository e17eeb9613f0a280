"""Time and error of our 3x3 convolutions beside torch's, layer by layer.

    python benchmarks/convolutions.py [cnn3] [resnet20] [resnet50] [8,64,64,56 ...] [--rounds 15]

A layer is `images,channels,outputs,side`. Forward is inference, with weights transformed before; the gradients of the
map and of weights and bias are those of a training step, which transforms them each time, as does its forward pass
(`changing`). Where a layer has too few tiles of 4x4 outputs for that, `accelerate` leaves it to torch: a star. Errors
are the largest one over the largest value, against float64, on the first images of the batch. One thread, float32,
channels last, CPU time, rounds in turns; a range is the quartiles of the ratios round by round.
"""

import argparse
import platform
from collections.abc import Callable, Iterator
from datetime import date

import torch
import torch.nn.functional as F
from torch import Tensor

from senet.fast.convolution.replace import MANY
from senet.fast.convolution.winograd import LAST, convolved, tiles, transformed, turned, weight_gradient
from senet.speed.interleave import interleave
from senet.training.allocator import keep_memory

Layer = tuple[int, int, int, int]
LAYERS: dict[str, list[Layer]] = {
    "cnn3": [(64, 32, 32, 32), (64, 32, 64, 32)],
    "resnet20": [(128, 16, 16, 32), (128, 32, 32, 16), (128, 64, 64, 8)],
    "resnet50": [(n, 64 * 2**stage, 64 * 2**stage, 56 // 2**stage) for n in (1, 8) for stage in range(4)],
}
SAMPLE = 2**27  # products, up to which the float64 reference is computed


def work(
    layer: Layer, dtype: torch.dtype = torch.float32
) -> Iterator[tuple[str, Callable[[], Tensor], Callable[[], Tensor]]]:
    """Yield each of the operations with torch's way, in any type, and ours, in float32."""
    n, c, k, side = layer
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, c, side, side, generator=generator).relu().contiguous(memory_format=LAST)
    w = torch.randn(k, c, 3, 3, generator=generator).mul((2 / 9 / c) ** 0.5).contiguous(memory_format=LAST)
    b = torch.randn(k, generator=generator)
    dy = torch.randn(n, k, side, side, generator=generator).contiguous(memory_format=LAST)
    u = transformed(w)
    x, w, b, dy = (each.to(dtype) for each in (x, w, b, dy))

    def torchs(place: int) -> Tensor:
        wanted = [place == 0, place == 1, place == 1]
        words = [k], [1, 1], [1, 1], [1, 1], False, [0, 0], 1, wanted
        gradient: Tensor = torch.ops.aten.convolution_backward(dy, x, w, *words)[place]
        return gradient

    yield "forward", lambda: F.conv2d(x, w, b, padding=1), lambda: convolved(x, u, channels=k, bias=b, padding=1)
    yield (
        "changing",
        lambda: F.conv2d(x, w, b, padding=1),
        lambda: convolved(x, transformed(w), channels=k, bias=b, padding=1),
    )
    yield "map", lambda: torchs(0), lambda: convolved(dy, turned(w), channels=c, bias=None, padding=1)
    yield "weights", lambda: torchs(1), lambda: weight_gradient(x, dy, like=w, padding=1)[0]


def errors(layer: Layer) -> dict[str, tuple[float, float]]:
    """Return the errors of torch and of ours for each operation."""
    n, c, k, side = layer
    few = max(1, min(n, SAMPLE // (9 * c * k * side**2)))
    found = {}
    for (name, torchs, ours), (_, exact, _) in zip(
        work((few, c, k, side)), work((few, c, k, side), torch.float64), strict=True
    ):
        y = exact()
        theirs, mine = (float((each().double() - y).abs().max() / y.abs().max()) for each in (torchs, ours))
        found[name] = theirs, mine
    return found


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("layers", nargs="*", default=list(LAYERS), help="networks, or images,channels,outputs,side")
    words.add_argument("--rounds", type=int, default=15)
    asked = words.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    where = f"torch {torch.__version__}, {platform.machine()}, 1 thread"
    print(f"{date.today().isoformat()}, {where}, {asked.rounds} rounds\n")
    print("| layer | operation | torch [ms] | ours [ms] | times faster | quartiles | error of torch | of ours |")
    print("|---|---|--:|--:|--:|---|--:|--:|")
    for name in asked.layers:
        for layer in LAYERS.get(name) or [tuple(int(part) for part in name.split(","))]:
            found = errors(layer)
            for operation, torchs, ours in work(layer):
                timings = interleave({"torch": torchs, "ours": ours}, rounds=asked.rounds)
                theirs, mine = timings["torch"], timings["ours"]
                low, high = theirs.spread(mine)
                n, c, k, side = layer
                left = operation != "forward" and tiles(torch.Size((n, c, side, side)), 1)[0] < MANY
                what = f"{n} x {c} -> {k} x {side}² | {operation}{' *' * left}"
                times = f"{theirs.median * 1e3:.2f} | {mine.median * 1e3:.2f} | {theirs.ratio(mine):.2f}"
                error = " | ".join(f"{value:.1e}" for value in found[operation])
                print(f"| {what} | {times} | {low:.2f}-{high:.2f} | {error} |", flush=True)


if __name__ == "__main__":
    main()
