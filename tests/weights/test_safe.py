"""Untrusted weights files: valid ones load, hostile ones neither execute code nor fill the memory."""

import argparse
import contextlib
import io
import json
import os
import pickle
import struct
import sys
import tarfile
import time
import types
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from senet.errors import CheckpointError
from senet.weights.opcodes import Opcodes
from senet.weights.safe import read_weights

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def weights() -> dict[str, Tensor]:
    torch.manual_seed(0)
    tensor = torch.randn(4, 3, 3, 3)
    return {
        "conv.weight": tensor.to(memory_format=torch.channels_last),
        "tied.weight": tensor,
        "bn.running_mean": tensor.flatten()[2:7],
        "bn.num_batches_tracked": torch.tensor(3),
        "half": tensor.half(),
        "bf16": tensor.bfloat16(),
        "empty": torch.empty(0, 2),
    }


def shapes(tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def assert_equal(got: dict[str, Tensor], wanted: dict[str, Tensor]) -> None:
    assert got.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert type(got[name]) is Tensor
        assert got[name].dtype == tensor.dtype
        assert got[name].is_contiguous()
        assert torch.equal(got[name], tensor)


def test_safetensors_come_through(tmp_path: Path) -> None:
    path = tmp_path / "größe a.safetensors"
    wanted = {name: tensor.clone().contiguous() for name, tensor in weights().items()}
    safetensors.torch.save_file(wanted, path, metadata={"format": "pt"})
    assert_equal(read_weights(path), wanted)
    assert_equal(read_weights(path, expected=shapes(wanted)), wanted)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".pth.tar", ".PT"])
@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_state_dicts_come_through(tmp_path: Path, suffix: str, zipped: bool) -> None:
    path = tmp_path / f"model{suffix}"
    torch.save(OrderedDict(weights()), path, _use_new_zipfile_serialization=zipped)
    got = read_weights(path, expected=shapes(weights()))
    assert_equal(got, weights())
    path.write_bytes(b"")  # nothing that was read hangs on the file
    assert_equal(got, weights())


@pytest.mark.parametrize("zipped", [True, False])
def test_state_dicts_of_modules_and_parameters_come_through(tmp_path: Path, zipped: bool) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    for tensors in (net.state_dict(), dict(net.named_parameters())):
        torch.save(tensors, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
        assert_equal(read_weights(tmp_path / "a.pt"), {name: tensor.detach() for name, tensor in tensors.items()})


@pytest.mark.parametrize("zipped", [True, False])
def test_the_state_dict_is_found_in_a_training_checkpoint(tmp_path: Path, zipped: bool) -> None:
    other = {"x": torch.zeros(1)}
    content: dict[str, Any] = {"epoch": 3, "arch": "se", "best": 0.5, "optimizer": {"state": {0: other}}}
    for name in ("net", "model", "model_state_dict", "state_dict", "ema_state_dict", "model_ema", "state_dict_ema"):
        content = {**content, name: weights()}
        torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
        assert_equal(read_weights(tmp_path / "a.pth", expected=shapes(weights())), weights())
        content[name] = other  # the next name goes before this one
    content["state_dict_ema"] = None
    torch.save(content, tmp_path / "a.pth")
    assert_equal(read_weights(tmp_path / "a.pth"), other)


class AttributeDict(dict[str, Any]):
    """Lightning's class for hyperparameters."""


AttributeDict.__module__, AttributeDict.__qualname__ = "lightning.fabric.utilities.data", "AttributeDict"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    "beside",
    [
        {"args": argparse.Namespace(lr=0.1, data_dir=Path("/data"), betas=(0.9, 0.999))},  # timm's train script
        {"metric": np.float64(79.1), "best": np.float32(1), "rng": b"state", "when": {1: {2: [None, "x"]}}},
        {"optimizer": {"param_groups": [{"betas": pair} for pair in [(0.9, 0.99)] * 300]}, "step": torch.tensor(3)},
    ],
)
def test_weights_are_taken_from_beside_plain_values(tmp_path: Path, beside: dict[str, Any], zipped: bool) -> None:
    torch.save({**beside, "state_dict": weights()}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert_equal(read_weights(tmp_path / "a.pth", expected=shapes(weights())), weights())


def test_weights_are_taken_from_a_checkpoint_of_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = types.ModuleType(AttributeDict.__module__)
    home.AttributeDict = AttributeDict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, home.__name__, home)
    monkeypatch.setitem(sys.modules, "lightning", types.ModuleType("lightning"))
    content = {"hyper_parameters": AttributeDict(lr=0.1), "callbacks": {"EarlyStopping{'a': 1}": {"wait": 0}}}
    torch.save({**content, "state_dict": weights()}, tmp_path / "last.ckpt")
    monkeypatch.delitem(sys.modules, home.__name__)
    assert_equal(read_weights(tmp_path / "last.ckpt"), weights())


@pytest.mark.parametrize("content", [torch.nn.Linear(2, 2), {"model": torch.nn.Sequential(torch.nn.ReLU())}])
def test_a_saved_network_is_refused_in_a_short_sentence(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "yolo.pt")
    with pytest.raises(
        CheckpointError, match=r"save only the state dict: torch\.save\(model\.state_dict\(\)"
    ) as caught:
        read_weights(tmp_path / "yolo.pt")
    assert len(str(caught.value)) - len(str(tmp_path)) < 400


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "module._orig_mod."])
def test_prefixes_go_only_when_all_names_carry_them(tmp_path: Path, prefix: str) -> None:
    for path, save in ((tmp_path / "a.pt", torch.save), (tmp_path / "a.safetensors", safetensors.torch.save_file)):
        save({prefix + name: tensor.clone().contiguous() for name, tensor in weights().items()}, path)
        assert_equal(read_weights(path, expected=shapes(weights())), weights())
        save({"a": torch.ones(1), prefix + "b": torch.ones(1)}, path)
        assert sorted(read_weights(path)) == sorted(["a", prefix + "b"])


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ({"a": torch.ones(1), "epoch": 3}, "'epoch' is of type int"),
        ({"model": {"a": torch.ones(1), "b": None}}, "'b' is of type NoneType"),
        ({"model": {}}, "it holds no tensors"),
        ({}, "it holds no tensors"),
        ([torch.ones(1)], "it holds a list"),
        (torch.ones(1), "it holds a Tensor, not a dict"),
        ({1: torch.ones(1)}, "1 is of type"),
        ({(1, 2): torch.ones(1)}, r"\(1, 2\) is of type Tensor"),
        ({"a": torch.ones(1).to_sparse()}, "_rebuild_sparse_tensor"),
        ({"a": torch.nn.Linear(1, 1)}, "torch.nn.modules.linear.Linear"),
        ({"when": __import__("datetime").date(2020, 1, 1), "model": {"a": torch.ones(1)}}, "datetime.date"),
        ({"lr": __import__("fractions").Fraction(1, 2), "model": {"a": torch.ones(1)}}, "fractions.Fraction"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source")
def test_other_contents_are_refused(tmp_path: Path, content: object, word: str, zipped: bool) -> None:
    torch.save(content, tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=word) as caught:
        read_weights(tmp_path / "a.pt")
    assert str(caught.value).startswith(str(tmp_path / "a.pt"))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_another_network_is_refused_before_its_values_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save = torch.save if suffix == ".pt" else safetensors.torch.save_file
    save({"a": torch.ones(2, 3)}, path)
    for expected, word in (
        ({"a": (2, 3), "b": (1,)}, "lacks 'b'"),
        ({"a": (3, 2)}, r"'a' has shape \(2, 3\), expected \(3, 2\)"),
        ({}, "holds 'a', which is not expected"),
    ):
        with pytest.raises(CheckpointError, match=word):
            read_weights(path, expected=expected)
    with pytest.raises(CheckpointError, match="would take 24 bytes; at most 23"):
        read_weights(path, budget_bytes=23)
    assert list(read_weights(path, budget_bytes=24)) == ["a"]


def test_what_is_no_weights_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"x")
    (tmp_path / "folder.pt").mkdir()
    os.mkfifo(tmp_path / "pipe.pt")
    for name, word in (
        ("a.npz", "'.npz' is not supported; use one of: .safetensors"),
        ("none.pt", "does not exist"),
        ("folder.pt", "does not exist"),
        ("pipe.pt", "does not exist"),
    ):
        with pytest.raises(CheckpointError, match=word):
            read_weights(tmp_path / name)
    for suffix in (".pt", ".safetensors"):
        for data in (b"", b"x", b"\x80", b"<html>404</html>", b"PK\x03\x04", bytes(1000), b"version https://git-lfs\n"):
            path = tmp_path / f"a{suffix}"
            path.write_bytes(data)
            with pytest.raises(CheckpointError, match=path.name):
                read_weights(path)


class Call:
    """Pickled as a call of `function`, with a state and items when they are given."""

    def __init__(self, function: Callable[..., Any], *arguments: Any, state: Any = None, items: Any = None) -> None:
        self.parts = (function, arguments, state, items)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.parts


def by_hand(module: str, name: str, argument: str, *, head: bytes = b"\x80\x02") -> bytes:
    """A call that pickle itself could not be brought to write, as the module cannot do that."""
    return (
        head + f"c{module}\n{name}\n".encode() + b"X" + struct.pack("<I", len(argument)) + argument.encode() + b"\x85R."
    )


def stack_global(module: bytes, name: bytes, argument: bytes) -> bytes:
    texts = [b"\x8c" + bytes([len(text)]) + text + b"\x94" for text in (module, name)]
    return b"\x80\x04" + b"".join(texts) + b"\x93" + b"\x8c" + bytes([len(argument)]) + argument + b"\x85R."


def malicious(canary: Path) -> dict[str, tuple[bytes, str]]:
    """Pickles that would make the canary, and the name that the refusal must give."""
    shell = f"touch '{canary}'"
    code = f"open({str(canary)!r}, 'w').close()"
    good = weights()
    system, evil = "posix.system", Call(os.system, shell)
    found: dict[str, tuple[bytes, str]] = {}
    for protocol in range(6):
        found[f"system, protocol {protocol}"] = pickle.dumps(evil, protocol), system
        found[f"eval in a state dict, protocol {protocol}"] = (
            pickle.dumps({"a": 1, "b": Call(eval, code)}, protocol),
            "__builtin__.eval" if protocol < 3 else "builtins.eval",
        )
    deep: Any = evil
    for _ in range(200):
        deep = [deep]
    exec_name = "__builtin__.exec"
    for name, value, word in (
        ("exec", Call(exec, code), exec_name),
        ("as a key", OrderedDict([(Call(os.system, shell), 1)]), system),
        ("in a tuple in a list", {"model": [(1, evil)]}, system),
        ("very deep", deep, system),
        ("memoised", {"a": evil, "b": evil, "c": [evil]}, system),
        ("in the state of an OrderedDict", Call(OrderedDict, state={"_metadata": evil}), system),
        ("in the arguments of a good call", Call(OrderedDict, [["a", evil]]), system),
        ("in the items", Call(list, items=iter([evil])), system),
        ("setstate", Call(Counter, state=evil), system),
        ("spawn", Call(os.spawnlp, os.P_WAIT, "sh", "sh", "-c", shell), "os.spawnlp"),
        ("subprocess", Call(__import__("subprocess").check_call, ["sh", "-c", shell]), "check_call"),
        ("getattr", Call(getattr, evil, "real"), system),
        ("map", Call(list, Call(map, exec, [code])), exec_name),
        ("pickle in a pickle", Call(pickle.loads, pickle.dumps(evil, 0)), "pickle.loads"),
        ("compile", Call(eval, Call(compile, code, "x", "exec")), "__builtin__.compile"),
        (
            "breakpoint of timeit",
            Call(__import__("timeit").timeit, code, "pass", time.perf_counter, 1),
            "timeit.timeit",
        ),
        (
            "torch's own eval",
            Call(__import__("torch.utils.collect_env").utils.collect_env.run, shell),
            "collect_env.run",
        ),
        ("beside good tensors", {"args": evil, "n": {name: tensor.tolist() for name, tensor in good.items()}}, system),
    ):
        found[name] = pickle.dumps(value, 2), word
    found["INST"] = b"(S" + repr(shell).encode() + b"\nios\nsystem\n.", "os.system"
    found["OBJ"] = b"(cos\nsystem\nS" + repr(shell).encode() + b"\no.", "os.system"
    found["protocol 0 by hand"] = b"cos\nsystem\n(S" + repr(shell).encode() + b"\ntR.", "os.system"
    found["no PROTO"] = by_hand("os", "system", shell, head=b""), "os.system"
    found["after a popped value"] = by_hand("os", "system", shell, head=b"\x80\x02K\x010"), "os.system"
    found["memoised GLOBAL"] = (
        b"\x80\x02cos\nsystem\nq\x000h\x00X" + struct.pack("<I", len(shell)) + shell.encode() + b"\x85R.",
        "os.system",
    )
    found["STACK_GLOBAL"] = stack_global(b"os", b"system", shell.encode()), "os.system"
    found["STACK_GLOBAL with dots"] = stack_global(b"os", b"path.os.system", shell.encode()), "os.path.os.system"
    found["a name with dots"] = by_hand("os", "path.os.system", shell, head=b"\x80\x04"), "os.path.os.system"
    found["an alias of torch"] = by_hand("torch.serialization", "os.system", shell, head=b"\x80\x04"), "os.system"
    found["a good name first"] = (
        b"\x80\x02ccollections\nOrderedDict\n)R0" + by_hand("os", "system", shell)[2:],
        "os.system",
    )
    return found


def legacy(pickled: bytes, *, place: int = 3) -> bytes:
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True}, {}, [])]
    parts[place] = pickled
    return b"".join(parts)


def old_file(pickled: bytes, values: bytes, *, elements: int | None = None) -> bytes:
    """A file of before torch 1.6 whose only storage is called 0 and holds float32."""
    parts = [pickle.dumps(part, 2) for part in (MAGIC, PROTOCOL, {"little_endian": True})]
    count = len(values) // 4 if elements is None else elements
    return b"".join([*parts, pickled, pickle.dumps(["0"], 2), struct.pack("<q", count), values])


def zipped(pickled: bytes, *, folder: str = "archive", how: int = zipfile.ZIP_STORED, **more: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", how) as archive:
        archive.writestr(f"{folder}/data.pkl", pickled)
        for name, data in {"version": b"3\n", **more}.items():
            archive.writestr(f"{folder}/{name.replace('__', '/')}", data)
    return file.getvalue()


def in_tar(pickled: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name in ("storages", "tensors", "pickle"):
            info = tarfile.TarInfo(name)
            info.size = len(pickled)
            archive.addfile(info, io.BytesIO(pickled))
    return file.getvalue()


def test_no_malicious_pickle_runs_and_each_is_named(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    payloads = malicious(canary)
    files = 0
    for name, (pickled, word) in payloads.items():
        wrapped = {
            "bare": pickled,
            "legacy": legacy(pickled),
            "legacy head": legacy(pickled, place=files % 3),
            "legacy keys": legacy(pickled, place=4),
            "zip": zipped(pickled),
            "nested zip": zipped(pickle.dumps({}, 2), data__0=zipped(pickled), evil__pkl=pickled),
            "tar": in_tar(pickled),
        }
        for how, data in wrapped.items():
            path = tmp_path / f"a{('.pt', '.pth', '.bin', '.ckpt', '.pth.tar')[files % 5]}"
            path.write_bytes(data)
            with pytest.raises(CheckpointError) as caught:
                read_weights(path)
            text = str(caught.value)
            assert text.startswith(str(path))
            assert how in ("nested zip", "tar") or word in text, f"{name}, {how}: {text}"
            assert not canary.exists(), f"{name}, {how}"
            files += 1
    assert len(payloads) >= 30
    assert files == 7 * len(payloads)


def test_the_malicious_pickles_bite(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    for name, (pickled, _) in malicious(canary).items():
        with contextlib.suppress(
            TypeError, AttributeError, ValueError, pickle.UnpicklingError
        ):  # afterwards: the call has come first
            pickle.loads(pickled)
        assert canary.exists(), name
        canary.unlink()


def test_names_in_a_refusal_are_harmless_to_a_terminal() -> None:
    for pickled, said in (
        (b"\x80\x02c\x1b[31mos\nsystem\n.", "it names \\x1b[31mos.system, and"),
        (b"c" + b"x" * 9000 + b"\ny\n.", f"it names {'x' * 80}, and"),
    ):
        with pytest.raises(CheckpointError) as caught:
            Opcodes().check(pickled, count=1)
        assert said in str(caught.value)


def peak_rise(action: Callable[[], None]) -> int:
    """Return by how much the memory of this process rises while it acts [bytes]."""
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    except OSError:
        pytest.skip("the peak of the memory cannot be reset here")

    def read(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith(name)).split()[1])

    before = read("VmRSS")
    action()
    return read("VmHWM") - before


def storage(key: str, elements: int, *, kind: str = "FloatStorage", tail: bytes = b"") -> bytes:
    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    number = b"\x8a\x08" + struct.pack("<q", elements)
    return b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu") + number + tail + b"tQ"


def tensor(stored: bytes, shape: tuple[int, ...], stride: tuple[int, ...], *, offset: int = 0) -> bytes:
    def numbers(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"

    rest = numbers((offset,))[1:-1] + numbers(shape) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + stored + rest + b"tR"


def state_dict(*tensors: bytes) -> bytes:
    items = b"".join(b"X" + struct.pack("<I", 8) + f"{i:08d}".encode() + t for i, t in enumerate(tensors))
    return b"\x80\x02}(" + items + b"u."


def with_safetensors_header(header: bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def tuples_of_tuples() -> bytes:
    return b"\x80\x02}N\x85q\x00" + b"h\x00\x86q\x00" * 60 + b"K\x01s."


def hex_of_hex() -> bytes:
    call = b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x06\x00\x00\x00latin1\x86R"
    for _ in range(40):
        call = b"c_codecs\nencode\n" + call + b"X\x03\x00\x00\x00hex\x86R"
    return b"\x80\x02" + call + b"."


def two_pickles() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("b/data.pkl", state_dict(tensor(storage("0", 1), (10**6, 10**6), (0, 0))))
        archive.writestr("a/data.pkl", state_dict())
        archive.writestr("b/data/0", bytes(4))
    return file.getvalue()


def overlapping_entries() -> bytes:
    data = bytearray(zipped(b"\x80\x02}.", data__0=bytes(100_000)))
    start = data.rindex(b"PK\x01\x02")  # the directory entry of the last one
    end = data.rindex(b"PK\x05\x06")
    entry = data[start:end]
    copies = b"".join(entry.replace(b"data/0", f"data/{n}".encode()) for n in range(1, 9))
    size, total = struct.unpack_from("<I", data, end + 12)[0] + len(copies), 3 + 8
    struct.pack_into("<HHI", data, end + 8, total, total, size)
    return bytes(data[:end] + copies + data[end:])


def huge_directory() -> bytes:
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 4) + bytes(16) + b"a/xx"
    directory = entry * 150_000
    return b"PK\x03\x04" + bytes(26) + directory + b"PK\x05\x06" + bytes(8) + struct.pack("<IIH", len(directory), 30, 0)


def deep_json() -> bytes:
    return with_safetensors_header(b'{"a":' + b"[" * 100_000)


EXPANDED = tensor(storage("0", 1), (10**6, 10**6), (0, 0))
BOMBS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "expanded": (".pt", lambda: zipped(state_dict(EXPANDED), data__0=bytes(4)), "would take 4,000,000,000,000 bytes"),
    "expanded in an old file": (
        ".pt",
        lambda: old_file(state_dict(tensor(storage("0", 1, tail=b"N"), (10**6, 10**6), (0, 0))), bytes(4)),
        "would take 4,000,000,000,000",
    ),
    "many views": (
        ".pt",
        lambda: zipped(state_dict(*[tensor(storage("0", 10**5), (10**5,), (1,))] * 999), data__0=bytes(4 * 10**5)),
        "would take 399,600,000 bytes",
    ),
    "shape of 2^400": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", 1), (2**62,) * 60, (0,) * 60)), data__0=bytes(4)),
        "overflow",
    ),
    "beyond its storage": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", 1), (2,), (1,))), data__0=bytes(4)),
        "not resizable|reaches beyond",
    ),
    "far beyond its storage": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", 1), (1,), (1,), offset=2**40)), data__0=bytes(4)),
        "not resizable|reaches beyond",
    ),
    "below its storage": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", 9), (2,), (-1,))), data__0=bytes(36)),
        "overflowed|reaches beyond",
    ),
    "storage longer than its entry": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", 2**38), (1,), (1,))), data__0=bytes(4)),
        "that it does not contain",
    ),
    "storage of negative length": (
        ".pt",
        lambda: zipped(state_dict(tensor(storage("0", -8), (1,), (1,))), data__0=bytes(4)),
        "not resizable|reaches beyond",
    ),
    "storage of a terabyte in an old file": (
        ".pt",
        lambda: old_file(state_dict(tensor(storage("0", 2**38, tail=b"N"), (1,), (1,))), bytes(4), elements=2**38),
        "damaged",
    ),
    "storage of 4 GB in an old file": (
        ".pt",
        lambda: old_file(state_dict(tensor(storage("0", 2**30, tail=b"N"), (1,), (1,))), bytes(4), elements=2**30),
        "damaged",
    ),
    "values of another length in an old file": (
        ".pt",
        lambda: old_file(state_dict(tensor(storage("0", 2**30, tail=b"N"), (1,), (1,))), bytes(4)),
        "damaged",
    ),
    "storage that is called": (
        ".pt",
        lambda: zipped(b"\x80\x02ctorch\nFloatStorage\nJ\xff\xff\xff\x7f\x85R."),
        "not callable",
    ),
    "tensor that is called": (
        ".pt",
        lambda: zipped(b"\x80\x02ctorch\nTensor\nJ\xff\xff\xff\x7f\x85R."),
        "torch.Tensor",
    ),
    "bytearray": (
        ".pt",
        lambda: zipped(b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R."),
        "builtins.bytearray",
    ),
    "hex of hex": (".pt", lambda: zipped(hex_of_hex()), "_codecs.encode"),
    "a key that takes for ever to hash": (".pt", lambda: zipped(tuples_of_tuples()), "nests tuples too deeply"),
    "deflated": (
        ".pt",
        lambda: zipped(state_dict(), how=zipfile.ZIP_DEFLATED, data__0=bytes(2**28)),
        "is compressed, which torch.save never does",
    ),
    "overlapping entries": (".pt", overlapping_entries, "overlap"),
    "two pickles": (".pt", two_pickles, "more than one folder"),
    "huge directory": (".pt", huge_directory, "directory has 7,500,000 bytes"),
    "10^6 tensors": (".pt", lambda: zipped(state_dict(*[b"N"] * 10**6)), "pickle has"),
    "10^6 steps": (".pt", lambda: zipped(b"\x80\x02(" + b"}" * (10**6) + b"t."), "more than 400,000 opcodes"),
    "10^6 memos": (
        ".pt",
        lambda: zipped(b"\x80\x02" + b"".join(b"}r" + struct.pack("<I", n) for n in range(500_000))),
        "it holds a dict|damaged|broken|more than",
    ),
    "deep lists": (".pt", lambda: zipped(b"\x80\x02" + b"](" * 190_000 + b"e" * 190_000 + b"."), "it holds a list"),
    "text of 4 GB": (".pt", lambda: zipped(b"\x80\x02X\xff\xff\xff\xff."), "broken"),
    "number of 4 GB": (".pt", lambda: zipped(b"\x80\x02\x8b\xff\xff\xff\x7f."), "broken"),
    "TorchScript": (
        ".pt",
        lambda: zipped(b"\x80\x02}.", constants__pkl=b"x").replace(b"s/pkl", b"s.pkl"),
        "TorchScript",
    ),
    "header of 2^60": (".safetensors", lambda: with_safetensors_header(b"{}", length=2**60), "header declares"),
    "header of 90 MB": (
        ".safetensors",
        lambda: with_safetensors_header(b"{}".ljust(90 * 2**20)),
        "header declares 94,371",
    ),
    "deep header": (".safetensors", deep_json, "damaged"),
    "header of lists": (
        ".safetensors",
        lambda: with_safetensors_header(b'{"a":[' + b"[]," * 600_000 + b"[]]}"),
        "damaged",
    ),
    "tensor of a terabyte": (
        ".safetensors",
        lambda: with_safetensors_header(
            b'{"a":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,1099511627776]}}'
        ),
        "would take 1,099,511,627,776 bytes",
    ),
    "offsets that lie": (
        ".safetensors",
        lambda: with_safetensors_header(b'{"a":{"dtype":"F32","shape":[274877906944],"data_offsets":[0,4]}}', bytes(4)),
        "damaged",
    ),
    "overlapping tensors": (
        ".safetensors",
        lambda: with_safetensors_header(
            json.dumps({f"{n}": {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for n in range(3)}).encode(),
            bytes(8),
        ),
        "damaged",
    ),
    "negative offsets": (
        ".safetensors",
        lambda: with_safetensors_header(b'{"a":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}}', bytes(8)),
        "damaged",
    ),
}


SLOW_BOMBS = ("10^6 steps", "10^6 memos", "deep lists", "header of lists", "deflated", "header of 90 MB")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW_BOMBS)) for n in BOMBS])
def test_a_bomb_is_refused_before_it_takes_memory_or_time(tmp_path: Path, name: str) -> None:
    suffix, make, word = BOMBS[name]
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(make())

    def read() -> None:
        with pytest.raises(CheckpointError, match=word) as caught:
            read_weights(path)
        assert str(path) in str(caught.value)
        assert len(str(caught.value)) < 1000

    start = time.process_time()
    assert peak_rise(read) < 100e6
    assert time.process_time() - start < 15  # with the types of every call checked; 2 s without


def test_a_small_bomb_of_each_slow_kind_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("senet.weights.opcodes.MOST_STEPS", 1000)
    monkeypatch.setattr("senet.weights.torch_file.LONGEST_DIRECTORY", 1000)
    monkeypatch.setattr("senet.weights.safe.LONGEST_DIRECTORY", 1000)
    for name, data, word in (
        ("a.pt", zipped(b"\x80\x02(" + b"}" * 1000 + b"t."), "more than 1,000 opcodes"),
        ("b.pt", zipped(state_dict(), how=zipfile.ZIP_DEFLATED, data__0=bytes(2**20)), "is compressed"),
        ("c.safetensors", with_safetensors_header(b"{}".ljust(2000)), "header declares 2,000 bytes"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(CheckpointError, match=word):
            read_weights(tmp_path / name)


def test_the_bombs_by_hand_are_read_when_they_are_harmless(tmp_path: Path) -> None:
    stored = storage("0", 6)
    content = state_dict(tensor(stored, (2, 3), (3, 1)), tensor(stored, (2,), (0,), offset=1))
    (tmp_path / "a.pt").write_bytes(zipped(content, data__0=struct.pack("<6f", *range(6))))
    assert_equal(
        read_weights(tmp_path / "a.pt", budget_bytes=32),
        {"00000000": torch.arange(6.0).reshape(2, 3), "00000001": torch.ones(2)},
    )


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_broken_file_is_read_or_refused_and_nothing_else(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / ("a.safetensors" if kind == "safetensors" else "a.pt")
    if kind == "safetensors":
        safetensors.torch.save_file({"a": torch.ones(3), "b": torch.ones(2, 2)}, path)
    else:
        torch.save({"a": torch.ones(3), "b": torch.ones(2, 2)}, path, _use_new_zipfile_serialization=kind == "zip")
    content = bytearray(path.read_bytes())
    # the old form names storages by their addresses, so that its length varies: what is drawn must not depend on it
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), max_size=4)):
        content[place % len(content)] = value
    path.write_bytes(content[: 1 + data.draw(st.integers(0, 2**16)) % (2 * len(content))])
    with contextlib.suppress(CheckpointError):
        assert all(type(value) is Tensor for value in read_weights(path).values())
