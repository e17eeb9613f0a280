"""The published kinds of channel attention: equal to their papers' formulas in loops, and the laws they obey."""

import copy
import math
import warnings
from typing import Any

import pytest
import reference_kinds
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import SPECS
from torch import Tensor, nn

import senet
from senet.errors import SpecError
from senet.kinds import KINDS
from senet.nn import SqueezeExcite
from senet.spec import NORM_NAMES, SQUEEZE_NAMES, SESpec

# ---- helpers


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def make(channels: int, spec: SESpec, *, seed: int = 0, **options: Any) -> SqueezeExcite:
    """Make a block in float64 with random numbers in all its layers and norms."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction = |norm = ")
        block = SqueezeExcite(channels, spec, **options).double()
    for number, (name, value) in enumerate(sorted(block.state_dict().items())):
        if value.is_floating_point():
            noise = randn(*value.shape, seed=seed + number)
            value.copy_(noise.square() + 0.1 if "var" in name else noise)
    return block


def loops(block: SqueezeExcite, kind: str, x: Tensor, *, training: bool = False) -> Tensor:
    images = [image.flatten(1).tolist() for image in x]
    numbers = {name: value.tolist() for name, value in block.state_dict().items()}
    s = reference_kinds.batch_weights(kind, images, x.shape[2:], numbers, training=training)
    return torch.tensor(s, dtype=torch.float64).reshape(*x.shape[:2], *[1] * (x.ndim - 2))


# ---- the table


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("se", SESpec()),
        ("cbam", SESpec(squeeze=("avg", "max"))),
        ("eca", SESpec(variant="conv", bias=False)),
        ("ese", SESpec(variant="direct", gate="hard_sigmoid")),
        ("ge", SESpec(variant="none")),
        ("srm", SESpec(variant="channelwise_both", squeeze="avg_std", norm="batch", activation="none")),
        ("gct", SESpec(variant="channelwise_both", squeeze="l2", norm="rms", activation="none", gate="unit_tanh")),
        ("gct_gaussian", SESpec(variant="none", norm="channels", gate="gaussian")),
        ("lct", SESpec(variant="channelwise", norm="group")),
        ("gc", SESpec(squeeze="attention", norm="channels")),
        ("fca", SESpec(squeeze="dct")),
    ],
)
def test_a_kind_is_its_spec_written_out(kind: str, spec: SESpec) -> None:
    assert SESpec.kind(kind) == spec == SESpec.parse(kind)
    assert spec.kind_name == kind
    assert str(spec).partition(" ")[0] == {"se": "standard"}.get(kind, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_the_parameters_of_the_table(kind: str) -> None:
    with torch.device("meta"):
        block = SqueezeExcite(256, SESpec.kind(kind))
    assert sum(p.numel() for p in block.parameters()) == KINDS[kind].params_at_256
    formula = KINDS[kind].params.replace("²", "**2").replace("2C", "2*C").replace("3C", "3*C").replace("4C", "4*C")
    assert eval(formula, {"C": 256, "r": 16, "k": 5}) == KINDS[kind].params_at_256


def test_an_unknown_kind_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SpecError, match=r"kind = 'ecaa' is not known; choose one of: .*\. Did you mean 'eca'"):
        SESpec.kind("ecaa")
    with pytest.raises(SpecError, match=r"variant = 'gct_gausian' is not known.*Did you mean 'gct_gaussian'"):
        SESpec.parse("gct_gausian:slot=pre")


# ---- reference: the papers' formulas


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sides", [(5,), (4, 3), (2, 3, 2), (1, 1)], ids=str)
def test_a_kind_equals_its_papers_formula_in_loops(kind: str, sides: tuple[int, ...]) -> None:
    block = make(24, SESpec.kind(kind).but(reduction=4)).eval()
    x = randn(3, 24, *sides)
    s = block.weights(x)
    assert (s - loops(block, kind, x)).abs().max() <= 1e-12
    assert (block(x) - x * s).abs().max() == 0


def test_srm_takes_the_statistics_of_the_batch_in_training() -> None:
    block = make(6, SESpec.kind("srm")).train()
    x = randn(5, 6, 3, 3)
    wanted = loops(block, "srm", x, training=True)
    assert (block.weights(x) - wanted).abs().max() <= 1e-12


def test_srm_takes_running_statistics_for_a_single_image_in_training() -> None:
    block = make(6, SESpec.kind("srm")).train()
    x = randn(1, 6, 3, 3)
    before = block.norm.running_mean.clone()
    assert (block.weights(x) - loops(block, "srm", x)).abs().max() <= 1e-12
    assert torch.equal(block.norm.running_mean, before)


def test_the_gate_add_adds_the_logits_to_the_map() -> None:
    block = make(8, SESpec.parse("gc:gate=add,reduction=2"))
    gated = make(8, SESpec.parse("gc:reduction=2"))
    x = randn(2, 8, 4, 3)
    assert torch.equal(torch.sigmoid(block.weights(x)), gated.weights(x))
    assert torch.equal(block(x), x + block.weights(x))


def test_several_squeezes_add_their_logits() -> None:
    block = make(8, SESpec(squeeze=("std", "attention", "dct"), reduction=2, gate="add"))
    x = randn(2, 8, 4, 3)
    total = 0
    for name in ("std", "attention", "dct"):
        alone = make(8, SESpec(squeeze=name, reduction=2, gate="add"))
        own = {key.replace("squeeze.attention.", "squeeze."): value for key, value in block.state_dict().items()}
        alone.load_state_dict({key: own[key] for key in alone.state_dict()})
        total = total + alone.weights(x)
    assert (block.weights(x) - total).abs().max() <= 1e-12


def test_the_cosine_transform_of_a_map_keeps_its_squares() -> None:
    # all frequencies of a map of 16 positions: the basis is orthogonal, with a root mean square of 1
    from senet.nn.pooling import dct

    x = randn(1, 1, 4, 4).expand(1, 16, 4, 4)
    assert math.isclose(dct(x).square().sum().item(), x[0, 0].square().mean().item(), rel_tol=1e-12)
    assert torch.equal(dct(x)[:, 0], x.mean((2, 3), keepdim=True)[:, 0])


# ---- laws


@given(spec=SPECS, dims=st.integers(1, 3), seed=st.integers(0, 99))
def test_every_design_gates_images_alone_and_keeps_their_shape(spec: SESpec, dims: int, seed: int) -> None:
    block = make(6, spec.but(reduction=2), dims=dims, seed=seed).eval()
    x = randn(2, 6, *(3, 2, 2)[:dims], seed=seed)
    y = block(x)
    assert y.shape == x.shape
    assert torch.allclose(y, torch.cat([block(image[None]) for image in x]), rtol=1e-9, atol=1e-9)


@given(spec=SPECS)
@settings(max_examples=50)
def test_a_design_that_insert_accepts_starts_as_the_identity(spec: SESpec) -> None:
    from senet.surgery.insertion.plan import with_unit_gate

    spec = spec.but(reduction=2, gate="sigmoid" if spec.gate in ("relu", "residual_sigmoid") else spec.gate)
    if spec.variant == "none":
        with pytest.raises(SpecError, match="has no layer that can start at zero"):
            with_unit_gate(spec)
        return
    block = make(6, with_unit_gate(spec)).float()
    block.start_as_identity()
    x = randn(2, 6, 3, 2).float()
    for mode in (True, False):
        assert torch.equal(block.train(mode)(x), x)


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_of_a_kind_are_those_of_finite_differences(kind: str) -> None:
    block = make(6, SESpec.kind(kind).but(reduction=2))
    values = [parameter.detach().clone().requires_grad_() for parameter in block.parameters()]

    def run(x: Tensor, *values: Tensor) -> Tensor:
        named = {name: value for (name, _), value in zip(block.named_parameters(), values, strict=True)}
        return torch.func.functional_call(block, named, (x,))

    assert torch.autograd.gradcheck(run, (randn(2, 6, 2, 2, seed=5).requires_grad_(), *values), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_kind_in_half_precision_stays_near_float64(kind: str, dtype: torch.dtype) -> None:
    exact = make(32, SESpec.kind(kind).but(reduction=4)).eval()
    x = randn(2, 32, 9, 7)
    wanted = exact(x)
    for block in (copy.deepcopy(exact).float(), copy.deepcopy(exact).to(dtype)):
        y = block(x.to(dtype))
        assert y.dtype == dtype
        assert (y.double() - wanted).abs().max() <= 12 * torch.finfo(dtype).eps * wanted.abs().max()
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(block(x.to(dtype)), y)


@pytest.mark.parametrize("kind", KINDS)
def test_large_maps_in_half_precision_do_not_overflow(kind: str) -> None:
    block = make(16, SESpec.kind(kind)).float().eval()
    assert block(torch.full((1, 16, 112, 112), 1000.0, dtype=torch.float16)).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_one_image_changes_no_bit_of_another(kind: str) -> None:
    block = make(16, SESpec.kind(kind)).float().eval()
    x = randn(3, 16, 4, 4).float()
    clean = block(x)
    x[1, 3, 2, 2] = math.nan
    assert torch.equal(block(x)[[0, 2]], clean[[0, 2]])


# ---- what does not fit


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("standard:squeeze=avg_std", "squeeze = 'avg_std' is two numbers a channel, which the variant 'standard' does"),
        ("standard:squeeze=avg-avg", "does not go together; name each once"),
        ("standard:squeeze=avg-none", "does not go together; name each once, and avg_std and none alone"),
        ("standard:squeeze=avg-maximum", "squeeze = 'maximum' is not known.*Did you mean 'max'"),
        ("standard:norm=layer", f"norm = 'layer' is not known; choose one of: {', '.join(sorted(NORM_NAMES))}"),
        ("none", "'none' is not a design: plain has no blocks, ge has blocks without layers"),
    ],
)
def test_a_design_that_does_not_fit_together_is_refused(words: str, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        SESpec.parse(words)


def test_one_squeeze_in_a_list_is_that_squeeze() -> None:
    assert SESpec(squeeze=("max",)) == SESpec(squeeze="max")
    assert hash(SESpec(squeeze=["avg", "max"])) == hash(SESpec.kind("cbam"))  # type: ignore[arg-type]


def test_a_norm_of_one_hidden_unit_warns_that_it_is_constant() -> None:
    with pytest.warns(
        UserWarning, match="norm = 'channels' of a hidden layer with 1 unit is constant; choose a smaller"
    ):
        SqueezeExcite(16, SESpec.kind("gc"))


def test_kinds_without_a_ratio_do_not_warn_of_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("eca", "ese", "ge", "srm", "gct", "gct_gaussian", "lct"):
            SqueezeExcite(8, SESpec.kind(kind))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_an_exported_kind_gives_equal_values(kind: str) -> None:
    block = make(32, SESpec.kind(kind).but(reduction=4)).float().eval()
    x = randn(2, 32, 6, 5).float()
    assert torch.equal(torch.export.export(block, (x,)).module()(x), block(x))


# ---- timm


@pytest.mark.slow
@pytest.mark.parity
@pytest.mark.parametrize("channels", [16, 64, 320])
def test_kinds_equal_the_modules_of_timm_with_the_same_weights(channels: int) -> None:
    layers = pytest.importorskip("timm.layers", reason="timm is not installed")
    renamed = {"conv_attn.weight": "squeeze.weight", "fc.weight": "fc1.weight", "fc.bias": "fc1.bias"}
    x = randn(2, channels, 9, 7).float()
    for theirs, words in (
        (layers.EcaModule(channels), "eca"),
        (layers.EffectiveSEModule(channels), "ese"),
        (layers.get_attn("cbam")(channels, rd_ratio=1 / 4).channel, "cbam:reduction=4,bias=false"),
        (layers.GlobalContext(channels, rd_ratio=1 / 4), "gc:reduction=4"),
        (layers.GlobalContext(channels, rd_ratio=1 / 4, fuse_add=True, fuse_scale=False), "gc:reduction=4,gate=add"),
    ):
        for number, parameter in enumerate(theirs.parameters()):
            parameter.data.copy_(randn(*parameter.shape, seed=number) / 4)
        ours = SqueezeExcite(channels, SESpec.parse(words))
        named = {
            renamed.get(name, name.replace("mlp_scale.", "").replace("mlp_add.", "")): value
            for name, value in theirs.state_dict().items()
            if name != "conv_attn.bias"  # cancels in the softmax
        }
        ours.load_state_dict(named, strict=True)
        assert (ours(x) - theirs(x)).abs().max() <= 1e-6 * theirs(x).abs().max().clamp(1), words


def test_every_squeeze_is_in_a_table() -> None:
    from senet.nn.pooling import Attention, dct, squeeze_of
    from senet.nn.squeeze import SQUEEZES

    found = {name: squeeze_of(name, 8) for name in SQUEEZE_NAMES}
    assert {name for name in found if name not in SQUEEZES} == {"attention", "dct"}
    assert isinstance(found["attention"], Attention)
    assert found["dct"] is dct
    assert isinstance(senet.SqueezeExcite(8, SESpec(squeeze=("avg", "max"), reduction=2)).squeeze, nn.Module)
