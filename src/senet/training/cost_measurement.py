"""Measure what the networks of runs cost: training steps and inferences of all of them in turns, and saved memory."""

import copy
import platform
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from senet.data.dataset import Data
from senet.errors import SenetError
from senet.experiments.environment import environment
from senet.experiments.measured_cost import Conditions, MeasuredCosts, NetworkCost, Ratio, TreatedCost, network_key
from senet.experiments.run import Run
from senet.fast import optimize
from senet.processor import processor_name
from senet.speed.interleave import Timing, clock_of, interleave
from senet.speed.threads import torch_threads
from senet.speed.traffic import saved_bytes
from senet.training.allocator import keep_memory
from senet.training.initial_network import initial
from senet.training.learner import Learner
from senet.training.order import epoch_plan

__all__ = ["measure_costs"]

PIXELS = 200_000  # of the images of a step: 3 photographs, or a whole batch of small images
ROUNDS = 200  # at most
SECONDS = 3.0  # for all steps, and the same for all inferences
SHORTEST = 0.01  # of a timed inference [s]; a single one of a small network takes less than a disturbance
MOST_REPEATS = 20
TREATMENTS = ("ordinary", "optimized")

Time = Callable[..., dict[str, Timing]]


def measure_costs(runs: Sequence[Run], data: Data, *, device: str = "cpu", time: Time | None = None) -> MeasuredCosts:
    """Measure the networks of runs against that of the first run, each as it is and optimized.

    A training step is that of the recipe: forward and backward pass and optimizer, with the learning rate 0. On a CPU
    one thread is used, as the steadiest. The measurement takes about 10 s; networks whose steps are long are timed in
    five rounds.

    Args:
        runs: one for each network, the baseline first; equal networks are measured once.
        data: their images.
        device: `cpu`, `cuda`, `cuda:1`.
        time: times candidates in turns; None is `senet.speed.interleave.interleave`.

    Raises:
        SenetError: if a network cannot be built or trained.
    """
    networks = {network_key(run): run for run in reversed(runs)}
    networks = dict(reversed(networks.items()))
    keep_memory()  # as in training
    with torch.random.fork_rng(devices=[]), torch_threads(1):
        return _measured(networks, data, device, time or interleave)


def _measured(networks: Mapping[str, Run], data: Data, device: str, time: Time) -> MeasuredCosts:
    first = next(iter(networks.values()))
    channels, height, width = data.shape
    indices, seed = epoch_plan(len(data.train), first.recipe, seed=0, epoch=0)[0]
    indices = indices[: max(2, PIXELS // (height * width))]
    x, y = next(iter(data.train.to(device).batches([(indices, seed)], augment=first.recipe.augment, device=device)))
    steps: dict[str, Callable[[], object]] = {}
    inferences: dict[str, Callable[[], object]] = {}
    saved: dict[str, int] = {}
    notes: list[str] = []
    repeats = 0
    for key, run in networks.items():
        made = initial(run, data)
        model = made.model.to(device)
        for treatment in TREATMENTS:
            name = f"{key} {treatment}"
            learner = Learner(copy.deepcopy(model), run.recipe, fresh=made.fresh, fused=treatment == "optimized")
            steps[name] = partial(learner.step, x, y, lr=0.0, total=len(y), seed=0)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=run.recipe.amp == "bf16"):
                saved[name] = saved_bytes(learner.model, x.contiguous(memory_format=learner.format))
        image = x[:1].contiguous(memory_format=learner.format)
        for treatment, network in _for_inference(model.to(memory_format=learner.format), image, notes, run):
            repeats = repeats or _repeats(network, image)
            inferences[f"{key} {treatment}"] = partial(_infer, network, image, repeats)
    step_times = time(steps, rounds=ROUNDS, device=device, seconds=SECONDS)
    latencies = time(inferences, rounds=ROUNDS, device=device, seconds=SECONDS)
    base = next(iter(networks))

    def treated(key: str, treatment: str) -> TreatedCost:
        name, reference = f"{key} {treatment}", f"{base} {treatment}"
        return TreatedCost(
            step_ms=1000 * step_times[name].median,
            step=_ratio(step_times[name], step_times[reference]),
            latency_ms=1000 * latencies[name].median / repeats,
            latency=_ratio(latencies[name], latencies[reference]),
            saved_mb=saved[name] / 1e6,
            saved=saved[name] / max(1, saved[reference]),
        )

    return MeasuredCosts(
        conditions=Conditions(
            environment=environment(device),
            processor=processor_name() or platform.machine(),
            batch=len(y),
            shape=(channels, height, width),
            step_rounds=len(step_times[f"{base} ordinary"].seconds),
            latency_rounds=len(latencies[f"{base} ordinary"].seconds),
            latency_repeats=repeats,
        ),
        networks=tuple(
            NetworkCost(network=key, ordinary=treated(key, "ordinary"), optimized=treated(key, "optimized"))
            for key in networks
        ),
        notes=tuple(notes),
    )


def _for_inference(model: nn.Module, image: Tensor, notes: list[str], run: Run) -> list[tuple[str, nn.Module]]:
    """Return a network in evaluation mode as it is and optimized; one that cannot be optimized counts as it is."""
    model.eval()
    try:
        optimized: nn.Module = optimize(model, shape=tuple(image.shape))
    except SenetError as error:
        notes.append(f"the inference of {run.design} is not optimized: {str(error).rstrip('.')}")
        optimized = model
    return [("ordinary", model), ("optimized", optimized)]


@torch.inference_mode()
def _infer(network: nn.Module, image: Tensor, repeats: int) -> None:
    for _ in range(repeats):
        network(image)


def _repeats(network: nn.Module, image: Tensor) -> int:
    """Return how many inferences are timed together."""
    clock = clock_of(str(image.device))
    spent = min(clock(partial(_infer, network, image, 1)) for _ in range(3))
    return MOST_REPEATS if spent * MOST_REPEATS <= SHORTEST else max(1, int(SHORTEST / spent))


def _ratio(mine: Timing, base: Timing) -> Ratio:
    low, high = mine.spread(base)
    return Ratio(median=mine.ratio(base), low=low, high=high)
