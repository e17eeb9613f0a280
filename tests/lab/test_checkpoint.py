"""Checkpoints against kills, bit rot, full disks and odd places."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from senet.errors import CheckpointError, SpecError, StorageError
from senet.lab.checkpoint import FAILPOINTS, Checkpoint, Checkpoints, CheckpointWarning

FILES = ("model.safetensors", "state.pt", "manifest.json")


def contents(step: int, size: int = 2000) -> dict[str, Any]:
    weights = torch.randn(size, generator=torch.Generator().manual_seed(step))
    return {"weights": {"a": weights, "b": weights[:5] * 2}, "state": {"step": step, "sum": [weights * 3]}}


def assert_whole(found: Checkpoint | None, step: int) -> None:
    assert found is not None
    wanted = contents(step)
    assert found.step == step == found.state["step"]
    assert found.weights.keys() == wanted["weights"].keys()
    assert all(torch.equal(found.weights[name], wanted["weights"][name]) for name in found.weights)
    assert torch.equal(found.state["sum"][0], wanted["state"]["sum"][0])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def test_a_checkpoint_comes_back_and_older_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    assert checkpoints.latest() is None
    for step in (0, 3, 123):
        path = checkpoints.save(step, **contents(step))
        found = Checkpoints(checkpoints.folder).latest()
        assert found is not None
        assert found.path == path
        assert_whole(found, step)
    assert names(checkpoints.folder) == ["step-00000003", "step-00000123"]
    assert names(path) == sorted(FILES)
    checkpoints.clear()
    assert names(checkpoints.folder) == []
    assert checkpoints.latest() is None
    Checkpoints(tmp_path / "none").clear()
    assert not (tmp_path / "none").exists()


def test_shared_strided_and_channels_last_weights_come_back_bit_for_bit(tmp_path: Path) -> None:
    base = torch.randn(6, 8, 3, 3)
    odd = torch.tensor([float("nan"), -0.0, float("inf"), 1e-45])
    weights: dict[str, Tensor] = {
        "base": base,
        "tied": base,
        "view": base[1:3],
        "strided": base[:, ::2],
        "transposed": base.reshape(6, 72).T,
        "expanded": base[0, 0, 0, :1].expand(4),
        "channels_last": base.to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(base + 1),
        "odd": odd,
        "scalar": torch.tensor(7),
        "empty": torch.empty(0, 3),
        "half": base.bfloat16(),
        "bool": base > 0,
    }
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, weights=weights, state={})
    found = checkpoints.latest()
    assert found is not None
    assert found.weights.keys() == weights.keys()
    for name, tensor in weights.items():
        got = found.weights[name]
        assert got.dtype == tensor.dtype
        assert got.shape == tensor.shape
        assert got.is_contiguous()
        assert got.numpy(force=True).tobytes() == tensor.numpy(force=True).tobytes() if name != "half" else True
    assert torch.equal(found.weights["half"], weights["half"])
    assert len({t.data_ptr() for t in found.weights.values() if t.numel()}) == len(weights) - 1


def test_a_network_keeps_its_memory_format_and_its_ties(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = torch.nn.Sequential(OrderedDict(conv=torch.nn.Conv2d(3, 8, 3), twin=torch.nn.Conv2d(3, 8, 3)))
    net.twin.weight = net.conv.weight
    net = net.to(memory_format=torch.channels_last)
    wanted = net.conv.weight.detach().clone()
    Checkpoints(tmp_path).save(1, weights=net.state_dict(), state={})
    with torch.no_grad():
        net.conv.weight.zero_()
    found = Checkpoints(tmp_path).latest()
    assert found is not None
    net.load_state_dict(found.weights)
    assert torch.equal(net.conv.weight, wanted)
    assert net.conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert net.twin.weight is net.conv.weight


def test_a_state_keeps_types_nesting_and_memory_formats(tmp_path: Path) -> None:
    average = torch.randn(2, 4, 3, 3).to(memory_format=torch.channels_last)
    optimizer: dict[str, Any] = {
        "state": {0: {"step": torch.tensor(3.0), "average": average}},
        "param_groups": [{"lr": 0.1}],
    }
    state = {"optimizer": optimizer, "best": None, "name": "ü", "done": (True, 1.5, 2**70, OrderedDict(a=[]))}
    Checkpoints(tmp_path).save(1, weights={}, state=state)
    found = Checkpoints(tmp_path).latest()
    assert found is not None
    got = found.state["optimizer"]["state"][0].pop("average")
    assert torch.equal(got, average)
    assert got.stride() == average.stride()
    del optimizer["state"][0]["average"]
    assert found.state == state


@pytest.mark.slow
@pytest.mark.parametrize("make", [torch.optim.Adadelta, torch.optim.AdamW, torch.optim.SGD])
def test_an_optimizer_comes_back_bit_for_bit(tmp_path: Path, make: Callable[..., torch.optim.Optimizer]) -> None:
    net = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    optimizer = make(net.parameters(), lr=0.1)
    net(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    Checkpoints(tmp_path).save(1, weights=net.state_dict(), state={"optimizer": optimizer.state_dict()})
    found = Checkpoints(tmp_path).latest()
    assert found is not None
    again = make(net.parameters(), lr=0.1)
    again.load_state_dict(found.state["optimizer"])
    for parameter in net.parameters():
        for name, value in optimizer.state[parameter].items():
            got = again.state[parameter][name]
            if isinstance(value, Tensor):
                assert torch.equal(got, value)
                assert got.stride() == value.stride()
            else:
                assert got == value


@pytest.mark.parametrize(
    ("state", "place"),
    [
        ({"path": Path()}, "state.path is of type"),
        ({"a": [{"b": {1, 2}}]}, r"state\.a\[0\]\.b is of type set"),
        ({"a": {("b", 1j): 1}}, r"\[1\] is of type complex"),
        ({"number": __import__("numpy").float64(1)}, "state.number is of type float64"),
    ],
)
def test_a_state_that_could_never_be_read_again_is_refused(tmp_path: Path, state: dict[Any, Any], place: str) -> None:
    with pytest.raises(SpecError, match=place):
        Checkpoints(tmp_path).save(1, weights={}, state=state)
    assert names(tmp_path) == []


def test_values_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="keep = 0"):
        Checkpoints(tmp_path, keep=0)
    with pytest.raises(SpecError, match="step = -1"):
        Checkpoints(tmp_path).save(-1, weights={}, state={})
    with pytest.raises(SpecError, match=r"weights\['w'\] is torch.sparse_coo"):
        Checkpoints(tmp_path).save(1, weights={"w": torch.eye(2).to_sparse()}, state={})


def test_checkpoints_of_a_future_that_was_given_up_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 5, 9, 6):
        checkpoints.save(step, **contents(step))
    assert names(tmp_path) == ["step-00000005", "step-00000006"]


# One process imports torch and forks the victims: real processes, real SIGKILL, one import.
VICTIMS = """
import ast, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from senet.lab.checkpoint import Checkpoints
from test_checkpoint import contents

for line in sys.stdin:
    folder, place, keep, steps, wait = ast.literal_eval(line)
    pid = os.fork()
    if pid == 0:
        if place:
            os.environ["SENET_FAILPOINT"] = place
        checkpoints = Checkpoints(Path(folder), keep=keep)
        for step in steps:
            checkpoints.save(step, **contents(step))
        os._exit(0)
    if wait is not None:
        time.sleep(wait)
        os.kill(pid, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def victims() -> Iterator[Callable[..., int]]:
    """Save in a process of its own, which is killed at a place or after a time [s]; gives its exit code."""
    process = subprocess.Popen(
        [sys.executable, "-c", VICTIMS, Path(__file__).parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def run(folder: Path, place: str, *, keep: int, steps: list[int], wait: float | None = None) -> int:
        assert process.stdin is not None
        assert process.stdout is not None
        print((str(folder), place, keep, steps, wait), file=process.stdin, flush=True)
        return int(process.stdout.readline())

    yield run
    process.communicate()


PLACES = [place for place in FAILPOINTS if place != "mid_write"] + [f"mid_write:{n}" for n in (1, 2, 3)]


def test_there_are_enough_failpoints() -> None:
    assert len(FAILPOINTS) == len(set(FAILPOINTS)) >= 8


@pytest.mark.parametrize(("new", "keep"), [(2, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("place", PLACES)
def test_a_kill_anywhere_leaves_the_previous_checkpoint_or_the_new_one(
    tmp_path: Path, victims: Callable[..., int], place: str, new: int, keep: int
) -> None:
    folder = tmp_path / "run"
    for step in (1, 2):
        Checkpoints(folder, keep=keep).save(step, **contents(step))
    code = victims(folder, place, keep=keep, steps=[new])  # step 2 is there already, 3 is not
    reached = (new == 2) if place == "mid_rename" else (new == 3 or place != "mid_prune")
    assert code == (-signal.SIGKILL if reached else 0)
    found = Checkpoints(folder, keep=keep).latest()
    assert found is not None
    renamed = not reached or place in ("after_rename", "before_prune", "mid_prune", "after_prune")
    assert_whole(found, new if renamed else 2)
    Checkpoints(folder, keep=keep).save(4, **contents(4))
    assert_whole(Checkpoints(folder, keep=keep).latest(), 4)
    assert all(name.startswith("step-") for name in names(folder))
    assert len(names(folder)) == keep


def test_a_reader_leaves_no_stray_of_a_killed_process(tmp_path: Path, victims: Callable[..., int]) -> None:
    Checkpoints(tmp_path).save(1, **contents(1))
    victims(tmp_path, "state_written", keep=2, steps=[2])
    assert any(name.startswith(".tmp-") for name in names(tmp_path))
    Checkpoints(tmp_path)
    assert names(tmp_path) == ["step-00000001"]


@pytest.mark.parametrize("seed", range(30))
def test_a_kill_at_any_time_loses_no_checkpoint(tmp_path: Path, victims: Callable[..., int], seed: int) -> None:
    Checkpoints(tmp_path, keep=1).save(0, **contents(0))
    wait = random.Random(seed).uniform(0.005, 0.06)
    assert victims(tmp_path, "", keep=1, steps=list(range(1, 1000)), wait=wait) == -signal.SIGKILL
    checkpoints = Checkpoints(tmp_path, keep=1)
    found = checkpoints.latest()
    assert found is not None
    assert_whole(found, found.step)
    assert all(name.startswith("step-") for name in names(tmp_path))
    checkpoints.save(found.step + 1, **contents(found.step + 1))
    assert names(tmp_path) == [f"step-{found.step + 1:08d}"]


def test_a_reader_leaves_a_live_save_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))

    def look(place: str) -> None:
        if place == "model_written":
            assert_whole(Checkpoints(tmp_path).latest(), 1)

    monkeypatch.setattr("senet.lab.checkpoint.failpoint", look)
    checkpoints.save(2, **contents(2))
    assert_whole(checkpoints.latest(), 2)


def flip_a_bit(data: bytearray, chance: random.Random) -> None:
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def cut(data: bytearray, chance: random.Random) -> None:
    del data[chance.randrange(len(data)) :]


def zero_a_page(data: bytearray, chance: random.Random) -> None:
    page = 4096 * chance.randrange((len(data) + 4095) // 4096)
    size = len(data[page : page + 4096])
    data[page : page + size] = bytes(size)


@pytest.mark.parametrize("harm", [flip_a_bit, cut, zero_a_page])
def test_bit_rot_is_found_and_the_previous_checkpoint_is_used(
    tmp_path: Path, harm: Callable[[bytearray, random.Random], None]
) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        checkpoints.save(step, **contents(step))
    chance = random.Random(0)
    found = 0
    for trial in range(300):
        file = tmp_path / "step-00000002" / FILES[trial % 3]
        good = file.read_bytes()
        bad = bytearray(good)
        harm(bad, chance)
        assert bad != good
        file.write_bytes(bad)
        with pytest.warns(CheckpointWarning, match="step-00000002") as caught:
            assert_whole(checkpoints.latest(), 1)
        found += len(caught) == 1
        file.write_bytes(good)
    assert found == 300
    assert_whole(checkpoints.latest(), 2)


def test_when_none_is_whole_that_is_an_error(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        path = checkpoints.save(step, **contents(step))
        (path / "state.pt").unlink()
    with pytest.warns(CheckpointWarning) as caught, pytest.raises(CheckpointError, match="none of 2 checkpoints"):
        checkpoints.latest()
    assert len(caught) == 2
    assert CheckpointError.exit_code == 4


def test_a_whole_checkpoint_under_another_name_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1)).rename(tmp_path / "step-00000009")
    with pytest.warns(CheckpointWarning), pytest.raises(CheckpointError, match="none of 1"):
        checkpoints.latest()


def test_a_newer_format_is_passed_over_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    monkeypatch.setattr("senet.lab.checkpoint.FORMAT", 2)
    checkpoints.save(2, **contents(2))
    monkeypatch.undo()
    with pytest.warns(CheckpointWarning, match="format 2, this senet reads 1"):
        assert_whole(checkpoints.latest(), 1)


def test_a_full_disk_leaves_the_previous_checkpoint_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    for limit in (10_000, 500_000):  # in the weights, in the state
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(StorageError, match="no space left") as caught:
                checkpoints.save(2, **contents(2, 100_000 if limit < 20_000 else 130_000))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert "step-00000002: cannot write " in str(caught.value)
        assert " bytes: no space" in str(caught.value)
        assert names(tmp_path) == ["step-00000001"]
        assert_whole(checkpoints.latest(), 1)


@pytest.mark.parametrize("step", [1, 2])
def test_a_small_disk_leaves_the_previous_checkpoint_and_nothing_else(tmp_path: Path, step: int) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        checkpoints = Checkpoints(folder)
        checkpoints.save(1, **contents(1))
        with pytest.raises(StorageError, match="no space left on the disk"):
            checkpoints.save(step, **contents(2, 40_000))
        assert names(folder) == ["step-00000001"]
        assert_whole(checkpoints.latest(), 1)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        with pytest.raises(StorageError, match="mounted read-only"):
            checkpoints.save(2, **contents(2))
        with pytest.raises(StorageError, match="mounted read-only"):
            checkpoints.clear()
        assert_whole(Checkpoints(folder).latest(), 1)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_stop_in_the_middle_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    for place in FAILPOINTS:
        if place in ("mid_write", "after_rename", "before_prune", "mid_prune", "after_prune"):
            continue

        def interrupt(name: str, place: str = place) -> None:
            if name == place:
                raise KeyboardInterrupt

        monkeypatch.setattr("senet.lab.checkpoint.failpoint", interrupt)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(1, **contents(5))
        monkeypatch.undo()
        assert names(tmp_path) == ["step-00000001"]
        assert_whole(checkpoints.latest(), 1)


@pytest.mark.parametrize("name", ["a b", "größe 数据", "x" * 200, "new\nline", "link"])
def test_odd_places_work(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    if name == "link":
        (tmp_path / "real").mkdir()
        folder.symlink_to("real")
    before = os.umask(0o077)
    try:
        checkpoints = Checkpoints(folder, keep=1)
        for step in (1, 2, 2):
            checkpoints.save(step, **contents(step))
            assert_whole(checkpoints.latest(), step)
    finally:
        os.umask(before)
    assert names(folder) == ["step-00000002"]
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))


def test_a_checkpoint_that_goes_while_it_is_read_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import senet.lab.checkpoint as module

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    read = module._read

    def overtaken(path: Path) -> Checkpoint:
        if path.name == "step-00000001":
            checkpoints.save(2, **contents(2))
            shutil.rmtree(path)
        return read(path)

    monkeypatch.setattr(module, "_read", overtaken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_whole(checkpoints.latest(), 2)
