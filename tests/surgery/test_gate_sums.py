"""The statistics of gates and the intervals of a fold, against plain loops and other libraries."""

import pytest
import torch

from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.surgery.folding.folded import Bounds, FoldedBlock, Step, paired_interval, share_interval
from senet.surgery.folding.observe import GateSums


def filled(x: torch.Tensor, y: torch.Tensor, size: int) -> GateSums:
    sums = GateSums(x.shape[1], x.device)
    for part, out in zip(x.split(size), y.split(size), strict=True):
        sums.add(part, out)
    return sums


@pytest.mark.parametrize("size", [1, 3, 8])
def test_the_sums_give_the_gates_of_the_block_whatever_the_batches(size):
    block, x = SqueezeExcite(6, SESpec(reduction=2)).double(), torch.randn(8, 6, 5, 4).double()
    gates = block.weights(x)[:, :, 0, 0].detach()
    sums = filled(x, block(x).detach(), size)
    assert torch.allclose(sums.mean(), gates.mean(0), rtol=1e-9)
    assert torch.allclose(sums.sd(), gates.std(0, correction=0), rtol=1e-6)
    assert sums.spatial() < 1e-7
    assert sums.calls == -(-8 // size)


def test_the_constant_minimises_the_error_of_the_output():
    block, x = SqueezeExcite(4, SESpec(reduction=1)), torch.randn(8, 4, 5, 5) * torch.rand(8, 4, 1, 1)
    y = block(x).detach()
    sums = filled(x, y, 8)

    def error(constant: torch.Tensor) -> float:
        return float((y - x * constant.view(1, -1, 1, 1)).double().square().sum())

    best = error(sums.constant())
    for other in (sums.mean(), sums.constant() * 1.001, sums.constant() * 0.999):
        assert best < error(other)
    assert sums.variation() == pytest.approx((best / float(y.double().square().sum())) ** 0.5, rel=1e-6)


def test_a_constant_gate_varies_by_rounding_only():
    x = torch.randn(8, 4, 5, 5)
    assert filled(x, x * torch.tensor([0.3, 1.7, 0.0, 0.9]).view(1, 4, 1, 1), 4).variation() < 1e-6


def test_a_channel_that_is_always_zero_gets_the_mean_of_the_others():
    x = torch.randn(8, 3, 5, 5)
    x[:, 1] = 0
    sums = filled(x, x * torch.tensor([0.25, 9.0, 0.75]).view(1, 3, 1, 1), 4)
    assert sums.constant().tolist() == pytest.approx([0.25, 0.5, 0.75], abs=1e-6)
    assert sums.mean()[1].isnan()
    assert sums.into(FoldedBlock(name="se", channels=3, params=1)).gate_mean == pytest.approx(0.5, abs=1e-6)


def test_a_gate_of_positions_shows_in_space():
    x = torch.rand(4, 2, 6, 6) + 0.5
    y = x * torch.linspace(0, 1, 6).view(1, 1, 1, 6)
    sums = filled(x, y, 4)
    assert sums.variation() >= sums.spatial() > 0.3


@pytest.mark.parametrize(("count", "total"), [(0, 20), (3, 50), (50, 50), (17, 1000)])
def test_the_interval_of_a_share_is_wilsons(count, total):
    # its ends are the shares p that lie 1.96 of their own standard errors from what was counted
    share, low, high = (value / 100 for value in share_interval(count, total))
    assert share == count / total
    for end in (low, high):
        if 0 < end < 1:
            assert abs(end - share) == pytest.approx(1.959964 * (end * (1 - end) / total) ** 0.5, rel=1e-5)
    assert low < high


def test_the_paired_interval_holds_its_promise():
    # images that change sides at known rates: 95 % intervals should contain the truth in about 95 of 100 sets
    random = torch.Generator().manual_seed(0)
    share = torch.tensor([0.03, 0.01, 0.96])
    hits = 0
    for _ in range(1000):
        drawn = torch.multinomial(share, 400, replacement=True, generator=random)
        _, low, high = paired_interval(int((drawn == 0).sum()), int((drawn == 1).sum()), 400)
        hits += low <= 2.0 <= high
    assert 930 <= hits <= 985


def test_the_paired_interval_by_hand():
    loss, low, high = paired_interval(3, 1, 98)
    assert loss == pytest.approx(200 / 98)
    p, q = 4 / 100, 2 / 100
    half = 1.959964 * ((p + q - (p - q) ** 2) / 100) ** 0.5
    assert (low, high) == pytest.approx((100 * (p - q - half), 100 * (p - q + half)), rel=1e-6)
    assert paired_interval(0, 0, 400)[2] > 0


def step(blocks: int, loss: float, *, high: float = 0.0, error: float = 1.0, params: int = 0) -> Step:
    return Step(
        blocks=blocks,
        name="",
        params=params,
        correct=None,
        changed=0,
        worse=None,
        better=None,
        loss=loss,
        low=0.0,
        high=high,
        error=error,
    )


def test_bounds_take_the_longest_start_without_a_gap():
    curve = [step(0, 0), step(1, 0.1, high=0.3), step(2, 0.4, high=0.9), step(3, 0.2, high=0.4)]
    assert Bounds(tolerance=0.5).longest(curve) == 1
    assert Bounds(tolerance=0.5, sure=False).longest(curve) == 3
    assert Bounds(tolerance=None).longest(curve) == 3
    assert Bounds(tolerance=None, blocks=2).longest(curve) == 2
    assert Bounds(tolerance=0).longest([step(0, 0), step(1, 0, high=0.4, error=1e-8)]) == 1


def test_a_budget_of_parameters_is_reached_and_not_passed_further():
    curve = [step(k, 0, params=10 * k) for k in range(5)]
    assert Bounds(tolerance=None, params=15).longest(curve) == 2
    assert Bounds(tolerance=None, params=20).longest(curve) == 2
    assert Bounds(tolerance=None, params=0).longest(curve) == 0
