"""One format of folder for every network, and each of them comes back with the same outputs, bit for bit."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import senet
from senet import networks
from senet.cli import commands
from senet.errors import CheckpointError, SpecError, StorageError
from senet.exporting.folder import export_folder
from senet.surgery import ChannelScale

BUILDER = """
from torch import nn

class Unit(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(c, c, 3, padding=1), nn.BatchNorm2d(c)
    def forward(self, x):
        return (x + self.norm(self.conv(x))).relu()

def build(num_classes=5, width=8):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, stride=4), Unit(width), Unit(width), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(width, num_classes),
    )
"""


@pytest.fixture
def builder(tmp_path: Path) -> str:
    (tmp_path / "own.py").write_text(BUILDER)
    return f"{tmp_path / 'own.py'}:build"


def outputs(model: nn.Module, side: int = 64) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        return model.eval()(x)  # type: ignore[no-any-return]


def shaken(model: nn.Module) -> nn.Module:
    """Set values in the blocks and the norms of a network that a fresh one does not have."""
    with torch.no_grad():
        for value in (*model.parameters(), *model.buffers()):
            if value.is_floating_point():
                value.add_(0.01 * torch.rand_like(value))
    return model


def images(count: int = 4, side: int = 64) -> list[Tensor]:
    return [torch.randn(count, 3, side, side) for _ in range(2)]


def fold_all(model: nn.Module, side: int = 64) -> None:
    assert senet.fold(model, images(side=side), tolerance=None).chosen


def zoo() -> tuple[nn.Module, dict[str, Any]]:
    return senet.create_model("resnet8", se="standard:reduction=4", num_classes=7), {"se": "standard:reduction=4"}


MADE: dict[str, Callable[[], tuple[nn.Module, str, dict[str, Any]]]] = {
    "zoo": lambda: (zoo()[0], "resnet8", zoo()[1]),
    "zoo with inserted blocks": lambda: (_inserted(senet.create_model("resnet8"), slot="pre"), "resnet8", {}),
    "timm": lambda: (networks.create("timm:test_resnet", num_classes=9), "timm:test_resnet", {}),
    "timm with inserted blocks": lambda: (_inserted(networks.create("timm:test_resnet")), "timm:test_resnet", {}),
    "torchvision with blocks at two ends": lambda: (
        _inserted(_inserted(networks.create("torchvision:resnet18", num_classes=3)), slot="pre", allow_existing=True),
        "torchvision:resnet18",
        {},
    ),
}


def _inserted(model: nn.Module, **arguments: Any) -> nn.Module:
    assert len(senet.insert(model, senet.SESpec(reduction=4, gate="tanh"), preserve=False, **arguments))
    return model


LARGE = "torchvision with blocks at two ends"  # 11 million parameters, written twice


@pytest.mark.parametrize(
    ("kind", "folded"),
    [
        pytest.param(kind, folded, marks=pytest.mark.slow if kind == LARGE or (kind, folded) == ("zoo", False) else ())
        for kind in MADE
        for folded in (False, True)
        if not folded or kind != "timm"  # it has no blocks; timm's own are folded below
    ],
)
def test_a_network_comes_back_from_its_folder(tmp_path: Path, kind: str, folded: bool) -> None:
    model, name, arguments = MADE[kind]()
    shaken(model)
    if folded:
        fold_all(model)
    wanted = outputs(model)
    folder = senet.save_pretrained(model, tmp_path / "net", name=name, **arguments)
    back = senet.from_pretrained(folder)
    assert torch.equal(outputs(back), wanted)
    assert list(back.state_dict()) == list(model.state_dict())
    assert torch.equal(outputs(networks.create(str(folder))), wanted)
    again = senet.save_pretrained(back, tmp_path / "again", name=name, **arguments)
    for file in ("model.safetensors", "config.json", "README.md"):
        assert (again / file).read_bytes() == (folder / file).read_bytes()


@pytest.mark.parametrize(("name", "text"), [("README.md", "my notes"), ("config.json", '{"architecture": "resnet8"}')])
def test_a_card_and_a_description_of_others_are_not_overwritten(tmp_path: Path, name: str, text: str) -> None:
    model = senet.create_model("resnet8")
    (tmp_path / name).write_text(text)
    for write in (senet.save_pretrained, export_folder):
        origin = {"name": "resnet8"} if write is senet.save_pretrained else {"origin": {"name": "resnet8"}}
        with pytest.raises(StorageError, match=f"{name} was not written by senet and would be lost"):
            write(model, tmp_path, **origin)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == text
    (tmp_path / name).unlink()
    senet.save_pretrained(model, tmp_path, name="resnet8")
    senet.save_pretrained(model, tmp_path, name="resnet8")  # its own files may be replaced


def test_timm_says_itself_what_it_is_and_how_it_sees(tmp_path: Path) -> None:
    model = networks.create("timm:test_efficientnet", num_classes=4)
    senet.save_pretrained(model, tmp_path / "net")
    config = json.loads((tmp_path / "net" / "config.json").read_text())
    assert config["format"] == "senet-2"
    assert config["model"] == "timm:test_efficientnet"
    assert config["preprocessing"]["size"] == 160
    assert "| preprocessing | 160 pixels" in (tmp_path / "net" / "README.md").read_text()
    fold_all(model)  # timm's own blocks
    wanted = outputs(model)
    senet.save_pretrained(model, tmp_path / "folded")
    assert torch.equal(outputs(senet.from_pretrained(tmp_path / "folded")), wanted)
    assert any(isinstance(m, ChannelScale | nn.Identity) for m in model.modules())


def test_a_builder_of_the_user_is_called_only_where_the_user_names_it(tmp_path: Path, builder: str) -> None:
    model = networks.create(builder, num_classes=4, options={"width": 12}, se="standard:reduction=2")
    shaken(model)
    wanted = outputs(model)
    folder = senet.save_pretrained(model, tmp_path / "net", name=builder, options={"width": 12})
    assert json.loads((folder / "config.json").read_text())["num_classes"] == 4
    (tmp_path / "own.py").write_text("raise SystemExit('the folder ran code')")
    sys.modules.pop("senet_builder_own", None)
    with pytest.raises(CheckpointError, match=r"functions that a folder names are not imported: pass it"):
        senet.from_pretrained(folder)
    (tmp_path / "own.py").write_text(BUILDER)
    assert torch.equal(outputs(senet.from_pretrained(folder, builder=builder)), wanted)
    with pytest.raises(CheckpointError, match="has no argument width"):
        senet.from_pretrained(folder, builder=lambda num_classes: nn.Linear(1, num_classes))


@pytest.mark.parametrize(
    "name", ["os:system", "subprocess:call", "antigravity:build", "torch.hub:load", "evil.py:build"]
)
def test_a_folder_that_names_a_function_runs_nothing(tmp_path: Path, name: str) -> None:
    folder = senet.save_pretrained(zoo()[0], tmp_path / "net", name="resnet8", se=zoo()[1]["se"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model": name, "se": []}))
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    before = set(sys.modules)
    with pytest.raises(CheckpointError, match="functions that a folder names are not imported"):
        senet.from_pretrained(folder)
    assert not (tmp_path / "canary").exists()
    assert "antigravity" not in set(sys.modules) - before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_classes": 20_000_000}, "num_classes = 20000000 is not possible"),
        ({"num_classes": 9_000_000}, "fc.weight is"),
        ({"model": "cnn3", "image_size": 16_000, "se": []}, "memory|another network"),
        ({"in_chans": 10**7}, "in_chans = 10000000 is not possible"),
        ({"in_chans": -3}, "in_chans = -3"),
        ({"options": {"depths": [10**9]}}, "depths = "),
        ({"options": {"depths": 5}}, "depths = 5"),
        ({"model": ["resnet8"]}, "model"),
        ({"model": "resnet9"}, "resnet9"),
        ({"model": "x" * 5000}, "5,000 characters"),
        ({"model": "hf:owner/name"}, "refers to another folder"),
        ({"model": "timm:resnet18", "options": {"checkpoint_path": "/etc/passwd"}}, "options.checkpoint_path"),
        (
            {"model": "timm:resnet18", "se": [], "num_classes": 9_000_000},
            "num_classes = 9e\\+06 does not match the weights",
        ),
        ({"model": "timm:resnet18", "se": []}, "weights belong to another network"),
        ({"insert": [{"name": "stem.x", "side": "output", "channels": 10**9}]}, "channels are 1 to 65,536"),
        ({"insert": [{"name": "nowhere.se", "side": "output", "channels": 8}]}, "has no module 'nowhere'"),
        ({"insert": [{"name": "stem.norm", "side": "output", "channels": 8}]}, "is not free"),
        ({"insert": [{"name": "stem.se", "side": "output", "channels": 60_000}]}, "the weights have no stem.se"),
        ({"insert": [{"name": "stem.se", "side": "left", "channels": 8}]}, "the side is output or input"),
        ({"removed": ["nothing"]}, "not a block"),
        ({"preprocessing": {"mean": [0.5], "std": [0.0], "size": 32}}, "preprocessing"),
        ({"colour": 1}, "colour is not known"),
    ],
)
def test_a_description_that_does_not_fit_is_one_line(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    folder = senet.save_pretrained(zoo()[0], tmp_path / "net", name="resnet8", se=zoo()[1]["se"])
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(CheckpointError, match=said) as caught:
        senet.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 3)), "name is missing: .* name='mymodule:build'"),
        (senet.create_model("resnet8"), "name is missing"),
        (nn.Linear(2, 2), "name is missing: pass what builds this Linear"),
    ],
)
def test_a_network_without_a_name_is_told_how(tmp_path: Path, model: nn.Module, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        senet.save_pretrained(model, tmp_path / "net")
    assert not (tmp_path / "net").exists()


def test_the_door_inserts_into_foreign_networks_and_builds_ours_with_blocks() -> None:
    ours, theirs = networks.create("resnet8", se="standard"), networks.create("timm:test_resnet", se=True)
    assert len(senet.find(ours)) == 3
    assert len(senet.find(theirs)) >= 4
    assert not theirs.training
    both = senet.find(networks.create("timm:test_resnet", se="standard+standard:slot=pre"))
    assert len(both) == 2 * len(senet.find(theirs))
    with pytest.raises(SpecError, match="share the slot 'standard'"):
        networks.create("timm:test_resnet", se="standard+bump")
    with pytest.raises(SpecError, match="Did you mean"):
        networks.create("timm:test_resnett")


def test_the_weights_of_a_file_are_loaded_before_the_blocks(tmp_path: Path) -> None:
    source = shaken(networks.create("timm:test_resnet"))
    save_file(source.state_dict(), tmp_path / "a.safetensors")
    with_blocks = networks.create("timm:test_resnet", weights=tmp_path / "a.safetensors", se="standard:reduction=8")
    assert torch.equal(outputs(with_blocks), outputs(source))
    assert len(with_blocks.state_dict()) > len(load_file(tmp_path / "a.safetensors"))
    with pytest.raises(CheckpointError, match="does not fit timm:test_vit"):
        networks.create("timm:test_vit", weights=tmp_path / "a.safetensors")


@pytest.mark.parametrize("place", ["moved.py:build", "a module that is gone", "as it is"])
def test_a_folder_is_reached_from_the_command_line_when_its_function_has_moved(
    place: str, tmp_path: Path, builder: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*words: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["senet", *words])
        return commands.call(), capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(BUILDER.replace("Conv2d(3, ", "Conv2d(1, "))
    senet.save_pretrained(networks.create(builder, num_classes=10), "net", name=builder, num_classes=10)
    config = tmp_path / "net" / "config.json"
    if place == "moved.py:build":
        (tmp_path / "own.py").rename("moved.py")
    elif place != "as it is":
        config.write_text(config.read_text().replace(builder, "gone_module:build"))
    there = place if place == "moved.py:build" else builder
    assert (
        call("insert", "net", "-r", "4", "--image-size", "32", "--out", "gated")[0] != 0
    )  # what a folder names is not run
    code, err = call("insert", "net", "-r", "4", "--image-size", "32", "--out", "gated", "--builder", there)
    assert code == 0, err
    assert json.loads((tmp_path / "gated" / "config.json").read_text())["model"] == there
    digits = ("--data", "digits", "data.size=32", "data.train_size=20", "data.test_size=20")
    commands_of_one = (("eval", "gated"), ("fold", "gated", "--tolerance", "inf", "-o", "folded"))
    for words in commands_of_one if place == "moved.py:build" else ():
        code, err = call(*words, *digits)
        assert (code, err.count("--builder FILE.py:FUNCTION")) == (4, 1)
        assert call(*words, *digits, "--builder", there)[0] == 0
    code, err = call("insert", "resnet8", "--builder", builder)
    assert (code, err.count("as the name of the network in place of resnet8")) == (2, 1)
