"""Inputs of `senet.explain`: what is refused in one line, and what is explained nevertheless."""

import math

import pytest
import torch
from torch import nn

import senet
from senet.errors import DataError, NumericError, SpecError
from senet.explanation.conditions import groups_of, read_columns
from senet.kinds import KINDS
from senet.nn import SqueezeExcite


class Net(nn.Module):
    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.se = SqueezeExcite(6, reduction=2)
        self.head = nn.Linear(6, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.se(self.conv(x)).relu().mean((2, 3)))


X = torch.randn(24, 3, 4, 4)
Y = torch.arange(24) % 3


def refused(error: type[Exception] = SpecError, model: nn.Module | None = None, batches=None, **options) -> str:
    with pytest.raises(error) as caught:
        senet.explain(model or Net(), [(X, Y)] if batches is None else batches, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_be_explained_is_refused_in_one_line() -> None:
    assert "no squeeze-and-excitation blocks" in refused(model=nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()))
    assert "all 24 images have the label 1" in refused(batches=[(X, torch.ones(24).long())])
    text = refused(model=Net(24), batches=[(X, torch.arange(24))])
    assert "each of the 24 classes has one image" in text
    assert "none for label 2" in refused(classes=["a", "b"])
    assert "Did you mean 'shuffle'?" in refused(interventions=("shufle",))
    assert "has 3 values for 24 images" in refused(by={"site": ["a", "b", "c"]})
    assert "always measured" in refused(by={"brightness": [1.0] * 24})
    assert "names has 2 names for 24 images" in refused(names=["a", "b"])
    assert "images = 1 is too few" in refused(images=1)
    assert "some batches have labels" in refused(batches=[(X, Y), X + 1])
    assert "can be iterated only once" in refused(batches=iter([(X, Y)]))


def test_gates_that_are_not_finite_are_refused_with_the_name_of_the_block() -> None:
    net = Net()
    nn.init.constant_(net.se.fc2.bias, float("nan"))
    assert "se gives values that are not finite" in refused(NumericError, net)


def test_images_without_labels_have_no_class_statistics_but_all_others() -> None:
    found = senet.explain(Net(), [X[:10], X[10:]])
    block = found["se"]
    assert found.images_per_class == ()
    assert math.isnan(block.class_share)
    assert block.importance == {}
    assert 0 < block.varies < 1
    assert block.class_mean.shape == (1, 6)
    assert "24 images without labels" in str(found)


def test_labels_may_be_any_outputs_and_names_a_mapping() -> None:
    labels = torch.tensor([900, 7])[torch.arange(24) % 2]
    found = senet.explain(Net(1000), [(X, labels)], classes={7: "dog", 900: "cat"}, interventions=())
    assert found.classes == ("dog", "cat")
    assert found.images_per_class == (12, 12)
    assert found["se"].class_mean.shape == (2, 6)


def test_a_block_of_another_library_is_explained_from_its_input_and_output() -> None:
    torchvision = pytest.importorskip("torchvision")
    own, foreign = Net(), Net()
    foreign.se = torchvision.ops.SqueezeExcitation(6, 3)
    foreign.load_state_dict(own.state_dict())
    a, b = (senet.explain(net, [(X, Y)], interventions=("constant",))["se"] for net in (own, foreign))
    assert b.kind == "torchvision"
    assert b.own_logits
    assert torch.allclose(a.class_mean, b.class_mean, atol=1e-6)
    assert torch.allclose(a.logit_mean, b.logit_mean, atol=1e-5)
    assert a.importance["constant"].loss == pytest.approx(b.importance["constant"].loss, abs=1e-6)


def test_an_inserted_block_is_explained_and_the_network_stays() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net.append(nn.Linear(8, 3))
    senet.insert(net, senet.SESpec(reduction=2), shape=(1, 3, 4, 4), at="1")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    found = senet.explain(net, [(X, Y)])
    assert len(found.blocks) == 1
    assert set(found.blocks[0].importance) == {"constant", "identity", "shuffle", "class_mean"}
    assert found.stages[1] == found.blocks[0].importance["constant"]  # its only block
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_channels_that_are_zero_have_no_gate_and_count_as_missing() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), SqueezeExcite(6, reduction=2), nn.AdaptiveAvgPool2d(1))
    net.extend([nn.Flatten(), nn.Linear(6, 3)])
    nn.init.constant_(net[0].bias[2:3], -100.0)
    block = senet.explain(net, [(X, Y)])["2"]
    assert block.by_channel["missing"][2] == 1.0
    assert block.by_channel["mean"][2].isnan()
    assert block.class_share == block.class_share
    assert block.extremes.open.image[2].tolist() == [-1] * 4


def test_two_networks_are_compared_on_the_same_images() -> None:
    torch.manual_seed(0)
    first, second = Net(), Net()
    found = senet.explain(first, [(X, Y)], other=second)
    same = senet.explain(first, [(X, Y)], other=first).differences
    assert found.other is not None
    (block,) = found.differences.blocks
    assert block.class_share is not None
    assert block.class_share[0] == pytest.approx(found.other["se"].class_share - found["se"].class_share)
    assert block.class_share[1] < block.class_share[0] < block.class_share[2]
    assert same.blocks[0].class_share == pytest.approx((0, 0, 0), abs=1e-12)
    assert same.network is not None
    assert same.network.loss == (0.0, 0.0, 0.0)


def test_the_gate_curve_starts_at_the_accuracy_and_ends_in_one_answer() -> None:
    found = senet.explain(Net(), [(X, Y)], interventions=(), curve=True)
    curve = found["se"].gate_curve
    assert curve is not None
    assert len(curve.shares) == len(curve.rising) == len(curve.falling) == len(curve.random)
    assert all(0 <= value <= 100 for value in (*curve.rising, *curve.falling, *curve.random))
    assert curve.images == 24


def test_numbers_are_cut_into_ten_groups_and_words_are_groups_by_themselves() -> None:
    parts = groups_of([0.1 * number for number in range(100)])
    assert len(parts.labels) == 10
    assert torch.bincount(parts.rows).tolist() == [10] * 10
    assert groups_of(["b", "a", "", "b"]).labels == ("a", "b")
    assert groups_of(["b", "a", "", "b"]).rows.tolist() == [1, 0, -1, 1]
    assert groups_of([10, 9, 10]).labels == ("9", "10")


def test_a_csv_file_is_matched_by_names_or_by_order(tmp_path) -> None:
    path = tmp_path / "by.csv"
    path.write_text("file,site\nb.png,Y\na.png,X\n")
    assert read_columns(path, 2, ("cat/a.png", "dog/b.png")) == {"site": ["X", "Y"]}
    path.write_text("site\nX\nY\n")
    assert read_columns(path, 2) == {"site": ["X", "Y"]}
    for text, images, names, said in (
        ("site\nX\n", 2, (), "has 1 lines for 2 images"),
        ("file,site\nb.png,Y\n", 2, ("a.png", "b.png"), "no line for 1 of 2 images, e.g. a.png"),
        ("", 2, (), "has no lines"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            read_columns(path, images, names)
    with pytest.raises(DataError, match="cannot be read"):
        read_columns(tmp_path / "none.csv", 2)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_blocks_of_every_published_kind_are_explained(kind: str) -> None:
    net = Net()
    net.se = SqueezeExcite(6, senet.SESpec.kind(kind).but(reduction=2))
    block = senet.explain(net, [(X, Y)], interventions=("identity",)).blocks[0]
    assert block.channels == 6
    assert block.importance["identity"].images == 24
    if kind == "ge":  # the gate is a function of the channel's own squeeze
        assert block.context.own == pytest.approx(1.0, abs=0.01)
    if kind == "eca":  # and here of its neighbours
        assert block.context.near3 == pytest.approx(1.0, abs=0.01)


class Across(nn.Module):
    """Maps that become smaller and larger again, joined by a skip connection."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.low = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.up, self.head = nn.Conv2d(16, 8, 3, padding=1), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.down(x).relu()
        low = nn.functional.interpolate(self.low(x).relu(), scale_factor=2)
        return self.head(self.up(torch.cat([low, x], 1)).relu().mean((2, 3)))


def test_stages_are_those_that_a_design_names() -> None:
    model = Across()
    planned = senet.insert(model, "standard:reduction=2", shape=(1, 3, 4, 4), min_channels=1)
    found = senet.explain(model.eval(), [(X, Y)], interventions=())
    assert {block.name: block.stage for block in found} == {block.name: block.stage for block in planned}
    assert {block.stage for block in found} == {1, 2}
    some = senet.create_model("resnet8", se=senet.SESpec(stages=(2, 3)), num_classes=3)
    small = torch.randn(24, 3, 32, 32)
    found = senet.explain(some.eval(), [(small, Y)], interventions=())
    assert [block.stage for block in found] == [2, 3]  # not 1 and 2
    kth = senet.create_model("kth_resnet52", se="standard:reduction=8", num_classes=3)
    found = senet.explain(kth.eval(), [(small[:6], Y[:6])], interventions=())
    assert [block.stage for block in found] == [1] * 9 + [2] * 8 + [3] * 8  # with that of the stem
