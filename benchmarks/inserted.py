"""A training step of timm's networks with blocks that `senet.insert` attached, as ratios to the plain network.

    python benchmarks/inserted.py [--rounds 7] [--only resnet50]

One thread, channels last, float32, CPU time, interleaved; medians of the ratios to the plain network in eager mode with
their quartiles, and the bytes kept for the way back.
"""

import argparse
import copy
import platform
import warnings
from collections.abc import Callable
from datetime import date

import timm
import torch
from torch import Tensor, nn

from senet import SESpec, accelerate, insert
from senet.speed.interleave import interleave
from senet.speed.traffic import saved_bytes
from senet.training.allocator import keep_memory

LAST = torch.channels_last
NETWORKS = {  # images and their size
    "resnet50": (8, 128),
    "resnet18": (16, 128),
    "regnetx_004": (8, 128),
    "convnext_atto": (4, 128),  # norms of layers, not of batches
}
COLUMNS = ("ms", "plain accelerated", "with blocks", "with blocks accelerated", "bytes", "bytes accelerated", "fused")


def step(model: nn.Module, x: Tensor) -> Callable[[], None]:
    def run() -> None:
        model.zero_grad()
        model(x).sum().backward()

    return run


def row(name: str, *, rounds: int) -> str:
    """Measure a network and return its row."""
    n, side = NETWORKS[name]
    plain = timm.create_model(name).to(memory_format=LAST).train()
    gated = copy.deepcopy(plain)
    blocks = insert(gated, SESpec(reduction=16))
    gated = gated.to(memory_format=LAST).train()
    networks = {"plain": plain, "plain fast": copy.deepcopy(plain), "gated": gated, "gated fast": copy.deepcopy(gated)}
    accelerate(networks["plain fast"])
    done = accelerate(networks["gated fast"])
    x = torch.randn(n, 3, side, side).contiguous(memory_format=LAST)
    found = interleave({key: step(network, x) for key, network in networks.items()}, rounds=rounds)
    base, cells = found["plain"], []
    for key in ("plain fast", "gated", "gated fast"):
        low, high = found[key].spread(base)
        cells.append(f"{found[key].ratio(base):.2f} ({low:.2f}-{high:.2f})")
    kept = {key: saved_bytes(network, x) for key, network in networks.items()}
    cells += [f"{kept[key] / kept['plain']:.2f}" for key in ("gated", "gated fast")]
    fused = f"{len(done.blocks)} of {len(blocks)}"
    return f"| {name}, {n}x3x{side}x{side} | {1000 * base.median:.0f} | {' | '.join(cells)} | {fused} |"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--rounds", type=int, default=7)
    words.add_argument("--only", choices=NETWORKS, action="append", default=[])
    asked = words.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    warnings.filterwarnings("ignore", message="reduction = ")
    where = f"{date.today().isoformat()}, torch {torch.__version__}, timm {timm.__version__}, {platform.machine()}"
    print(f"{where}, 1 thread, {asked.rounds} rounds\n")
    print(f"| network | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}")
    for name in asked.only or NETWORKS:
        print(row(name, rounds=asked.rounds), flush=True)


if __name__ == "__main__":
    main()
