"""The folder of a run: what is not of this run, not a plain file or no longer there is told in one line."""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import DATA, RECIPE, RUN, digest, train_digits

from senet.errors import CheckpointError, Interrupted, SenetError, StorageError
from senet.experiments.environment import environment
from senet.experiments.setup import Setup
from senet.training.packing import pack, unpack
from senet.training.run_folder import RunFolder, read_result
from senet.training.train import train

SHORT = replace(RUN, recipe=replace(RECIPE, batch_size=100))  # two steps an epoch


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was stopped behind its third step."""
    folder = tmp_path_factory.mktemp("once") / "run"
    with pytest.raises(Interrupted):
        train_digits(SHORT, folder, stop_at=3)
    return folder


def copied(once: Path, folder: Path) -> Path:
    """Copy the stopped run; returns its checkpoint."""
    shutil.copytree(once, folder, dirs_exist_ok=True)
    (path,) = (folder / "checkpoints").iterdir()
    return path


@pytest.mark.parametrize("moved", ["moved away", "moved away and made anew", "removed"])
def test_a_run_whose_folder_goes_ends_and_makes_no_new_one(tmp_path: Path, moved: str) -> None:
    folder = tmp_path / "run"

    def move(progress: object) -> None:
        if folder.exists() and not (tmp_path / "away").exists():
            folder.rename(tmp_path / "away")
            if "anew" in moved:
                folder.mkdir()
                (folder / "run.lock").touch()

    with pytest.raises(StorageError, match="was moved, removed or replaced"):
        train(SHORT, DATA, folder, Setup(save_every=0.0), watch=move)
    assert folder.exists() is ("anew" in moved)
    if "anew" in moved:
        assert [path.name for path in folder.iterdir()] == ["run.lock"]
        return
    (tmp_path / "away").rename(folder)
    train(SHORT, DATA, folder)
    train(SHORT, DATA, tmp_path / "undisturbed")
    assert digest(folder) == digest(tmp_path / "undisturbed")


PLANTED: dict[str, Callable[[Path], object]] = {
    "link": lambda path: path.symlink_to("/etc/hostname"),
    "dead link": lambda path: path.symlink_to("nothing"),
    "pipe": os.mkfifo,
}


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize(
    "name",
    ["run.json", "metrics.jsonl", "checkpoints", "model.safetensors", "result.json", "checkpoints/step-00000001.pt"],
)
def test_a_name_that_leads_elsewhere_is_refused_at_once(tmp_path: Path, kind: str, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    PLANTED[kind](tmp_path / name)
    before = Path("/etc/hostname").read_bytes()
    with pytest.raises(SenetError, match=r"link or a pipe|not a regular file"):
        train(SHORT, DATA, tmp_path)
    assert Path("/etc/hostname").read_bytes() == before
    assert not (tmp_path / "nothing").exists()


def test_a_folder_of_another_user_is_one_line(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("to become another user needs root")
    folder = tmp_path / "run"
    train(SHORT, DATA, folder)
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == 0 and path.name.startswith("pytest-"):
            path.chmod(0o755)
    folder.chmod(0o700)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setuid(65534)
            for attempt in (lambda: read_result(folder), lambda: train(SHORT, DATA, folder)):
                try:
                    attempt()
                except (CheckpointError, StorageError) as error:
                    code = 0 if "ermission denied" in str(error) and "\n" not in str(error) else 2
                    if code:
                        break
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_result_names_where_each_part_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = environment("cpu", fused="")
    stops = [replace(here, threads=4), replace(here, threads=4, commit="another"), replace(here, torch="9.9")]
    for there in stops:
        monkeypatch.setattr("senet.training.train.environment", lambda *_, there=there, **__: there)
        with pytest.warns() if there is stops[2] else pytest.raises(Interrupted):
            try:
                train_digits(SHORT, tmp_path, stop_at=1)
            except Interrupted:
                if there is not stops[2]:
                    raise
    monkeypatch.setattr("senet.training.train.environment", lambda *_, **__: here)
    with pytest.warns(UserWarning, match="resumed in a different environment"):
        result = train(SHORT, DATA, tmp_path)
    assert [part.threads for part in result.before] == [4, here.threads]
    assert [part.torch for part in (*result.before, result.environment)] == [here.torch, "9.9", here.torch]
    assert [note for note in result.notes if "in another environment" in note] == [
        f"the training was resumed in another environment: torch {here.torch} -> 9.9, threads 4 -> {here.threads}",
        f"the training was resumed in another environment: torch 9.9 -> {here.torch}",
    ]
    assert read_result(tmp_path) == result


SPOILED: dict[str, Callable[[dict[str, Any]], object]] = {
    "another run": lambda state: state.update(run="0123"),
    "no run": lambda state: state.pop("run"),
    "other images": lambda state: state.update(data="0123"),
    "no optimiser": lambda state: state.pop("optimizer"),
    "an optimiser of another kind": lambda state: state["optimizer"]["state"][0].update(exp_avg=torch.zeros(1)),
    "another shape": lambda state: state["optimizer"]["state"][0].update(momentum_buffer=torch.zeros(7)),
    "one parameter more": lambda state: state["optimizer"]["state"].update({999: state["optimizer"]["state"][0]}),
    "a rate in words": lambda state: state["optimizer"]["param_groups"][0].update(lr="fast"),
    "no environment": lambda state: state.pop("environments"),
    "environments": lambda state: state.update(environments=[5]),
    "no environments": lambda state: state.update(environments=[]),
    "no moment": lambda state: state.pop("moment"),
    "another moment": lambda state: state["moment"].update(luck=1),
    "an epoch in words": lambda state: state["moment"].update(epoch="one"),
    "an epoch below": lambda state: state["moment"].update(epoch=-1),
    "a step beyond": lambda state: state["moment"].update(step=10**9),
    "a curve of nothing": lambda state: state["moment"].update(curve=[{}]),
    "a curve of words": lambda state: state["moment"].update(curve=[{"epoch": "one"}]),
    "a long curve": lambda state: state["moment"].update(curve=state["moment"]["curve"] * 3),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_state_that_does_not_fit_its_run_is_one_line(once: Path, tmp_path: Path, how: str) -> None:
    path = copied(once, tmp_path)
    content = unpack(path.read_bytes())
    SPOILED[how](content["state"])
    path.write_bytes(pack(content))
    with pytest.raises(CheckpointError) as caught:
        train(SHORT, DATA, tmp_path)
    assert len(str(caught.value).splitlines()) == 1
    assert "choose another folder or remove this one" in str(caught.value)


def test_a_finished_folder_is_tidied_by_whoever_looks(tmp_path: Path) -> None:
    train(SHORT, DATA, tmp_path)
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / "checkpoints").mkdir()
    for name in (".tmp-0123", "checkpoints/.lock", "checkpoints/.tmp-4567", "checkpoints/step-00000001.pt"):
        (tmp_path / name).write_bytes(bytes(100))
    (tmp_path / "checkpoints" / "step-00000002").mkdir()
    assert RunFolder(tmp_path, SHORT).result() is not None
    assert {path.name for path in tmp_path.iterdir()} == before
    assert json.loads((tmp_path / "run.json").read_text())["model"] == "resnet8"
