"""Train one run, from a `Run` to a `Result`; a killed training resumes with the same bits.

Every random choice is a function of (seed, purpose, epoch, step), and a checkpoint holds the rest: weights, optimizer,
averaged weights, the curve, and the position within the epoch.
"""

import math
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from senet import settings
from senet.costs import cost
from senet.data.dataset import Data
from senet.errors import CheckpointError, Interrupted, NumericError, StoppedEarly, UsageError
from senet.experiments.comparable import refuse_changed_images
from senet.experiments.early_stopping import Pruned, Pruner, read_pruned
from senet.experiments.environment import Environment, changes, environment
from senet.experiments.result import NETWORK_NOTE, Epoch, Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.files.lock import InUse, holder
from senet.signals import Stop, stoppable
from senet.training.allocator import keep_memory
from senet.training.checkpoint import Checkpoint, restoring
from senet.training.evaluation import Evaluation, evaluate
from senet.training.gate_watch import gate_shares, warn_of_collapse
from senet.training.initial_network import initial
from senet.training.learner import Learner
from senet.training.lost_start import warn_of_loss
from senet.training.map_sizes import refuse_small_maps
from senet.training.order import epoch_plan
from senet.training.position import TrainingPosition, decode_position
from senet.training.process_group import Group, joined
from senet.training.progress import Progress
from senet.training.progress import tensorboard as open_board
from senet.training.run_folder import WAY_OUT, RunFolder
from senet.weights.numbers import load_values

__all__ = ["train"]

CHECK_EVERY = 50  # steps between two checks of the loss
DIVERGED = 1e6  # nats: with norms, the loss of a diverged network can stay finite
WATCH_EVERY = 0.25  # seconds between two reports of progress


def train(
    run: Run,
    data: Data,
    folder: Path,
    setup: Setup | None = None,
    *,
    watch: Callable[[Progress], None] | None = None,
    pruner: Pruner | None = None,
    retry_failed: bool = True,
    say: Callable[[str], None] | None = None,
) -> Result:
    """Train the network of a run, resume its training, or read its result if it is finished.

    Files in `folder`: see `senet.training.run_folder`. Under `torchrun` the processes share every batch.

    Args:
        run: the run to train.
        data: the loaded data set of the run.
        folder: of this run alone.
        setup: device, processes, checkpoints; None is the CPU.
        watch: receives progress, at most four times a second.
        pruner: may stop the training after an epoch; None, as in every study, trains to the end.
        retry_failed: train a run that is known to fail.
        say: receives the name of the process that holds the folder, and the call then waits for it; with None such a
            folder raises `InUse`.

    Raises:
        CheckpointError: if the folder belongs to another run or other images, or its checkpoints are damaged.
        Interrupted: if a signal asked to stop; the state is saved.
        NumericError: if the loss diverges or a weight is not finite; the last checkpoint is from before that.
        RunFailed: if the run is known to fail and `retry_failed` is false.
        StoppedEarly: if the pruner stops it, or has stopped it before; without a pruner it is resumed.
        StorageError: if the folder cannot be written, or another process holds it.
        UsageError: if the batch does not fit the images, the processes or the memory, or the step cannot be recorded.
    """
    keep_memory()
    setup = setup or Setup()
    where, home = torch.device(setup.device), RunFolder(folder, run)
    with ExitStack() as stack:
        group = stack.enter_context(joined(where))
        if (finished := group.share(home.result)) is not None:
            refuse_changed_images(folder, finished.data, data.fingerprint)
            return finished
        if pruner is not None and (pruned := group.share(lambda: read_pruned(folder))) and pruned.rule == pruner.rule:
            refuse_changed_images(folder, pruned.data, data.fingerprint)
            raise StoppedEarly(f"{folder}: {pruned}")
        if where.type == "cuda" and group.size > 1:
            where = torch.device("cuda", group.rank % torch.cuda.device_count())
        stop = stack.enter_context(stoppable())
        _claim(stack, home, group, stop, say, retry_failed=retry_failed)
        if (finished := group.share(home.result)) is not None:  # by another process, since the last look
            refuse_changed_images(folder, finished.data, data.fingerprint)
            return finished
        trainer = _Trainer(run, data, home, setup, where, group, stop, watch=watch, pruner=pruner)
        if setup.tensorboard and group.leads:
            board = open_board(folder, epoch=trainer.position.epoch, images=len(data.test))
            trainer.report = stack.enter_context(board)
        return trainer.finish(trainer.run_epochs())


def _claim(
    stack: ExitStack,
    home: RunFolder,
    group: Group,
    stop: Stop,
    say: Callable[[str], None] | None,
    *,
    retry_failed: bool,
) -> None:
    """Claim the folder of a run until the stack closes; with `say`, wait while another process holds it."""
    said = ""
    while True:
        try:
            group.share(lambda: stack.enter_context(home.claimed(retry_failed=retry_failed)))
            return
        except InUse:
            if say is None:
                raise
        if group.leads and (name := holder(home.path)) not in ("", said):
            said = name
            say(f"waiting for {name}, which trains this run")
        time.sleep(WATCH_EVERY)
        (stop.signal,) = group.largest(stop.signal)
        if stop:
            raise stop.error(f"{home.path}: stopped while it waited for another process.")


class _Trainer:
    """One training in one process: epochs, tests, checkpoints, progress."""

    def __init__(
        self,
        run: Run,
        data: Data,
        home: RunFolder,
        setup: Setup,
        device: torch.device,
        group: Group,
        stop: Stop,
        *,
        watch: Callable[[Progress], None] | None,
        pruner: Pruner | None,
    ) -> None:
        self.run, self.data, self.home, self.device, self.group, self.stop = run, data, home, device, group, stop
        self.recipe, self.setup, self.watch, self.pruner = run.recipe, setup, watch, pruner
        self.report: Callable[[Epoch], None] = lambda epoch: None
        self.train_set, self.test_set = data.train.to(device), data.test.to(device)
        self.steps = len(self._plan(0))
        self.maps = refuse_small_maps(run, data, processes=group.size)
        self.images = min(len(self.train_set), self.steps * self.recipe.batch_size)  # of an epoch
        self.initial = initial(run, data)
        self.learner = Learner(
            self.initial.model.to(device),
            self.recipe,
            fresh=self.initial.fresh,
            group=group,
            fused=setup.fused,
            graph=setup.graph,
        )
        if not (self.learner.trains or self.initial.trained):
            frozen, way_out = (
                ("recipe.freeze leaves", "set recipe.freeze=false")
                if self.recipe.freeze
                else ("requires_grad=False leaves", "train some of its parameters")
            )
            raise UsageError(
                f"{frozen} nothing to train in this network, which has no blocks and starts from no weights; "
                f"{way_out}, or set weights to start from."
            )
        self.position = TrainingPosition()
        self.environment = environment(str(device), processes=group.size, fused=self.learner.fused, graph=setup.graph)
        self.before: list[Environment] = []  # of the parts that were trained elsewhere
        if (found := group.share(home.checkpoints.latest)) is not None:
            self._restore(found)
        self.loss = torch.tensor(self.position.loss, dtype=torch.float64, device=device)
        group.share(lambda: home.write_curve(self._curve()))
        self._saved = self._lap_began = time.monotonic()
        self._said = 0.0

    def run_epochs(self) -> Evaluation:
        """Train to the end; return the test after the last epoch."""
        last: Evaluation | None = None
        try:
            self._test_start()
            while self.position.epoch < self.recipe.epochs:
                if not self.position.step:
                    self._stop_if_behind()
                self._train_epoch()
                last = self._end_epoch()
            return last or self._test()
        except Interrupted:
            self._save()
            raise

    def _test_start(self) -> None:
        """Test trained weights before the first step."""
        position = self.position
        if self.initial.trained and position.start is None and not (position.epoch or position.step):
            position.start = self._test().correct
            self._lap()

    def _stop_if_behind(self) -> None:
        """Ask the pruner between two epochs; a training that it stops keeps its checkpoint."""
        pruner, curve, total = self.pruner, self._curve(), len(self.test_set)
        if pruner is None or (threshold := self.group.share(lambda: pruner(self.run, curve, total))) is None:
            return
        self._save()
        data = self.data.fingerprint
        pruned = Pruned(run=self.run, rule=pruner.rule, threshold=threshold, curve=curve, total=total, data=data)
        self.group.share(lambda: self.home.prune(pruned))
        raise StoppedEarly(f"{self.home.path}: {pruned}")

    def finish(self, tested: Evaluation) -> Result:
        """Write weights and result."""
        channels, height, width = self.data.shape
        counted = cost(self.learner.model, shape=(1, channels, height, width))
        result = Result(
            run=self.run,
            curve=self._curve(),
            classes=self.data.classes,
            confusion=tested.confusion,
            right=tested.right,
            params=counted.params,
            macs=counted.macs,
            train_images=self.images,
            train_seconds=self.position.train_seconds,
            data=self.data.fingerprint,
            environment=self.environment,
            before=tuple(self.before),
            start=self.position.start,
            notes=(*self.data.notes, *(NETWORK_NOTE + note for note in self._about_network()), *self._moves()),
        )
        config = self.initial.describe()
        self.group.share(lambda: self.home.finish(self.learner.weights, result, config))
        return result

    def _about_network(self) -> tuple[str, ...]:
        """Return what was changed in the network before the training, and whether the training could change it."""
        notes = list(self.initial.notes)
        frozen = sum(one.numel() for one in self.learner.model.parameters() if not one.requires_grad)
        if not self.learner.trains and self.recipe.freeze:
            notes.append(
                "recipe.freeze leaves nothing to train without blocks: the plain network has its starting weights"
            )
        elif frozen and not self.recipe.freeze:
            notes.append(f"{frozen:,} parameters were already frozen (requires_grad=False) and were not trained")
        return tuple(notes)

    def _moves(self) -> list[str]:
        """Describe changes of the environment between the parts of a training that was resumed."""
        parts = (*self.before, self.environment)
        return [f"the training was resumed in another environment: {changes(*pair)}" for pair in pairwise(parts)]

    def _train_epoch(self) -> None:
        """Do the remaining steps of the epoch."""
        plan = self._plan(self.position.epoch)[self.position.step :]
        batches = self.train_set.batches(
            plan, augment=self.recipe.augment, device=self.device, workers=self.setup.workers
        )
        for (_, seed), (x, y) in zip(plan, batches, strict=True):
            self.loss += self.learner.step(x, y, lr=self._lr(), total=self._batch_size(), seed=seed)
            self.position.step += 1
            self.position.train_seconds += self._lap()
            if self.position.step % CHECK_EVERY == 0:
                self._check()
            self._report_progress()
            self._between(may_save=True)
        self._check()

    def _end_epoch(self) -> Evaluation:
        """Test, write a line of the curve, and advance to the next epoch."""
        measured = self._test()
        self._lap()
        position = self.position
        epoch = Epoch(
            epoch=position.epoch + 1,
            lr=self.learner.lr,
            train_loss=self.loss.item() / self.images,
            test_loss=measured.loss,
            correct=measured.correct,
            correct5=measured.correct5,
            seconds=round(position.seconds, 3),
            gates=self.group.share(self._gates) if self.setup.watch_gates else {},
        )
        position.curve.append(epoch.as_dict())
        self.group.share(lambda: self.home.append(epoch))
        self.report(epoch)
        if self.group.leads:
            warn_of_loss(position.start, epoch, run=self.run, images=len(self.test_set))
        position.epoch, position.step, position.seconds = epoch.epoch, 0, 0.0
        self.loss.zero_()
        self._between(may_save=True)
        return measured

    def _test(self) -> Evaluation:
        with self.learner.tested() as model:
            measured = evaluate(
                model,
                self.test_set,
                num_classes=self.data.num_classes,
                device=self.device,
                workers=self.setup.workers,
                group=self.group,
                between=partial(self._between, may_save=False),  # the network may hold its averaged weights
            )
        if not math.isfinite(measured.loss):
            raise self._diverged(f"the test loss of epoch {self.position.epoch + 1} is {measured.loss}")
        return measured

    def _gates(self) -> dict[str, dict[str, float]]:
        """Return the shares of `gate_shares` from a copy of the network, since fused blocks do not run as modules."""
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            copy = initial(self.run, self.data).model.to(self.device)
        load_values(copy, self.learner.weights)
        shares, curve = gate_shares(copy, self.test_set, device=self.device), self.position.curve
        warn_of_collapse(
            curve[-1].get("gates", {}) if curve else {}, shares, run=self.run, epoch=self.position.epoch + 1
        )
        return shares

    def _plan(self, epoch: int) -> list[tuple[Tensor, int]]:
        return epoch_plan(len(self.train_set), self.recipe, seed=self.run.seed, epoch=epoch, group=self.group)

    def _lr(self) -> float:
        """Return the learning rate of the next step."""
        epoch = self.position.epoch + self.position.step / self.steps
        return self.recipe.optim.lr * self.recipe.schedule.factor(epoch, epochs=self.recipe.epochs, step=1 / self.steps)

    def _batch_size(self) -> int:
        """Count the images of the next step in all processes."""
        return min(self.recipe.batch_size, self.images - self.position.step * self.recipe.batch_size)

    def _curve(self) -> tuple[Epoch, ...]:
        return tuple(Epoch(**line) for line in self.position.curve)

    def _lap(self) -> float:
        """Add the time since the last call to the epoch and return it [s]."""
        before, self._lap_began = self._lap_began, time.monotonic()
        self.position.seconds += self._lap_began - before
        return self._lap_began - before

    def _check(self) -> None:
        images = min(self.images, self.position.step * self.recipe.batch_size)
        loss = self.loss.item() / max(1, images)
        if not loss < DIVERGED:  # also if it is nan
            raise self._diverged(f"the loss of epoch {self.position.epoch + 1} is {loss:.3g}")

    def _diverged(self, what: str) -> NumericError:
        way_out = f"lower optim.lr ({self.recipe.optim.lr}), set recipe.clip=1, or use recipe.amp=off"
        if not self._starts_well():
            way_out = "it is not finite even before the first step, for any optim.lr: check the images and the network"
        elif self.maps.blind:
            small = f"{self.maps.blind} of {self.maps.spatial} spatial convolutions of {self.run.model} see one pixel"
            way_out = f"{small} of these images: choose a network for smaller ones, or {way_out}"
        return NumericError(f"{self.home.path}: {what}; {way_out}. Checkpoints hold finite values only.")

    def _starts_well(self) -> bool:
        """Return whether the loss of the first batch is finite with the initial weights."""
        (plan, *_), model = self._plan(0), initial(self.run, self.data).model.to(self.device)
        x, y = next(iter(self.train_set.batches([plan], augment=None, device=self.device)))
        with torch.no_grad():
            return bool(F.cross_entropy(model(x).float(), y).isfinite())

    def _between(self, *, may_save: bool) -> None:
        """Stop if a process received a signal, and save if it is time; called equally often in all processes."""
        due = may_save and self.group.leads and time.monotonic() - self._saved > self.setup.save_every
        self.stop.signal, save = self.group.largest(self.stop.signal, due)
        if self.stop:
            raise self.stop.error(f"{self.home.path}: stopped and saved; run the same command again to continue.")
        if save:
            self._save()

    def _save(self) -> None:
        self._check()
        self.position.loss = self.loss.item()
        self._lap()
        self.group.share(self._write_checkpoint)
        self._saved = time.monotonic()

    def _write_checkpoint(self) -> None:
        if not self.learner.is_finite():
            raise self._diverged(f"weights of epoch {self.position.epoch + 1} are not finite")
        state = {
            "run": self.run.id,
            "data": self.data.fingerprint,
            "environments": [asdict(part) for part in (*self.before, self.environment)],
            "moment": asdict(self.position),
            **self.learner.state(),
        }
        step = self.position.epoch * self.steps + self.position.step
        self.home.save(step, weights=self.learner.model.state_dict(), state=state)

    def _restore(self, found: Checkpoint) -> None:
        state = found.state
        if state.get("run") != self.run.id:
            raise CheckpointError(f"{found.path} is of another run; {WAY_OUT}")
        refuse_changed_images(found.path, str(state.get("data")), self.data.fingerprint)
        with restoring(found, "its run", way_out=WAY_OUT):
            self.before = [settings.record(Environment, part) for part in state["environments"]]
            images = len(self.test_set)
            self.position = decode_position(state["moment"], at=found.step, steps=self.steps, images=images)
            self.learner.restore(found.weights, state)
            changed = changes(self.before[-1], self.environment)
        if not changed:
            self.before.pop()
        elif self.group.leads:
            warnings.warn(
                f"{self.home.path}: resumed in a different environment, so results will not be bitwise identical: "
                f"{changed}.",
                stacklevel=2,
            )

    def _report_progress(self) -> None:
        now = time.monotonic()
        if self.watch is None or not self.group.leads or now - self._said < WATCH_EVERY:
            return
        self._said = now
        position = self.position
        images = min(self.images, position.step * self.recipe.batch_size)
        self.watch(
            Progress(
                run=self.run.id,
                design=self.run.design,
                epoch=position.epoch + position.step / self.steps,
                epochs=self.recipe.epochs,
                images_per_second=images / max(1e-9, position.seconds),
                accuracy=100 * position.curve[-1]["correct"] / len(self.test_set) if position.curve else math.nan,
            )
        )
