"""Images per second of our training against the same training as people write it, measured in turns in one process.

    python benchmarks/trainer.py DIR [--model cnn3] [--design plain] [--batch 64] [--rounds 12] [--device cuda]

DIR holds CIFAR-10 as `senet` reads it. "Stock" is eager PyTorch: torchvision's transforms on PIL images (as its
CIFAR10 data set does), a DataLoader in the same process, contiguous maps, the optimiser with its defaults; ours keeps
maps channels last (`recipe.channels_last=true`, the default of recipes, though not of every preset). Both sides run on
one thread, take the same recipe, and are timed by the CPU time of the process over ten steps at a time. On a GPU the
time is that between two events, and our training is also timed with its step recorded (`senet train --graph`).
"""

import argparse
import itertools
import platform
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from senet.data import DataSpec
from senet.data.dataset import Data
from senet.data.loading import load
from senet.data.tensor_split import Tensors
from senet.experiments import decoding
from senet.experiments.recipe import Recipe
from senet.experiments.run import Run
from senet.speed.interleave import interleave
from senet.training.allocator import keep_memory
from senet.training.initial_network import build
from senet.training.learner import Learner
from senet.training.order import epoch_plan

STEPS = 10  # timed together


class Pictures(Dataset[tuple[Tensor, int]]):
    """Arrays that become PIL images and then tensors, one by one: what torchvision.datasets.CIFAR10 does."""

    def __init__(self, split: Tensors, recipe: Recipe) -> None:
        self.arrays = split.images.permute(0, 2, 3, 1).contiguous().numpy()
        self.labels = split.labels.tolist()
        steps: list[Callable[..., object]] = []
        if recipe.augment.crop:
            steps.append(v2.RandomCrop(32, padding=recipe.augment.crop))
        if recipe.augment.flip:
            steps.append(v2.RandomHorizontalFlip())
        mean, std = split.normalize.mean, split.normalize.std
        steps += [v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(mean), list(std))]
        self.transform = v2.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.arrays[index])), self.labels[index]


def stock(run: Run, data: Data, device: str) -> Callable[[], None]:
    """Make ten steps of the training as people write it."""
    recipe = run.recipe
    model, loss = build(run, data).train().to(device), nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    optim = recipe.optim
    optimizer: torch.optim.Optimizer = {
        "adadelta": lambda: torch.optim.Adadelta(model.parameters(), lr=optim.lr),
        "sgd": lambda: torch.optim.SGD(
            model.parameters(), lr=optim.lr, momentum=optim.momentum, weight_decay=optim.weight_decay
        ),
        "adam": lambda: torch.optim.Adam(model.parameters(), lr=optim.lr, weight_decay=optim.weight_decay),
    }[optim.name]()
    assert isinstance(data.train, Tensors)
    loader = DataLoader(Pictures(data.train, recipe), batch_size=recipe.batch_size, shuffle=True, drop_last=True)
    batches = itertools.chain.from_iterable(itertools.repeat(loader))

    def steps() -> None:
        for images, labels in itertools.islice(batches, STEPS):
            x, y = images.to(device), labels.to(device)
            optimizer.zero_grad()
            with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=recipe.amp == "bf16"):
                value = loss(model(x), y)
            value.backward()
            optimizer.step()

    return steps


def ours(run: Run, data: Data, device: str, *, graph: bool = False) -> Callable[[], None]:
    """Make ten steps of the training of `senet train`."""
    keep_memory()
    learner = Learner(build(run, data).to(device), run.recipe, graph=graph)
    batches = our_batches(run, data, device)

    def steps() -> None:
        for number, (x, y) in enumerate(itertools.islice(batches, STEPS)):
            learner.step(x, y, lr=run.recipe.optim.lr, total=run.recipe.batch_size, seed=number)

    return steps


def our_batches(run: Run, data: Data, device: str) -> Iterator[tuple[Tensor, Tensor]]:
    images = data.train.to(device)
    for epoch in itertools.count():
        plan = epoch_plan(len(data.train), run.recipe, seed=run.seed, epoch=epoch)
        full = [entry for entry in plan if len(entry[0]) == run.recipe.batch_size]
        yield from images.batches(full, augment=run.recipe.augment, device=device)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("folder", type=Path, help="of CIFAR-10")
    words.add_argument("--model", default="cnn3")
    words.add_argument("--design", default="plain")
    words.add_argument("--recipe", default="variations-table1")
    words.add_argument("--batch", type=int, default=64)
    words.add_argument("--amp", default="off", choices=["off", "bf16"], help="of both sides")
    words.add_argument("--rounds", type=int, default=12)
    words.add_argument("--device", default="cpu")
    asked = words.parse_args()
    torch.set_num_threads(1)
    wanted = {
        "model": asked.model,
        "se": asked.design,
        "data": {"name": "cifar10", "train_size": 10_000, "test_size": 100},
        "recipe": {"preset": asked.recipe, "batch_size": asked.batch, "amp": asked.amp, "channels_last": True},
    }
    run = decoding.run(wanted)
    data = load(DataSpec(name="cifar10", train_size=10_000, test_size=100), root=asked.folder)
    device, on_gpu = asked.device, asked.device.startswith("cuda")
    candidates = {"stock": stock(run, data, device), "senet": ours(run, data, device)}
    if on_gpu:
        candidates["senet --graph"] = ours(run, data, device, graph=True)
    timings = interleave(candidates, rounds=asked.rounds, warmup=1, device=device)
    images = STEPS * asked.batch
    where = f"{torch.cuda.get_device_name(device)}, events" if on_gpu else f"{platform.machine()}, 1 thread, CPU time"
    print(f"{date.today().isoformat()}, torch {torch.__version__}, {where}")
    what = f"{asked.model} {run.design}, {run.recipe.optim.name}, batch {asked.batch}, amp {asked.amp}"
    print(f"{what}, {asked.rounds} rounds of {STEPS} steps")
    for name, timing in timings.items():
        low, high = timings["stock"].spread(timing)
        ratio = f"{timings['stock'].ratio(timing):.2f} times as fast (quartiles {low:.2f}-{high:.2f})"
        print(f"{name:13} {images / timing.median:9.1f} images/s  {ratio}")


if __name__ == "__main__":
    main()
