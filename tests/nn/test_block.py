"""The block: equal to the equations in loops, and the laws that hold for every design."""

import copy
import itertools
import math
import pickle
import warnings
from typing import Any

import pytest
import reference
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn import SqueezeExcite, chain
from senet.nn.gate import GATES
from senet.spec import ACTIVATION_NAMES, GATE_NAMES, VARIANTS, WITHOUT_RATIO, SESpec

ALL_VARIANTS = sorted(VARIANTS.keys() - WITHOUT_RATIO)  # the others are in test_kinds.py
SQUEEZES = ("avg", "max", "none")
SHAPES = st.one_of(
    st.tuples(st.integers(1, 7)),
    st.tuples(st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3)),
)
RANGES = {
    "sigmoid": (0, 1),
    "tanh": (-1, 1),
    "relu": (0, math.inf),
    "hard_sigmoid": (0, 1),
    "unit_sigmoid": (0, 2),
    "unit_tanh": (0, 2),
    "unit_hard_sigmoid": (0, 2),
    "residual_sigmoid": (1, 2),
    "gaussian": (0, 1),
    "add": (-math.inf, math.inf),
}


def make(channels: int, spec: SESpec, **options: Any) -> SqueezeExcite:
    """Make a block without the warning about ratios wider than the channels, which has its own test."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction = ")
        return SqueezeExcite(channels, spec, **options)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def by_loops(block: SqueezeExcite, x: Tensor) -> Tensor:
    convs = [getattr(block, f"fc{number}") for number in range(1, len(block.widths))]
    return reference.squeeze_excite(
        x,
        [(conv.weight.detach(), None if conv.bias is None else conv.bias.detach()) for conv in convs],
        squeeze=str(block.spec.squeeze),
        gate=str(block.spec.gate),
        activation=str(block.spec.activation),
        on_map=2 if block.spec.variant == "bump_conv" else 0,
    )


def assert_near(got: Tensor, wanted: Tensor, *, within: float = 1e-6) -> None:
    # torch.testing takes seconds to import
    assert got.shape == wanted.shape
    assert (got - wanted).abs().max() <= within


def assert_equal_to_loops(block: SqueezeExcite, x: Tensor) -> None:
    assert_near(block.double()(x), by_loops(block, x), within=1e-12)


# ---- reference: the equations


@pytest.mark.parametrize("gate", [name for name in GATE_NAMES if name != "add"])
def test_every_gate_equals_the_equations_in_loops(gate: str) -> None:
    block = make(6, SESpec(variant="slow_excite", reduction=3, gate=gate))
    assert_equal_to_loops(block, normal(2, 6, 3, 2, dtype=torch.float64) * 3)


@pytest.mark.parametrize("variant", ALL_VARIANTS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_every_variant_with_every_squeeze_equals_the_equations_in_loops(variant: str, squeeze: str) -> None:
    block = make(6, SESpec(variant=variant, reduction=3, squeeze=squeeze))
    assert_equal_to_loops(block, normal(2, 6, 3, 2, dtype=torch.float64) * 3)


@pytest.mark.parametrize("activation", ACTIVATION_NAMES)
def test_every_activation_equals_the_equations_in_loops(activation: str) -> None:
    block = make(5, SESpec(variant="slow_both", reduction=2, activation=activation))
    assert_equal_to_loops(block, normal(2, 5, 3, 3, dtype=torch.float64) * 9)


@given(
    channels=st.integers(1, 9),
    ratio=st.integers(1, 12),
    sides=SHAPES,
    variant=st.sampled_from(ALL_VARIANTS),
    squeeze=st.sampled_from(SQUEEZES),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_maps_of_any_size_in_one_to_three_dimensions_equal_the_equations_in_loops(
    channels: int, ratio: int, sides: tuple[int, ...], variant: str, squeeze: str, bias: bool, seed: int
) -> None:
    torch.manual_seed(seed)
    spec = SESpec(variant=variant, reduction=ratio, squeeze=squeeze, bias=bias, gate="tanh")
    block = make(channels, spec, dims=len(sides))
    assert_equal_to_loops(block, normal(1 + seed % 2, channels, *sides, seed=seed, dtype=torch.float64))


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_the_bump_convolution_sees_neighbours_on_the_map(dims: int) -> None:
    block = make(4, SESpec(variant="bump_conv", reduction=2, gate="tanh"), dims=dims)
    assert [tuple(layer.kernel_size) for layer in block.children()] == [(1, 1), (3,) * dims, (1, 1)]
    x = normal(1, 4, *[5] * dims, dtype=torch.float64)
    assert_equal_to_loops(block, x)
    shuffled = x.flatten(2)[:, :, torch.randperm(5**dims, generator=torch.Generator().manual_seed(1))].reshape(x.shape)
    assert not torch.allclose(block.weights(x), block.weights(shuffled))


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 2e-2), (torch.float16, 5e-3)], ids=str
)
@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_lower_precision_stays_near_float64(variant: str, dtype: torch.dtype, tolerance: float) -> None:
    block = make(48, SESpec(variant=variant))
    exact = copy.deepcopy(block).double()
    x = normal(3, 48, 9, 7)
    wanted = exact(x.double())
    for half in (block, copy.deepcopy(block).to(dtype)):
        got = half(x.to(dtype))
        assert got.dtype == dtype
        assert (got.double() - wanted).abs().max() <= tolerance * wanted.abs().max()


def test_weights_have_one_number_a_channel_unless_nothing_is_squeezed() -> None:
    for sides in ((7,), (5, 3), (2, 3, 4)):
        x = normal(2, 8, *sides)
        for squeeze in ("avg", "max"):
            assert make(8, SESpec(reduction=2, squeeze=squeeze)).weights(x).shape == (2, 8, *[1] * len(sides))
        block = make(8, SESpec(reduction=2, squeeze="none"))
        assert block.weights(x).shape == x.shape
        assert torch.equal(block(x), x * block.weights(x))


def test_nosqueeze_gates_every_position_by_itself() -> None:
    block = make(6, SESpec(reduction=2, squeeze="none"))
    x = normal(1, 6, 4, 4)
    y = block(x)
    for row in range(4):
        for column in range(4):
            alone = block(x[:, :, row : row + 1, column : column + 1])
            assert_near(alone[0, :, 0, 0], y[0, :, row, column])


# ---- laws


@given(
    variant=st.sampled_from([name for name in ALL_VARIANTS if name != "bump_conv"]),
    squeeze=st.sampled_from(["avg", "max"]),
    order=st.permutations(range(12)),
)
def test_weights_ignore_the_order_of_positions(variant: str, squeeze: str, order: list[int]) -> None:
    block = make(6, SESpec(variant=variant, reduction=2, squeeze=squeeze, gate="tanh")).double()
    x = normal(2, 6, 12, dtype=torch.float64)
    assert_near(block.weights(x[:, :, order]), block.weights(x), within=1e-14)
    square = x[:, :, order].reshape(2, 6, 3, 4)
    assert_near(block.weights(square).flatten(1), block.weights(x).flatten(1), within=1e-14)


@given(gate=st.sampled_from(GATE_NAMES), value=st.floats(-1e4, 1e4, width=32))
def test_gates_stay_in_their_range(gate: str, value: float) -> None:
    low, high = RANGES[gate]
    assert low <= GATES[gate](torch.tensor(value)).item() <= high


def test_there_is_a_range_for_every_gate() -> None:
    assert set(RANGES) == set(GATES)


@pytest.mark.parametrize("gate", [name for name in GATE_NAMES if name != "gaussian"])
def test_gates_never_fall(gate: str) -> None:
    assert (GATES[gate](torch.linspace(-9, 9, 999)).diff() >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("gate", [name for name in GATE_NAMES if name.startswith("unit_")])
def test_unit_gates_are_exactly_one_at_zero_so_the_block_changes_no_bit(gate: str, dtype: torch.dtype) -> None:
    assert GATES[gate](torch.zeros(3, dtype=dtype)).tolist() == [1.0] * 3
    block = make(8, SESpec(reduction=2, gate=gate))
    nn.init.zeros_(block.fc2.weight)
    nn.init.zeros_(block.fc2.bias)
    x = normal(2, 8, 5, 5, dtype=dtype)
    assert torch.equal(block(x), x)
    assert torch.equal(block.to(dtype)(x), x)


@pytest.mark.parametrize("variant", ["standard", "slow_squeeze", "slow_excite", "slow_both", "bump"])
def test_without_activation_every_variant_has_the_rank_of_plain_se(variant: str) -> None:
    block = make(16, SESpec(variant=variant, reduction=4, activation="none", gate=nn.Identity())).double()
    logits = torch.autograd.functional.jacobian(
        lambda z: block.excite(z[None, :, None, None]).flatten(), normal(16).double()
    )
    assert torch.linalg.matrix_rank(logits) == 4


@pytest.mark.parametrize("variant", ALL_VARIANTS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_nan_in_one_image_changes_no_bit_of_another(variant: str, squeeze: str) -> None:
    block = make(8, SESpec(variant=variant, reduction=2, squeeze=squeeze))
    x = normal(4, 8, 6, 6)
    clean = block(x)
    for bad in (math.nan, math.inf, -math.inf):
        broken = x.clone()
        broken[1, 3, 2, 2] = bad
        y = block(broken)
        assert torch.equal(y[[0, 2, 3]], clean[[0, 2, 3]])
        assert not torch.equal(y[1], clean[1])


@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_an_image_is_gated_alone_as_in_a_batch(variant: str) -> None:
    block = make(32, SESpec(variant=variant))
    x = normal(7, 32, 9, 9)
    together = block(x)
    alone = torch.cat([block(image[None]) for image in x])
    assert (together - alone).abs().max() <= 1e-6


@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_an_empty_batch_gives_an_empty_batch(variant: str) -> None:
    for sides in ((4, 4), (4,), (2, 2, 2)):
        block = make(8, SESpec(variant=variant, reduction=2), dims=len(sides))
        assert block(torch.empty(0, 8, *sides)).shape == (0, 8, *sides)


def test_a_map_that_is_not_contiguous_gives_equal_values() -> None:
    block = make(8, SESpec(reduction=2))
    x = normal(2, 9, 10, 16).transpose(1, 3)[:, ::2, 1:, ::3]
    assert not x.is_contiguous()
    assert_near(block(x), block(x.contiguous()), within=1e-6)


def test_channels_last_comes_out_as_it_went_in_with_equal_values() -> None:
    for squeeze in SQUEEZES:
        block = make(16, SESpec(reduction=4, squeeze=squeeze))
        x = normal(2, 16, 7, 5)
        y = block.to(memory_format=torch.channels_last)(x.to(memory_format=torch.channels_last))
        assert y.is_contiguous(memory_format=torch.channels_last)
        assert_near(y, block(x), within=1e-6)


# ---- precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("variant", ["standard", "bump_conv"])
def test_large_half_precision_maps_do_not_overflow(variant: str, dtype: torch.dtype) -> None:
    x = torch.full((1, 16, 112, 112), 60000.0, dtype=dtype)
    for squeeze in ("avg", "max"):
        block = make(16, SESpec(variant=variant, squeeze=squeeze))
        assert block.weights(x).isfinite().all()
        assert block(x).isfinite().all()
        assert block.weights(x).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_average_of_a_large_half_precision_map_is_right(dtype: torch.dtype) -> None:
    block = make(4, SESpec(reduction=1))
    x = torch.full((1, 4, 112, 112), 60000.0, dtype=dtype)
    assert torch.equal(block.squeeze(x), x[:, :, :1, :1].float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_the_average_of_a_half_precision_map_is_not_rounded_to_half_precision(dtype: torch.dtype) -> None:
    x = torch.ones(1, 1, 64, 64, dtype=dtype)
    step = torch.finfo(dtype).eps
    x[..., ::2] += step
    assert SqueezeExcite(1, SESpec(reduction=1)).squeeze(x).item() == 1 + step / 2


@pytest.mark.parametrize("squeeze", SQUEEZES)
@pytest.mark.parametrize("variant", ["standard", "bump_conv"])
def test_under_autocast_the_gate_is_float32_and_the_map_keeps_its_type(variant: str, squeeze: str) -> None:
    block = make(8, SESpec(variant=variant, reduction=2, squeeze=squeeze))
    seen: list[torch.dtype] = []
    for layer in block.children():
        layer.register_forward_hook(lambda _, inputs, output: seen.extend((inputs[0].dtype, output.dtype)))
    for dtype in (torch.bfloat16, torch.float32):
        x = normal(2, 8, 5, 5, dtype=dtype)
        plain = block.weights(x)
        seen.clear()
        with torch.autocast("cpu", torch.bfloat16):
            y = block(x)
            weights = block.weights(x)
        assert set(seen) == {torch.float32}
        assert len(seen) == 4 * (len(block.widths) - 1)
        assert y.dtype == dtype
        assert weights.dtype == torch.float32
        assert torch.equal(weights, plain)


def test_a_whole_network_trains_under_autocast() -> None:
    net = nn.Sequential(nn.Conv2d(3, 8, 3), make(8, SESpec(reduction=2)), nn.Flatten(), nn.Linear(8 * 9, 2))
    with torch.autocast("cpu", torch.bfloat16):
        loss = net(normal(2, 3, 5, 5)).float().square().sum()
    loss.backward()
    assert all(
        p.grad is not None and p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in net.parameters()
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64], ids=str)
def test_modules_of_any_float_type_take_maps_of_any_float_type(dtype: torch.dtype) -> None:
    block = make(8, SESpec(reduction=2)).to(dtype)
    for given_type in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        y = block(normal(2, 8, 4, 4, dtype=given_type))
        assert y.dtype == given_type
        assert y.isfinite().all()


# ---- gradients


@pytest.mark.parametrize("variant", ALL_VARIANTS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_gradients_are_those_of_finite_differences(variant: str, squeeze: str) -> None:
    block = make(3, SESpec(variant=variant, reduction=2, squeeze=squeeze, activation="silu")).double()
    names, parameters = zip(
        *((name, p.detach().clone().requires_grad_()) for name, p in block.named_parameters()), strict=True
    )

    def run(x: Tensor, *values: Tensor) -> Tensor:
        return torch.func.functional_call(block, dict(zip(names, values, strict=True)), (x,))

    x = normal(1, 3, 2, 2, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(run, (x, *parameters), fast_mode=True)


@pytest.mark.parametrize("gate", GATE_NAMES)
def test_gates_have_the_gradients_of_finite_differences(gate: str) -> None:
    z = torch.tensor([-4.0, -2.5, -0.3, 0.2, 1.7, 3.5], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(GATES[gate], (z,))


@pytest.mark.parametrize("variant", ALL_VARIANTS)
@pytest.mark.parametrize("squeeze", SQUEEZES)
def test_every_parameter_gets_a_gradient(variant: str, squeeze: str) -> None:
    block = make(16, SESpec(variant=variant, reduction=2, squeeze=squeeze, activation="gelu"))
    block(normal(4, 16, 6, 6)).square().sum().backward()
    for name, parameter in block.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# ---- a module as PyTorch users expect it


@pytest.mark.parametrize("variant", ALL_VARIANTS)
@pytest.mark.parametrize("bias", [True, False])
def test_state_dict_keys_are_fc1_fc2_and_so_on(variant: str, bias: bool) -> None:
    block = make(16, SESpec(variant=variant, reduction=4, bias=bias))
    count = len(block.widths) - 1
    parts = ("weight", "bias") if bias else ("weight",)
    assert list(block.state_dict()) == [f"fc{n}.{part}" for n in range(1, count + 1) for part in parts]
    shapes = [tuple(getattr(block, f"fc{n}").weight.shape[:2]) for n in range(1, count + 1)]
    assert shapes == [(b, a) for a, b in itertools.pairwise(block.widths)]


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda block: pickle.loads(pickle.dumps(block))], ids=["copy", "pickle"]
)
def test_a_copy_is_independent_and_equal(copied: Any) -> None:
    x = normal(2, 12, 5, 5)
    for variant, squeeze, gate in zip(ALL_VARIANTS, itertools.cycle(SQUEEZES), GATE_NAMES, strict=False):
        block = make(12, SESpec(variant=variant, reduction=3, squeeze=squeeze, gate=gate))
        other = copied(block)
        y = block(x)
        assert torch.equal(other(x), y)
        assert other.spec == block.spec
        with torch.no_grad():
            other.fc1.weight.add_(1)
        assert torch.equal(block(x), y)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ALL_VARIANTS)
def test_an_exported_block_gives_equal_values_at_other_sizes(variant: str) -> None:
    block = make(8, SESpec(variant=variant, reduction=2)).eval()
    auto = torch.export.Dim.AUTO
    program = torch.export.export(block, (normal(2, 8, 5, 5),), dynamic_shapes={"x": {0: auto, 2: auto, 3: auto}})
    for shape in ((2, 8, 5, 5), (3, 8, 9, 4)):
        x = normal(*shape)
        assert torch.equal(program.module()(x), block(x))


@pytest.mark.slow
def test_an_exported_block_has_six_operations() -> None:
    program = torch.export.export(make(8, SESpec(reduction=2)).eval(), (normal(2, 8, 5, 5),))
    operations = [node.name for node in program.graph.nodes if node.op == "call_function"]
    idle = ("_assert", "to")  # checks, and casts to the type that is there already
    work = [name for name in operations if not name.startswith(idle)]
    assert work == ["mean", "conv2d", "relu", "conv2d_1", "sigmoid", "mul"]


def test_the_repr_shows_the_data_path_in_its_order() -> None:
    text = repr(make(64, SESpec(variant="slow_both", squeeze="max")))
    assert "64 -> 8 -> 4 -> 8 -> 64, slow_both r=16 squeeze=max" in text
    places = [text.index(f"(fc{number})") for number in (1, 2, 3, 4)]
    assert places == sorted(places)


def test_a_block_needs_only_its_channels() -> None:
    block = SqueezeExcite(64)
    assert block.widths == (64, 4, 64)
    assert block.spec == SESpec()
    assert sum(p.numel() for p in block.parameters()) == 2 * 64 * 4 + 64 + 4


def test_a_stage_picks_its_ratio() -> None:
    spec = SESpec(reduction=(8, 2, 16))
    assert [SqueezeExcite(32, spec, stage=stage).widths[1] for stage in (1, 2, 3)] == [4, 16, 2]


# ---- what does not fit


def test_a_ratio_wider_than_the_channels_warns_once_and_names_both() -> None:
    with pytest.warns(UserWarning, match="reduction = 32 exceeds the 16 channels") as caught:
        block = SqueezeExcite(16, SESpec(reduction=32))
    assert len(caught) == 1
    assert "choose a ratio up to 16" in str(caught[0].message)
    assert block.widths == (16, 1, 16)


def test_a_ratio_of_all_channels_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert SqueezeExcite(16, SESpec(reduction=16)).widths == (16, 1, 16)


@pytest.mark.parametrize(
    ("x", "came"),
    [
        (torch.zeros(2, 8, 4, 4), "input of shape (2, 8, 4, 4) and type torch.float32"),
        (torch.zeros(2, 4, 4, 16), "input of shape (2, 4, 4, 16)"),
        (torch.zeros(2, 16), "input of shape (2, 16)"),
        (torch.zeros(16), "input of shape (16,)"),
        (torch.zeros(()), "input of shape ()"),
        (torch.zeros(2, 16, 4, 4, dtype=torch.int64), "type torch.int64"),
        (torch.zeros(2, 16, 4, 4, dtype=torch.uint8), "type torch.uint8"),
        (torch.zeros(2, 16, 4, 4, dtype=torch.complex64), "type torch.complex64"),
        (torch.zeros(2, 16, 4, 4, dtype=torch.bool), "type torch.bool"),
        (torch.zeros(2, 16, 0, 4), "input of shape (2, 16, 0, 4)"),
        (torch.zeros(2, 16, 0, 0), "input of shape (2, 16, 0, 0)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.usefixtures("unchecked")
def test_an_input_that_does_not_fit_is_named_together_with_what_fits(x: Tensor, came: str) -> None:
    for squeeze in SQUEEZES:
        with pytest.raises(SpecError) as caught:
            make(16, SESpec(squeeze=squeeze))(x)
        assert came in str(caught.value)
        assert "a block of 16 channels; pass a floating-point map (n, 16, ...)" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


def test_the_type_checker_of_the_tests_is_on() -> None:
    with pytest.raises(TypeError, match="typechecking parameter 'x'"):
        SqueezeExcite(16)(torch.zeros(2, 16, 4, 4, dtype=torch.int64))


def test_channels_and_dimensions_that_make_no_block_are_refused() -> None:
    with pytest.raises(SpecError, match="channels = 0 is not a number of channels"):
        SqueezeExcite(0)
    with pytest.raises(SpecError, match="stage 3 is asked for"):
        SqueezeExcite(16, SESpec(reduction=(4, 8)), stage=3)
    with pytest.raises(SpecError, match="dims = 4 is not known; choose one of: 1, 2, 3"):
        SqueezeExcite(16, dims=4)


# ---- the user's own parts


def test_own_functions_work_in_place_of_every_name() -> None:
    def spread(x: Tensor) -> Tensor:
        return x.std(dim=(2, 3), keepdim=True)

    spec = SESpec(
        variant=lambda C, h, m: (C, C // 2, C), squeeze=spread, gate=torch.exp, activation=torch.sin, bias=False
    )
    block = SqueezeExcite(16, spec)
    x = normal(2, 16, 5, 5)
    z = x.std(dim=(2, 3), keepdim=True)
    assert block.widths == (16, 8, 16)
    assert_near(block(x), x * torch.exp(block.fc2(torch.sin(block.fc1(z)))))
    assert "squeeze=spread gate=exp activation=sin" in repr(block)


def test_own_modules_as_parts_are_trained_with_the_block() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.tensor(2.0))

        def forward(self, z: Tensor) -> Tensor:
            return torch.sigmoid(self.scale * z)

    block = SqueezeExcite(16, SESpec(gate=Scaled()))
    assert "gate.scale" in block.state_dict()
    block(normal(2, 16, 5, 5)).square().sum().backward()
    assert block.gate.scale.grad.abs() > 0


def test_an_own_excitation_takes_the_place_of_the_layers() -> None:
    excitation = chain(down=nn.Conv2d(8, 2, 1), norm=nn.BatchNorm2d(2), act=nn.SiLU(), up=nn.Conv2d(2, 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no ratio is used, so none is too wide
        block = SqueezeExcite(8, SESpec(reduction=99, gate="tanh"), excitation=excitation)
    x = normal(4, 8, 5, 5)
    y = block(x)
    assert all(name.startswith("excitation.") for name in block.state_dict())
    block.eval()
    excitation.eval()
    assert_near(block(x), x * torch.tanh(excitation(x.mean((2, 3), keepdim=True))))
    y.sum().backward()
    assert all(p.grad is not None for p in excitation.parameters())


def test_an_excitation_without_parameters_keeps_the_type_of_the_map() -> None:
    block = SqueezeExcite(8, excitation=nn.Identity())
    x = normal(2, 8, 4, 4, dtype=torch.float64)
    assert torch.equal(block(x), x * torch.sigmoid(x.mean((2, 3), keepdim=True)))


# ---- other libraries


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("channels", [32, 64, 320])
def test_a_block_of_timm_loads_strictly_and_gives_equal_outputs(channels: int) -> None:
    layers = pytest.importorskip("timm.layers", reason="timm is not installed")
    theirs = layers.SEModule(channels)
    ours = SqueezeExcite(channels, SESpec(rounding="timm"))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = normal(2, channels, 9, 7)
    assert torch.equal(ours(x), theirs(x))
    theirs.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize(("gate", "scale"), [("sigmoid", nn.Sigmoid), ("hard_sigmoid", nn.Hardsigmoid)])
def test_a_block_of_torchvision_loads_strictly_and_gives_equal_outputs(gate: str, scale: type[nn.Module]) -> None:
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    theirs = ops.SqueezeExcitation(64, 16, scale_activation=scale)
    ours = SqueezeExcite(64, SESpec(reduction=4, gate=gate))
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = normal(2, 64, 9, 7)
    assert_near(ours(x), theirs(x), within=1e-6)
    theirs.load_state_dict(ours.state_dict(), strict=True)


@pytest.mark.slow
@pytest.mark.parity
def test_the_block_is_an_attention_layer_of_timm() -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    # timm also passes device and dtype, which a block does not take
    attention = {"attn_layer": lambda channels, **_: SqueezeExcite(channels)}
    net = timm.create_model("resnet18", block_args=attention)
    assert sum(isinstance(module, SqueezeExcite) for module in net.modules()) == 8
    assert sum(p.numel() for p in net.parameters()) == 11_778_592
    assert "layer1.0.se.fc1.weight" in net.state_dict()
    assert net.eval()(normal(1, 3, 64, 64)).shape == (1, 1000)


# ---- behaviour


def test_a_channel_gate_learns_what_no_linear_network_can() -> None:
    # the label is the sign of channel 1, or the opposite where channel 0 is negative on the whole: a product of two
    # means, that only a channel scaled by another one can give
    def data(count: int, seed: int) -> tuple[Tensor, Tensor]:
        means = normal(count, 2, seed=seed).sign() * (0.5 + normal(count, 2, seed=seed + 1).abs())
        noise = normal(count, 2, 4, 4, seed=seed + 2)
        return means[:, :, None, None] + noise, (means.prod(dim=1) > 0).float()

    def accuracy(se: nn.Module | None) -> float:
        net = chain(stem=nn.Conv2d(2, 8, 1), se=se, pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(8, 1))
        x, label = data(256, seed=0)
        for _ in range(200):  # plain gradient descent: torch.optim takes seconds to import
            loss = nn.functional.binary_cross_entropy_with_logits(net(x)[:, 0], label)
            for parameter, slope in zip(net.parameters(), torch.autograd.grad(loss, [*net.parameters()]), strict=True):
                parameter.data -= slope
        x, label = data(1000, seed=9)
        return ((net(x)[:, 0] > 0) == label.bool()).float().mean().item()

    assert accuracy(None) < 0.6
    assert accuracy(SqueezeExcite(8, SESpec(reduction=2))) > 0.9
