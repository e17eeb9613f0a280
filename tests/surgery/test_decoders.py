"""Encoder-decoder networks and image-to-image networks: where their blocks go."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import senet
from senet.errors import SpecError
from senet.spec import SESpec

DESIGN = SESpec(reduction=2)


def double(a, b):
    layers = [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*layers, nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU())


class Skip(nn.Module):
    """pix2pix, MONAI's UNet: a level holds the next."""

    def __init__(self, c, inner):
        super().__init__()
        wide = 4 * c if isinstance(inner, Skip) else 2 * c
        self.body = nn.Sequential(
            nn.MaxPool2d(2), double(c, 2 * c), inner, nn.Conv2d(wide, c, 1), nn.Upsample(scale_factor=2)
        )

    def forward(self, x):
        return torch.cat([x, self.body(x)], 1)


class Gate(nn.Module):
    def __init__(self, c, maps=1):
        super().__init__()
        self.wg, self.wx, self.psi = nn.Conv2d(c, c // 2, 1), nn.Conv2d(c, c // 2, 1), nn.Conv2d(c // 2, maps, 1)

    def forward(self, g, x):
        return x * torch.sigmoid(self.psi(torch.relu(self.wg(g) + self.wx(x))))


class UNet(nn.Module):
    def __init__(self, gate=None):
        super().__init__()
        self.e1, self.e2, self.e3 = double(3, 8), double(8, 16), double(16, 32)
        self.up2, self.d2 = nn.ConvTranspose2d(32, 16, 2, 2), double(32, 16)
        self.up1, self.d1 = nn.ConvTranspose2d(16, 8, 2, 2), double(16, 8)
        self.out = nn.Conv2d(8, 2, 1)
        self.g2, self.g1 = (gate(16), gate(8)) if gate else (None, None)

    def forward(self, x):
        a = self.e1(x)
        b = self.e2(F.max_pool2d(a, 2))
        u = self.up2(self.e3(F.max_pool2d(b, 2)))
        u = self.up1(self.d2(torch.cat([u, self.g2(u, b) if self.g2 else b], 1)))
        return self.out(self.d1(torch.cat([u, self.g1(u, a) if self.g1 else a], 1)))


class Global(nn.Module):
    """VDSR, DnCNN: one sum around everything."""

    def __init__(self, inputs=3):
        super().__init__()
        layers = [nn.Conv2d(inputs, 8, 3, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU()]
        self.net = nn.Sequential(*layers, nn.Conv2d(8, inputs, 3, padding=1))

    def forward(self, x):
        return (x * 2 - 1 + self.net(x * 2 - 1)).clamp(0, 1)


class Down(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride=2, padding=1), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = nn.Conv2d(b, b, 3, padding=1), nn.BatchNorm2d(b)
        self.short = nn.Conv2d(a, b, 1, stride=2)

    def forward(self, x):
        return torch.relu(self.short(x) + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Up(nn.Module):
    def __init__(self, a, b):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, a // 4, 1), nn.BatchNorm2d(a // 4)
        self.up, self.bn2 = nn.ConvTranspose2d(a // 4, a // 4, 2, 2), nn.BatchNorm2d(a // 4)
        self.conv3, self.bn3 = nn.Conv2d(a // 4, b, 1), nn.BatchNorm2d(b)

    def forward(self, x):
        x = torch.relu(self.bn2(self.up(torch.relu(self.bn1(self.conv1(x))))))
        return torch.relu(self.bn3(self.conv3(x)))


class LinkNet(nn.Module):
    """Residual units in the encoder, sums of encoder and decoder around them."""

    def __init__(self):
        super().__init__()
        self.stem, self.e1, self.e2, self.e3 = double(3, 8), Down(8, 16), Down(16, 32), Down(32, 64)
        self.d3, self.d2, self.d1, self.out = Up(64, 32), Up(32, 16), Up(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x1 = self.e1(self.stem(x))
        x2 = self.e2(x1)
        x = self.d3(self.e3(x2)) + x2
        return F.interpolate(self.out(self.d1(self.d2(x) + x1)), scale_factor=2).sigmoid()


class Pyramid(nn.Module):
    """A feature pyramid: linear projections of the stages are summed from the top down."""

    def __init__(self):
        super().__init__()
        self.stem, self.e1, self.e2 = double(3, 8), Down(8, 16), Down(16, 32)
        self.l1, self.l2, self.head = nn.Conv2d(16, 8, 1), nn.Conv2d(32, 8, 1), nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x):
        a = self.e1(self.stem(x))
        b = self.e2(a)
        return self.head(self.l1(a) + F.interpolate(self.l2(b), scale_factor=2))


def nested():
    return nn.Sequential(double(3, 8), Skip(8, Skip(16, Skip(32, double(64, 64)))), nn.Conv2d(16, 2, 1))


CASES = {
    "nested": (nested, ["1.body.2.body.2.body.4.se", "1.body.2.body.4.se", "1.body.4.se"]),
    "attention gates of C channels": (lambda: UNet(lambda c: Gate(c, c)), None),
    "attention gates": (lambda: UNet(Gate), None),
    "plain": (UNet, None),
    "global sum": (Global, ["net.1.se", "net.4.se", "net.7.se"]),
    "global sum of many channels": (lambda: Global(6), ["net.1.se", "net.4.se", "net.7.se"]),
    "LinkNet": (
        LinkNet,
        ["e1.bn2.se", "e2.bn2.se", "e3.bn2.se", "d3.se", "d2.se"],
    ),
    "feature pyramid": (Pyramid, ["e1.bn2.se", "e2.bn2.se"]),
}
EVERY = [
    *("e1.2.se", "e1.5.se", "e2.2.se", "e2.5.se", "e3.2.se", "e3.5.se"),
    *("up2.se", "d2.2.se", "d2.5.se", "up1.se", "d1.2.se", "d1.5.se"),
]


@pytest.mark.parametrize("title", CASES)
def test_blocks_sit_on_every_level_and_not_on_the_output(title):
    make, names = CASES[title]
    torch.manual_seed(0)
    model = make().eval()
    first = next(module for module in model.modules() if isinstance(module, nn.Conv2d))
    x = torch.randn(2, first.in_channels, 32, 32)
    before = model(x)
    done = senet.insert(model, DESIGN, shape=(1, first.in_channels, 32, 32))
    assert sorted(done.names) == sorted(names or EVERY)
    assert torch.equal(model(x), before)
    assert done.gated > 0


def test_reasons_name_the_gate_and_the_output():
    skipped = senet.plan(UNet(Gate), DESIGN, shape=(1, 3, 32, 32)).skipped
    reasons = {one.name: one.reason for one in skipped}
    assert reasons["g2"] == "its output is the input of a gate"
    assert reasons["out"] == "it is the output of the network"


def test_features_without_a_head_are_no_output():
    features = nn.Sequential(double(3, 8), double(8, 16)).eval()
    names = senet.plan(features, DESIGN, shape=(1, 3, 32, 32)).names
    assert names == ("0.2.se", "0.5.se", "1.2.se", "1.5.se")


def test_a_classifier_of_convolutions_keeps_its_logits():
    model = nn.Sequential(double(3, 8), nn.Conv2d(8, 10, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    assert senet.plan(model, DESIGN, shape=(1, 3, 32, 32)).names == ("0.2.se", "0.5.se")


@pytest.mark.parametrize(
    ("at", "names"),
    [
        (["e?", "d*"], ["e1.bn2.se", "e2.bn2.se", "e3.bn2.se", "d3.se", "d2.se", "d1.se"]),
        (["stem", "d1.bn*"], ["stem.5.se", "d1.bn1.se", "d1.bn2.se", "d1.bn3.se"]),
    ],
)
def test_a_pattern_of_modules_gates_the_outermost_that_it_matches(at, names):
    torch.manual_seed(0)
    model, x = LinkNet().eval(), torch.randn(2, 3, 32, 32)
    before = model(x)
    assert sorted(senet.insert(model, DESIGN, at=at, shape=(1, 3, 32, 32)).names) == sorted(names)
    assert torch.equal(model(x), before)


class Mixer(nn.Module):
    """A transformer as encoder, convolutions as decoder."""

    def __init__(self):
        super().__init__()
        self.patches, self.body = nn.Conv2d(3, 16, 4, 4), nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.decoder, self.out = double(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        x = self.patches(x)
        tokens = x.flatten(2).transpose(1, 2)
        tokens = tokens + self.body(tokens)
        return self.out(F.interpolate(self.decoder(tokens.transpose(1, 2).reshape(x.shape)), scale_factor=4))


def test_the_decoder_of_a_transformer_takes_blocks_where_it_is_named():
    with pytest.raises(SpecError, match="Mixer is a transformer or a mixer"):
        senet.plan(Mixer(), DESIGN, shape=(1, 3, 32, 32))
    with pytest.raises(SpecError, match="Mixer is a transformer or a mixer"):
        senet.plan(Mixer(), DESIGN, at="body.*", shape=(1, 3, 32, 32))
    assert senet.plan(Mixer(), DESIGN, at="decoder", shape=(1, 3, 32, 32)).names == ("decoder.2.se", "decoder.5.se")


def test_the_drawing_has_a_line_for_each_map_size_of_named_modules():
    planned = senet.plan(LinkNet(), DESIGN, at=["stem", "e?", "d1"], shape=(1, 3, 32, 32))
    drawn = [line.split()[2:] for line in str(planned).splitlines() if line.startswith("stage")]
    assert drawn == [
        ["32x32", "─■─■─", "8", "channels"],
        ["16x16", "─■─", "16", "channels"],
        ["8x8", "─■─", "32", "channels"],
        ["4x4", "─■─", "64", "channels"],
    ]


def test_a_function_chooses_modules_one_by_one():
    chosen = senet.plan(LinkNet(), DESIGN, at=lambda name, module: name in ("d1", "d1.bn1"), shape=(1, 3, 32, 32))
    assert chosen.names == ("d1.bn1.se", "d1.se")


@pytest.mark.slow
@pytest.mark.parity
def test_monais_unets_have_blocks_on_every_level():
    nets = pytest.importorskip("monai.networks.nets")
    shape = {"spatial_dims": 2, "in_channels": 1, "out_channels": 2, "channels": (8, 16, 32, 64), "strides": (2, 2, 2)}
    plain = senet.plan(nets.UNet(**shape, num_res_units=0), DESIGN, shape=(1, 1, 32, 32))
    assert len(plain) == 3
    gated = senet.plan(nets.AttentionUnet(**shape), DESIGN, shape=(1, 1, 32, 32))
    assert len(gated) == 3
    assert not any("attention" in name for name in gated.names)
