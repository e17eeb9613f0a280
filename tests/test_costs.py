"""What networks cost: the papers' numbers, hand-computed small nets, and a model that is left as it was."""

import functools
import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torch_state import forward_hooks, global_hooks, writes

from senet.costs import Cost, cost
from senet.errors import SpecError
from senet.models import create_model
from senet.nn import Residual, SqueezeExcite
from senet.spec import SESpec

CONVS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


class Forward(nn.Module):
    """A function of the input and of named children, as a network."""

    def __init__(self, function, **children):
        super().__init__()
        self.function = function
        for name, child in children.items():
            setattr(self, name, child)

    def forward(self, x):
        return self.function(self, x)


@functools.cache
def of(name: str, *, size: int = 224, se: SESpec | None = None, **options) -> Cost:
    """Count a network of the zoo that holds no weights."""
    with torch.device("meta"):
        model = create_model(name, se=se, **options)
    return cost(model, shape=(1, 3, size, size))


# the papers' networks, to the printed digit


def test_plain_resnet50_costs_what_the_paper_counts():
    found = of("resnet50")
    assert (found.macs, found.add, found.params) == (3_857_973_248, 5_519_360, 25_557_032)
    assert (found.giga(), round(found.giga("macs+add"), 4)) == (3.857973248, 3.8635)
    assert found.scale == found.se.macs == found.se.params == 0
    assert found.blocks == ()


@pytest.mark.parametrize(
    ("name", "size", "plain", "columns", "with_adds"),
    [
        ("resnet50", 224, 3.8580, (3.8605, 3.8660, 3.8715), (3.8715, 3.8770)),
        pytest.param("resnet101", 224, 7.5702, (7.5749, 7.5839, 7.5928), (7.5928, 7.6017), marks=pytest.mark.slow),
        pytest.param(
            "resnet152", 224, 11.2824, (11.2890, 11.3021, 11.3153), (11.3153, 11.3284), marks=pytest.mark.slow
        ),
        pytest.param(
            "resnext50_32x4d", 224, 4.2305, (4.2330, 4.2385, 4.2440), (4.2440, 4.2496), marks=pytest.mark.slow
        ),
        pytest.param(
            "resnext101_32x4d", 224, 7.9700, (7.9747, 7.9837, 7.9926), (7.9926, 8.0015), marks=pytest.mark.slow
        ),
        ("vgg16_bn", 224, 15.4703, (15.4705, 15.4840, 15.4976), None),
        pytest.param("bn_inception", 224, 2.0326, (2.0332, 2.0344, 2.0356), None, marks=pytest.mark.slow),
        pytest.param("inception_resnet_v2", 299, 13.1558, (13.1643, 13.1758, 13.1874), None, marks=pytest.mark.slow),
        pytest.param(
            "inception_resnet_v2.figures", 299, 9.2580, (9.2626, 9.2689, 9.2753), None, marks=pytest.mark.slow
        ),
        ("mobilenet_v1", 224, 0.5687, (0.5692, 0.5719, 0.5746), None),
        ("shufflenet_v1", 224, 0.1375, (0.1381, 0.1397, 0.1413), None),
    ],
)
def test_every_convention_gives_its_column(name, size, plain, columns, with_adds):
    found = of(name, size=size, se=SESpec())
    assert round((found.macs - found.se.macs) / 1e9, 4) == plain
    assert tuple(round(found.giga(convention), 4) for convention in ("macs", "macs+gap", "macs+gap+scale")) == columns
    if with_adds:
        assert round(found.giga("macs+add+gap"), 4) == with_adds[0]
        # the table gives 4.2496 for ResNeXt-50, the exact sum is 4.24955
        assert found.giga("macs+add+gap+scale") == pytest.approx(with_adds[1], abs=5.1e-5)


@pytest.mark.parametrize(
    ("name", "size", "se", "classes", "mega"),
    [
        ("cnn3", 32, None, 10, 31.3),
        ("cnn3", 32, SESpec(), 10, 21.86),
        ("resnet18", 32, None, 10, 37.0),
        ("resnet18", 224, None, 100, 1813.6),
        ("resnet18.cifar", 32, None, 10, 555.4),
        pytest.param("kth_resnet52", 32, None, 10, 111.59, marks=pytest.mark.slow),
        ("kth_resnet52", 32, SESpec(), 10, 111.60),
        ("wrn16_8", 32, SESpec(), 10, 1548.23),
    ],
)
def test_small_networks_have_the_multiply_adds_of_the_notes(name, size, se, classes, mega):
    found = of(name, size=size, se=se, num_classes=classes).macs / 1e6
    assert found == pytest.approx(mega, abs=0.051 if mega in (31.3, 37.0, 1813.6, 555.4) else 0.0051)


@pytest.mark.parametrize(
    ("spec", "giga"),
    [
        (SESpec(stages=(1,), bias=False), 3.8604),
        pytest.param(SESpec(stages=(2,), bias=False), 3.8597, marks=pytest.mark.slow),
        pytest.param(SESpec(stages=(3,), bias=False), 3.8600, marks=pytest.mark.slow),
        (SESpec(slot="inner", bias=False), 3.8595),
        (SESpec(squeeze="none", bias=False), 4.2690),
        pytest.param(SESpec(bias=False), 3.8660, marks=pytest.mark.slow),
    ],
)
def test_the_ablations_of_resnet50_have_their_multiply_adds(spec, giga):
    assert round(of("resnet50", se=spec).giga("macs+gap"), 4) == giga


# the part inside the blocks


def test_the_part_of_the_blocks_is_the_difference_to_the_plain_network():
    plain, gated = of("resnet50"), of("resnet50", se=SESpec())
    assert gated.se.params == gated.params - plain.params == 28_088_024 - 25_557_032
    assert gated.se.macs == gated.macs - plain.macs == 2_514_944
    assert gated.se.pool == gated.pool - plain.pool == 5_519_360
    assert gated.se.scale == gated.scale == 5_519_360
    assert gated.se.add == 0
    assert gated.se.activation_bytes == gated.activation_bytes - plain.activation_bytes


def test_the_blocks_add_up_to_their_part():
    found = of("resnet50", se=SESpec())
    assert len(found.blocks) == 16
    for what in ("params", "macs", "pool", "scale", "add", "activation_bytes"):
        assert sum(getattr(block, what) for block in found.blocks) == getattr(found.se, what)


def test_a_block_is_described_by_name_widths_and_resolution():
    first, *_, last = of("resnet50", se=SESpec()).blocks
    assert (first.name, first.channels, first.widths) == ("stage1.unit1.se", 256, (256, 16, 256))
    assert (first.resolution, last.resolution) == ((56, 56), (7, 7))
    assert first.macs == 2 * 256 * 16
    assert first.params == 2 * 256 * 16 + 256 + 16
    assert first.pool == first.scale == 256 * 56 * 56


def test_shares_are_percentages():
    found = of("resnet50", se=SESpec(bias=False))
    assert found.params_percent == pytest.approx(100 * 2_514_944 / 28_071_976)
    assert found.macs_percent == pytest.approx(100 * found.se.macs / found.macs)
    assert found.activation_percent == pytest.approx(100 * found.se.activation_bytes / found.activation_bytes)
    assert round(found.added_params_percent, 2) == 9.84
    assert round(found.added_macs_percent, 3) == 0.065
    assert cost(nn.ReLU(), shape=(1, 3)).params_percent == 0


def test_a_block_that_is_never_called_has_parameters_and_nothing_else():
    model = Forward(lambda self, x: self.conv(x), conv=nn.Conv2d(3, 8, 1), se=SqueezeExcite(8, SESpec(reduction=2)))
    (block,) = cost(model, shape=(1, 3, 4, 4)).blocks
    assert (block.params, block.macs, block.scale, block.resolution) == (76, 0, 0, ())


def test_a_block_that_is_called_twice_counts_twice_and_has_its_parameters_once():
    se = SqueezeExcite(8, SESpec(reduction=2))
    found = cost(nn.Sequential(se, nn.ReLU(), se), shape=(1, 8, 4, 4))
    assert (found.se.params, found.se.macs, found.se.scale) == (76, 2 * 64, 2 * 128)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_a_block_gates_maps_of_one_to_three_dimensions(dims):
    found = cost(SqueezeExcite(8, SESpec(reduction=2)), shape=(1, 8, *(5,) * dims))
    assert (found.macs, found.pool, found.scale) == (64, 8 * 5**dims, 8 * 5**dims)
    assert found.blocks[0].resolution == (5,) * dims


@pytest.mark.parametrize("gate", ["sigmoid", "unit_sigmoid", "residual_sigmoid", "hard_sigmoid"])
def test_without_a_squeeze_the_block_works_at_every_position(gate):
    found = cost(SqueezeExcite(8, SESpec(reduction=2, squeeze="none", gate=gate)), shape=(1, 8, 4, 4))
    assert (found.macs, found.pool, found.scale) == (64 * 16, 0, 8 * 16)


def test_foreign_blocks_count_with_linear_layers_expanded_gates_and_channels_last():
    def gate(self, x):
        return x * self.fc(self.pool(x).flatten(1))[:, :, None, None].expand_as(x)

    def gate_last(self, x):
        return x * torch.sigmoid(self.fc(x.mean((1, 2), keepdim=True)))

    kind = type("SELayer", (Forward,), {})
    fc = nn.Sequential(nn.Linear(8, 2, bias=False), nn.ReLU(), nn.Linear(2, 8, bias=False), nn.Sigmoid())
    first = cost(kind(gate, pool=nn.AdaptiveAvgPool2d(1), fc=fc), shape=(1, 8, 4, 6))
    last = cost(kind(gate_last, fc=fc[:3]), shape=(1, 4, 6, 8))
    for found in (first, last):
        assert (found.se.params, found.se.macs, found.se.pool, found.se.scale) == (32, 32, 192, 192)
        assert found.blocks[0].resolution == (4, 6)


# laws: multiply-adds


@st.composite
def convolutions(draw):
    dims = draw(st.integers(1, 3))
    groups = draw(st.integers(1, 3))
    layer = CONVS[dims](
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        kernel_size=tuple(draw(st.integers(1, 3)) for _ in range(dims)),
        stride=draw(st.integers(1, 2)),
        padding=draw(st.integers(0, 1)),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
    )
    return layer, (draw(st.integers(1, 3)), layer.in_channels, *(draw(st.integers(5, 8)) for _ in range(dims)))


@given(convolutions())
def test_a_convolution_costs_positions_times_window_times_inputs_times_outputs(case):
    layer, shape = case
    positions = math.prod(layer(torch.zeros(shape)).shape[2:])
    window = math.prod(layer.kernel_size)
    expected = positions * window * (layer.in_channels // layer.groups) * layer.out_channels
    assert cost(layer, shape=shape).macs == expected


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (nn.Linear(7, 5), (1, 7), 35),
        (nn.Linear(7, 5), (2, 11, 7), 11 * 35),
        (nn.ConvTranspose2d(3, 4, 2, stride=2), (1, 3, 5, 6), 30 * 3 * 4 * 4),
        (Forward(lambda self, x: x @ x.transpose(1, 2)), (2, 3, 4), 3 * 4 * 3),
        (Forward(lambda self, x: torch.baddbmm(x, x, x)), (2, 3, 3), 27),
        (Forward(lambda self, x: torch.einsum("nchw,nchv->nhwv", x, x)), (1, 2, 3, 4), 3 * 2 * 4 * 4),
        (Forward(lambda self, x: F.scaled_dot_product_attention(x, x, x)), (1, 2, 3, 4), 2 * 2 * 3 * 3 * 4),
        (Forward(lambda self, x: self.fc(x)[0], fc=nn.LSTM(3, 4, bias=False)), (1, 5, 3), 5 * (3 + 4) * 16),
    ],
)
def test_other_linear_maps_by_hand(layer, shape, macs):
    assert cost(layer, shape=shape).macs == macs


def test_norms_activations_and_biases_cost_no_multiply_adds():
    model = nn.Sequential(nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.SiLU(), nn.PReLU(), nn.Softmax(1))
    assert cost(model, shape=(1, 4, 5, 5)).macs == 0


@pytest.mark.parametrize("images", [1, 2, 7])
def test_everything_is_counted_for_one_image(images):
    model = create_model("resnet8", se=SESpec())
    assert cost(model, shape=(images, 3, 32, 32)) == cost(model, shape=(1, 3, 32, 32))


def test_other_input_channels_are_those_of_the_shape():
    found = cost(create_model("resnet8", in_chans=6), shape=(1, 6, 32, 32))
    assert found.macs - cost(create_model("resnet8"), shape=(1, 3, 32, 32)).macs == 3 * 9 * 16 * 32 * 32


# what stands beside the multiply-adds


@pytest.mark.parametrize(
    ("layer", "size", "elements"),
    [
        (nn.AdaptiveAvgPool2d(1), (6, 8), 48),
        (nn.AdaptiveMaxPool2d(1), (6, 8), 48),
        (nn.AdaptiveAvgPool2d(2), (6, 8), 48),
        (nn.AdaptiveAvgPool1d(1), (6,), 6),
        (nn.AdaptiveAvgPool3d(1), (2, 3, 4), 24),
        (nn.AdaptiveMaxPool3d(2), (2, 2, 4), 16),
        (nn.AvgPool1d(2), (6,), 6),
        (nn.AvgPool2d(2), (6, 8), 48),
        (nn.AvgPool3d(2), (2, 4, 4), 32),
        (nn.MaxPool1d(3, stride=1, padding=1), (6,), 18),
        (nn.MaxPool2d(3, stride=2, padding=1), (6, 8), 9 * 12),
        (nn.MaxPool2d((1, 2)), (6, 8), 48),
        (nn.MaxPool3d(2), (2, 4, 4), 32),
        (Forward(lambda self, x: x.mean((2, 3))), (6, 8), 48),
        (Forward(lambda self, x: x.amax((-1, -2), keepdim=True)), (6, 8), 48),
        (Forward(lambda self, x: x.flatten(2).mean(-1)), (6, 8), 48),
        (Forward(lambda self, x: x.flatten(2).max(2).values), (6, 8), 48),
        (Forward(lambda self, x: x.flatten(2).transpose(1, 2).mean(1)), (6, 8), 48),
        (Forward(lambda self, x: x.mean(1)), (6, 8), 0),
        (Forward(lambda self, x: x.mean()), (6, 8), 0),
        (Forward(lambda self, x: x.max()), (6, 8), 0),
        (nn.LayerNorm([4, 6, 8]), (6, 8), 0),
    ],
)
def test_pools_count_what_enters_an_average_or_a_maximum(layer, size, elements):
    assert cost(layer, shape=(2, 4, *size)).pool == 4 * elements


def test_a_residual_sum_counts_its_elements_and_a_sum_with_a_weight_counts_none():
    unit = Residual(nn.Conv2d(4, 4, 1), act=nn.ReLU())
    assert cost(unit, shape=(2, 4, 5, 6)).add == 120
    shift = Forward(lambda self, x: x + self.bias + 1, bias=nn.Parameter(torch.zeros(1, 4, 5, 6)))
    assert cost(shift, shape=(1, 4, 5, 6)).add == 0


def test_a_gate_counts_the_elements_it_scales_and_a_weight_is_no_gate():
    gated = Forward(lambda self, x: x * torch.sigmoid(self.conv(x)), conv=nn.Conv2d(4, 1, 1))
    assert cost(gated, shape=(2, 4, 5, 6)).scale == 120
    layer_scale = Forward(lambda self, x: x * self.gamma, gamma=nn.Parameter(torch.ones(4, 1, 1)))
    assert cost(layer_scale, shape=(1, 4, 5, 6)).scale == 0
    swish = Forward(lambda self, x: x * torch.sigmoid(x) * 2)
    assert cost(swish, shape=(1, 4, 5, 6)).scale == 0


def test_weights_that_are_computed_from_weights_are_no_maps():
    def standardised(self, x):
        weight = self.conv.weight
        weight = (weight - weight.mean((1, 2, 3), keepdim=True)) * weight.std((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight + weight)

    found = cost(Forward(standardised, conv=nn.Conv2d(4, 4, 3)), shape=(1, 4, 5, 5))
    assert (found.pool, found.add, found.scale) == (0, 0, 0)
    assert found.activation_bytes == 4 * 25 * 4


# memory


def kept_by_training(model: nn.Module, x: torch.Tensor) -> int:
    """Measure the bytes that a real training pass keeps besides weights and the statistics of batch norms."""
    model.train()
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own and tensor.ndim > 1:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = model(x)
    assert y.requires_grad
    return sum(kept.values())


@pytest.mark.parametrize("slot", ["plain", "standard", "pre", "post", "identity", "inner"])
def test_activation_bytes_are_those_that_a_real_training_pass_keeps(slot):
    model = create_model("resnet8", se=None if slot == "plain" else SESpec(slot=slot))
    measured = kept_by_training(model, torch.rand(2, 3, 32, 32))
    assert cost(model, shape=(2, 3, 32, 32)).activation_bytes == measured // 2


def test_a_map_that_both_sides_keep_counts_once():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.Conv2d(4, 5, 1))
    # the input, the output of ReLU for itself and for the second convolution; the first output is needed by nobody
    assert cost(model, shape=(1, 3, 6, 6)).activation_bytes == 4 * 36 * (3 + 4)


def test_a_frozen_network_keeps_nothing_and_half_precision_half():
    model = create_model("resnet8")
    full = cost(model, shape=(1, 3, 32, 32))
    assert cost(model.bfloat16(), shape=(1, 3, 32, 32)).activation_bytes * 2 == full.activation_bytes
    assert cost(model.requires_grad_(False), shape=(1, 3, 32, 32)).activation_bytes == 0


# the model stays as it was


class Counting(nn.Module):
    """A module that changes itself when it runs and when its mode changes."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.zeros(()))
        self.calls = 0
        self.switches = 0

    def train(self, mode=True):
        self.switches += 1
        return super().train(mode)

    def forward(self, x):
        self.calls += 1
        self.seen += 1
        self.last = self.norm(self.conv(x))
        return self.last


def test_the_model_keeps_its_attributes_modes_buffers_and_weights():
    model = nn.Sequential(Counting(), nn.utils.spectral_norm(nn.Conv2d(4, 4, 1)), nn.Dropout())
    model[1].eval()
    before = {name: dict(vars(module)) for name, module in model.named_modules()}
    tensors = {name: (id(t), t.clone(), writes(t)) for name, t in model.state_dict(keep_vars=True).items()}
    random = torch.get_rng_state()
    cost(model, shape=(2, 3, 5, 5))
    assert [dict(vars(module)) for module in model.modules()] == list(before.values())
    for name, tensor in model.state_dict(keep_vars=True).items():
        identity, values, version = tensors[name]
        assert (id(tensor), writes(tensor)) == (identity, version)
        assert torch.equal(tensor, values)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_nothing_stays_behind_after_a_failure():
    model = create_model("resnet8", se=SESpec())
    weight = model.fc.weight
    with pytest.raises(SpecError):
        cost(model, shape=(1, 4, 32, 32))
    assert not global_hooks()
    assert model.training
    assert model.fc.weight is weight
    assert not weight.is_meta


def test_the_hooks_of_the_model_run_so_inserted_blocks_count():
    model = nn.Sequential(nn.Conv2d(3, 8, 1))
    model[0].add_module("se", SqueezeExcite(8, SESpec(reduction=2)))
    model[0].register_forward_hook(lambda module, args, out: module.se(out))
    found = cost(model, shape=(1, 3, 4, 4))
    assert (found.se.macs, found.se.scale) == (64, 128)
    assert len(forward_hooks(model[0])) == 1


def test_constants_that_are_no_buffers_come_along():
    def function(self, x):
        out = torch.zeros(x.shape[0], 8, *x.shape[2:])
        out[:, :4] = self.conv(x) * self.constant
        return self.after(out)

    model = Forward(function, conv=nn.Conv2d(3, 4, 1), constant=torch.ones(4, 1, 1), after=nn.Conv2d(8, 2, 1))
    found = cost(model, shape=(1, 3, 5, 5))
    assert found.macs == 25 * (12 + 16)
    assert found.activation_bytes == 4 * 25 * (3 + 8)


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode])
def test_the_count_is_the_same_without_gradients(context):
    model = create_model("resnet8", se=SESpec())
    expected = cost(model, shape=(1, 3, 32, 32))
    with context():
        assert cost(model, shape=(1, 3, 32, 32)) == expected


# mistakes


@pytest.mark.parametrize("shape", [(1, 4, 32, 32), (1, 3, 32), (2, 1, 8, 8)])
def test_a_wrong_shape_names_the_channels_that_fit(shape):
    with pytest.raises(
        SpecError, match=r"does not fit .*: stem\.conv takes \(n, 3, h, w\); give 3 channels and 2 sizes"
    ):
        cost(create_model("resnet8"), shape=shape)


def test_a_wrong_size_says_why_it_stops():
    with pytest.raises(
        SpecError, match=r"shape = \(1, 3, 64, 64\) does not run through CNN3: .*; give the shape it was"
    ):
        cost(create_model("cnn3"), shape=(1, 3, 64, 64))


class Asking(nn.Sequential):
    """Asks for values before it runs, in one of the ways that shapes alone do not answer."""

    def __init__(self, ask):
        super().__init__(nn.Conv2d(3, 8, 3), SqueezeExcite(8, SESpec(reduction=4)))
        self.ask = ask

    def forward(self, x):
        self.ask(x)
        return super().forward(x)


@pytest.mark.parametrize(
    "ask", [torch.nonzero, lambda x: x.mean().item(), lambda x: x.tolist(), lambda x: x[x > 0].numel(), torch.unique]
)
def test_a_network_that_asks_for_values_costs_what_it_costs_without_asking(ask):
    assert cost(Asking(ask), shape=(2, 3, 8, 8)) == cost(Asking(lambda x: None), shape=(2, 3, 8, 8))


def test_a_network_that_fails_on_values_too_is_refused_in_one_line():
    with pytest.raises(
        SpecError, match=r"does not run through Asking: [^\n]*give the shape it was built for"
    ) as caught:
        cost(Asking(lambda x: x.nonzero()[0].item()), shape=(1, 3, 8, 8))  # zeros have none
    assert "nonzero" not in str(caught.value)


@pytest.mark.parametrize("shape", [(), (3,), (1, 0, 4, 4), (1, -3, 4, 4)])
def test_a_shape_without_images_or_channels_is_refused(shape):
    with pytest.raises(SpecError, match="whole numbers above 0"):
        cost(nn.ReLU(), shape=shape)


def test_an_unknown_convention_is_refused_with_the_nearest_name():
    with pytest.raises(SpecError, match=r"Did you mean 'macs\+gap'"):
        of("resnet8", size=32).giga("macs+gab")


# other libraries


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v3_small",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("shufflenet_v2_x1_0", "resnet50", "efficientnet_b0", "regnet_y_400mf", "vit_b_16", "swin_t")
        ),
    ],
)
def test_torchvision_networks_have_the_numbers_torchvision_publishes(name):
    models = pytest.importorskip("torchvision.models")
    weights = models.get_model_weights(name).DEFAULT
    (size,) = weights.transforms().crop_size
    found = cost(models.get_model(name), shape=(1, 3, size, size))
    assert found.params == weights.meta["num_params"]
    assert round(found.giga(), 3) == weights.meta["_ops"]


@pytest.mark.parity
@pytest.mark.parametrize(
    "name",
    [
        "convnext_atto",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("tf_mobilenetv3_small_100", "seresnet50", "legacy_seresnet18", "halonet26t", "ghostnet_100")
        ),
    ],
)
def test_timm_networks_have_half_the_flops_of_torchs_counter(name):
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name).eval()
    shape = (1, *model.default_cfg["input_size"])
    with FlopCounterMode(display=False) as counter, torch.device("meta"):
        model(torch.empty(shape))
    assert cost(model, shape=shape).macs == counter.get_total_flops() // 2


@pytest.mark.parity
def test_timm_blocks_cost_what_ours_cost():
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        theirs = cost(timm.create_model("seresnet18"))
    ours = of("resnet18", se=SESpec(rounding="timm"))
    assert (theirs.params, theirs.macs, theirs.pool, theirs.add) == (ours.params, ours.macs, ours.pool, ours.add)
    assert theirs.se == ours.se
    assert [block.resolution for block in theirs.blocks] == [block.resolution for block in ours.blocks]
