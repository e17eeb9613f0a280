"""A gate that does not depend on the image is a constant: `fold` puts it into the layers beside and the block goes."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import senet
from senet.errors import NumericError, SpecError
from senet.models import create_model
from senet.models.preact_resnet import PreActResNet
from senet.nn import SqueezeExcite, chain
from senet.spec import SESpec
from senet.surgery import ChannelScale, find, fold, skeleton
from senet.surgery.folding.answers import Answers, compare

LAYERS = (nn.Conv2d, nn.Linear)


def ready(model: nn.Module, *, constant: bool = True) -> nn.Module:
    """Set the norm statistics of a network and, where asked, gates that are the same for all images."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.1)
    for found in find(model) if constant else ():
        last = [part for part in model.get_submodule(found.name).modules() if isinstance(part, LAYERS)][-1]
        nn.init.zeros_(last.weight)
        nn.init.normal_(last.bias)
    return model.eval()


def folded_exactly(model: nn.Module, x: Tensor, *, scales: int = 0) -> senet.Folded:
    """Fold constant gates and check that every block went and the outputs stayed."""
    with torch.no_grad():
        before = model(x)
        report = fold(model, [x], tolerance=0)
        after = model(x)
    assert find(model) == ()
    assert report.chosen == len(report.blocks) > 0
    assert (before - after).norm() <= 1e-6 * before.norm()
    assert len(report.scaled) == scales == sum(isinstance(m, ChannelScale) for m in model.modules())
    assert all(block.where for block in report.blocks)
    return report


class Answering(nn.Module):
    """A network whose answer stands among others."""

    def __init__(self, wrap: Callable[[Tensor], object]) -> None:
        super().__init__()
        self.conv, self.se, self.fc = nn.Conv2d(3, 8, 3), SqueezeExcite(8, SESpec(reduction=2)), nn.Linear(8, 5)
        self.wrap = wrap

    def forward(self, x: Tensor) -> object:
        return self.wrap(self.fc(self.se(self.conv(x)).mean((2, 3))))


class Output(OrderedDict[str, Tensor]):
    """As those of Hugging Face."""


@pytest.mark.parametrize(
    "wrap",
    [
        lambda y: {"aux": -y, "out": y},
        lambda y: Output(loss=y.mean(), logits=y),
        lambda y: {"first": y, "second": None},
        lambda y: (y, y.mean()),
        lambda y: ({"logits": y}, 3),
    ],
    ids=["out", "logits", "first key", "first part", "nested"],
)
@pytest.mark.usefixtures("unchecked")
def test_the_answer_is_found_among_other_outputs(wrap: Callable[[Tensor], object]) -> None:
    torch.manual_seed(0)
    model, plain = Answering(wrap), Answering(lambda y: y)
    plain.load_state_dict(model.state_dict())
    x = torch.randn(6, 3, 8, 8)
    report = fold(model, [x], tolerance=None)
    assert report.steps == fold(plain, [x], tolerance=None).steps
    assert report.removed == ("se",)
    assert find(model) == ()


@pytest.mark.parametrize(
    ("wrap", "said"),
    [
        (lambda y: [{"boxes": y[:1], "scores": y[0]} for _ in y], "returns a list of dict for 6 images"),
        (lambda y: y[:2], r"returns a tensor of shape \(2, 5\) for 6 images"),
        (lambda y: {}, "returns a dict of nothing for 6 images"),
        (lambda y: None, "returns NoneType for 6 images"),
    ],
    ids=["a detector's", "too few rows", "empty", "nothing"],
)
@pytest.mark.usefixtures("unchecked")
def test_an_answer_without_a_row_for_every_image_is_described(wrap: Callable[[Tensor], object], said: str) -> None:
    with pytest.raises(SpecError, match=rf"Answering {said}; .* or give the part of it that does, as a detector's"):
        fold(Answering(wrap), [torch.randn(6, 3, 8, 8)], tolerance=None)


class Net(nn.Module):
    """A body, the mean over the map, a classifier."""

    def __init__(self, body: nn.Module, channels: int) -> None:
        super().__init__()
        self.body, self.fc = body, nn.Linear(channels, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.body(x).mean((2, 3)))


def conv(a: int, b: int, k: int = 1, **options: object) -> nn.Conv2d:
    return nn.Conv2d(a, b, k, padding=k // 2, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(("slot", "scales"), [("standard", 0), ("pre", 0), ("post", 2), ("identity", 3), ("inner", 0)])
def test_constant_gates_fold_in_every_slot_of_a_resnet(slot, scales):
    model = ready(create_model("resnet8", se=SESpec(slot=slot, reduction=4)))
    folded_exactly(model, torch.randn(2, 3, 16, 16), scales=scales)  # its shortcut has no layer that takes constants


@pytest.mark.parametrize(("slot", "scales"), [("standard", 0), ("pre", 0), ("inner", 0), ("post", 1), ("identity", 1)])
def test_constant_gates_fold_in_every_slot_of_a_pre_activation_unit(slot, scales):
    model = ready(PreActResNet(depths=(1, 1, 1), widths=(4, 8, 16), se=SESpec(slot=slot, reduction=4)))
    folded_exactly(model, torch.randn(2, 3, 16, 16), scales=scales)


def test_the_folded_network_is_the_plain_one_with_other_numbers():
    model = ready(create_model("resnet8", se=SESpec(reduction=4)))
    x = torch.randn(2, 3, 16, 16)
    folded_exactly(model, x)
    plain = create_model("resnet8").eval()
    assert [str(m) for m in plain.modules()] == [str(m) for m in model.modules()]
    plain.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(plain(x), model(x))


def frozen(channels: int, *, act: bool = False) -> nn.Module:
    """A norm with fixed statistics and weights, all of them buffers; with ReLU it is timm's, else torchvision's."""
    if act:
        norm = pytest.importorskip("timm.layers").FrozenBatchNormAct2d(channels)
    else:
        norm = pytest.importorskip("torchvision.ops").FrozenBatchNorm2d(channels)
    for buffer in norm.buffers():
        nn.init.uniform_(buffer, 0.5, 1.5)
    return norm


def instance_norm(channels: int) -> nn.Module:
    norm = nn.InstanceNorm2d(channels, affine=True)
    nn.init.uniform_(norm.weight, 0.5, 1.5)
    nn.init.normal_(norm.bias)
    return norm


def test_a_norm_whose_bias_is_squared_takes_nothing():
    class Squared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.bias = nn.Parameter(torch.ones(8, 1, 1)), nn.Parameter(torch.ones(8, 1, 1))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight + self.bias * self.bias

    body = chain(c=conv(3, 8), n=Squared(), se=SE(8, SESpec(reduction=4)), e=nn.Sigmoid())
    report = folded_exactly(ready(Net(body, 8)), torch.randn(2, 3, 6, 6), scales=1)
    assert report.blocks[0].reason.startswith("a sum comes before it")


SE = SqueezeExcite
PLACES: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "norm before": (lambda: chain(c=conv(3, 8), n=nn.BatchNorm2d(8), se=SE(8, SESpec(reduction=4))), "n (before)"),
    "group norm before": (
        lambda: chain(c=conv(3, 8), n=nn.GroupNorm(2, 8), se=SE(8, SESpec(reduction=4))),
        "n (before)",
    ),
    "conv without bias before": (
        lambda: chain(c=conv(3, 8, bias=False), se=SE(8, SESpec(reduction=4)), a=nn.ReLU()),
        "c (before)",
    ),
    "depthwise conv before": (
        lambda: chain(b=conv(3, 8), c=conv(8, 8, 3, groups=8), se=SE(8, SESpec(reduction=4)), a=nn.SiLU()),
        "c (before)",
    ),
    "conv after an activation": (
        lambda: chain(b=conv(3, 8), a=nn.Hardswish(), se=SE(8, SESpec(reduction=4)), c=conv(8, 8, 3)),
        "c (after)",
    ),
    "grouped conv after": (
        lambda: chain(b=conv(3, 8), a=nn.SiLU(), se=SE(8, SESpec(reduction=4)), c=conv(8, 8, 3, groups=4)),
        "c (after)",
    ),
    "pad, pool and ReLU between": (
        lambda: chain(
            b=conv(3, 8),
            a=nn.SiLU(),
            se=SE(8, SESpec(reduction=4)),
            p=nn.ZeroPad2d(1),
            m=nn.MaxPool2d(2),
            r=nn.ReLU(inplace=True),
            c=conv(8, 8),
        ),
        "c (after)",
    ),
    "the classifier after the pooling": (
        lambda: chain(b=conv(3, 8), a=nn.SiLU(), se=SE(8, SESpec(reduction=4))),
        "fc (after)",
    ),
    "instance norm before": (
        lambda: chain(c=conv(3, 8), n=instance_norm(8), se=SE(8, SESpec(reduction=4)), a=nn.SiLU()),
        "n (before)",
    ),
    "instance norm before, through LeakyReLU": (
        lambda: chain(
            c=conv(3, 8),
            m=instance_norm(8),
            a=nn.LeakyReLU(inplace=True),
            se=SE(8, SESpec(reduction=4)),
            e=nn.Sigmoid(),
        ),
        "m (before)",
    ),
    "a frozen norm before": (
        lambda: chain(c=conv(3, 8), n=frozen(8), se=SE(8, SESpec(reduction=4)), a=nn.ReLU()),
        "n (before)",
    ),
    "a frozen norm before, through its ReLU": (
        lambda: chain(c=conv(3, 8), n=frozen(8, act=True), se=SE(8, SESpec(reduction=4)), e=nn.Sigmoid()),
        "n (before)",
    ),
    "a norm before, through ReLU": (
        lambda: chain(n=nn.BatchNorm2d(3), c=conv(3, 8), a=nn.ReLU(), se=SE(8, SESpec(reduction=4)), e=nn.Sigmoid()),
        "c (before)",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_constants_go_into_the_nearest_layer_that_takes_them(place):
    body, where = PLACES[place]
    report = folded_exactly(ready(Net(body(), 8)), torch.randn(3, 3, 6, 6))
    assert report.blocks[0].where.removeprefix("body.") == where


def test_negative_constants_do_not_pass_a_relu():
    se = SE(8, SESpec(reduction=4, gate="tanh"))
    model = ready(Net(chain(c=conv(3, 8), a=nn.ReLU(), se=se, e=nn.Sigmoid()), 8))
    assert (model.body.se.weights(torch.rand(1, 8, 4, 4)) < 0).any()
    report = folded_exactly(model, torch.randn(3, 3, 6, 6), scales=1)
    assert "negative" in report.blocks[0].reason


def test_a_concatenation_hands_every_part_its_own_constants():
    from senet.models.convolution import Concat

    body = chain(cat=Concat(a=conv(3, 3), b=conv(3, 5, 3)), se=SE(8, SESpec(reduction=4)), e=nn.Sigmoid())
    report = folded_exactly(ready(Net(body, 8)), torch.randn(3, 3, 6, 6))
    assert report.blocks[0].where == "body.cat.a (before), body.cat.b (before)"


class Twice(nn.Module):
    """The map before the gate is used again."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.se = conv(3, 8), SE(8, SESpec(reduction=4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        return torch.sin(self.se(y)) + y


def test_what_others_read_too_is_left_alone():
    report = folded_exactly(ready(Net(Twice(), 8)), torch.randn(3, 3, 6, 6), scales=1)
    assert "used elsewhere" in report.blocks[0].reason
    assert report.params_freed == report.blocks[0].params - 8


class InPlace(nn.Module):
    """A block's input changes in place after it was kept under another name."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.se, self.out = conv(3, 8), SE(8, SESpec(reduction=4)), conv(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        rows = y[:, :, 1:]
        y.mul_(2)
        y = self.se(y)
        return torch.sin(self.out(y)) + rows.mean()


def test_writes_in_place_do_not_deceive_it():
    report = folded_exactly(ready(Net(InPlace(), 8)), torch.randn(3, 3, 6, 6))
    assert report.blocks[0].where == "body.out (after)"


def test_a_layer_that_runs_twice_takes_nothing():
    shared = conv(8, 8)
    body = chain(b=conv(3, 8), a=shared, s=nn.SiLU(), c=shared, se=SE(8, SESpec(reduction=4)), e=nn.Sigmoid())
    report = folded_exactly(ready(Net(body, 8)), torch.randn(3, 3, 6, 6), scales=1)
    assert "shares" in report.blocks[0].reason


def test_a_block_that_runs_twice_stays():
    se = SE(8, SESpec(reduction=4))
    model = ready(Net(chain(b=conv(3, 8), se=se, a=nn.ReLU(), again=se), 8))
    report = fold(model, [torch.randn(3, 3, 6, 6)], tolerance=None)
    assert (report.chosen, report.removed) == (0, ())
    assert "exactly once" in report.blocks[0].reason
    assert any("no block can be replaced" in note for note in report.notes)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_b0", "regnet_y_400mf"])
def test_the_blocks_of_torchvision_fold(name):
    models = pytest.importorskip("torchvision.models")
    model = ready(models.get_model(name, weights=None, num_classes=7))
    report = folded_exactly(model, torch.randn(1, 3, 32, 32))
    assert all("(after)" in block.where for block in report.blocks)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("name", ["mobilenetv3_small_050", "seresnet18", "legacy_seresnet18", "ghostnet_100"])
def test_the_blocks_of_timm_fold(name):
    timm = pytest.importorskip("timm")
    folded_exactly(ready(timm.create_model(name, num_classes=7)), torch.randn(1, 3, 32, 32))


@pytest.mark.parity
@pytest.mark.parametrize("name", ["timm.layers.SEModule", "torchvision.ops.SqueezeExcitation"])
def test_the_classes_of_other_libraries_fold_as_ours_do(name):
    package, _, title = name.rpartition(".")
    made = getattr(pytest.importorskip(package), title)
    block = made(8, 4) if title == "SqueezeExcitation" else made(8)
    x = torch.randn(3, 3, 6, 6)
    before = chain(c=conv(3, 8), n=nn.BatchNorm2d(8), se=block, a=nn.ReLU())
    assert folded_exactly(ready(Net(before, 8)), x).blocks[0].where == "body.n (before)"
    after = chain(b=conv(3, 8), a=nn.Hardswish(), se=copy.deepcopy(block), c=conv(8, 8))
    assert folded_exactly(ready(Net(after, 8)), x).blocks[0].where == "body.c (after)"


@pytest.mark.parity
def test_a_map_with_the_channels_last_keeps_a_scale():
    layers = pytest.importorskip("timm.layers.squeeze_excite")

    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.se = conv(3, 8), layers.SqueezeExciteCl(8)

        def forward(self, x: Tensor) -> Tensor:
            return self.se(self.conv(x).movedim(1, -1)).movedim(-1, 1)

    report = folded_exactly(ready(Net(Last(), 8)), torch.randn(3, 3, 5, 6), scales=1)
    assert "channels last" in report.blocks[0].reason


def real(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return ready(create_model("resnet8", se=SESpec(reduction=4)), constant=False)


def test_gates_that_depend_on_the_image_stay_where_nothing_may_change():
    model, x = real(), torch.randn(16, 3, 12, 12)
    weights = copy.deepcopy(model.state_dict())
    report = fold(model, [x], tolerance=0)
    assert (report.chosen, len(find(model)), len(report.steps)) == (0, 3, 2)
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
    assert all(block.variation > 0 and block.error > 0 and not block.where for block in report.blocks)
    assert any("nothing was folded" in note for note in report.notes)


def test_a_gate_at_every_position_is_measured_and_not_taken_for_a_constant():
    model = ready(Net(chain(c=conv(3, 8), se=SE(8, SESpec(reduction=2, squeeze="none"))), 8), constant=False)
    report = fold(model, [torch.randn(8, 3, 6, 6)], tolerance=0)
    (block,) = report.blocks
    assert block.variation >= block.spatial > 1e-3
    assert report.chosen == 0


def test_a_dry_run_draws_the_whole_curve_and_changes_nothing():
    model, x = real(), torch.randn(16, 3, 12, 12)
    before = model(x)
    report = fold(model, [(x, torch.arange(16) % 10)], tolerance=0, dry_run=True)
    assert [step.blocks for step in report.steps] == [0, 1, 2, 3]
    assert report.dry_run
    assert len(find(model)) == 3
    assert torch.equal(model(x), before)
    assert [block.name for block in report.order] == [step.name for step in report.steps[1:]]
    errors = [block.error for block in report.order]
    assert errors == sorted(errors)
    assert report.steps[-1].params == sum(block.params for block in report.blocks)


def test_the_last_step_is_the_network_that_is_left():
    model, x = real(), torch.randn(16, 3, 12, 12)
    y = torch.randint(10, (16,))
    original = copy.deepcopy(model)
    report = fold(model, [(x[:8], y[:8]), (x[8:], y[8:])], tolerance=None, blocks=2)
    assert report.measure == "accuracy"
    step = report.steps[report.chosen]
    with torch.no_grad():
        was, now = original(x).argmax(1), model(x).argmax(1)
    assert step.correct == (now == y).sum()
    assert step.changed == (was != now).sum()
    assert step.worse == ((was == y) & (now != y)).sum()
    assert step.better == ((was != y) & (now == y)).sum()
    assert report.rounding < 1e-6
    assert senet.cost(original, shape=(1, 3, 12, 12)).params == (
        senet.cost(model, shape=(1, 3, 12, 12)).params + report.params_freed
    )


def test_budgets_end_the_removal():
    x = torch.randn(8, 3, 12, 12)
    assert fold(real(), [x], tolerance=None, blocks=1).chosen == 1
    report = fold(real(), [x], tolerance=None, params=1)
    assert report.chosen == 1
    assert fold(real(), [x], tolerance=None, params=report.blocks[0].params + 10**6).chosen == 3
    assert fold(real(), [x], blocks=0).chosen == 0


def test_a_pattern_says_which_blocks_may_go():
    model = real()
    report = fold(model, [torch.randn(8, 3, 12, 12)], tolerance=None, at="stage3.*")
    assert report.removed == ("stage3.unit1.se",)
    assert len(find(model)) == 2
    assert fold(model, [torch.randn(8, 3, 12, 12)], at="stage9.*").notes == (
        "none of the 2 blocks has a name like 'stage9.*'",
    )
    assert "no SE blocks" in fold(create_model("resnet8"), [torch.randn(2, 3, 8, 8)]).notes[0]


def test_a_unit_of_gain_changes_the_order():
    x = torch.randn(8, 3, 12, 12)
    reports = {per: fold(real(), [x], dry_run=True, per=per) for per in ("block", "params", "time")}
    scores = [b.error**2 / b.params for b in reports["params"].order]
    assert scores == sorted(scores)
    assert {b.name for b in reports["time"].order} == {b.name for b in reports["block"].order}


def test_without_labels_the_answers_are_compared():
    report = fold(real(), [torch.randn(20, 3, 12, 12)], tolerance=100)
    assert report.measure == "answers"
    assert report.chosen == 3
    assert report.steps[-1].correct is None
    assert report.steps[-1].loss == 100 * report.steps[-1].changed / 20


def test_without_logits_the_outputs_are_compared():
    net = real()
    body = nn.Sequential(*(getattr(net, name) for name in net.parts))
    report = fold(body, [torch.randn(4, 3, 12, 12), torch.randn(4, 3, 12, 12)], tolerance=None)
    assert report.measure == "output"
    last = report.steps[-1]
    assert last.changed is None
    assert last.low <= last.loss <= last.high
    assert last.loss == pytest.approx(100 * last.error)


def test_other_images_decide_how_far_it_goes():
    x = torch.randn(12, 3, 12, 12)
    report = fold(real(), [x[:4]], test=[(x[4:], torch.zeros(8, dtype=torch.int64))], tolerance=None)
    assert (report.statistics_images, report.test_images, report.separate) == (4, 8, True)
    assert report.measure == "accuracy"


def test_a_small_test_set_cannot_show_a_small_loss():
    report = fold(real(), [torch.randn(20, 3, 12, 12)], tolerance=0.5)
    assert any("with 20 images" in note for note in report.notes)
    assert not any("with 20 images" in n for n in fold(real(), [torch.randn(20, 3, 12, 12)], sure=False).notes)


def test_modes_and_statistics_survive():
    model = real().train()
    model.stage1.eval()
    modes = [m.training for m in model.modules()]
    fold(model, [torch.randn(8, 3, 12, 12)], dry_run=True)
    assert [m.training for m in model.modules()] == modes
    model = real().train()
    means = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    fold(model, [torch.randn(8, 3, 12, 12)], tolerance=None)
    assert all(torch.equal(model.state_dict()[k], v) for k, v in means.items())
    assert model.training


def test_the_state_dict_loads_into_a_skeleton():
    model = ready(create_model("resnet8", se=SESpec(slot="post", reduction=4)))
    x = torch.randn(2, 3, 16, 16)
    report = folded_exactly(model, x, scales=2)
    fresh = create_model("resnet8", se=SESpec(slot="post", reduction=4)).eval()
    skeleton(fresh, report.removed, scaled=report.scaled)
    fresh.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(fresh(x), model(x))
    with pytest.raises(SpecError, match="not a block of this network"):
        skeleton(create_model("resnet8"), report.removed)


def test_progress_is_told_pass_by_pass():
    said = []
    fold(real(), [torch.randn(4, 3, 12, 12)], tolerance=None, watch=lambda *words: said.append(words))
    assert [done for _, done, _ in said] == list(range(7))
    assert {planned for _, _, planned in said} == {7}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tolerance": -1}, "tolerance = -1"),
        ({"tolerance": math.nan}, "tolerance = nan"),
        ({"blocks": -2}, "blocks = -2"),
        ({"per": "parms"}, "Did you mean 'params'"),
    ],
)
def test_wrong_arguments_are_named(options, message):
    with pytest.raises(SpecError, match=message):
        fold(real(), [torch.randn(2, 3, 8, 8)], **options)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(NumericError, match=r"stage1\.unit1\.se"):
        fold(real(), [torch.full((2, 3, 8, 8), float("nan"))])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_fold_too(dtype):
    body = chain(c=conv(3, 8), n=nn.BatchNorm2d(8), se=SE(8, SESpec(reduction=4)), a=nn.ReLU())
    model = ready(Net(body, 8)).to(dtype)
    x = torch.randn(3, 3, 6, 6, dtype=dtype)
    before = model(x)
    report = fold(model, [x], tolerance=None)
    assert report.blocks[0].where == "body.n (before)"
    assert (before - model(x)).norm() <= 4 * torch.finfo(dtype).eps * before.norm() + 1e-6


def test_an_error_on_the_way_leaves_the_network_as_it_was():
    model, x = real(), torch.randn(4, 3, 12, 12)
    before = model(x)

    def stop(what: str, done: int, planned: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fold(model, [x], watch=stop, tolerance=None)
    assert len(find(model)) == 3
    assert torch.equal(model(x), before)


class SELayer(nn.Module):
    """Writes into its map, as a statement or as an expression."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.fc1, self.fc2, self.how = nn.Linear(8, 4), nn.Linear(4, 8), how

    def forward(self, x: Tensor) -> Tensor:
        s = torch.sigmoid(4 * self.fc2(torch.relu(self.fc1(x.mean((2, 3))))))[:, :, None, None]
        if self.how == "x *= s":
            x *= s
            return x
        if self.how == "torch.mul(out=x)":
            return torch.mul(x, s, out=x)
        return x.mul_(s) if self.how == "x.mul_(s)" else x * s


class AsStatement(nn.Module):
    """Reads the map under its old name after the block wrote into it."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.conv, self.se, self.out = conv(3, 8), SELayer(how), nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        self.se(y)
        return self.out(y)


@pytest.mark.parametrize("how", ["x.mul_(s)", "x *= s", "torch.mul(out=x)"])
@pytest.mark.parametrize("labels", [False, True])
def test_a_block_that_writes_into_its_map_folds_as_one_that_does_not(how, labels):
    reports, outputs = [], []
    x = torch.randn(16, 3, 6, 6)
    for kind in ("x * s", how):
        torch.manual_seed(0)
        model = ready(Net(chain(c=conv(3, 8), n=nn.BatchNorm2d(8), se=SELayer(kind), a=nn.ReLU()), 8), constant=False)
        reports.append(fold(model, [(x, torch.arange(16) % 5) if labels else x], tolerance=None))
        outputs.append(model(x))
    one, other = (report.blocks[0] for report in reports)
    assert (one.gate_mean, one.variation, one.error, one.where) == (
        other.gate_mean, other.variation, other.error, other.where,
    )  # fmt: skip
    assert torch.equal(*outputs)


def test_a_block_that_is_a_statement_is_folded_as_one():
    torch.manual_seed(0)
    model = ready(Net(AsStatement("x.mul_(s)"), 8))
    report = folded_exactly(model, torch.randn(4, 3, 6, 6))
    assert report.blocks[0].where == "body.conv (before)"


@pytest.mark.parametrize(("mode", "made"), [(torch.no_grad, "outside"), (torch.inference_mode, "inside")])
def test_the_mode_around_it_changes_nothing(mode, made):
    x = torch.randn(8, 3, 12, 12)
    wanted, model = fold(real(), [x], tolerance=None), real()
    with mode():
        images = x.clone() if made == "inside" else x
        report = fold(model, [images], tolerance=None)
    assert [block.where for block in report.blocks] == [block.where for block in wanted.blocks]
    model.train()(x).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_a_network_made_in_inference_mode_is_refused():
    with torch.inference_mode():
        model = create_model("resnet8", se=SESpec(reduction=4))
    with pytest.raises(SpecError, match=r"model\..* was made in inference_mode"):
        fold(model, [torch.randn(2, 3, 8, 8)])


def test_the_interval_of_outputs_is_one_over_images() -> None:
    torch.manual_seed(0)
    out = torch.rand(64, 3, 4, 4)
    changed = out * (1 + 0.1 * torch.randn(64, 1, 1, 1))
    steps = [
        compare(
            Answers(outputs=torch.split(out, size), labels=None),
            Answers(outputs=torch.split(changed, size), labels=None),
            blocks=1, name="se", params=0,
        )
        for size in (64, 8, 1)
    ]  # fmt: skip
    for step in steps:
        assert (step.loss, step.low, step.high) == pytest.approx((steps[0].loss, steps[0].low, steps[0].high))
    assert steps[0].low < steps[0].loss < steps[0].high < 2 * steps[0].loss
    out[0] = changed[0] = 0
    changed[0, 0, 0, 0] = 1e-6  # an image without an output has no weight
    one = compare(Answers((out,), None), Answers((changed,), None), blocks=1, name="se", params=0)
    assert one.high == pytest.approx(steps[0].high, rel=0.05)
    assert compare(Answers((out,), None), Answers((out,), None), blocks=0, name="", params=0).high == 0
    assert (
        compare(Answers((out[1:2],), None), Answers((changed[1:2],), None), blocks=1, name="", params=0).high
        == math.inf
    )


def test_a_network_with_one_number_for_each_image_folds() -> None:
    class Score(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.se, self.head = SqueezeExcite(8, reduction=2), nn.Linear(8, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.se(x).mean((2, 3))).squeeze(1)

    folded = senet.fold(Score().eval(), [torch.randn(16, 8, 4, 4)], tolerance=None)
    assert folded.measure == "output"
