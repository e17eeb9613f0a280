"""Train one network whose excitations hold all ratios of a space: sandwich rule and in-place distillation.

Letters in shapes: n images, c channels, h and w sizes.
"""

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from senet.data.dataset import Data
from senet.errors import NumericError, SpecError
from senet.experiments.seeds import mix
from senet.files.atomic import ensure_writable
from senet.files.lock import waited
from senet.search.shared_network import SharedNetwork, shared_network
from senet.search.space import Space
from senet.search.strategies.shared import scored_designs
from senet.search.strategy import Design, Score
from senet.search.supernet_scores import score_schemes, select
from senet.signals import stoppable
from senet.spec import SESpec
from senet.training.checkpoint import Checkpoint, Checkpoints, restoring
from senet.training.learner import Learner
from senet.training.order import epoch_plan
from senet.training.progress import Progress

__all__ = [
    "SharedScores",
    "SharedTraining",
    "sampled_specs",
    "sandwich",
    "score_space",
    "shared_id",
    "train_shared",
]


@dataclass(frozen=True, kw_only=True)
class SharedScores:
    """The scores of designs by the shared network, and their cost.

    Attributes:
        scores: scores by design; `params` are those of the design alone.
        train_seconds: time to train the shared network.
        score_seconds: time to score all designs.
    """

    scores: Mapping[Design, Score]
    train_seconds: float
    score_seconds: float

    @property
    def per_minute(self) -> float:
        """Number of designs scored per minute."""
        return 60 * len(self.scores) / self.score_seconds if self.score_seconds else math.nan


def sandwich(
    network: nn.Module, specs: Sequence[SESpec], x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"], *, amp: bool
) -> Float64[Tensor, ""]:
    """Add the gradients of one batch: the first design learns the labels, the others the output of the first.

    The loss is the mean over the designs, so that the recipe's learning rate keeps its meaning.

    Args:
        network: in training mode.
        specs: widest first.
        x: images.
        y: labels.
        amp: forward passes in bfloat16.

    Returns:
        Loss of the widest design [nats].

    Source:
        Yu and Huang, Universally Slimmable Networks, arXiv:1903.05134.
    """
    first, target = torch.zeros((), dtype=torch.float64, device=x.device), None
    for spec in specs:
        select(network, spec)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            logits = network(x)
        logits = logits.float()
        loss = F.cross_entropy(logits, y if target is None else target)
        (loss / len(specs)).backward()  # type: ignore[no-untyped-call]
        if target is None:
            first, target = loss.detach().double(), logits.detach().softmax(1)
    return first


def train_shared(
    space: Space, data: Data, folder: Path, *, device: str = "cpu", watch: Callable[[Progress], None] | None = None
) -> tuple[nn.Module, float]:
    """Train the shared network, resume it after its last finished epoch, or read it.

    Returns:
        The network, and the time of its training [s].

    Raises:
        CheckpointError: if the folder holds a network of other images.
        Interrupted: if a signal asked to stop; the last finished epoch is saved.
        NumericError: if the loss is not finite.
    """
    _check_recipe(space)
    epochs = space.shared.epochs or space.base.recipe.epochs
    shared = SharedTraining(space, data, shared_network(space, data), epochs, device=device)
    home = folder / f"shared-{shared_id(space, epochs)}"
    ensure_writable(home)
    with waited(home):  # another command may train the same network
        return shared.network, shared.train(home, watch)


class SharedTraining:
    """The training of a shared network: the step of `Learner` with the sandwich rule as its objective."""

    def __init__(
        self, space: Space, data: Data, shared: SharedNetwork, epochs: int, *, device: torch.device | str = "cpu"
    ) -> None:
        self.space, self.data, self.network, self.epochs = space, data, shared.model.to(device), epochs
        self.recipe, self.seed = space.base.recipe, space.seeds[0]
        self.specs: list[SESpec] = []
        self.learner = Learner(self.network, self.recipe, fresh=shared.fresh, fused=False, objective=self._objective)

    def _objective(self, network: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        x = x.contiguous(memory_format=self.learner.format)
        return sandwich(network, self.specs, x, y, amp=self.recipe.amp == "bf16")

    def train(self, home: Path, watch: Callable[[Progress], None] | None) -> float:
        """Train from the last checkpoint and return the time of the whole training [s]."""
        checkpoints, done, seconds = Checkpoints(home / "checkpoints"), 0, 0.0
        if (found := checkpoints.latest()) is not None:
            done, seconds = self.restore(found)
        with stoppable(announce=True) as stop:
            for epoch in range(done, self.epochs):
                began = time.monotonic()
                for position, speed, loss in self._epoch(epoch):
                    if not math.isfinite(loss):
                        raise NumericError(f"{home}: the loss of epoch {epoch + 1} is {loss}; lower optim.lr.")
                    if watch is not None:
                        watch(_progress(home.name, position, self.epochs, speed))
                    if stop:
                        raise stop.error(
                            f"{home}: stopped; run the same command again to continue after epoch {epoch}."
                        )
                seconds += time.monotonic() - began
                state = {"epoch": epoch + 1, "seconds": seconds, "data": self.data.fingerprint, **self.learner.state()}
                checkpoints.save(epoch + 1, weights=self.network.state_dict(), state=state)
            if stop:
                raise stop.error(f"{home}: stopped after its last epoch; run the same command again to continue.")
        return seconds

    def restore(self, found: Checkpoint) -> tuple[int, float]:
        """Restore a checkpoint; return the number of its finished epochs, and their time [s].

        Raises:
            CheckpointError: if it is of other images, or not of this network.
        """
        way_out = "remove the folder of its checkpoints to train it again."
        with restoring(found, "the shared network of this search", way_out=way_out):
            if (images := found.state["data"]) != self.data.fingerprint:
                raise ValueError(f"it is of other images: {images} -> {self.data.fingerprint}")
            self.learner.restore(found.weights, {"averaged": {}, **found.state})
            epoch, seconds = found.state["epoch"], float(found.state["seconds"])
            if epoch != found.step or found.step > self.epochs or not 0 <= seconds < math.inf:
                raise ValueError(f"epoch {epoch} after {seconds} s is not step {found.step} of {self.epochs}")
        return found.step, seconds

    def _epoch(self, epoch: int) -> Iterator[tuple[float, float, float]]:
        """Run the steps of an epoch; yield after each the epochs done, images per second, loss of the widest design."""
        recipe = self.recipe
        train = self.data.train.to(self.learner.device)
        plan = epoch_plan(len(train), recipe, seed=self.seed, epoch=epoch)
        began = time.monotonic()
        batches = train.batches(plan, augment=recipe.augment, device=self.learner.device)
        for step, ((_, noise), (x, y)) in enumerate(zip(plan, batches, strict=True)):
            position = epoch + step / len(plan)
            lr = recipe.optim.lr * recipe.schedule.factor(position, epochs=self.epochs, step=1 / len(plan))
            self.specs = sampled_specs(self.space, mix(self.seed, "schemes", epoch, step))
            loss = self.learner.step(x, y, lr=lr, total=len(x), seed=noise).item()
            yield position, (step + 1) * recipe.batch_size / max(1e-9, time.monotonic() - began), loss


def _check_recipe(space: Space) -> None:
    recipe = space.base.recipe
    if recipe.ema or recipe.accumulate > 1 or recipe.label_smoothing:
        raise SpecError(
            f"recipe.ema = {recipe.ema}, recipe.accumulate = {recipe.accumulate}, recipe.label_smoothing = "
            f"{recipe.label_smoothing}: the strategy shared does not support them; use 0, 1 and 0."
        )


def score_space(
    space: Space, network: nn.Module, data: Data, *, count: Callable[[Design], int], train_seconds: float
) -> SharedScores:
    """Score the designs of a space by a trained shared network, on the held-out images."""
    device = next(network.parameters()).device
    number = min(space.shared.calibration, len(data.train))
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(mix(space.seeds[0], "calibration")))
    chosen = order[:number].sort().values
    ((calibration, _),) = data.train.batches([(chosen, 0)], augment=None, device=device)
    ((images, labels),) = data.test.batches([(torch.arange(len(data.test)), 0)], augment=None, device=device)
    designs = scored_designs(space)
    began = time.monotonic()
    found = score_schemes(
        network,
        [design[0] for design in designs],
        calibration=calibration,
        images=images,
        labels=labels,
        recalibrate=not space.base.recipe.freeze,
    )
    seconds = time.monotonic() - began
    scores = {
        design: Score(accuracy=found[design[0]][0], loss=found[design[0]][1], params=count(design))
        for design in designs
    }
    return SharedScores(scores=scores, train_seconds=train_seconds, score_seconds=seconds)


def sampled_specs(space: Space, seed: int) -> list[SESpec]:
    """Return the widest, the narrowest and some random designs of a space."""
    ratios = [place.ratios for place in space.choices.dimensions]
    draw = random.Random(seed)
    middle = [tuple(map(draw.choice, ratios)) for _ in range(space.shared.middle)]
    schemes = [tuple(map(min, ratios)), tuple(map(max, ratios)), *middle]
    return [space.design(scheme)[0] for scheme in schemes]


def shared_id(space: Space, epochs: int) -> str:
    """Return the id of a shared network: a hash of everything that its training depends on."""
    run = space.run((space.template,), space.seeds[0])
    template = asdict(space.template)
    if template["norm"] == SESpec.norm:  # a field of later than the first ids, which stay
        del template["norm"]
    values = {
        "run": replace(run, recipe=replace(run.recipe, epochs=epochs)).id,
        "ratios": space.choices.reduction,
        "middle": space.shared.middle,
        "template": template,
    }
    if space.choices.per == "block":  # else the ids of earlier networks stay
        values["blocks"] = space.choices.blocks
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _progress(name: str, epoch: float, epochs: int, speed: float) -> Progress:
    return Progress(
        run=name, design="shared network", epoch=epoch, epochs=epochs, images_per_second=speed, accuracy=math.nan
    )
