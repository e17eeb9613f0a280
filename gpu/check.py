"""The accelerated step and the optimized network against the reference, on the device that is there.

    python gpu/check.py [--device cuda] [--model resnet50] [--shape 8,3,96,96]

Every number is a relative error ||x - ref|| / ||ref|| against the same network in float64. The fused form passes if its
error is at most twice that of torch's own operations in the same type (plus 1e-6): what bfloat16 loses by itself is
not held against it. One line a number; the exit code is 6 after the first wrong one.
"""

import argparse
import copy
import sys
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from senet import SESpec, accelerate, create_model, optimize

FACTOR = 2.0
FLOOR = 1e-6
SEED = 0


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--device", default="cuda")
    words.add_argument("--model", default="resnet50")
    words.add_argument("--shape", default="8,3,96,96", help="images,channels,height,width")
    asked = words.parse_args()
    shape = tuple(int(part) for part in asked.shape.split(","))
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(SEED)
    network = trained_norms(create_model(asked.model, se=SESpec(), num_classes=10)).to(asked.device)
    x = torch.randn(shape, device=asked.device)
    y = torch.randint(10, shape[:1], device=asked.device)
    for dtype in (torch.float32, torch.bfloat16):
        for format in (torch.contiguous_format, torch.channels_last):
            name = f"{str(dtype).removeprefix('torch.')} {str(format).removeprefix('torch.')}"
            for what, fused, eager in (
                *step_errors(network, x, y, dtype, format),
                *inference_errors(network, x, dtype, format),
            ):
                good = fused <= FACTOR * eager + FLOOR  # false for NaN too
                where = f"{what}, {name}, {asked.model} {asked.shape}"
                outcome = "ok" if good else "WRONG"
                print(f"check {where}: fused {fused:.2e}, torch {eager:.2e}, {outcome}", flush=True)
                if not good:
                    sys.exit(6)


def trained_norms(model: nn.Module) -> nn.Module:
    """Draw the norms' values as a training would leave them: those of a fresh network hide mistakes."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)
            module.running_mean.normal_(std=0.1)  # type: ignore[union-attr, operator]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr, operator]
    return model


def step_errors(
    network: nn.Module, x: Tensor, y: Tensor, dtype: torch.dtype, format: torch.memory_format
) -> Iterator[tuple[str, float, float]]:
    """Yield what, the error of the accelerated step, and that of torch's own: logits, gradients, running statistics."""
    reference = step(copy.deepcopy(network).double(), x.double(), y)
    eager, fused = (copy.deepcopy(network).to(memory_format=format) for _ in range(2))
    accelerate(fused)
    with torch.autocast(x.device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = [step(model, x.to(memory_format=format), y) for model in (fused, eager)]
    for part in reference:
        yield f"step {part}", *(error(one[part], reference[part]) for one in found)


def step(model: nn.Module, x: Tensor, y: Tensor) -> Mapping[str, Tensor]:
    """Run a training step without its update; the parts are flat vectors in float64."""
    logits = model.train()(x)
    nn.functional.cross_entropy(logits.to(torch.float64 if x.dtype is torch.float64 else torch.float32), y).backward()
    statistics = [b for name, b in model.named_buffers() if "running" in name]
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    blocks = [g for name, g in gradients.items() if ".se." in name or name.startswith("se.")]
    parts = {
        "logits": [logits],
        "statistics": statistics,
        "gradients": list(gradients.values()),
        "gradients of blocks": blocks,
    }
    return {part: flat(tensors) for part, tensors in parts.items() if tensors}


def inference_errors(
    network: nn.Module, x: Tensor, dtype: torch.dtype, format: torch.memory_format
) -> Iterator[tuple[str, float, float]]:
    """Yield the error of the optimized network and that of torch's own, for the whole batch and for one image."""
    plain = copy.deepcopy(network).eval()
    with torch.no_grad():
        for images in (x, x[:1]):
            reference = flat([copy.deepcopy(plain).double()(images.double())])
            eager = copy.deepcopy(plain).to(dtype=dtype, memory_format=format)
            fast = optimize(copy.deepcopy(plain).to(memory_format=format)).to(dtype=dtype)
            maps = images.to(dtype=dtype, memory_format=format)
            yield f"inference of {len(images)}", *(error(flat([model(maps)]), reference) for model in (fast, eager))


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().double().flatten() for tensor in tensors])


def error(found: Tensor, reference: Tensor) -> float:
    return float((found - reference).norm() / reference.norm())


if __name__ == "__main__":
    main()
