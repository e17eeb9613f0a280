"""One builder of networks by name, for every command that takes one."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import senet
from senet.cli import main
from senet.errors import CheckpointError, SpecError, UsageError
from senet.networks import create, named
from senet.networks.outline import outline
from senet.nn import SqueezeExcite
from senet.spec import SESpec


def test_a_name_of_ours_comes_before_those_of_other_libraries() -> None:
    assert named("resnet50") == named("senet:resnet50")
    assert named("resnet50").library == "senet"


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "library", "short"),
    [
        ("seresnet18", "timm", "seresnet18"),
        ("timm:resnet18", "timm", "resnet18"),
        ("mobilenet_v3_small", "torchvision", "mobilenet_v3_small"),
        ("torchvision:resnet18", "torchvision", "resnet18"),
    ],
)
def test_a_name_of_another_library_is_found_with_and_without_its_prefix(name: str, library: str, short: str) -> None:
    pytest.importorskip(library)
    found = named(name)
    assert (found.library, found.name, found.is_foreign) == (library, short, True)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("net.py", r"a file is given as FILE\.py:FUNCTION"),
        ("resnt8", r"MODEL = 'resnt8' is not known to senet, timm or torchvision.*Did you mean .*resnet8"),
        ("senet:resnet7", r"senet has no network 'resnet7'; `senet models` lists them. Did you mean .*resnet8"),
        ("tim:resnet18", r"library = 'tim' is not known.*Did you mean 'timm'"),
    ],
)
def test_an_unknown_name_is_an_error_with_the_nearest_one(name: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        named(name)


def test_a_library_that_is_not_there_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(UsageError, match=r"needs timm; run: pip install timm, or pip install 'senet\[timm\]'"):
        named("timm:resnet18")
    with pytest.raises(SpecError, match="if installed"):
        named("mobilenet_v3_small")


def test_weights_are_loaded_strictly_and_may_have_other_outputs(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    model = senet.create_model("resnet8", num_classes=7).eval()
    save_file(model.state_dict(), file)
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(create("resnet8", weights=file, or_classes=7)(x), model(x))
    assert torch.equal(create("resnet8", weights=file, num_classes=7)(x), model(x))
    for other in (None, 5):
        with pytest.raises(CheckpointError, match=r"\(7, 64\) in the file and \(10, 64\) in the network"):
            create("resnet8", weights=file, or_classes=other)


def test_a_folder_of_save_pretrained_is_a_name_for_both_commands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = senet.SESpec(reduction=4)
    model = senet.create_model("resnet8", se=spec, num_classes=10, in_chans=1).eval()
    senet.save_pretrained(model, tmp_path / "mine", name="resnet8", se=spec, in_chans=1)
    plain = senet.create_model("resnet8").eval()
    senet.save_pretrained(plain, tmp_path / "plain", name="resnet8")
    x = torch.rand(2, 1, 8, 8)
    assert torch.equal(create(str(tmp_path / "mine"))(x), model(x))
    with pytest.raises(CheckpointError, match=r"is a folder without config.json"):
        named(str(tmp_path))
    with pytest.warns(UserWarning, match="the classifier fc was replaced by a fresh one with 3 outputs"):
        assert create(str(tmp_path / "mine"), num_classes=3)(x).shape == (2, 3)
    monkeypatch.chdir(tmp_path)
    digits = ("--data", "digits", "data.train_size=60", "data.test_size=40", "--device", "cpu", "--statistics", "40")
    for words, said, code in (
        (("insert", "plain", "--image-size", "32"), "plain, input 32x32: 3 blocks", 0),
        (("fold", "mine", *digits, "--blocks", "1", "--tolerance", "inf"), "1 of 3 blocks removed", 0),
        (("fold", "plain", *digits), "plain does not accept images of 1x8x8", 2),
        (("insert", "../nothing"), "is not known to senet", 2),
    ):
        monkeypatch.setattr(sys, "argv", ["senet", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        assert int(left.value.code or 0) == code, err
        assert said in out + err
    assert str(tmp_path) not in (tmp_path / "out" / "fold" / "report.md").read_text(encoding="utf-8")


def test_a_library_network_that_needs_real_values_to_be_built_is_counted() -> None:
    pytest.importorskip("torchvision")
    network = outline("torchvision:regnet_x_400mf", (SESpec(),), side=64)  # it computes its widths with tensors
    assert sum(isinstance(module, SqueezeExcite) for module in network.modules()) == 22
