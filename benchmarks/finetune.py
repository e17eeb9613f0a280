"""Blocks in a trained network: fine-tuned with its host or alone, against fine-tuning the plain network as long.

    python benchmarks/finetune.py DIR [--seeds 3] [--pretrain 5] [--epochs 1.25] [--images 10000] [--output FOLDER]
    python benchmarks/finetune.py report

DIR holds CIFAR-10 as `senet` reads it. A plain resnet20 is trained once, for `--pretrain` epochs: the network that
somebody has; it stays in the output folder, and the next call takes it from there. Each seed then fine-tunes copies of
it on the same images in the same order, each along a cosine to zero: plain; plain for as many steps more as the blocks
cost time; with blocks, host trained too; with blocks, host frozen. What is timed is the CPU time of the process
without the tests, on one thread.
"""

import argparse
import itertools
import json
import math
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import senet
from senet.data import DataSpec
from senet.data.dataset import Data
from senet.data.loading import load
from senet.experiments.recipe import RECIPES, Recipe
from senet.fast import decelerate
from senet.speed.interleave import interleave
from senet.training.allocator import keep_memory
from senet.training.evaluation import evaluate
from senet.training.learner import Learner
from senet.training.order import epoch_plan

HERE = Path(__file__).parent / "finetune"
SPEC = senet.SESpec(reduction=16)
HOST_LR, BLOCK_LR = 0.01, 0.1  # chosen before the first run, not searched
WAYS = ("plain", "plain, equal time", "blocks and host", "blocks alone")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder of CIFAR-10, or `report` to draw again what was measured")
    parser.add_argument("--seeds", type=int, default=3, help="repetitions of the fine-tuning")
    parser.add_argument("--pretrain", type=int, default=5, help="epochs of the plain network before")
    parser.add_argument("--epochs", type=float, default=1.25, help="of fine-tuning; equal steps for all")
    parser.add_argument("--images", type=int, default=10_000, help="of training, equally many of every class")
    parser.add_argument("--test-images", type=int, default=2_000, help="likewise")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of the results")
    asked = parser.parse_args()
    if asked.data != "report":
        asked.output.mkdir(parents=True, exist_ok=True)
        measure(asked)
    from finetune_report import report  # beside this file

    report(asked.output)


def measure(asked: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    keep_memory()
    spec = DataSpec(name="cifar10", train_size=asked.images, test_size=asked.test_images)
    data, recipe = load(spec, root=Path(asked.data)), recipe_for(asked.pretrain)
    model, seconds = saved(asked, data, recipe)
    steps = round(asked.epochs * len(epoch_plan(asked.images, recipe, seed=0, epoch=0)))
    ratios = cost_ratios(model, data, recipe)
    found: dict[str, Any] = {
        "command": f"python benchmarks/finetune.py DIR --seeds {asked.seeds} --pretrain {asked.pretrain} "
        f"--epochs {asked.epochs:g} --images {asked.images} --test-images {asked.test_images}",
        "date": date.today().isoformat(),
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, 1 thread, a machine shared with other work",
        "images": len(data.train),
        "test_images": len(data.test),
        "batch_size": recipe.batch_size,
        "pretrain_epochs": asked.pretrain,
        "pretrain_seconds": seconds,
        "pretrained_correct": right(model, data),
        "steps": steps,
        "ratios": ratios,
        "seeds": {},
    }
    for seed in range(asked.seeds):
        found["seeds"][seed] = {way: tuned(model, data, recipe, way, seed, steps, ratios) for way in WAYS}
        text = json.dumps(found, indent=1) + "\n"
        (asked.output / "finetune.json").write_text(text, encoding="utf-8")  # after every seed: a stop loses one


def recipe_for(epochs: int) -> Recipe:
    """Return our recipe for CIFAR-10 in bfloat16 autocast."""
    return replace(RECIPES["sgd-cosine"], epochs=epochs, amp="bf16")


def saved(asked: argparse.Namespace, data: Data, recipe: Recipe) -> tuple[nn.Module, float]:
    """Return the host of the output folder, trained now if it is not there, with the CPU time that took [s]."""
    folder = asked.output / "host"
    told = {"epochs": asked.pretrain, "images": asked.images}
    if not (folder / "training.json").exists():
        model, seconds = pretrained(data, recipe)
        senet.save_pretrained(model, folder, name="resnet20")  # `senet insert` takes it, too
        (folder / "training.json").write_text(json.dumps({**told, "seconds": seconds}), encoding="utf-8")
    found = json.loads((folder / "training.json").read_text("utf-8"))
    if {**found, **told} != found:
        raise SystemExit(f"{folder} is the host of another call, {found}; give another --output.")
    return senet.from_pretrained(folder).to(memory_format=torch.channels_last), found["seconds"]


def pretrained(data: Data, recipe: Recipe) -> tuple[nn.Module, float]:
    """Train the plain network; give it with the CPU time that took [s]."""
    torch.manual_seed(0)
    learner = Learner(senet.create_model("resnet20"), recipe)
    start, losses = time.process_time(), []
    for epoch in range(recipe.epochs):
        plan = epoch_plan(len(data.train), recipe, seed=0, epoch=epoch)
        batches = data.train.batches(plan, augment=recipe.augment, device="cpu")
        for step, ((_, seed), (x, y)) in enumerate(zip(plan, batches, strict=True)):
            factor = recipe.schedule.factor(epoch + step / len(plan), epochs=recipe.epochs, step=1 / len(plan))
            losses.append(learner.step(x, y, lr=recipe.optim.lr * factor, total=len(y), seed=seed) / len(y))
        say(f"epoch {epoch + 1}: loss {torch.stack(losses[-len(plan) :]).mean():.3f}")
    seconds = time.process_time() - start
    decelerate(learner.model)
    return learner.model, seconds


def prepared(host: nn.Module, way: str) -> tuple[nn.Module, Callable[[], None], torch.optim.Optimizer]:
    """Copy the host, insert the blocks, and make what trains them: the recipe of docs/insert.md."""
    model = deepcopy(host)
    blocks = [] if way.startswith("plain") else senet.insert(model, SPEC)
    new = {f"{block.name}.{key}" for block in blocks for key, _ in model.get_submodule(block.name).named_parameters()}
    named = dict(model.named_parameters())
    own = [parameter for name, parameter in named.items() if name not in new]
    frozen = way == "blocks alone"
    for parameter in own:
        parameter.requires_grad_(not frozen)
    groups: list[dict[str, Any]] = [{"params": [named[name] for name in sorted(new)], "lr": BLOCK_LR}] if new else []
    groups += [] if frozen else [{"params": own, "lr": HOST_LR}]
    optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True, weight_decay=5e-4)

    def train_mode() -> None:
        model.train()
        for module in model.modules():
            if frozen and isinstance(module, nn.BatchNorm2d):
                module.eval()  # its running statistics are used and not updated

    return model, train_mode, optimizer


def stepper(
    model: nn.Module,
    train_mode: Callable[[], None],
    optimizer: torch.optim.Optimizer,
    pictures: Iterator[tuple[Tensor, Tensor]],
    total: int,
) -> Callable[[int], None]:
    """Return what takes so many steps of a fine-tuning of `total` steps."""
    senet.accelerate(model)  # fused norms, as `senet train` does; the blocks that insert hangs on norms stay outside
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)

    def steps(number: int) -> None:
        train_mode()
        for x, y in itertools.islice(pictures, number):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                logits = model(x.contiguous(memory_format=torch.channels_last))
            F.cross_entropy(logits.float(), y).backward()
            optimizer.step()
            schedule.step()

    return steps


def batches(data: Data, recipe: Recipe, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Return augmented batches without end: the same for the same seed."""
    for epoch in itertools.count(1000):  # other orders than those of the first training
        plan = epoch_plan(len(data.train), recipe, seed=seed, epoch=epoch)
        yield from data.train.batches(plan, augment=recipe.augment, device="cpu")


def cost_ratios(host: nn.Module, data: Data, recipe: Recipe) -> Mapping[str, float]:
    """Measure a step with blocks against a plain one, in turns: the median ratios."""
    made = {way: stepper(*prepared(host, way), batches(data, recipe, 0), 100) for way in WAYS if "," not in way}
    timings = interleave({way: lambda go=go: go(2) for way, go in made.items()}, rounds=6, warmup=1)
    ratios = {way: timings[way].ratio(timings["plain"]) for way in timings}
    say(f"cost of a step: {ratios}")
    return ratios


def tuned(
    host: nn.Module, data: Data, recipe: Recipe, way: str, seed: int, steps: int, ratios: Mapping[str, float]
) -> dict[str, Any]:
    """Fine-tune one copy; give its accuracies on the way and what must hold."""
    torch.manual_seed(seed)
    model, train_mode, optimizer = prepared(host, way)
    same = equal_outputs(host, model, data)
    total = math.ceil(steps * ratios["blocks and host"]) if way == "plain, equal time" else steps
    go = stepper(model, train_mode, optimizer, batches(data, recipe, seed), total)
    curve, done, seconds = [], 0, 0.0
    for stop in (total // 2, total):
        start = time.process_time()
        go(stop - done)
        seconds, done = seconds + time.process_time() - start, stop
        curve.append({"step": done, "seconds": seconds, "correct": right(model, data)})
        say(f"seed {seed}, {way}: {curve[-1]}")
    decelerate(model)
    kept = None
    if way == "blocks alone":
        senet.remove(model)
        kept = all(torch.equal(value, host.state_dict()[key]) for key, value in model.state_dict().items())
    return {"equal_at_step_0": same, "host_as_before": kept, "curve": curve}


@torch.no_grad()
def equal_outputs(host: nn.Module, model: nn.Module, data: Data) -> bool:
    """Return whether two networks give the same bits for 500 test images."""
    x, _ = next(data.test.batches([(torch.arange(500), 0)], augment=None, device="cpu"))
    return torch.equal(host.eval()(x), model.eval()(x))


def right(model: nn.Module, data: Data) -> int:
    """Count the test images that a network answers rightly."""
    return evaluate(model, data.test, num_classes=data.num_classes).correct


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
