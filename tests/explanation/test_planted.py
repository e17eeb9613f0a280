"""A network with planted defects: each of them is found and named, and a good block is not."""

import pytest
import torch
from torch import nn

import senet
from senet.explanation import Explanation
from senet.explanation.class_sums import Moments
from senet.explanation.information import information, information_by_chance
from senet.explanation.interventions import substitutes
from senet.explanation.values import BlockExplanation
from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.surgery.gates.saturation import range_of

N, K, C = 240, 4, 12


class Gate(nn.Module):
    """A custom excitation `(n, c, 1, 1) -> (n, c, 1, 1)` by a function of the squeeze."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.function(z)


def by_class(z: torch.Tensor) -> torch.Tensor:
    """Open for images whose third channel is high: class 2."""
    return torch.where(z[:, 2:3] > 1.0, 3.0, -2.0).expand_as(z)


class Planted(nn.Module):
    """Blocks one after the other on maps whose channel means are known."""

    def __init__(self) -> None:
        super().__init__()
        self.dead = SqueezeExcite(C, reduction=2)  # all gates 0.5
        self.constant = SqueezeExcite(C, reduction=2)
        self.identity = SqueezeExcite(C, SESpec(gate="unit_sigmoid", reduction=2))
        self.bright = SqueezeExcite(C, excitation=Gate(lambda z: z[:, :1].expand_as(z)))
        self.detector = SqueezeExcite(C, excitation=Gate(by_class))
        self.plain = SqueezeExcite(C, reduction=2)
        self.head = nn.Linear(5 * C, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = [self.dead(x), self.constant(x), self.identity(x), self.bright(x), self.detector(x)]
        parts[0] = parts[0] + self.plain(x)
        return self.head(torch.cat(parts, 1).mean((2, 3)))


def images() -> tuple[torch.Tensor, torch.Tensor]:
    """Images whose first channel has the brightness of the image, and whose channels 1 to 4 tell the class."""
    labels = torch.arange(N) % K
    x = 0.3 * torch.randn(N, C, 4, 4)
    bright = torch.rand(N) * 6 - 3
    x += bright.view(-1, 1, 1, 1) * torch.eye(C)[0].view(1, C, 1, 1)
    x += 2 * nn.functional.one_hot(labels, C).roll(0, 1).view(N, C, 1, 1) * (torch.arange(C) > 0).view(1, C, 1, 1)
    return x, labels


@pytest.fixture(scope="module")
def found() -> Explanation:
    torch.manual_seed(0)
    net = Planted().eval()
    with torch.no_grad():
        net.dead.fc1.bias.fill_(-50)
        net.dead.fc2.bias.zero_()
        net.constant.fc2.weight.zero_()
        net.constant.fc2.bias.normal_()
        net.identity.fc2.weight.zero_()
        net.identity.fc2.bias.zero_()
        net.plain.fc2.weight *= 3
    x, labels = images()
    batches = [(x[i : i + 60], labels[i : i + 60]) for i in range(0, N, 60)]
    scanner = ["A" if value > 0 else "B" for value in x[:, 0].mean((1, 2))]
    return senet.explain(net, batches, classes=["cat", "dog", "frog", "ship"], by={"scanner": scanner}, images=120)


def codes(found: Explanation, name: str) -> dict[str, str]:
    return {one.code: one.text for one in found[name].diagnosis}


def test_gates_at_one_half_by_dead_hidden_units_are_named_with_the_way_out(found: Explanation) -> None:
    told = codes(found, "dead")
    assert (
        told["half_dead"]
        == "all gates 0.50: 6 of 6 hidden units never fire; raise the learning rate of fc1, or use leaky_relu"
    )
    assert found["dead"].diagnosis[0].severity == "defect"
    assert found["dead"].half == 1.0
    assert found["dead"].hidden_dead == (1.0,)


def test_a_constant_gate_is_named(found: Explanation) -> None:
    assert codes(found, "constant")["constant"] == "constant to the last bit: fold it"
    assert found["constant"].stuck == 1.0
    assert found["constant"].class_share == 0.0
    assert found["constant"].class_share_p == 1.0


def test_an_identity_gate_is_named(found: Explanation) -> None:
    assert "remove it" in codes(found, "identity")["identity"]
    assert "constant" not in codes(found, "identity")
    assert found["identity"].gate_range == (0.0, 2.0)
    assert found["identity"].half == 1.0  # the middle of (0, 2)
    assert found["identity"].importance["identity"].loss[0] == pytest.approx(0, abs=1e-6)


def test_a_gate_that_follows_brightness_is_named_by_a_condition_of_the_user_and_by_that_of_the_input(
    found: Explanation,
) -> None:
    block = found["bright"]
    text = codes(found, "bright")["class_blind"]
    assert "but follows" in text
    assert block.conditions["scanner"].share > 0.5
    assert block.conditions["scanner"].p < 0.01
    assert block.conditions["brightness"].share > 0.5
    assert block.conditions["scanner"].groups == ("A", "B")
    assert sum(block.conditions["scanner"].counts) == N


def test_a_class_detector_is_named_with_its_class(found: Explanation) -> None:
    assert "detects class frog" in codes(found, "detector")["detector"]
    assert found["detector"].class_share > 0.9
    assert found["detector"].selectivity.gates > 0.3
    assert found["detector"].information_max == pytest.approx(0.811, abs=0.02)  # the entropy of one class in four


def test_a_good_block_has_no_defect(found: Explanation) -> None:
    assert all(one.severity != "defect" for one in found["plain"].diagnosis)
    assert not {"constant", "identity", "half_dead", "detector"} & set(codes(found, "plain"))


def test_each_kind_of_replaced_gate_does_to_planted_blocks_what_it_must(found: Explanation) -> None:
    constant, detector = found["constant"].importance, found["detector"].importance
    assert constant["constant"].loss == pytest.approx((0, 0, 0), abs=1e-5)
    assert constant["shuffle"].loss == pytest.approx((0, 0, 0), abs=1e-5)
    assert detector["class_mean"].loss == pytest.approx((0, 0, 0), abs=1e-4)
    assert detector["shuffle"].loss[2] > detector["shuffle"].loss[1]
    assert detector["shuffle"].images == 120


def test_the_printed_table_has_every_block_its_numbers_and_its_diagnosis(found: Explanation) -> None:
    text = str(found)
    assert "240 images of 4 classes, 60 images a class (cat, dog, frog, ship)" in text
    assert "chance 25.00 %" in text
    assert "detector: detects class frog" in text
    for block in found:
        assert block.name in text
    assert "class_share: " in repr(found["plain"])
    with pytest.raises(senet.SpecError, match=r"Did you mean 'plain'\?"):
        found["plian"]


def test_files_hold_the_numbers(found: Explanation, tmp_path) -> None:
    import json

    from safetensors.torch import load_file

    files = found.save(tmp_path / "out", made={"data": {"name": "planted", "split": "test"}})
    assert {"explain.json", "sums.safetensors", "report.md", "blocks.csv", "classes.png"} <= {
        path.name for path in files
    }
    told = json.loads((tmp_path / "out" / "explain.json").read_text())
    assert told["schema"] == 1
    assert told["data"]["name"] == "planted"
    assert told["data"]["images_per_class"] == [60] * 4
    assert [block["name"] for block in told["blocks"]] == [block.name for block in found]
    sums = load_file(tmp_path / "out" / "sums.safetensors")
    for number, block in enumerate(found):
        assert torch.allclose(sums[f"{number}.class_mean"].double(), block.class_mean, atol=1e-6)
        assert (f"{number}.logit_mean" in sums) == block.own_logits
    shown = {image["index"]: image for image in told["images"]}
    for block in told["blocks"]:
        for row in block["extremes"]["open"]["image"]:
            assert all(index in shown for index in row)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "detects class frog" in report
    assert "![importance](importance.png)" in report


# ---- what is said of blocks without a dead zone, a lower end at 0, or a class


class OneBlock(nn.Module):
    def __init__(self, block: SqueezeExcite) -> None:
        super().__init__()
        self.se, self.head = block, nn.Linear(C, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.se(x).mean((2, 3)))


def explained(block: SqueezeExcite) -> BlockExplanation:
    return senet.explain(OneBlock(block).eval(), [images()], images=60)["se"]


@pytest.mark.parametrize("activation", ["leaky_relu", "silu", "gelu"])
def test_units_that_are_never_exactly_0_do_not_die(activation: str) -> None:
    block = SqueezeExcite(C, SESpec(reduction=2, activation=activation))
    with torch.no_grad():
        block.fc1.bias.fill_(-1.0)
        block.fc1.weight.mul_(0.1)
    found = explained(block)
    assert found.varies > 1e-5
    assert found.hidden_widths == (C // 2,)
    assert found.hidden_dead == ()
    assert not {"hidden_dead", "half_dead", "linear"} & {one.code for one in found.diagnosis}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_activation_with_weights_is_not_run_apart(dtype: torch.dtype) -> None:
    block = SqueezeExcite(C, excitation=nn.Sequential(nn.Conv2d(C, 4, 1), nn.PReLU(4), nn.Conv2d(4, C, 1)))
    x, labels = images()
    found = senet.explain(OneBlock(block).to(dtype).eval(), [(x.to(dtype), labels)], images=20)["se"]
    assert found.hidden_dead == ()


def test_a_kind_without_a_hidden_layer_gets_no_advice_about_one() -> None:
    found = explained(SqueezeExcite(C, SESpec.kind("gct")))
    assert (found.hidden_widths, found.rank_limit) == ((), C)
    assert not {"hidden_dead", "linear", "rank"} & {one.code for one in found.diagnosis}


@pytest.mark.parametrize(
    ("gate", "ends"), [("gaussian", (0, 1)), ("sigmoid", (0, 1)), ("residual_sigmoid", (1, 2)), ("tanh", (-1, 1))]
)
def test_the_range_of_a_gate_is_found_wherever_its_ends_lie(gate: str, ends: tuple[float, float]) -> None:
    assert range_of(SqueezeExcite(C, SESpec(gate=gate, reduction=2))) == pytest.approx(ends, abs=1e-6)


def test_channels_are_lost_only_where_the_gate_is_near_0() -> None:
    for gate, lost in (("sigmoid", True), ("residual_sigmoid", False), ("tanh", False)):
        block = SqueezeExcite(C, SESpec(gate=gate, reduction=2))
        with torch.no_grad():
            block.fc2.bias.fill_(-20)
        texts = [one.text for one in explained(block).diagnosis]
        assert any("lost" in text for text in texts) == lost, gate


def test_bits_are_about_0_where_the_gate_knows_no_class() -> None:
    gates, rows = torch.rand(400, 20), torch.arange(400) % 100
    assert information(gates, rows).mean() > 0.5  # 4 images a class: the correction of the bias is too small
    assert (information(gates, rows) - information_by_chance(gates, rows)).mean().abs() < 0.05


def test_the_mean_of_a_class_does_not_hold_the_gate_of_the_image_itself() -> None:
    """With its own gate in a mean of two, a block that follows single images looked class-specific."""
    gate = torch.rand(60, 4, dtype=torch.float64)
    classes = Moments(4)
    rows = torch.arange(60) // 2
    classes.add(rows, gate, 30)
    block = SqueezeExcite(4, excitation=Gate(lambda z: torch.logit(z)))
    puts = substitutes(
        block, dim=1, gate=gate, index=torch.arange(60), constant=gate.mean(0), classes=classes
    )  # fmt: skip
    x = gate.float().view(60, 4, 1, 1)
    with torch.no_grad():
        y = puts["class_mean"](torch.arange(60), rows)(x)[..., 0, 0] / x[..., 0, 0]
        assert torch.allclose(y, gate.view(30, 2, 4).flip(1).reshape(60, 4).float(), atol=1e-4)
        shuffled = puts["shuffle"](torch.arange(60), rows)(torch.ones(60, 4, 1, 1))[..., 0, 0]
    assert not (shuffled == gate.float()).all(1).any(), "every image has the gates of another"
