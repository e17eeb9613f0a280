"""Checkpoints against kills, bit rot, full disks and odd places."""

import hashlib
import io
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from senet.errors import CheckpointError, SpecError, StorageError
from senet.training.checkpoint import FAILPOINTS, Checkpoint, Checkpoints, CheckpointWarning
from senet.training.packing import pack


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
    return sorted(path.name for path in folder.iterdir())


def test_a_checkpoint_comes_back_and_older_ones_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    assert checkpoints.latest() is None
    for step in (0, 3, 123):
        path = checkpoints.save(step, **contents(step))
        found = Checkpoints(checkpoints.folder).latest()
        assert found is not None
        assert found.path == path
        assert_whole(found, step)
    assert names(checkpoints.folder) == ["step-00000003.pt", "step-00000123.pt"]
    assert torch.load(path, weights_only=True)["step"] == 123  # an ordinary file of torch
    checkpoints.clear()
    assert not checkpoints.folder.exists()
    assert checkpoints.latest() is None
    Checkpoints(tmp_path / "none").clear()
    assert not (tmp_path / "none").exists()


def test_a_folder_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    with pytest.raises(StorageError, match="the folder is missing"):
        checkpoints.save(1, **contents(1))
    assert not (tmp_path / "run").exists()


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
        assert got.stride() == tensor.stride()
        assert got.numpy(force=True).tobytes() == tensor.numpy(force=True).tobytes() if name != "half" else True
    assert torch.equal(found.weights["half"], weights["half"])
    found.weights["tied"].zero_()
    assert not found.weights["view"].any()  # what shared memory shares it again
    assert found.weights["base"].data_ptr() == found.weights["tied"].data_ptr() != base.data_ptr()


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
        ({"deep": [(torch.zeros(2, dtype=torch.uint16),)]}, r"state\.deep\[0\]\[0\] is torch.strided torch.uint16"),
        ({"meta": torch.empty(2, device="meta")}, "state.meta is torch.strided torch.float32 on meta"),
        ({"complex": torch.zeros(2, dtype=torch.complex64)}, "state.complex is torch.strided torch.complex64"),
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
    with pytest.raises(SpecError, match=r"weights\.w is torch.sparse_coo"):
        Checkpoints(tmp_path).save(1, weights={"w": torch.eye(2).to_sparse()}, state={})


def test_checkpoints_of_a_future_that_was_given_up_go(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 5, 9, 6):
        checkpoints.save(step, **contents(step))
    assert names(tmp_path) == ["step-00000005.pt", "step-00000006.pt"]


# One process imports torch and forks the victims: real processes, real SIGKILL, one import.
VICTIMS = """
import ast, os, signal, sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from senet.training.checkpoint import Checkpoints
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


@pytest.mark.parametrize(("new", "keep"), [(2, 1), (3, 1), (3, 2)])
@pytest.mark.parametrize("place", FAILPOINTS)
def test_a_kill_anywhere_leaves_the_previous_checkpoint_or_the_new_one(
    tmp_path: Path, victims: Callable[..., int], place: str, new: int, keep: int
) -> None:
    folder = tmp_path / "run"
    for step in (1, 2):
        Checkpoints(folder, keep=keep).save(step, **contents(step))
    code = victims(folder, place, keep=keep, steps=[new])  # step 2 is there already, 3 is not
    reached = new == 3 or place != "mid_prune"  # what is replaced is not pruned
    assert code == (-signal.SIGKILL if reached else 0)
    found = Checkpoints(folder, keep=keep).latest()
    assert found is not None
    replaced = not reached or place in ("after_replace", "before_prune", "mid_prune", "after_prune")
    assert_whole(found, new if replaced else 2)
    Checkpoints(folder, keep=keep).save(4, **contents(4))
    assert_whole(Checkpoints(folder, keep=keep).latest(), 4)
    strays = [name for name in names(folder) if not name.startswith("step-")]  # removed with the run folder's others
    assert len(strays) == (place in ("mid_write", "before_replace"))
    assert len(names(folder)) == keep + len(strays)


@pytest.mark.parametrize("seed", range(30))
def test_a_kill_at_any_time_loses_no_checkpoint(tmp_path: Path, victims: Callable[..., int], seed: int) -> None:
    Checkpoints(tmp_path, keep=1).save(0, **contents(0))
    wait = random.Random(seed).uniform(0.005, 0.06)
    assert victims(tmp_path, "", keep=1, steps=list(range(1, 1000)), wait=wait) == -signal.SIGKILL
    checkpoints = Checkpoints(tmp_path, keep=1)
    found = checkpoints.latest()
    assert found is not None
    assert_whole(found, found.step)
    checkpoints.save(found.step + 1, **contents(found.step + 1))
    assert [name for name in names(tmp_path) if not name.startswith(".tmp-")] == [f"step-{found.step + 1:08d}.pt"]


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
    file = tmp_path / "step-00000002.pt"
    good = file.read_bytes()
    for _ in range(100):
        bad = bytearray(good)
        harm(bad, chance)
        assert bad != good
        file.write_bytes(bad)
        with pytest.warns(CheckpointWarning, match=r"step-00000002.* agree with its own SHA-256") as caught:
            assert_whole(checkpoints.latest(), 1)
        assert len(caught) == 1
    file.write_bytes(good)
    assert_whole(checkpoints.latest(), 2)


def test_when_none_is_whole_that_is_an_error(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in (1, 2):
        path = checkpoints.save(step, **contents(step))
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(CheckpointWarning) as caught, pytest.raises(CheckpointError, match="none of 2 checkpoints"):
        checkpoints.latest()
    assert len(caught) == 2
    assert CheckpointError.exit_code == 4


def test_a_whole_checkpoint_under_another_name_is_refused(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1)).rename(tmp_path / "step-00000009.pt")
    with pytest.warns(CheckpointWarning), pytest.raises(CheckpointError, match="none of 1"):
        checkpoints.latest()


def test_a_newer_format_is_skipped_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    monkeypatch.setattr("senet.training.checkpoint.FORMAT", 3)
    checkpoints.save(2, **contents(2))
    monkeypatch.undo()
    with pytest.warns(CheckpointWarning, match="format 3 and step 2; this senet reads format 2"):
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
        assert "step-00000002.pt: cannot write " in str(caught.value)
        assert " bytes: no space" in str(caught.value)
        assert names(tmp_path) == ["step-00000001.pt"]
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
        assert names(folder) == ["step-00000001.pt"]
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
        if place not in ("before_save", "mid_write", "before_replace"):
            continue

        def interrupt(name: str, place: str = place) -> None:
            if name == place:
                raise KeyboardInterrupt

        for module in ("training.checkpoint", "files.atomic"):
            monkeypatch.setattr(f"senet.{module}.failpoint", interrupt)
        monkeypatch.setenv("SENET_FAILPOINT", place)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(1, **contents(5))
        monkeypatch.undo()
        assert names(tmp_path) == ["step-00000001.pt"]
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
    assert names(folder) == ["step-00000002.pt"]
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.rglob("*"))


def test_a_checkpoint_that_goes_while_it_is_read_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import senet.training.checkpoint as module

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    read = module.read_checkpoint

    def overtaken(path: Path) -> Checkpoint:
        if path.name == "step-00000001.pt":
            checkpoints.save(2, **contents(2))
            path.unlink()
        return read(path)

    monkeypatch.setattr(module, "read_checkpoint", overtaken)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_whole(checkpoints.latest(), 2)


def sealed(zipped: bytes) -> bytes:
    """Return a zip with the digest that a checkpoint carries."""
    body = zipped[:-2]
    return body + struct.pack("<H", 64) + hashlib.sha256(body).hexdigest().encode()


def forged(pickle: bytes = b"", *, compression: int = zipfile.ZIP_STORED, twice: bool = False) -> bytes:
    """Return a checkpoint whose digest is right, with another pickle, another compression, or an entry twice."""
    made = io.BytesIO(bytes(pack({"format": 2, "step": 1, "weights": {}, "state": {"zeros": torch.zeros(2**20)}})))
    forgery = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(made) as real, zipfile.ZipFile(forgery, "w", compression) as false:
        warnings.simplefilter("ignore")  # of a name twice
        for entry in real.infolist():
            is_pickle = entry.filename.endswith("data.pkl")
            for _ in range(1 + (twice and is_pickle)):
                false.writestr(entry.filename, pickle if pickle and is_pickle else real.read(entry))
    return sealed(forgery.getvalue())


HUGE = b"J\x00\x00\x00\x7f\x85R."  # called with 2 ** 31 less a little


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        (forged(compression=zipfile.ZIP_DEFLATED), "its zip is compressed"),
        (forged(twice=True), "two entries of one name"),
        (forged(b"\x80\x02cbuiltins\nbytearray\n" + HUGE), "names builtins bytearray"),
        (forged(b"\x80\x02ctorch\nFloatTensor\n" + HUGE), "names torch FloatTensor"),
        (forged(b"\x80\x02ctorch.storage\nUntypedStorage\n" + HUGE), "names torch.storage UntypedStorage"),
        (forged(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R."), "names posix system"),
        (forged(b"\x80\x02N."), "holds a NoneType, not a dict"),
        (forged(b"\x80\x02}."), "it lacks 'format'"),
        (sealed(b"no zip at all"), "not a zip"),
    ],
)
def test_a_forged_checkpoint_with_a_right_digest_is_refused_before_memory_is_spent(
    forgery: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "step-00000001.pt").write_bytes(forgery)
    tracemalloc.start()
    try:
        with pytest.warns(CheckpointWarning, match=reason), pytest.raises(CheckpointError, match="none of 1"):
            Checkpoints(tmp_path).latest()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 * 2**20  # 4 MB of zeros in the largest


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_not_a_file_is_skipped(tmp_path: Path, make: Callable[[Path], None]) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, **contents(1))
    make(tmp_path / "step-00000002.pt")
    with pytest.warns(CheckpointWarning, match="not a regular file"):
        assert_whole(checkpoints.latest(), 1)
