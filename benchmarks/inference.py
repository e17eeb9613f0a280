"""What SE costs at inference on a CPU: ResNet-50 plain and with SE, as they are and optimized, and timm's seresnet50.

One thread, channels_last, 224 px. All networks take turns on the same images, CPU time of the process, so that load
on the machine meets all of them. Prints the median time of each and ratios: the median over the rounds of the ratio
within a round, with its quartiles. Run: `python benchmarks/inference.py [float32|bfloat16] [batch] [rounds]`
"""

import statistics
import sys
import time

import torch
from torch import Tensor, nn

from senet import SESpec, create_model
from senet.fast import optimize

RATIOS = (
    ("se optimized", "plain optimized"),
    ("se", "plain"),
    ("se optimized", "timm"),
    ("timm optimized", "plain optimized"),
    ("plain optimized", "plain"),
)


def networks(dtype: torch.dtype) -> dict[str, nn.Module]:
    plain, se = (create_model("resnet50.v15", se=design).eval() for design in (None, SESpec()))
    made = {"plain": plain, "plain optimized": optimize(plain), "se": se, "se optimized": optimize(se)}
    try:
        import timm
    except ImportError:
        print("timm is not installed: its rows are missing")
    else:
        made["timm"] = timm.create_model("seresnet50").eval()
        made["timm optimized"] = optimize(made["timm"])
    for model in made.values():
        model.to(dtype=dtype, memory_format=torch.channels_last)
    return made


@torch.inference_mode()
def take_turns(models: dict[str, nn.Module], x: Tensor, rounds: int) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in models}
    for turn in range(rounds + 1):  # the first one warms up
        for name, model in models.items():
            start = time.process_time()
            model(x)
            times[name] += [time.process_time() - start] if turn else []
    return times


def main(dtype: str = "float32", batch: str = "1", rounds: str = "25") -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    kind = getattr(torch, dtype)
    x = torch.rand(int(batch), 3, 224, 224).to(dtype=kind, memory_format=torch.channels_last)
    times = take_turns(networks(kind), x, int(rounds))
    print(f"{dtype}, batch {batch}, {rounds} rounds")
    for name, values in times.items():
        print(f"  {name:16} {1e3 * statistics.median(values):8.1f} ms")
    for one, other in RATIOS:
        if one in times and other in times:
            ratios = [a / b for a, b in zip(times[one], times[other], strict=True)]
            low, median, high = statistics.quantiles(ratios, n=4)
            print(f"  {one} / {other}: {median:.3f} (quartiles {low:.3f} to {high:.3f})", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
