"""What a training is: the same bits every time, one step as written by hand, clear refusals."""

import json
import os
import resource
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from forks import DATA, RECIPE, RUN, STEPS, Child, digest, drawn, start, train_digits, wait_until
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch import Tensor, nn

from senet import SESpec
from senet.data import Augment, DataSpec, load
from senet.errors import CheckpointError, NumericError, StorageError, UsageError
from senet.experiments.environment import environment
from senet.experiments.failed_run import RunFailed
from senet.experiments.recipe import Optim, Recipe, Schedule
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.networks import from_pretrained
from senet.training.checkpoint import Checkpoints
from senet.training.evaluate_saved import evaluate_folder
from senet.training.evaluation import evaluate
from senet.training.initial_network import build
from senet.training.learner import Learner
from senet.training.order import epoch_plan
from senet.training.process_group import Group
from senet.training.progress import Progress
from senet.training.run_folder import read_result
from senet.training.train import train


def changed(run: Run = RUN, **recipe: Any) -> Run:
    return replace(run, recipe=replace(run.recipe, **recipe))


def weights(folder: Path) -> dict[str, Tensor]:
    return load_file(folder / "model.safetensors")


def are_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# ---- the same bits


def test_two_equal_runs_are_bitwise_equal_and_another_seed_is_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        torch.manual_seed(int.from_bytes(name.encode()))  # what was drawn before does not count
        train(RUN, DATA, tmp_path / name)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    other = train(replace(RUN, seed=1), DATA, tmp_path / "c")
    assert not are_equal(weights(tmp_path / "a"), weights(tmp_path / "c"))
    assert other.run.seed == 1


def test_a_watched_run_in_another_process_is_bitwise_equal(tmp_path: Path) -> None:
    train(RUN, DATA, tmp_path / "a")
    child = start(tmp_path / "said", train_digits, RUN, tmp_path / "b", log=tmp_path / "log", save_every=0.0)
    assert child.join() == 0, child.said
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    order = [images for _, images in drawn(tmp_path / "log")]
    for epoch in (order[:STEPS], order[STEPS:]):
        assert sorted(image for images in epoch for image in images) == list(range(200))
    assert order[:STEPS] != order[STEPS:]


@pytest.mark.parametrize(
    "design",
    [SESpec(reduction=4), SESpec(variant="slow_both", slot="identity"), SESpec(slot="pre", bias=False)],
    ids=str,
)
def test_nets_of_one_seed_start_alike_in_all_common_layers(design: SESpec) -> None:
    plain = build(RUN, DATA).state_dict()
    gated = build(replace(RUN, se=(design,)), DATA).state_dict()
    assert plain.keys() < gated.keys()
    assert all(torch.equal(plain[name], gated[name]) for name in plain)
    assert are_equal(gated, build(replace(RUN, se=(design,)), DATA).state_dict())
    other = build(replace(RUN, se=(design,), seed=1), DATA).state_dict()
    assert not any(torch.equal(gated[name], other[name]) for name in gated if name.endswith("conv1.weight"))


def test_channels_last_changes_bits_but_not_values(tmp_path: Path) -> None:
    first, last = changed(epochs=1), changed(epochs=1, channels_last=True)
    for name, run in (("first", first), ("last", last)):
        train(run, DATA, tmp_path / name)
    for a, b in zip(weights(tmp_path / "first").values(), weights(tmp_path / "last").values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-3)
        assert b.is_contiguous()


# ---- one step, by hand


def by_hand(run: Run) -> tuple[nn.Module, dict[str, Tensor], list[float]]:
    """Train a run as one would write it down for SGD: network, averaged weights, loss of each epoch."""
    recipe = run.recipe
    net = build(run, DATA).train()
    average = {name: value.clone() for name, value in net.state_dict().items()}
    velocity = [torch.zeros_like(p) for p in net.parameters()]
    losses = []
    for epoch in range(recipe.epochs):
        plan = epoch_plan(len(DATA.train), recipe, seed=run.seed, epoch=epoch)
        loss_sum = 0.0
        batches = DATA.train.batches(plan, augment=recipe.augment, device="cpu")
        for step, ((_, seed), (x, y)) in enumerate(zip(plan, batches, strict=True)):
            torch.manual_seed(seed)
            net.zero_grad()
            for part, labels in zip(x.tensor_split(recipe.accumulate), y.tensor_split(recipe.accumulate), strict=True):
                log_p = net(part).log_softmax(1)
                smooth = recipe.label_smoothing
                target = (1 - smooth) * F.one_hot(labels, 10) + smooth / 10
                loss = -(target * log_p).sum()
                (loss / len(x)).backward()
                loss_sum += loss.item()
            grads = [p.grad for p in net.parameters()]
            norm = torch.sqrt(sum((g**2).sum() for g in grads))
            factor = min(1.0, recipe.clip / (norm.item() + 1e-6)) if recipe.clip else 1.0
            lr = recipe.optim.lr * recipe.schedule.factor(epoch + step / len(plan), epochs=recipe.epochs)
            with torch.no_grad():
                for p, g, v in zip(net.parameters(), grads, velocity, strict=True):
                    g = factor * g + recipe.optim.weight_decay * p
                    v.mul_(recipe.optim.momentum).add_(g)
                    p -= lr * v
                for name, value in net.state_dict().items():
                    if value.is_floating_point():
                        average[name] = recipe.ema * average[name] + (1 - recipe.ema) * value
                    else:
                        average[name] = value.clone()
        losses.append(loss_sum / len(DATA.train))
    return net, average, losses


PLAIN = Recipe(
    epochs=2,
    batch_size=50,
    optim=Optim(lr=0.02, momentum=0.9, weight_decay=1e-3),
    schedule=Schedule(name="cosine"),
    augment=Augment(),
    channels_last=False,
)


@pytest.mark.parametrize(
    "change",
    [{}, {"label_smoothing": 0.2}, {"clip": 0.5}, {"ema": 0.8}, {"accumulate": 3}],
    ids=lambda change: ",".join(change) or "plain",
)
def test_a_training_is_what_one_would_write_by_hand(change: dict[str, Any], tmp_path: Path) -> None:
    run = replace(RUN, recipe=replace(PLAIN, **change))
    result = train(run, DATA, tmp_path)
    net, average, losses = by_hand(run)
    wanted = average if run.recipe.ema else net.state_dict()
    found = weights(tmp_path)
    for name, value in wanted.items():
        torch.testing.assert_close(
            found[name], value, rtol=2e-3, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}"
        )
    assert [line.train_loss for line in result.curve] == pytest.approx(losses, rel=1e-4)
    net.load_state_dict(wanted)
    tested = evaluate(net, DATA.test, num_classes=10)
    assert result.last.correct == tested.correct
    assert result.last.test_loss == pytest.approx(tested.loss, rel=1e-3)


@pytest.mark.parametrize("change", [{"label_smoothing": 0.2}, {"clip": 0.5}, {"ema": 0.8}, {"accumulate": 3}], ids=str)
def test_what_a_recipe_says_has_an_effect(change: dict[str, Any]) -> None:
    (x, y), total = next(DATA.train.batches([(torch.arange(50), 0)], augment=None, device="cpu")), 50
    outcomes = []
    for recipe in (PLAIN, replace(PLAIN, **change)):
        learner = Learner(build(RUN, DATA), recipe)
        learner.step(x, y, lr=0.02, total=total, seed=0)
        outcomes.append({name: value.clone() for name, value in learner.weights.items()})
    first = "stem.conv.weight"
    assert first in outcomes[0], sorted(outcomes[0])[:5]
    assert not torch.equal(outcomes[0][first], outcomes[1][first])


def test_accumulated_parts_give_the_gradient_of_the_whole_batch_without_norms() -> None:
    x, y = next(DATA.train.batches([(torch.arange(50), 0)], augment=None, device="cpu"))
    outcomes = []
    for accumulate in (1, 3):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
        Learner(net, replace(PLAIN, accumulate=accumulate)).step(x.double(), y, lr=0.1, total=50, seed=0)
        outcomes.append(net[1].weight)
    torch.testing.assert_close(outcomes[0], outcomes[1], rtol=1e-12, atol=1e-14)


def test_bf16_rounds_the_forward_pass_only(tmp_path: Path) -> None:
    train(changed(epochs=1, amp="bf16"), DATA, tmp_path)
    train(changed(epochs=1), DATA, tmp_path / "full")
    half, full = weights(tmp_path), weights(tmp_path / "full")
    assert all(value.dtype == full[name].dtype for name, value in half.items())
    assert not are_equal(half, full)


# ---- the plan


@given(
    images=st.integers(1, 300),
    batch_size=st.integers(1, 64),
    accumulate=st.integers(1, 4),
    size=st.integers(1, 4),
    drop_last=st.booleans(),
    shuffle=st.booleans(),
)
def test_processes_share_every_batch_and_see_each_image_at_most_once(
    images: int, batch_size: int, accumulate: int, size: int, drop_last: bool, shuffle: bool
) -> None:
    accumulate = min(accumulate, batch_size)
    recipe = Recipe(batch_size=batch_size, accumulate=accumulate, drop_last=drop_last, shuffle=shuffle)
    groups = [Group(rank=rank, size=size) for rank in range(size)]
    fewest = batch_size if drop_last else min(batch_size, 2 * size * accumulate)
    if batch_size < size * accumulate or images < fewest:
        with pytest.raises(UsageError, match=r"recipe\.batch_size"):
            epoch_plan(images, recipe, seed=3, epoch=1, group=groups[0])
        return
    plans = [epoch_plan(images, recipe, seed=3, epoch=1, group=group) for group in groups]
    alone = epoch_plan(images, replace(recipe, accumulate=1), seed=3, epoch=1)
    for step in range(len(plans[0])):
        together = torch.cat([plan[step][0] for plan in plans])
        assert together.sort().values.equal(alone[step][0].sort().values)
        assert min(len(plan[step][0]) for plan in plans) >= accumulate
        assert len({plan[step][1] for plan in plans}) == size
    seen = torch.cat([indices for plan in plans for indices, _ in plan])
    assert len(seen.unique()) == len(seen) > images - fewest


# ---- what it leaves and says


@pytest.mark.parametrize("normalize", ["standard", "unit"])
def test_a_finished_run_is_a_folder_that_says_what_it_is_and_how_it_sees_images(normalize: str, tmp_path: Path) -> None:
    spec = replace(DATA.spec, normalize=normalize)
    run = replace(RUN, data=spec, se=(SESpec(reduction=4),), recipe=replace(RECIPE, epochs=1))
    result = train(run, load(spec), tmp_path / "run")
    (tmp_path / "copy").mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copy(tmp_path / "run" / name, tmp_path / "copy")
    asked = Run(data=DataSpec(test_size=50))
    measured = evaluate_folder(tmp_path / "copy", asked, Setup())
    assert measured.confusion == result.confusion
    own, copy = (from_pretrained(tmp_path / name).state_dict() for name in ("run", "copy"))
    assert all(torch.equal(value, copy[name]) for name, value in own.items())
    card = (tmp_path / "run" / "README.md").read_text()
    assert f"{result.last.correct:,} of 50 test images" in card
    assert "| preprocessing | 8 pixels, crop 1, bilinear" in card


@pytest.mark.parametrize("content", [b"# Mine\n", b"{}", b"\xff\xfe", b""])
def test_a_readme_and_a_config_of_the_user_stay_in_the_folder_of_a_run(content: bytes, tmp_path: Path) -> None:
    names = ("README.md", "config.json")
    for name in names:
        (tmp_path / name).write_bytes(content)
    train(changed(epochs=1, batch_size=100), DATA, tmp_path)
    assert [(tmp_path / name).read_bytes() for name in names] == [content, content]


def test_a_finished_run_leaves_weights_curve_and_result_and_is_read_not_trained(tmp_path: Path) -> None:
    said: list[Progress] = []
    result = train(RUN, DATA, tmp_path, Setup(save_every=0.0), watch=said.append)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "README.md", "config.json", "metrics.jsonl", "model.safetensors", "result.json", "run.json", "run.lock"
    ]  # fmt: skip
    assert train_digits(RUN, tmp_path, log=tmp_path / "log") == result == read_result(tmp_path)
    assert drawn(tmp_path / "log") == []
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2]
    assert result.last.correct == sum(row[label] for label, row in enumerate(result.confusion))
    assert (result.total, result.train_images, result.data) == (50, 200, DATA.fingerprint)
    assert result.environment == environment("cpu", fused=result.environment.fused)
    assert 0 < result.train_seconds <= result.seconds
    assert said
    assert all(0 < p.epoch <= p.epochs == 2 and p.run == RUN.id and p.images_per_second > 0 for p in said)
    assert [p.epoch for p in said] == sorted(p.epoch for p in said)


def test_the_last_images_of_an_epoch_count_once(tmp_path: Path) -> None:
    result = train(changed(epochs=1, batch_size=64), DATA, tmp_path / "kept")
    assert result.train_images == 200
    dropped = train(changed(epochs=1, batch_size=64, drop_last=True), DATA, tmp_path / "dropped")
    assert dropped.train_images == 192
    assert 1 < dropped.last.train_loss < 4


def test_tensorboard_has_a_point_for_each_epoch_also_after_a_resume(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with pytest.raises(Exception, match="stopped and saved"):
        train_digits(RUN, tmp_path, setup=Setup(tensorboard=True), stop_at=15)
    result = train(RUN, DATA, tmp_path, Setup(tensorboard=True))
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert set(events.Tags()["scalars"]) == {"lr", "train_loss", "test_loss", "test_accuracy", "test_accuracy5"}
    assert [(e.step, e.value) for e in events.Scalars("train_loss")] == [
        (line.epoch, pytest.approx(line.train_loss)) for line in result.curve
    ]
    assert [e.value for e in events.Scalars("test_accuracy")] == [2.0 * line.correct for line in result.curve]


# ---- what it refuses


def test_another_run_in_the_folder_is_refused_and_the_values_are_named(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="stopped and saved"):
        train_digits(RUN, tmp_path, stop_at=3)
    other = replace(changed(batch_size=25), seed=7)
    for finished in (False, True):
        if finished:
            train(RUN, DATA, tmp_path)
        with pytest.raises(CheckpointError, match="holds another run") as caught:
            train(other, DATA, tmp_path)
        text = str(caught.value)
        assert "recipe.batch_size: 20 -> 25" in text
        assert "seed: 0 -> 7" in text
        assert str(tmp_path) in text
        assert caught.value.exit_code == 4
        with pytest.raises(CheckpointError, match=r"se: \[\] -> \[\{'variant': 'standard'"):
            train(replace(RUN, se=(SESpec(),)), DATA, tmp_path)


def test_another_design_is_told_from_this_one_by_the_value_that_differs(tmp_path: Path) -> None:
    train(replace(changed(epochs=1), se=(SESpec(reduction=4),)), DATA, tmp_path)
    with pytest.raises(CheckpointError, match=r"another run \(se\[0\].reduction: 4 -> 8\)"):
        train(replace(changed(epochs=1), se=(SESpec(reduction=8),)), DATA, tmp_path)


@pytest.mark.parametrize("finished", [False, True])
def test_other_images_are_refused(finished: bool, tmp_path: Path) -> None:
    if finished:
        train(RUN, DATA, tmp_path)
    else:
        with pytest.raises(Exception, match="stopped and saved"):
            train_digits(RUN, tmp_path, stop_at=3)
    with pytest.raises(CheckpointError, match=f"is of other images: {DATA.fingerprint} -> 0123"):
        train(RUN, replace(DATA, fingerprint="0123"), tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"schema": 99}', '{"model": "resnet8", "colour": "red"}', "\udcff"])
def test_a_folder_with_a_broken_run_file_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(CheckpointError, match=r"run\.json is not a run"):
        train(RUN, DATA, tmp_path)


@pytest.mark.parametrize(("seed", "batch_size"), [(0, 20), (1, 40)], ids=["no number", "a number for ever"])
def test_a_divergent_run_ends_and_its_last_checkpoint_is_finite(seed: int, batch_size: int, tmp_path: Path) -> None:
    run = replace(changed(optim=Optim(lr=1e9), schedule=Schedule(), batch_size=batch_size), seed=seed)
    with pytest.raises(NumericError, match=r"lower optim\.lr \(1000000000\.0\)") as caught:
        train_digits(run, tmp_path, log=tmp_path / "log", save_every=0.0)
    assert caught.value.exit_code == 6
    assert len(drawn(tmp_path / "log")) <= STEPS
    found = Checkpoints(tmp_path / "checkpoints").latest()
    if found is not None:  # it may be gone after one step
        assert all(bool(value.isfinite().all()) for value in found.weights.values())
    assert not (tmp_path / "result.json").exists()
    with pytest.raises(NumericError):  # the same command, the same end
        train(run, DATA, tmp_path)


def test_weights_that_overflow_while_the_loss_is_finite_are_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Learner.step

    def overflow(self: Learner, *args: Any, **kw: Any) -> Tensor:
        loss = step(self, *args, **kw)
        with torch.no_grad():
            next(self.model.parameters()).view(-1)[0] = float("inf")
        return loss

    monkeypatch.setattr(Learner, "step", overflow)
    with pytest.raises(NumericError, match="weights of epoch 1 are not finite"):
        train(RUN, DATA, tmp_path, Setup(save_every=0.0))
    assert Checkpoints(tmp_path / "checkpoints").latest() is None


def test_a_test_loss_that_is_no_number_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step = Learner.step

    def spoil(self: Learner, *args: Any, **kw: Any) -> Tensor:
        loss = step(self, *args, **kw)
        next(m for m in self.model.modules() if isinstance(m, nn.BatchNorm2d)).running_mean.fill_(float("nan"))
        return loss

    monkeypatch.setattr(Learner, "step", spoil)
    with pytest.raises(NumericError, match="test loss of epoch 1 is nan"):
        train(RUN, DATA, tmp_path)


def test_a_batch_that_cannot_be_is_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"200 training images are fewer than .* recipe\.batch_size = 256; lower it"):
        train(changed(batch_size=256, drop_last=True), DATA, tmp_path)
    with pytest.raises(UsageError, match=r"recipe\.batch_size = 4 leaves parts of 3 processes .*accumulate = 2 empty"):
        epoch_plan(200, replace(RECIPE, batch_size=4, accumulate=2), seed=0, epoch=0, group=Group(size=3))


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_batch_that_does_not_fit_the_memory_says_what_to_do(
    error: RuntimeError, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise error

    monkeypatch.setattr("senet.models.network.Network.forward", fail)
    with pytest.raises(UsageError, match=r"20 images do not fit .* recipe\.accumulate=2 or lower recipe\.batch_size"):
        train(RUN, DATA, tmp_path)


@pytest.mark.parametrize("place", ["file/run", "file", "/proc/nothing"])
def test_a_folder_that_cannot_be_written_fails_before_the_first_step(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError) as caught:
        train_digits(RUN, tmp_path / place, log=tmp_path / "log")
    assert caught.value.exit_code == 5
    assert drawn(tmp_path / "log") == []


def test_a_second_process_in_the_folder_is_refused_or_waits_if_somebody_is_told(tmp_path: Path) -> None:
    first = start(tmp_path / "first", train_digits, RUN, tmp_path / "run", log=tmp_path / "log", seconds=0.3)
    wait_until(lambda: drawn(tmp_path / "log"))
    second = start(tmp_path / "second", train_digits, RUN, tmp_path / "run", log=tmp_path / "log2")
    assert second.join() == 5
    assert f"is in use by process {first.pid} on" in second.said
    assert drawn(tmp_path / "log2") == []
    words = {"log": tmp_path / "log3", "say": print}
    third, fourth = (start(tmp_path / name, train_digits, RUN, tmp_path / "run", **words) for name in ("3", "4"))
    wait_until(lambda: third.said.startswith("waiting for") and fourth.said.startswith("waiting for"))
    assert f"waiting for process {first.pid} on " in third.said
    os.kill(fourth.pid, signal.SIGTERM)
    assert fourth.join() == 75, fourth.said
    assert "stopped while it waited for another process" in fourth.said
    assert drawn(tmp_path / "log3") == []
    first.kill()
    assert third.join() == 0, third.said
    assert read_result(tmp_path / "run") is not None


def test_a_run_that_is_known_to_fail_is_tried_again_only_when_asked(tmp_path: Path) -> None:
    run, log = changed(optim=Optim(lr=1e9), schedule=Schedule()), tmp_path / "log"
    with pytest.raises(NumericError):
        train_digits(run, tmp_path / "run", log=log)
    there, steps = (tmp_path / "run" / "failed.json").read_bytes(), len(drawn(log))
    with pytest.raises(RunFailed, match=r"lower optim\.lr") as caught:  # as whoever lost the race for its folder
        train_digits(run, tmp_path / "run", log=log, retry_failed=False)
    assert caught.value.exit_code == 6
    assert (len(drawn(log)), (tmp_path / "run" / "failed.json").read_bytes()) == (steps, there)
    with pytest.raises(NumericError):
        train_digits(run, tmp_path / "run", log=log)
    assert len(drawn(log)) > steps


def train_with_less_disk(folder: Path, *, after: int, size: int) -> None:
    step, taken = Learner.step, []

    def shrink(self: Learner, *args: Any, **kw: Any) -> Tensor:
        taken.append(1)
        if len(taken) == after:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        return step(self, *args, **kw)

    Learner.step = shrink  # in this child only
    train_digits(RUN, folder, save_every=0.0)


@pytest.mark.parametrize(
    ("after", "size", "kept"),
    [
        pytest.param(5, 100_000, 4, id="while a checkpoint is written"),
        pytest.param(20, 500, 19, id="while a line of the curve is written", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_keeps_the_earlier_checkpoint(after: int, size: int, kept: int, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    child: Child = start(tmp_path / "said", train_with_less_disk, folder, after=after, size=size)
    assert child.join() == 5, child.said
    assert "no space left" in child.said
    assert "ulimit -f" in child.said
    assert "Traceback" not in child.said
    found = Checkpoints(folder / "checkpoints").latest()
    assert found is not None
    assert found.step == kept
    assert not list(folder.rglob(".tmp-*"))
    train(RUN, DATA, folder)
    train(RUN, DATA, tmp_path / "undisturbed")
    assert digest(folder) == digest(tmp_path / "undisturbed")


def test_the_environment_names_what_bits_depend_on(monkeypatch: pytest.MonkeyPatch) -> None:
    here = environment("cpu", processes=3)
    assert here.threads == torch.get_num_threads()
    assert here.processes == 3
    assert here.device.startswith("cpu ")
    assert here.torch == torch.__version__
    assert os.cpu_count()
