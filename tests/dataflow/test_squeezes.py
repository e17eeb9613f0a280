"""Blocks are found by what they do: whatever their class is called, and where they are not a module."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import senet
from senet.errors import SpecError
from senet.spec import SESpec


class Linears(nn.Module):
    """The usual copy: a pool, linear maps in a sequence, a product."""

    def __init__(self, c=16):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(c, c // 4), nn.ReLU(), nn.Linear(c // 4, c), nn.Sigmoid())

    def forward(self, x):
        n, c = x.shape[:2]
        return x * self.fc(self.pool(x).view(n, c)).view(n, c, 1, 1).expand_as(x)


class Convs(nn.Module):
    """RCAN's: convolutions, a mean over axes."""

    def __init__(self, c=16):
        super().__init__()
        self.down, self.up = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)

    def forward(self, x):
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Hard(nn.Module):
    """MobileNet v3's, written out: a hard sigmoid in its parts, the gate first, the average in two steps."""

    def __init__(self, c=16):
        super().__init__()
        self.a, self.b = nn.Linear(c, c // 4), nn.Linear(c // 4, c)

    def forward(self, x):
        gate = F.relu6(self.b(F.silu(self.a(x.mean(-1).mean(-1)))) + 3) / 6
        return gate[:, :, None, None].mul(x)


class Last(nn.Module):
    """Channels last, three layers, a sum that is divided."""

    def __init__(self, c=16):
        super().__init__()
        self.one, self.two, self.three = nn.Linear(c, c // 4), nn.Linear(c // 4, c // 4), nn.Linear(c // 4, c)

    def forward(self, x):
        z = x.sum((1, 2), keepdim=True) / (x.shape[1] * x.shape[2])
        return x * torch.tanh(self.three(F.relu(self.two(F.relu(self.one(z))))))


def titled(kind, title):
    return type(title, (kind,), {})()


WORDS = (
    "SEAttention SE_Attention SEWeightModule RegNetSELayer EfficientNetSqueezeExciteLayer QuantizableSqueezeExcitation"
)
OTHERS = "CALayer ChannelGate Recalibration"


@pytest.mark.parametrize("title", [*WORDS.split(), *OTHERS.split()])
@pytest.mark.parametrize("kind", [Linears, Convs, Hard])
def test_blocks_of_any_name_are_found(kind, title):
    (found,) = senet.find(nn.Sequential(nn.Conv2d(3, 16, 3), titled(kind, title)))
    assert (found.name, found.widths, found.kind, found.left) == ("1", (16, 4, 16), "other", "")


def test_blocks_with_channels_last_are_found():
    assert [one.widths for one in senet.find(nn.Sequential(Last()))] == [(16, 4, 4, 16)]


def test_blocks_in_one_and_three_dimensions_are_found():
    class Line(Convs):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Conv1d(16, 4, 1), nn.Conv1d(4, 16, 1)

        def forward(self, x):
            return x * torch.sigmoid(self.up(torch.relu(self.down(F.adaptive_avg_pool1d(x, 1)))))

    class Cube(Linears):
        def forward(self, x):
            return x * self.fc(F.adaptive_avg_pool3d(x, 1).flatten(1))[:, :, None, None, None]

    assert len(senet.find(nn.Sequential(Line(), Cube()))) == 2


class Maximum(Convs):
    def forward(self, x):
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.amax((2, 3), keepdim=True)))))


class Both(Convs):  # CBAM's channel attention
    def forward(self, x):
        gates = [self.up(torch.relu(self.down(z))) for z in (x.mean((2, 3), True), x.amax((2, 3), True))]
        return x * torch.sigmoid(gates[0] + gates[1])


class Context(Convs):  # global context: a weighted average
    def forward(self, x):
        weights = x.flatten(2).sum(1, keepdim=True).softmax(-1)
        z = torch.bmm(x.flatten(2), weights.transpose(1, 2))[..., None]
        return x * torch.sigmoid(self.up(torch.relu(self.down(z))))


class Rows(Convs):  # coordinate attention keeps one of the two axes
    def forward(self, x):
        return x * torch.sigmoid(self.up(torch.relu(self.down(x.mean(3, keepdim=True)))))


class Local(Convs):  # no average at all
    def forward(self, x):
        return x * torch.sigmoid(self.up(torch.relu(self.down(x))))


class Added(Convs):
    def forward(self, x):
        return x + torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Elsewhere(Convs):  # the gate of one map for another
    def forward(self, x):
        return F.silu(x) * torch.sigmoid(self.up(torch.relu(self.down(x.mean((2, 3), keepdim=True)))))


class Mlp(Convs):
    def forward(self, x):
        return self.up(F.gelu(self.down(x)))


@pytest.mark.parametrize("kind", [Maximum, Both, Context, Rows, Local, Added, Elsewhere, Mlp])
def test_other_gates_are_no_blocks(kind):
    assert senet.find(nn.Sequential(nn.Conv2d(3, 16, 3), kind())) == ()


class Inline(nn.Module):
    """lukemelas' and MONAI's MBConv: the layers are the unit's own."""

    def __init__(self, c=16):
        super().__init__()
        self._depthwise_conv, self._bn = nn.Conv2d(c, c, 3, padding=1, groups=c), nn.BatchNorm2d(c)
        self._se_reduce, self._se_expand = nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1)
        self._project_conv, self._bn2 = nn.Conv2d(c, c, 1, bias=False), nn.BatchNorm2d(c)

    def forward(self, inputs):
        x = F.silu(self._bn(self._depthwise_conv(inputs)))
        x = torch.sigmoid(self._se_expand(F.silu(self._se_reduce(F.adaptive_avg_pool2d(x, 1))))) * x
        return self._bn2(self._project_conv(x)) + inputs


class GateOnly(nn.Module):
    """The gate is a module, the product is not."""

    def __init__(self, c=16):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(c, c, 3, padding=1), nn.Conv2d(c, c, 3, padding=1)
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, c // 4, 1), nn.ReLU())
        self.gate.extend([nn.Conv2d(c // 4, c, 1), nn.Sigmoid()])

    def forward(self, x):
        y = self.conv2(torch.relu(self.conv1(x)))
        return x + y * self.gate(y)


class TwoInputs(Inline):
    """It cannot run alone: the network shows what it does."""

    def forward(self, inputs, scale):
        return super().forward(inputs) * scale


class Scaling(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.unit = nn.Conv2d(3, 16, 3, padding=1), TwoInputs()

    def forward(self, x):
        return self.unit(self.stem(x), torch.ones((), device=x.device)).relu()


def sequence(unit):
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), unit, nn.ReLU())


INLINE = {
    "inline": (lambda: sequence(Inline()), "1", ("1._se_reduce", "1._se_expand")),
    "a gate that is a module": (lambda: sequence(GateOnly()), "1", ("1.gate.1", "1.gate.3")),
    "a unit of two inputs": (Scaling, "unit", ("unit._se_reduce", "unit._se_expand")),
}


@pytest.mark.parametrize("title", INLINE)
def test_inline_blocks_are_found_counted_and_left_in_peace(title):
    make, home, parts = INLINE[title]
    model = make().eval()
    (found,) = senet.find(model)
    assert (found.name, found.parts, found.widths) == (home, parts, (16, 4, 16))
    counted = senet.cost(model, shape=(1, 3, 8, 8))
    assert counted.se.params == sum(p.numel() for name in parts for p in model.get_submodule(name).parameters())
    assert counted.se.macs == 2 * 16 * 4
    planned = senet.plan(model, SESpec(reduction=4), shape=(1, 3, 8, 8))
    assert not planned.blocks
    assert [(one.name, one.reason) for one in planned.skipped] == [(home, f"it has a block already: {parts[0]}")]
    report = senet.fold(model, [torch.randn(4, 3, 8, 8)], tolerance=None)
    assert not report.blocks
    assert report.notes[0] == "the network has no SE blocks that are modules"
    assert parts[0] in report.notes[1]


def test_optimize_lists_inline_blocks_as_left():
    model = sequence(Inline()).eval()
    report = senet.optimize(model).report
    assert [(one.name, one.why.partition(",")[0]) for one in report.blocks] == [("1", "left")]


def test_fold_removes_a_block_that_is_found_by_what_it_does():
    torch.manual_seed(0)
    model = sequence(nn.Sequential(nn.Conv2d(16, 16, 1), titled(Convs, "CALayer"))).eval()
    report = senet.fold(model, [torch.randn(4, 3, 8, 8)], tolerance=None)
    assert report.removed == ("1.1",)


def test_layers_of_a_bottleneck_are_no_inline_block():
    class Neck(nn.Module):
        def __init__(self):
            super().__init__()
            self.down, self.up = nn.Conv2d(16, 4, 1), nn.Conv2d(4, 16, 1)

        def forward(self, x):
            return x + self.up(torch.relu(self.down(x)))

    assert senet.find(sequence(Neck())) == ()


@pytest.mark.parity
@pytest.mark.slow
def test_the_inline_blocks_of_monais_efficientnet():
    nets = pytest.importorskip("monai.networks.nets")
    model = nets.EfficientNetBN("efficientnet-b0", pretrained=False, num_classes=5).eval()
    found = senet.find(model)
    assert len(found) == 16
    assert all(one.kind == "monai" and one.parts[0].endswith("_se_reduce") for one in found)
    with pytest.raises(SpecError, match="no unit"):
        senet.plan(model, at="none*")
    assert not senet.plan(model, shape=(1, 3, 64, 64)).blocks


@pytest.mark.slow
@pytest.mark.parity
def test_the_blocks_of_torchvisions_quantizable_networks():
    models = pytest.importorskip("torchvision.models.quantization")
    model = models.mobilenet_v3_large(weights=None, quantize=False).eval()
    assert len(senet.find(model)) == 8
    assert len(senet.plan(model, SESpec(reduction=4), shape=(1, 3, 64, 64))) == 7  # those without one of their own
