"""One training, from a `Run` to a `Result`, that can be killed at any moment and goes on with the same bits.

Every random choice is a function of (seed, purpose, epoch, step), and a checkpoint holds the rest: weights,
optimiser, averaged weights, the curve, and the sums of the epoch it lies in.
"""

import json
import math
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save as pack
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from senet.cost import cost
from senet.data.dataset import Data
from senet.errors import CheckpointError, NumericError, UsageError
from senet.lab.checkpoint import Checkpoint, Checkpoints
from senet.lab.environment import environment
from senet.lab.evaluate import evaluate
from senet.lab.files import append_line, ensure_writable, write_bytes, write_json, write_text
from senet.lab.group import Group, joined
from senet.lab.lock import RunLock
from senet.lab.optimize import make_optimizer
from senet.lab.recipe import Recipe
from senet.lab.result import Epoch, Result, decode_result
from senet.lab.run import Run
from senet.lab.seeds import mix
from senet.lab.stop import Stop, stoppable
from senet.models import create_model

__all__ = ["Progress", "build", "epoch_plan", "read_result", "train"]

CHECK_EVERY = 50  # steps between two looks at whether the loss is still a number
WATCH_EVERY = 0.25  # seconds between two words to the watcher


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a watcher is told about a running training.

    Attributes:
        run: its id.
        design: its blocks in words.
        epoch: epochs done, whole and part.
        epochs: in all.
        images_per_second: training speed of this epoch.
        accuracy: top-1 of the last test [%]; nan before the first.
    """

    run: str
    design: str
    epoch: float
    epochs: int
    images_per_second: float
    accuracy: float


@dataclass
class Moment:
    """Where a training stands between two steps."""

    epoch: int = 0
    step: int = 0
    loss: float = 0.0  # summed over the images of this epoch
    seconds: float = 0.0  # of this epoch
    train_seconds: float = 0.0  # of the whole run
    curve: list[dict[str, Any]] = field(default_factory=list)


def build(run: Run, data: Data) -> nn.Module:
    """Build the network of a run with the weights of its seed.

    The layers that a design shares with the plain network start from the same weights as those, so that runs of
    equal seeds are paired: they differ in the blocks, the order of images and the noise being equal.

    Args:
        run: what to build.
        data: gives the classes, channels and size.
    """

    def network(se: object, purpose: str) -> nn.Module:
        torch.manual_seed(mix(run.seed, purpose))
        channels, height, _ = data.shape
        return create_model(
            run.model,
            se=se or None,
            num_classes=data.num_classes,
            in_chans=channels,
            image_size=height,  # type: ignore[arg-type]
        )

    plain = network((), "weights")
    if not run.se:
        return plain
    model = network(run.se, "blocks")
    own = model.state_dict()
    shared = {k: v for k, v in plain.state_dict().items() if k in own and own[k].shape == v.shape}
    model.load_state_dict({**own, **shared})
    return model


def epoch_plan(
    images: int, recipe: Recipe, *, seed: int, epoch: int, group: Group | None = None
) -> list[tuple[Tensor, int]]:
    """Plan the steps of an epoch: which images, and the seed of their augmentation.

    Args:
        images: in the training set.
        recipe: batch size and order.
        seed: of the run.
        epoch: from 0.
        group: the processes among which each batch is dealt out.
    """
    group = group or Group()
    if recipe.shuffle:
        order = torch.randperm(images, generator=torch.Generator().manual_seed(mix(seed, "order", epoch)))
    else:
        order = torch.arange(images)
    batches = list(order.split(recipe.batch_size))
    # norms need at least two images in each process and part
    smallest = recipe.batch_size if recipe.drop_last else min(recipe.batch_size, 2 * group.size * recipe.accumulate)
    if len(batches[-1]) < smallest:
        batches.pop()
    if not batches:
        raise UsageError(f"recipe.batch_size = {recipe.batch_size} is above the {images} training images; lower it.")
    return [
        (batch[group.rank :: group.size], mix(seed, "batch", epoch, step, group.rank))
        for step, batch in enumerate(batches)
    ]


def read_result(folder: Path) -> Result | None:
    """Read the result of a finished run; None if there is none yet.

    Raises:
        CheckpointError: if the file is no result.
    """
    path = folder / "result.json"
    return decode_result(path.read_text(encoding="utf-8"), place=str(path)) if path.exists() else None


def train(
    run: Run,
    data: Data,
    folder: Path,
    *,
    device: str = "cpu",
    workers: int = 0,
    save_every: float = 60.0,
    tensorboard: bool = False,
    watch: Callable[[Progress], None] | None = None,
) -> Result:
    """Train the network of a run, or go on with it where it was stopped, or read its result if it is finished.

    Files in `folder`: `run.json`, `metrics.jsonl` (a line for each epoch), `checkpoints/`, and at the end
    `model.safetensors` and `result.json`. Under `torchrun` the processes share every batch.

    Args:
        run: what to train.
        data: the loaded data set of the run.
        folder: of this run alone.
        device: `cpu`, `cuda`, `cuda:1`.
        workers: processes that decode image files.
        save_every: seconds between two checkpoints: the most that a kill can cost.
        tensorboard: write the curve for TensorBoard too (needs the extra `track`).
        watch: is told how it goes, at most four times a second.

    Raises:
        CheckpointError: if the folder belongs to another run, or its checkpoints are damaged.
        Interrupted: if a signal asked to stop; the state is saved.
        NumericError: if the loss is no longer a number; the last checkpoint is from before.
        StorageError: if the folder cannot be written, or another process trains there.
    """
    if (finished := read_result(folder)) is not None:
        _same_run(folder, run)
        return finished
    where = torch.device(device)
    with ExitStack() as stack:
        group = stack.enter_context(joined(where))
        if where.type == "cuda" and group.size > 1:
            where = torch.device("cuda", group.rank % torch.cuda.device_count())
        if group.leads:
            ensure_writable(folder)
            stack.enter_context(RunLock(folder))
            _same_run(folder, run)
        group.wait()
        stop = stack.enter_context(stoppable())
        trainer = _Trainer(run, data, folder, where, group, workers=workers, watch=watch)
        if tensorboard and group.leads:
            trainer.board = stack.enter_context(_board(folder, trainer.moment.epoch))
        return trainer.finish(trainer.run_epochs(stop, save_every=save_every))


class _Trainer:
    """The state of one training in one process."""

    def __init__(
        self,
        run: Run,
        data: Data,
        folder: Path,
        device: torch.device,
        group: Group,
        *,
        workers: int,
        watch: Callable[[Progress], None] | None,
    ) -> None:
        self.run, self.data, self.folder, self.device, self.group = run, data, folder, device, group
        self.recipe, self.workers, self.watch = run.recipe, workers, watch
        self.board: Any = None
        self.train_set, self.test_set = data.train.to(device), data.test.to(device)
        self.format = torch.channels_last if self.recipe.channels_last else torch.contiguous_format
        self.model = build(run, data).to(device=device, memory_format=self.format)  # type: ignore[call-overload]
        self.optimizer = make_optimizer(self.model, self.recipe.optim)
        self.averaged = {k: v.clone() for k, v in self.model.state_dict().items()} if self.recipe.ema else {}
        self.net = self.model if group.size == 1 else DistributedDataParallel(self.model)
        self.moment = Moment()
        self.environment = environment(str(device), processes=group.size)
        self.checkpoints = Checkpoints(folder / "checkpoints")
        self.steps = len(self._plan(0))
        self.images = min(len(self.train_set), self.steps * self.recipe.batch_size)  # of an epoch
        if (found := self.checkpoints.latest()) is not None:
            self._restore(found)
        self.loss = torch.tensor(self.moment.loss, dtype=torch.float64, device=device)
        if group.leads:
            lines = "".join(json.dumps(line) + "\n" for line in self.moment.curve)
            write_text(folder / "metrics.jsonl", lines)
        self._said = 0.0

    def run_epochs(self, stop: Stop, *, save_every: float) -> tuple[tuple[int, ...], ...]:
        """Train to the end; give the last confusion matrix."""
        saved = time.monotonic()
        confusion: tuple[tuple[int, ...], ...] = ()
        while self.moment.epoch < self.recipe.epochs:
            started, seconds = time.monotonic(), self.moment.seconds
            for step in self._steps():
                self.moment.step = step + 1
                self.moment.seconds = seconds + time.monotonic() - started
                stopped = self.group.agree(bool(stop), self.device) if self._may_stop(step) else False
                if stopped or time.monotonic() - saved > save_every:
                    self._save()
                    saved = time.monotonic()
                if stopped:
                    raise stop.error(f"{self.folder}: stopped and saved; the same command goes on from here.")
            confusion = self._end_epoch(started, seconds)
            if time.monotonic() - saved > save_every:
                self._save()
                saved = time.monotonic()
        return confusion or self._test()[1]

    def finish(self, confusion: tuple[tuple[int, ...], ...]) -> Result:
        """Write weights and result, remove the checkpoints."""
        channels, height, width = self.data.shape
        counted = cost(self.model, shape=(1, channels, height, width))
        result = Result(
            run=self.run,
            curve=tuple(Epoch(**line) for line in self.moment.curve),
            classes=self.data.classes,
            confusion=confusion,
            params=counted.params,
            macs=counted.macs,
            train_images=self.images,
            train_seconds=self.moment.train_seconds,
            data=self.data.fingerprint,
            environment=self.environment,
            notes=self.data.notes,
        )
        if self.group.leads:
            weights = {k: v.detach().cpu().contiguous() for k, v in self._evaluated().items()}
            write_bytes(self.folder / "model.safetensors", pack(weights, metadata={"run": self.run.id}))
            write_json(self.folder / "result.json", result.as_dict())
            self.checkpoints.clear()
        self.group.wait()
        return result

    def _plan(self, epoch: int) -> list[tuple[Tensor, int]]:
        return epoch_plan(len(self.train_set), self.recipe, seed=self.run.seed, epoch=epoch, group=self.group)

    def _may_stop(self, step: int) -> bool:
        return self.group.size == 1 or step % 10 == 0  # processes agree by a message: not at every step

    def _steps(self) -> Iterator[int]:
        """Take the remaining steps of the epoch."""
        plan = self._plan(self.moment.epoch)
        first = self.moment.step
        self.net.train()
        done, started = 0, time.monotonic()
        before = started
        todo = plan[first:]
        batches = self.train_set.batches(todo, augment=self.recipe.augment, device=self.device, workers=self.workers)
        for step, ((_, seed), (x, y)) in enumerate(zip(todo, batches, strict=True), first):
            self._step(step, seed, x, y)
            done += len(y) * self.group.size
            if (step + 1) % CHECK_EVERY == 0 or step + 1 == len(plan):
                self._check()
            now = time.monotonic()
            self.moment.train_seconds += now - before
            self._tell(step, done / max(1e-9, now - started))
            yield step
            before = time.monotonic()

    def _step(self, step: int, seed: int, x: Tensor, y: Tensor) -> None:
        """Take one optimiser step."""
        recipe = self.recipe
        torch.manual_seed(seed)  # for dropout and other noise of the network
        moment = self.moment.epoch + step / self.steps
        lr = recipe.optim.lr * recipe.schedule.factor(moment, epochs=recipe.epochs, step=1 / self.steps)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = lr
        self.optimizer.zero_grad(set_to_none=True)
        total = min(recipe.batch_size, len(self.train_set) - step * recipe.batch_size)  # over all processes
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        xs, ys = x.tensor_split(recipe.accumulate), y.tensor_split(recipe.accumulate)
        for number, (part, labels) in enumerate(zip(xs, ys, strict=True), 1):
            with self._quiet(number < len(xs)), self._precision():
                logits = self.net(part.contiguous(memory_format=self.format))
            loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing, reduction="sum")
            # DDP averages gradients over processes; times their number is the sum over all images
            (loss * (self.group.size / total)).backward()
            loss_sum += loss.detach().double()
        if recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.optimizer.step()
        self.loss += self.group.total(loss_sum)
        if recipe.ema:
            self._average()

    def _precision(self) -> AbstractContextManager[object]:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp == "bf16")

    def _quiet(self, more: bool) -> AbstractContextManager[object]:
        return self.net.no_sync() if more and isinstance(self.net, DistributedDataParallel) else nullcontext()

    @torch.no_grad()
    def _average(self) -> None:
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - self.recipe.ema)
            else:
                self.averaged[name].copy_(value)

    def _evaluated(self) -> Mapping[str, Tensor]:
        return self.averaged or self.model.state_dict()

    def _test(self) -> tuple[Epoch, tuple[tuple[int, ...], ...]]:
        trained = {k: v.clone() for k, v in self.model.state_dict().items()} if self.averaged else {}
        self.model.load_state_dict(self.averaged or self.model.state_dict())
        measured = evaluate(
            self.model,
            self.test_set,
            num_classes=self.data.num_classes,
            device=self.device,
            workers=self.workers,
            group=self.group,
        )
        if trained:
            self.model.load_state_dict(trained)
        epoch = Epoch(
            epoch=self.moment.epoch + 1,
            lr=self.optimizer.param_groups[0]["lr"],
            train_loss=self.loss.item() / self.images,
            test_loss=measured.loss,
            correct=measured.correct,
            correct5=measured.correct5,
            seconds=0.0,
        )
        return epoch, measured.confusion

    def _end_epoch(self, started: float, seconds: float) -> tuple[tuple[int, ...], ...]:
        epoch, confusion = self._test()
        line = {**asdict(epoch), "seconds": round(seconds + time.monotonic() - started, 3)}
        self.moment.curve.append(line)
        if self.group.leads:
            append_line(self.folder / "metrics.jsonl", json.dumps(line))
        if self.board is not None:
            for name in ("lr", "train_loss", "test_loss"):
                self.board.add_scalar(name, line[name], epoch.epoch)
            self.board.add_scalar("test_accuracy", 100 * epoch.correct / len(self.test_set), epoch.epoch)
        self.moment.epoch, self.moment.step, self.moment.seconds = epoch.epoch, 0, 0.0
        self.loss.zero_()
        return confusion

    def _check(self) -> None:
        if not math.isfinite(self.loss.item()):
            raise NumericError(
                f"{self.folder}: the loss of epoch {self.moment.epoch + 1} is {self.loss.item()}; lower optim.lr "
                f"({self.recipe.optim.lr}), set recipe.clip=1, or use recipe.amp=off. The last checkpoint is finite."
            )

    def _tell(self, step: int, speed: float) -> None:
        now = time.monotonic()
        if self.watch is None or not self.group.leads or now - self._said < WATCH_EVERY:
            return
        self._said = now
        curve = self.moment.curve
        self.watch(
            Progress(
                run=self.run.id,
                design=self.run.design,
                epoch=self.moment.epoch + (step + 1) / self.steps,
                epochs=self.recipe.epochs,
                images_per_second=speed,
                accuracy=100 * curve[-1]["correct"] / len(self.test_set) if curve else math.nan,
            )
        )

    def _save(self) -> None:
        self._check()
        self.moment.loss = self.loss.item()
        if not self.group.leads:
            return
        state = {
            "run": self.run.id,
            "data": self.data.fingerprint,
            "environment": asdict(self.environment),
            "moment": asdict(self.moment),
            "optimizer": self.optimizer.state_dict(),
            "averaged": self.averaged,
        }
        step = self.moment.epoch * self.steps + self.moment.step
        self.checkpoints.save(step, weights=self.model.state_dict(), state=state)

    def _restore(self, found: Checkpoint) -> None:
        state = found.state
        if state["run"] != self.run.id or state["data"] != self.data.fingerprint:
            what = "run" if state["run"] != self.run.id else "data"
            raise CheckpointError(f"{found.path} is of another {what}; choose another folder or remove this one.")
        if changed := _changes(state["environment"], asdict(self.environment)):
            warnings.warn(f"{self.folder}: resumed elsewhere, the bits will differ: {changed}.", stacklevel=2)
        self.model.load_state_dict(found.weights)
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["averaged"].items():
            self.averaged[name].copy_(value)
        self.moment = Moment(**state["moment"])


def _changes(before: Mapping[str, object], now: Mapping[str, object]) -> str:
    names = [name for name in now if name != "commit" and before.get(name) != now[name]]
    return ", ".join(f"{name} {before.get(name)} -> {now[name]}" for name in names)


def _same_run(folder: Path, run: Run) -> None:
    path = folder / "run.json"
    values = run.as_dict()
    if not path.exists():
        write_json(path, values)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise CheckpointError(f"{path} is no JSON; choose another folder or remove this one.") from None
    now = json.loads(json.dumps(values))
    if before != now:
        changes = "; ".join(f"{place}: {old!r} -> {new!r}" for place, old, new in _differences(before, now))
        raise CheckpointError(f"{folder} holds another run ({changes}); choose another folder or remove this one.")


def _differences(before: Any, now: Any, place: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{place}.{key}".lstrip("."))
    elif before != now:
        yield place, before, now


def _board(folder: Path, epoch: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise UsageError("writing for TensorBoard needs tensorboard; pip install 'senet[track]'.") from None
    return SummaryWriter(folder / "tensorboard", purge_step=epoch + 1)  # type: ignore[no-untyped-call]
