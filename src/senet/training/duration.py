"""How long runs will take: by the time of runs like them, else by a few timed steps."""

import time
from collections.abc import Callable, Sequence
from statistics import fmean

import torch

from senet.data.dataset import Data
from senet.experiments.data_spec import DataSpec
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.speed.threads import torch_threads
from senet.training.initial_network import build
from senet.training.learner import Learner
from senet.training.order import epoch_plan

__all__ = ["expected_seconds", "timed_seconds"]

PIXELS = 400_000  # of the images of a timed step: 8 photographs, or a whole batch of small images
TEST = 0.4  # of the time of a step goes into the test of an image: a forward pass


def expected_seconds(
    runs: Sequence[Run],
    setup: Setup,
    load: Callable[[DataSpec, Setup], Data],
    *,
    there: Sequence[Result] = (),
) -> float | None:
    """Estimate how long runs take one after the other [s].

    Returns:
        None if nothing like them was trained and they are not trained by the CPU of this machine: no step is timed
        on a GPU that the runs will need, or on another machine.
    """
    total = 0.0
    for kind in dict.fromkeys((run.model, run.data, run.recipe) for run in runs):
        of_it = [run for run in runs if (run.model, run.data, run.recipe) == kind]
        like = [r.seconds for r in there if (r.run.model, r.run.data, r.run.recipe) == kind]
        if like:
            total += fmean(like) * len(of_it)
        elif setup.device == "cpu" and not setup.gpus and not setup.cluster:
            try:
                total += timed_seconds(of_it[-1], load(of_it[-1].data, setup), setup) * len(of_it)
            except Exception:  # the network may be of the user: the training itself describes what does not fit
                return None
        else:
            return None
    return total


def timed_seconds(run: Run, data: Data, setup: Setup) -> float:
    """Time two steps of a run and multiply [s]; neither its files nor any random number of a training is touched."""
    _, height, width = data.shape
    with torch.random.fork_rng(devices=[]), torch_threads(setup.threads_each()):
        learner = Learner(build(run, data), run.recipe, fused=setup.fused)
        indices, seed = epoch_plan(len(data.train), run.recipe, seed=run.seed, epoch=0)[0]
        most = max(2, min(len(indices), PIXELS // (height * width)))
        spent = []
        for _ in range(2):  # the first one also makes ready what later ones find
            began = time.perf_counter()
            for x, y in data.train.batches([(indices[:most], seed)], augment=run.recipe.augment, device="cpu"):
                learner.step(x, y, lr=run.recipe.optim.lr, total=len(y), seed=seed)
            spent.append(time.perf_counter() - began)
    images = len(data.train) + TEST * len(data.test)
    return min(spent) / most * images * run.recipe.epochs
