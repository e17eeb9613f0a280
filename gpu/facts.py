"""Print what a number needs beside it: device, versions, and the speed of a copy and of a matrix product.

python gpu/facts.py [--device cuda]
"""

import argparse
import importlib.metadata
import json
import platform
import statistics

import torch

from senet.speed.interleave import interleave
from senet.speed.traffic import bandwidth

SIZE = {"cuda": 8192, "cpu": 512}  # of a square matrix
PACKAGES = ("torch", "triton", "timm", "torchvision", "numpy")


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--device", default="cuda")
    device = words.parse_args().device
    on_gpu = device.startswith("cuda")
    print(
        json.dumps(
            {
                "device": torch.cuda.get_device_name(device) if on_gpu else platform.processor() or platform.machine(),
                "python": platform.python_version(),
                **{name: version(name) for name in PACKAGES},
                "cuda": torch.version.cuda,
                "copy_gb_per_s": round(bandwidth(device) / 1e9, 1),
                "bf16_matmul_tflops": round(product(device, SIZE["cuda" if on_gpu else "cpu"]) / 1e12, 2),
            }
        )
    )


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def product(device: str, size: int) -> float:
    """Return the operations per second of a bfloat16 product of two random matrices."""
    a, b = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))
    timing = interleave({"product": lambda: a @ b}, rounds=10, warmup=3, device=device)["product"]
    return 2 * size**3 / statistics.median(timing.seconds)


if __name__ == "__main__":
    main()
