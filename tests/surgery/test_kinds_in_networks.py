"""Every published kind is served by what serves blocks: insert, find, cost, remove, fold, optimize, files."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import senet
from senet import SESpec
from senet.errors import SpecError
from senet.kinds import KINDS
from senet.nn import chain

ALL = [*KINDS, "gc:gate=add"]
SHAPE = (1, 3, 16, 16)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def small() -> nn.Module:
    return chain(
        conv1=nn.Conv2d(3, 16, 3, padding=1), norm1=nn.BatchNorm2d(16), act1=nn.ReLU(),
        conv2=nn.Conv2d(16, 32, 3, stride=2), norm2=nn.BatchNorm2d(32), act2=nn.ReLU(),
        pool=nn.AdaptiveAvgPool2d(1), flat=nn.Flatten(), fc=nn.Linear(32, 4),
    ).eval()  # fmt: skip


def built(kind: str) -> nn.Module:
    """Build a network of the zoo with random blocks of a kind."""
    model = senet.create_model("resnet8", se=SESpec.parse(kind).but(reduction=4)).eval()
    for module in model.modules():
        if isinstance(module, senet.SqueezeExcite):
            for parameter in module.parameters():
                nn.init.normal_(parameter, std=0.5)
    return model


def batches() -> Iterator[Tensor]:
    for seed in range(2):
        yield torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ALL)
def test_a_kind_is_inserted_without_changing_a_bit_and_removed_or_refused_with_the_reason(kind: str) -> None:
    model, spec, x = small(), SESpec.parse(kind).but(reduction=4), torch.randn(2, *SHAPE[1:])
    before = model(x)
    if spec.variant == "none":
        with pytest.raises(SpecError, match=f"^{kind}: variant = 'none' has no layer that can start at zero"):
            senet.insert(model, spec, shape=SHAPE)
        senet.insert(model, spec, shape=SHAPE, preserve=False)
    else:
        senet.insert(model, spec, shape=SHAPE)
        assert torch.equal(model(x), before)
        model.train()(x).sum().backward()
        assert all(block.get_submodule(name).weight.grad.any() for block in blocks(model) for name in block.layers[-1:])
        model.eval()
    found = senet.find(model)
    assert [(one.kind, one.channels, one.adds) for one in found] == [
        ("senet", 16, kind.endswith("add")),
        ("senet", 32, kind.endswith("add")),
    ]
    cost = senet.cost(model, shape=SHAPE)
    assert cost.se.params == sum(p.numel() for block in blocks(model) for p in block.parameters())
    assert cost.se.scale == (0 if kind.endswith("add") else 16 * 16 * 16 + 32 * 7 * 7)
    senet.remove(model)
    assert len(senet.find(model)) == 0


def blocks(model: nn.Module) -> list[senet.SqueezeExcite]:
    return [module for module in model.modules() if isinstance(module, senet.SqueezeExcite)]


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")  # optimize traces the network
@pytest.mark.parametrize("kind", ALL)
def test_a_kind_is_optimized_accelerated_folded_and_saved(kind: str, tmp_path: Path) -> None:
    model, x = built(kind), next(batches())
    wanted = model(x)
    fast = senet.optimize(model, shape=(1, 3, 32, 32))
    assert (fast(x) - wanted).abs().max() <= 1e-5
    adds = kind.endswith("add")
    assert all("its gate adds" in block.why if adds else block.joined for block in fast.report.blocks)

    senet.save_pretrained(model, tmp_path / "built", name="resnet8", se=SESpec.parse(kind).but(reduction=4))
    assert torch.equal(senet.from_pretrained(tmp_path / "built").eval()(x), wanted)
    host = senet.create_model("resnet8").eval()
    senet.insert(host, SESpec.parse(kind).but(reduction=4), preserve=False)
    senet.save_pretrained(host, tmp_path / "inserted", name="resnet8")
    assert torch.equal(senet.from_pretrained(tmp_path / "inserted").eval()(x), host(x))

    for mode in (False, True):
        one, other = (senet.create_model("resnet8", se=SESpec.parse(kind).but(reduction=4)) for _ in range(2))
        one.load_state_dict(other.state_dict())
        senet.accelerate(other, backend="reference")
        assert (one.train(mode)(x) - other.train(mode)(x)).abs().max() <= 1e-4

    folded = senet.fold(model, list(batches()), tolerance=100)
    assert len(folded.removed) == (0 if adds else 3)
    if adds:
        assert any("it adds to the map instead of scaling it" in note for note in folded.notes)
