"""Runs of networks that are not ours: pairing, weights to start from, classifiers, channels, what the id counts."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import senet
from senet.data.loading import load
from senet.errors import CheckpointError, SpecError, UsageError
from senet.experiments.data_spec import DataSpec
from senet.experiments.recipe import RECIPES, Optim
from senet.experiments.run import Run
from senet.networks import create
from senet.networks.starting_weights import read_start
from senet.networks.stated import stated
from senet.spec import SESpec
from senet.training.initial_network import initial
from senet.training.learner import Learner
from senet.training.map_sizes import refuse_small_maps
from senet.training.train import train

DIGITS = DataSpec(train_size=60, test_size=40)
DATA = load(DIGITS)
SE = (SESpec(reduction=4),)
RECIPE = replace(RECIPES["digits"], epochs=1, batch_size=20)
OWN = """
from torch import nn

class Unit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x):
        return x + self.bn2(self.conv2(self.bn1(self.conv1(x)).relu()))

class Net(nn.Module):
    def __init__(self, in_chans, classes, pointwise=False):
        super().__init__()
        self.stem, self.unit1, self.unit2 = nn.Conv2d(in_chans, 8, 3, padding=1), Unit(8), Unit(8)
        self.head = nn.Conv2d(8, classes, 1) if pointwise else nn.Linear(8, classes)

    def forward(self, x):
        x = self.unit2(self.unit1(self.stem(x)))
        x = x.mean((2, 3), keepdim=True) if isinstance(self.head, nn.Conv2d) else x.mean((2, 3))
        return self.head(x).flatten(1)

def build(num_classes=10, in_chans=1):
    return Net(in_chans, num_classes)

def fixed():
    return Net(3, 7)

def pointwise():
    return Net(1, 7, pointwise=True)

def lost():
    return nn.Sequential(Net(1, 7), nn.Unflatten(1, (1, 7)), nn.Flatten(), nn.AdaptiveAvgPool1d(5))

def maps():
    return nn.Conv2d(1, 8, 3)

class Pair(Net):
    def forward(self, x):
        return super().forward(x), x

def pair():
    return Pair(1, 10)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def pictures(channels: int = 1) -> Tensor:
    return torch.rand(4, channels, 8, 8, generator=torch.Generator().manual_seed(1))


def outputs(model: nn.Module, x: Tensor | None = None) -> Tensor:
    with torch.no_grad():
        return model.eval()(pictures() if x is None else x)


@pytest.mark.parametrize("model", ["own.py:build", "own.py:fixed", "own.py:pointwise"])
def test_equal_seeds_give_equal_weights_where_designs_are_alike(own: Path, model: str) -> None:
    plain, gated, twice = (
        initial(Run(model=model, se=se, data=DIGITS, seed=3), DATA).model.state_dict()
        for se in ((), SE, (*SE, SESpec(slot="post")))
    )
    assert len(plain) < len(gated) < len(twice)
    assert all(torch.equal(value, gated[name]) and torch.equal(value, twice[name]) for name, value in plain.items())
    other = initial(Run(model=model, data=DIGITS, seed=4), DATA).model.state_dict()
    assert not torch.equal(plain["stem.weight"], other["stem.weight"])


@pytest.mark.parametrize("model", ["own.py:build", "own.py:fixed", "resnet8", "folder"])
def test_with_weights_all_designs_start_with_the_same_outputs_bit_for_bit(own: Path, model: str) -> None:
    if model == "folder":
        senet.save_pretrained(create("own.py:build", num_classes=3), own / model, name="own.py:build", in_chans=1)
        with pytest.raises(CheckpointError, match="functions that a folder names are not imported"):
            create(model)
        senet.save_pretrained(create("resnet8", num_classes=3, in_chans=1), model, name="resnet8", in_chans=1)
        run = Run(model=model, data=DIGITS)
    else:
        save_file(create(model, num_classes=None if "fixed" in model else 5).state_dict(), own / "start.safetensors")
        run = Run(model=model, data=DIGITS, weights="start.safetensors")
    starts = [
        initial(stated(replace(run, se=se)), DATA)
        for se in ((), SE, (SESpec(variant="bump"), SESpec(slot="pre", gate="tanh")))
    ]
    plain, *others = [outputs(start.model) for start in starts]
    assert plain.std() > 0
    assert all(torch.equal(plain, other) for other in others)
    assert len(starts[0].fresh) == 2  # a classifier for ten classes
    assert starts[0].fresh < starts[1].fresh < starts[2].fresh
    assert any("a fresh one" in note for note in starts[0].notes)


def test_weights_that_have_the_blocks_are_loaded_into_them(own: Path) -> None:
    trained = senet.create_model("resnet8", se=SE, in_chans=1)
    save_file(trained.state_dict(), own / "start.safetensors")
    start = initial(Run(se=SE, model="resnet8", data=DIGITS, weights="start.safetensors"), DATA)
    assert torch.equal(outputs(start.model), outputs(trained))
    with pytest.raises(CheckpointError, match=r"start\.safetensors does not fit resnet8"):
        initial(Run(model="resnet8", data=DIGITS, weights="start.safetensors"), DATA)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("own.py:lost", "no linear layer or 1x1 convolution returns them; give its function an argument num_classes"),
        ("own.py:maps", r"returns no logits \(n, classes\); return that tensor alone"),
        ("own.py:pair", r"returns no logits \(n, classes\); return that tensor alone"),
        ("own.py:gone", "own.py has no function 'gone'"),
        ("other.py:build", "the file other.py does not exist"),
    ],
)
def test_a_builder_that_does_not_fit_is_one_line(own: Path, model: str, said: str) -> None:
    with pytest.raises(SpecError, match=said) as caught:
        initial(Run(model=model, data=DIGITS), DATA)
    assert "\n" not in str(caught.value)


def test_channels_are_summed_and_repeated_as_timm_does_it(own: Path) -> None:
    rgb = create("own.py:fixed")
    save_file(rgb.state_dict(), own / "start.safetensors")
    with pytest.warns(UserWarning, match=r"stem.weight takes 3 channels in the weights: summed for 1"):
        grey = create("own.py:build", num_classes=7, in_chans=1, weights="start.safetensors")
    x = pictures()
    torch.testing.assert_close(outputs(grey, x), outputs(rgb, x.expand(-1, 3, -1, -1)))
    with pytest.warns(UserWarning, match="repeated for 5"):
        five = create("own.py:build", num_classes=7, in_chans=5, weights="start.safetensors")
    want = rgb.get_parameter("stem.weight")[:, [0, 1, 2, 0, 1]] * 3 / 5
    torch.testing.assert_close(five.get_parameter("stem.weight"), want)


@pytest.mark.parity
def test_first_convolutions_are_those_of_timm_for_every_number_of_channels() -> None:
    adapt = pytest.importorskip("timm.models").adapt_input_conv
    from senet.networks.starting_weights import for_channels

    weight = torch.rand(4, 3, 3, 3)
    for channels in (1, 2, 4, 5, 7):
        torch.testing.assert_close(for_channels(weight, channels), adapt(channels, weight))


def test_the_id_counts_the_source_of_a_builder_and_the_content_of_weights(own: Path) -> None:
    assert Run(model="resnet8").id == stated(Run(model="senet:resnet8")).id
    run = stated(Run(model="own.py:build", data=DIGITS))
    assert run.id == stated(Run(model="own.py:build", data=DIGITS)).id != Run(model="own.py:build", data=DIGITS).id
    save_file(create("own.py:build").state_dict(), own / "a.safetensors")
    shutil.copy("a.safetensors", "b.safetensors")
    save_file(create("own.py:build").state_dict(), own / "c.safetensors")
    a, b, c = (stated(replace(run, weights=f"{name}.safetensors")) for name in "abc")
    assert a.id == b.id != c.id
    assert run.id not in (a.id, c.id)
    (own / "own.py").write_text(OWN + "\n# changed\n")
    assert stated(run).id != run.id
    with pytest.raises(CheckpointError, match=r"own\.py:build has changed since the run was made"):
        initial(run, DATA)
    with pytest.raises(CheckpointError, match=r"d\.safetensors does not exist"):
        stated(replace(run, weights="d.safetensors"))
    with pytest.raises(SpecError, match="has no pretrained weights of its own"):
        stated(replace(run, weights="pretrained"))
    with pytest.raises(SpecError, match="is for networks that blocks are inserted into"):
        stated(Run(model="resnet8", at=("stage1.*",)))


def test_patterns_choose_the_units_that_get_blocks(own: Path) -> None:
    run = Run(model="own.py:build", se=SE, at=("unit2",), data=DIGITS)
    assert [block.name for block in senet.find(initial(run, DATA).model)] == ["unit2.bn2.se"]
    with pytest.raises(SpecError, match="matches no unit"):
        initial(replace(run, at=("unit3",)), DATA)


@pytest.mark.parametrize("model", ["own.py:build", "own.py:fixed", "own.py:pointwise"])
def test_an_own_network_is_trained_and_loaded_from_its_folder(own: Path, model: str) -> None:
    result = train(stated(Run(model=model, se=SE, data=DIGITS, recipe=RECIPE)), DATA, own / "run")
    loaded = senet.from_pretrained(own / "run", builder=model)
    ((x, y),) = DATA.test.batches([(torch.arange(len(DATA.test)), 0)], augment=None, device="cpu")
    assert int((outputs(loaded, x).argmax(1) == y).sum()) == result.last.correct


def test_the_accuracy_of_weights_before_the_training_is_kept_and_a_loss_of_it_is_warned_of(own: Path) -> None:
    first = train(stated(Run(model="own.py:build", data=DIGITS, recipe=replace(RECIPE, epochs=6))), DATA, own / "first")
    assert first.start is None
    assert first.correct >= 12  # of 40, where guessing has 4
    again = Run(model="own.py:build", se=SE, data=DIGITS, weights="first/model.safetensors", recipe=RECIPE)
    kept = replace(RECIPE, optim=Optim(lr=1e-6))
    assert train(stated(replace(again, recipe=kept)), DATA, own / "kept").start == first.correct
    wild = replace(RECIPE, optim=Optim(lr=20.0), clip=1.0)
    with pytest.warns(UserWarning, match=r"the accuracy fell from .* to .* % in the first epoch; lower optim.lr"):
        train(stated(replace(again, recipe=wild)), DATA, own / "lost")
    other = create("own.py:build", num_classes=5).state_dict()
    save_file(other, own / "start.safetensors")
    assert not initial(replace(again, weights="start.safetensors"), DATA).trained  # its classifier is new


def test_new_parameters_and_layers_have_rates_of_their_own(own: Path) -> None:
    save_file(create("own.py:build", num_classes=5).state_dict(), own / "start.safetensors")
    start = initial(Run(model="own.py:build", se=SE, data=DIGITS, weights="start.safetensors"), DATA)
    recipe = replace(RECIPE, optim=Optim(lr=0.5, block_lr=10.0, layer_decay=0.5))
    learner = Learner(start.model, recipe, fresh=start.fresh)
    names = {id(p): name for name, p in start.model.named_parameters()}
    rates = {names[id(p)]: g["lr"] for g in learner.optimizer.param_groups for p in g["params"]}
    assert {rate for name, rate in rates.items() if ".se." in name or name.startswith("head")} == {5.0}
    assert rates["unit2.conv2.weight"] == rates["unit2.bn2.bias"] == 0.5
    assert rates["unit2.conv1.weight"] == 0.25
    assert rates["stem.bias"] == 0.5 * 0.5**4
    usual = Learner(initial(Run(data=DIGITS, model="resnet8"), DATA).model, RECIPE)
    assert [group["scale"] for group in usual.optimizer.param_groups] == [1.0]


def test_a_frozen_host_keeps_its_values_and_its_statistics(own: Path) -> None:
    save_file(create("own.py:build", num_classes=5).state_dict(), own / "start.safetensors")
    run = Run(model="own.py:build", se=SE, data=DIGITS, weights="start.safetensors")
    run = replace(run, recipe=replace(RECIPE, freeze=True))
    start = initial(run, DATA)
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    train(run, DATA, own / "run")
    after = load_file(own / "run" / "model.safetensors")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert changed <= start.fresh


def test_a_frozen_network_without_new_parameters_is_the_baseline_as_it_is(own: Path) -> None:
    save_file(create("own.py:build", num_classes=10).state_dict(), own / "start.safetensors")
    frozen = replace(RECIPE, freeze=True, epochs=2)
    run = Run(model="own.py:build", data=DIGITS, weights="start.safetensors", recipe=frozen)
    start = initial(run, DATA)
    before = {name: value.clone() for name, value in start.model.state_dict().items()}
    assert not start.fresh
    result = train(run, DATA, own / "run")
    after = load_file(own / "run" / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [epoch.correct for epoch in result.curve] == [result.start] * 2
    assert any("leaves nothing to train" in note for note in result.notes)
    with pytest.raises(UsageError, match=r"leaves nothing to train.* no weights"):
        train(replace(run, weights=""), DATA, own / "without")


def test_parameters_that_the_function_of_the_network_froze_are_counted_in_the_notes(own: Path) -> None:
    body = "def frozen(num_classes=10, in_chans=1):\n    net = Net(in_chans, num_classes)\n"
    body += "    net.unit1.requires_grad_(False)\n    return net\n"
    (own / "frozen.py").write_text(OWN + "\n" + body)
    run = Run(model="frozen.py:frozen", se=SE, data=DIGITS, recipe=RECIPE)
    weights = 2 * (8 * 8 * 9 + 8) + 2 * 2 * 8
    before = {name: value.clone() for name, value in initial(run, DATA).model.state_dict().items()}
    result = train(run, DATA, own / "run")
    assert f"network: {weights:,} parameters were already frozen" in "; ".join(result.notes)
    after = load_file(own / "run" / "model.safetensors")
    same = [torch.equal(before[f"unit{number}.conv1.weight"], after[f"unit{number}.conv1.weight"]) for number in (1, 2)]
    assert same == [True, False]
    plain = train(replace(run, model="own.py:build"), DATA, own / "plain")
    assert "frozen" not in "; ".join(plain.notes)


@pytest.mark.parity
@pytest.mark.parametrize("model", ["timm:test_resnet", "torchvision:resnet18"])
def test_networks_of_libraries_take_grey_images_of_other_classes(own: Path, model: str) -> None:
    pytest.importorskip(model.partition(":")[0])
    spec = replace(DIGITS, size=32)
    data = load(spec)
    run = stated(Run(model=model, se=(SESpec(reduction=8, stages=(2,)),), data=spec))
    refuse_small_maps(run, data)
    start = initial(run, data)
    assert start.model.eval()(torch.rand(2, 1, 32, 32)).shape == (2, 10)
    config = start.describe()
    assert (config.num_classes, config.in_chans, len(config.insert) > 0) == (10, 1, True)


@pytest.mark.parity
def test_the_preprocessing_of_a_network_is_written_into_the_run() -> None:
    pytest.importorskip("timm")
    folder = DataSpec(name="folder")
    own = stated(Run(model="timm:tf_mobilenetv3_small_100", data=folder)).data
    assert (own.size, own.crop, own.interpolation, own.mean[0]) == (224, 0.875, "bilinear", 0.5)
    mine = replace(folder, size=64, mean=(0.1,) * 3, std=(0.2,) * 3)
    assert stated(Run(model="timm:mobilenetv3_small_100", data=mine)).data == replace(mine, interpolation="bicubic")
    said = stated(Run(model="timm:mobilenetv3_small_100", data=mine), said=("interpolation",)).data
    assert said == mine
    cifar = DataSpec(name="cifar10")
    assert stated(Run(model="timm:resnet18", data=cifar)).data == cifar
    assert stated(Run(model="timm:resnet18", data=cifar, weights="pretrained")).data.mean[0] == 0.485
    assert stated(Run(model="timm:resnet18", data=cifar, weights="pretrained")).weights == "timm:resnet18.a1_in1k"


@pytest.mark.parity
@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("timm:test_resnet.r160_in1k", "timm.create_model"),
        ("torchvision:resnet18.IMAGENET1K_V1", "torch.hub.urlopen"),
    ],
)
def test_weights_of_a_library_that_cannot_be_fetched_are_one_line(
    name: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(name.partition(":")[0])

    def refused(*_: object, **__: object) -> object:
        raise OSError("the proxy refuses\nand says why")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(place, refused)
    with pytest.raises(
        CheckpointError, match=f"the weights {name} cannot be fetched: the proxy refuses; check"
    ) as caught:
        read_start(name)
    assert "\n" not in str(caught.value)


def test_a_network_whose_units_all_have_blocks_takes_no_design() -> None:
    from senet import SESpec, SpecError, create_model
    from senet.networks.insert_design import insert_design

    with pytest.raises(SpecError, match="use the design plain, or a network without blocks"):
        insert_design(create_model("resnet8", se=SESpec()), (SESpec(reduction=8),))


def test_a_network_with_blocks_of_its_own_says_that_plain_keeps_them(tmp_path: Path) -> None:
    (tmp_path / "mixed.py").write_text(
        "import senet\nfrom torch import nn\ndef net(num_classes, in_chans):\n"
        "    return nn.Sequential(nn.Conv2d(in_chans, 8, 3), senet.SqueezeExcite(8, reduction=2),\n"
        "        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))\n"
    )
    notes = initial(stated(Run(model=f"{tmp_path / 'mixed.py'}:net", data=DIGITS)), DATA).notes
    assert "it has a squeeze-and-excitation block of its own, which every design keeps, `plain` too" in notes
