"""Weights from files, folders and the Hub; folders that say what they hold."""

import json
import logging
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import senet
from senet.errors import CheckpointError, SpecError, UsageError
from senet.experiments.recipe import Recipe
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.models import Network
from senet.spec import SESpec
from senet.weights import state_dict_as
from senet.weights.source import locate

SE = SESpec(reduction=4)
SHORT = {"shortcut": "B", "depths": (1, 1, 1)}


def small(**kwargs: object) -> Network:
    return senet.create_model("resnet20", **({"se": SE, "options": SHORT, "num_classes": 4} | kwargs))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return senet.save_pretrained(small(), tmp_path / "net", name="resnet20", se=SE, options=SHORT)


def assert_same(a: Network, b: Network) -> None:
    assert list(a.state_dict()) == list(b.state_dict())
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key]), key


def test_a_file_of_any_origin_gives_a_network(tmp_path: Path) -> None:
    source = small()
    save_file({k: v.contiguous() for k, v in state_dict_as(source, "timm").items()}, tmp_path / "timm.safetensors")
    torch.save({"state_dict": state_dict_as(source, "pytorchcv")}, tmp_path / "cv.pth")
    assert_same(source, small(weights=tmp_path / "timm.safetensors", origin="timm"))
    assert_same(source, small(weights=str(tmp_path / "cv.pth"), origin="pytorchcv"))
    with pytest.raises(CheckpointError, match=r"do not match origin 'cadene'|basic units of 'cadene'"):
        small(weights=tmp_path / "timm.safetensors", origin="cadene")


@pytest.mark.parametrize("prefix", ["model.", "net.", "module.model.", "_orig_mod.module.net."])
def test_names_that_a_training_loop_put_first_go(tmp_path: Path, prefix: str) -> None:
    source = small()
    state = {f"{prefix}{name}": value for name, value in source.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "last.ckpt")
    assert_same(source, small(weights=tmp_path / "last.ckpt"))
    torch.save({"state_dict": {**state, "loss.weight": torch.ones(2)}}, tmp_path / "last.ckpt")
    with pytest.raises(CheckpointError, match=r"unexpected .*loss.weight|missing"):
        small(weights=tmp_path / "last.ckpt")


def test_a_hostile_pickle_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"fc.weight": print}}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="print"):
        small(weights=tmp_path / "a.pth")


def test_a_folder_round_trip_is_bitwise(folder: Path) -> None:
    first = senet.from_pretrained(folder)
    again = senet.save_pretrained(first, folder.with_name("again"), name="resnet20", se=SE, options=SHORT)
    assert not first.training
    assert (again / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert (again / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert_same(first, senet.from_pretrained(str(again)))
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(first(x), senet.from_pretrained(again)(x))


def test_the_readings_come_back(tmp_path: Path) -> None:
    options = {"depths": (1, 1, 1, 1), "widths": (16, 16, 16, 16), "stem_kind": "torch"}
    specs = [SESpec(reduction=(8, 2, 4, 2), bias=False), SESpec(slot="pre", gate="tanh", stages=(2, 4), reduction=2)]
    model = senet.create_model("resnet50", se=specs, num_classes=3, in_chans=1, options=options)
    senet.save_pretrained(model, tmp_path, name="resnet50", se=specs, in_chans=1, options=options)
    back = senet.from_pretrained(tmp_path)
    assert repr(back) == repr(model)
    assert_same(model, back)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "preact_resnet110"},
        {"se": None},
        {"se": SESpec(reduction=4, gate="hard_sigmoid")},
        {"options": {"shortcut": "B", "depths": (1, 1, 2)}},
        {"in_chans": 1},
    ],
)
def test_arguments_that_build_another_network_are_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    said = {"name": "resnet20", "se": SE, "options": SHORT} | wrong
    with pytest.raises(SpecError, match=r"build another network: .* not "):
        senet.save_pretrained(small(), tmp_path / "net", **said)
    assert not (tmp_path / "net").exists()


def test_what_cannot_be_written_down_is_refused(tmp_path: Path) -> None:
    spec = SESpec(gate=torch.sigmoid)
    with pytest.raises(SpecError, match=r"se\[0\].gate is a function"):
        senet.save_pretrained(small(se=spec), tmp_path, name="resnet20", se=spec, options=SHORT)


def test_weights_of_the_same_shapes_and_another_network_are_refused(folder: Path) -> None:
    assert_same(senet.from_pretrained(folder), small(weights=folder))
    with pytest.raises(
        CheckpointError, match=r"belongs to another network: stage1.unit1.se is .*from_pretrained builds"
    ):
        small(se=SE.but(gate="tanh"), weights=folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model": "resnet21"}, "Did you mean .*resnet20"),
        ({"se": [{"reduction": 0}]}, "reduction = 0 is not a ratio"),
        ({"classes": 4}, "classes is not known"),
        ({"format": "senet-9"}, "is not supported; this version of senet"),
        ({"num_classes": 5}, "fc.weight is"),
        ({"format": None}, "does not describe a network"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(folder: Path, change: dict[str, object], said: str) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    with pytest.raises(CheckpointError, match=said):
        senet.from_pretrained(folder)


def test_a_damaged_config_is_refused(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read as JSON"):
        senet.from_pretrained(folder)


def test_missing_files_say_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"has no model.safetensors or pytorch_model.bin"):
        small(weights=tmp_path)
    with pytest.raises(CheckpointError, match="does not exist"):
        small(weights=tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"write hf:owner/name for a repository"):
        locate("owner/name")
    with pytest.raises(CheckpointError, match=r"has no config.json"):
        senet.from_pretrained(tmp_path)


def test_the_card_says_what_is_known(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert "| SE blocks | standard r=4 |" in card
    params = sum(p.numel() for p in small().parameters())
    assert f"| parameters | {params:,} |" in card
    assert "No training is recorded" in card


def test_the_card_of_a_training_has_recipe_and_numbers(tmp_path: Path) -> None:
    model = senet.create_model("resnet20", se=SE)
    epoch = Epoch(epoch=1, lr=0.1, train_loss=2.0, test_loss=1.5, correct=7, correct5=9, seconds=3.0)
    result = Result(
        run=Run(model="resnet20", se=(SE,), recipe=Recipe(epochs=1), seed=5),
        curve=(epoch,),
        classes=("a", "b"),
        confusion=((4, 1), (2, 3)),
        params=1,
        macs=1,
        train_images=50,
        train_seconds=2.0,
        data="",
    )
    senet.save_pretrained(model, tmp_path, name="resnet20", se=SE, result=result)
    card = (tmp_path / "README.md").read_text()
    assert "| top-1 | 70.00 %, 7 of 10 test images |" in card
    assert f"| run | `{result.run.id}`, seed 5 |" in card
    assert "recipe.optim.lr = 0.1" in card
    with pytest.raises(SpecError, match="result is of resnet20 standard r=4"):
        senet.save_pretrained(small(se=None), tmp_path, name="resnet20", options=SHORT, result=result)


# the Hub, without a network

hub = pytest.importorskip("huggingface_hub")


def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str | None]]:
    """Let the folder stand in for a repository of the Hub."""
    from huggingface_hub.errors import EntryNotFoundError

    asked: list[tuple[str, str, str | None]] = []

    def hf_hub_download(name: str, file: str, *, revision: str | None = None) -> str:
        asked.append((name, file, revision))
        if not (folder / file).exists():
            raise EntryNotFoundError(file)
        return str(folder / file)

    monkeypatch.setattr(hub, "hf_hub_download", hf_hub_download)
    return asked


def test_a_repository_of_the_hub_is_as_good_as_a_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = repository(folder, monkeypatch)
    assert_same(senet.from_pretrained(folder), senet.from_pretrained("hf:owner/name@v1"))
    assert asked == [("owner/name", "config.json", "v1"), ("owner/name", "model.safetensors", "v1")]
    assert_same(senet.from_pretrained(folder), small(weights="hf:owner/name"))


def test_a_repository_with_a_pickle_is_read_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = small()
    torch.save(state_dict_as(source, "timm"), tmp_path / "pytorch_model.bin")
    asked = repository(tmp_path, monkeypatch)
    assert_same(source, small(weights="hf:timm/name", origin="timm"))
    assert [file for _, file, _ in asked] == ["model.safetensors", "pytorch_model.bin"]
    (tmp_path / "pytorch_model.bin").unlink()
    with pytest.raises(CheckpointError, match=r"hf:timm/name has no model.safetensors or pytorch_model.bin"):
        small(weights="hf:timm/name", origin="timm")


def test_the_hub_offline_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"^hf:owner/name: cannot get config.json: the Hub cannot") as told:
        senet.from_pretrained("hf:owner/name")
    assert "\n" not in str(told.value)


def test_what_the_hub_says_while_it_tries_again_is_not_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub.errors import LocalEntryNotFoundError

    def retry(*_: object, **__: object) -> None:
        logging.getLogger("huggingface_hub.utils._http").warning("Retrying in 1s [Retry 1/5].")
        raise LocalEntryNotFoundError("no network")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", retry)
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    with pytest.raises(CheckpointError, match="cannot be reached"):
        small(weights="hf:owner/name")
    assert not caplog.records
    assert logger.level == before


@pytest.mark.parametrize("weights", ["hf:owner/name", "timm:resnet18.a1_in1k"])
def test_a_hub_whose_address_is_unknown_is_asked_once(
    weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from huggingface_hub import constants

    from senet.networks.starting_weights import read_start

    asked = []

    def resolve(host: str, *_: object) -> None:
        asked.append(host)
        raise OSError("Name or service not known")

    monkeypatch.setattr("socket.getaddrinfo", resolve)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    monkeypatch.setattr("senet.weights.source.getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=f"^(the weights )?{weights}:? can") as told:
        read_start(weights)
    assert "\n" not in str(told.value)
    assert asked == ["huggingface.co"]
    assert not caplog.records
    assert constants.HF_HUB_OFFLINE is False


def test_a_name_that_is_none_is_one_line() -> None:
    with pytest.raises(CheckpointError, match=r"^hf:a/b/c: cannot get model.safetensors: ") as told:
        small(weights="hf:a/b/c")
    assert "\n" not in str(told.value)


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"pip install 'senet\[hub\]'"):
        small(weights="hf:owner/name")
