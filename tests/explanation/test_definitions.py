"""Every statistic of an explanation against a slow, independent computation by loops in numpy."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import senet
from senet.explanation import Explanation
from senet.explanation.class_share import interval, jackknife, p_value, share_of
from senet.explanation.class_sums import Moments
from senet.explanation.context import context, halves
from senet.explanation.extremes import Extremes
from senet.explanation.information import information, selectivity
from senet.explanation.sample import Sample
from senet.explanation.spread import used_rank
from senet.nn import SqueezeExcite

N, K, C = 60, 3, 8


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, C, 3, padding=1)
        self.se = SqueezeExcite(C, reduction=2)
        self.head = nn.Linear(C, K)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.se(self.conv(x)).relu().mean((2, 3)))


class Seen:
    """The maps, gates and logits of a network, computed block by block in float64."""

    def __init__(self) -> None:
        self.net = Net().eval()
        self.net.se.fc2.weight.data *= 6
        self.labels = torch.arange(N) % K
        self.x = torch.randn(N, 3, 5, 5) + self.labels.view(-1, 1, 1, 1) * 0.5
        with torch.no_grad():
            self.map = self.net.conv(self.x)
            q = self.map.mean((2, 3), keepdim=True)
            self.hidden = self.net.se.fc1(q).relu().flatten(1).numpy().astype(float)
            self.z = self.net.se.fc2(self.net.se.fc1(q).relu()).flatten(1).numpy().astype(float)
            self.q = q.flatten(1).numpy().astype(float)
            self.out = self.net(self.x)
        self.s = 1 / (1 + np.exp(-self.z))
        self.energy = (self.map.numpy().astype(float) ** 2).sum((2, 3))
        self.k = self.labels.numpy()
        batches = [(self.x[i : i + 25], self.labels[i : i + 25]) for i in range(0, N, 25)]
        self.explanation: Explanation = senet.explain(self.net, batches, classes=["a", "b", "c"], images=None)


@pytest.fixture(scope="module")
def seen() -> Seen:
    torch.manual_seed(0)
    return Seen()


def share(s: np.ndarray, k: np.ndarray) -> tuple[float, float]:
    """Class share and eta squared by loops."""
    between = within = total = 0.0
    n, classes = len(k), sorted(set(k.tolist()))
    for c in range(s.shape[1]):
        column = s[:, c]
        for one in classes:
            own = column[k == one]
            between += len(own) * (own.mean() - column.mean()) ** 2
            within += sum((value - own.mean()) ** 2 for value in own)
        total += sum((value - column.mean()) ** 2 for value in column)
    return (between - (len(classes) - 1) * within / (n - len(classes))) / total, between / total


def test_class_share_and_its_chance_level_are_the_variance_components(seen: Seen) -> None:
    found, (wanted, eta2) = seen.explanation["se"], share(seen.s, seen.k)
    assert found.class_share == pytest.approx(wanted, rel=1e-4)
    assert found.class_share_eta2 == pytest.approx(eta2, rel=1e-4)
    assert found.eta2_chance == pytest.approx((K - 1) / (N - 1))


def test_means_and_deviations_by_class_are_those_of_numpy(seen: Seen) -> None:
    block = seen.explanation["se"]
    for row in range(K):
        own, z = seen.s[seen.k == row], seen.z[seen.k == row]
        assert np.allclose(block.class_mean[row], own.mean(0), atol=1e-6)
        assert np.allclose(block.class_std[row], own.std(0), atol=1e-6)
        assert np.allclose(block.logit_mean[row], z.mean(0), atol=1e-5)
    assert np.allclose(block.by_channel["squeeze_std"], seen.q.std(0), rtol=1e-4)
    assert block.sd == pytest.approx(math.sqrt((seen.s.std(0) ** 2).mean()), rel=1e-4)


def test_distance_from_the_identity_weighs_gates_by_the_energy_of_the_map(seen: Seen) -> None:
    block, e = seen.explanation["se"], seen.energy
    assert block.identity == pytest.approx(math.sqrt((e * (seen.s - 1) ** 2).sum() / e.sum()), rel=1e-4)
    best = (e * seen.s).sum() / e.sum()
    assert block.identity_scaled == pytest.approx(math.sqrt((e * (seen.s - best) ** 2).sum() / e.sum()), rel=1e-3)
    constant = (e * seen.s).sum(0) / e.sum(0)
    lost = (e * (seen.s - constant) ** 2).sum() / (e * seen.s**2).sum()
    assert block.varies == pytest.approx(math.sqrt(lost), rel=1e-3)


def test_saturation_counts_gates_and_hidden_units(seen: Seen) -> None:
    block = seen.explanation["se"]
    assert block.open == pytest.approx((seen.s > 0.98).mean(), abs=1e-9)
    assert block.shut == pytest.approx((seen.s < 0.02).mean(), abs=1e-9)
    assert block.half == pytest.approx((abs(seen.s - 0.5) < 0.01).mean(), abs=1e-9)
    fires = (seen.hidden > 0).mean(0)
    assert block.hidden_widths == (4,)
    assert block.hidden_dead[0] == (fires < 0.001).mean()
    assert block.hidden_always_on[0] == (fires > 0.999).mean()
    low, high = np.quantile(seen.s, [0.005, 0.995], axis=0)
    assert block.stuck == (high - low < 0.01).mean()


def test_used_rank_is_the_exponential_of_the_entropy_of_eigenvalues(seen: Seen) -> None:
    values = np.clip(np.linalg.eigvalsh(np.cov(seen.z.T)), 0, None)
    p = values / values.sum()
    p = p[p > 0]
    assert seen.explanation["se"].used_rank == pytest.approx(math.exp(-(p * np.log(p)).sum()), rel=1e-3)
    assert used_rank(torch.ones(5, 3)) == 0.0
    assert used_rank(torch.randn(40, 1) * torch.ones(1, 6)) == pytest.approx(1.0)


def test_selectivity_compares_the_best_class_with_the_mean_of_the_others(seen: Seen) -> None:
    means = np.array([seen.s[seen.k == row].mean(0) for row in range(K)])
    wanted = []
    for c in range(C):
        top = means[:, c].max()
        rest = (means[:, c].sum() - top) / (K - 1)
        wanted.append((top - rest) / (top + rest))
    assert np.allclose(seen.explanation["se"].by_channel["selectivity_gate"], wanted, atol=1e-6)
    assert selectivity(torch.tensor([[1.0], [0.0]]).double()).tolist() == [1.0]


def test_information_is_the_plug_in_estimate_with_the_correction_of_miller_and_madow(seen: Seen) -> None:
    for c in range(3):
        column = torch.from_numpy(seen.s[:, c])
        edges = np.quantile(seen.s[:, c], np.arange(1, 16) / 16)
        bins = np.searchsorted(edges, seen.s[:, c], side="right")
        table = np.zeros((K, 16))
        for k, b in zip(seen.k, bins, strict=True):
            table[k, b] += 1

        def entropy(counts: np.ndarray) -> float:
            p = counts[counts > 0] / N
            return -(p * np.log(p)).sum() + ((counts > 0).sum() - 1) / (2 * N)

        wanted = (entropy(table.sum(1)) + entropy(table.sum(0)) - entropy(table.ravel())) / math.log(2)
        assert information(column.unsqueeze(1), seen.labels).item() == pytest.approx(wanted, abs=1e-9)


def test_information_of_a_gate_that_is_the_class_is_its_entropy_and_that_of_noise_is_about_nothing() -> None:
    rows = torch.arange(4000) % 4
    gates = torch.stack([rows.double(), torch.rand(4000, dtype=torch.float64)], 1)
    exact, noise = information(gates, rows).tolist()
    assert exact == pytest.approx(2.0, abs=0.01)
    assert abs(noise) < 0.01


def test_context_predicts_logits_of_other_images_by_least_squares() -> None:
    q = np.random.default_rng(0).normal(size=(400, 6))
    z = q + 0.8 * np.roll(q, 1, 1) + 0.5 * np.random.default_rng(1).normal(size=q.shape)

    def r2(columns: list[list[int]]) -> float:
        lost = 0.0
        for fit, test in halves(400):
            for c, near in enumerate(columns):
                design = np.column_stack([np.ones(len(q[fit])), q[fit][:, near]])
                weight = np.linalg.lstsq(design, z[fit][:, c], rcond=None)[0]
                guess = np.column_stack([np.ones(len(q[test])), q[test][:, near]]) @ weight
                lost += ((z[test][:, c] - guess) ** 2).sum()
        return 1 - lost / ((z - z.mean(0)) ** 2).sum()

    found = context(torch.from_numpy(q), torch.from_numpy(z))
    assert found.own == pytest.approx(r2([[c] for c in range(6)]), abs=1e-6)
    assert found.near3 == pytest.approx(r2([[d for d in (c - 1, c, c + 1) if 0 <= d < 6] for c in range(6)]), abs=1e-6)
    assert found.all == pytest.approx(r2([list(range(6))] * 6), abs=1e-6)
    assert math.isnan(context(torch.from_numpy(q[:12]), torch.from_numpy(z[:12])).all)


def test_shuffled_labels_give_a_class_share_about_zero_and_uniform_p() -> None:
    gates = torch.rand(300, 5)
    shares, ps = [], []
    for seed in range(20):
        rows = (torch.arange(300) % 6)[torch.randperm(300, generator=torch.Generator().manual_seed(seed))]
        sums = Moments(5)
        sums.add(rows, gates.double(), 6)
        shares.append(share_of(sums).value)
        ps.append(p_value(gates, rows, permutations=50))
    assert abs(np.mean(shares)) < 3 * np.std(shares) / math.sqrt(20)
    assert stats.kstest(ps, "uniform").pvalue > 0.01


def test_a_share_of_shifted_gates_keeps_its_digits() -> None:
    rows = torch.arange(90) % 3
    gates = (rows.double() * 1e-5 + torch.rand(90, dtype=torch.float64) * 1e-5).unsqueeze(1) + 0.7
    sums = Moments(1)
    for part in range(0, 90, 40):
        sums.add(rows[part : part + 40], gates[part : part + 40], 3)
    assert share_of(sums).value == pytest.approx(share(gates.numpy(), rows.numpy())[0], rel=1e-6)


def test_the_interval_covers_the_true_share() -> None:
    random = np.random.default_rng(0)
    inside = 0
    for _ in range(40):
        rows = torch.arange(400) % 4
        effects = np.array([-1.5, -0.5, 0.5, 1.5]) / math.sqrt(1.25)  # variance 1: the true share is near 1/2
        gates = torch.from_numpy(effects[rows.numpy()] + random.normal(size=400)).unsqueeze(1)
        sums = Moments(1)
        sums.add(rows, gates, 4)
        low, high = interval(share_of(sums).value, jackknife(gates, rows))
        inside += low < 0.5 < high
    assert 34 <= inside <= 40


def test_missing_gates_are_left_out_of_the_sums() -> None:
    values = torch.tensor([[0.2], [float("nan")], [0.4], [0.9]], dtype=torch.float64)
    sums = Moments(1)
    sums.add(torch.tensor([0, 0, 0, 1]), values, 2)
    assert sums.number.flatten().tolist() == [2, 1]
    assert sums.mean.flatten().tolist() == pytest.approx([0.3, 0.9])


def test_interventions_are_the_paired_changes_of_replaced_gates(seen: Seen) -> None:
    head, block = seen.net.head, seen.explanation["se"]
    plain = nn.functional.cross_entropy(seen.out, seen.labels, reduction="none").double()
    others = [(seen.k == row) & (np.arange(N) != image) for image, row in enumerate(seen.k)]
    means = torch.tensor(np.array([seen.s[which].mean(0) for which in others]))  # without the image itself
    e = torch.from_numpy(seen.energy)
    constant = (e * torch.from_numpy(seen.s)).sum(0) / e.sum(0)
    for kind, gates in (
        ("identity", torch.ones(1, C)),
        ("constant", constant[None]),
        ("class_mean", means),
    ):
        with torch.no_grad():
            out = head((seen.map * gates.float()[:, :, None, None]).relu().mean((2, 3)))
        apart = nn.functional.cross_entropy(out, seen.labels, reduction="none").double() - plain
        mean, half = float(apart.mean()), 1.959964 * float(apart.std()) / math.sqrt(N)
        effect = block.importance[kind]
        assert effect.images == N
        assert effect.loss == pytest.approx((mean, mean - half, mean + half), abs=1e-5)
        right = (out.argmax(1) == seen.labels).double().mean() - (seen.out.argmax(1) == seen.labels).double().mean()
        assert effect.top1[0] == pytest.approx(100 * float(right), abs=1e-9)
        assert effect.top1[1] < effect.top1[0] < effect.top1[2]


def test_the_network_is_unchanged_and_computes_the_same(seen: Seen) -> None:
    with torch.no_grad():
        assert torch.equal(seen.net(seen.x), seen.out)
    assert seen.explanation.top1 == pytest.approx(100 * float((seen.out.argmax(1) == seen.labels).double().mean()))


def test_extremes_are_the_largest_and_smallest_gates(seen: Seen) -> None:
    found = seen.explanation["se"].extremes
    for c in range(C):
        for few, wanted in ((found.open, np.sort(seen.s[:, c])[::-1]), (found.shut, np.sort(seen.s[:, c]))):
            assert few.value[c].tolist() == pytest.approx(wanted[:4].tolist(), abs=1e-6)
            assert np.allclose(seen.s[few.image[c].numpy(), c], few.value[c], atol=1e-6)
    few = Extremes(1, 3)
    few.add(torch.tensor([[0.5], [float("nan")]], dtype=torch.float64), 10)
    assert few.open.image.tolist() == [[10, -1, -1]]


def test_a_sample_holds_every_image_with_the_same_probability() -> None:
    counts = torch.zeros(60)
    whole = Sample(memory=4 * 60)
    whole.add({"a": torch.arange(60.0).unsqueeze(1)})
    assert whole.whole
    for seed in range(300):
        sample = Sample(memory=4 * 12, seed=seed)
        for start in range(0, 60, 7):
            sample.add({"a": torch.arange(float(start), min(60, start + 7)).unsqueeze(1)})
        assert len(sample.index) == 12
        assert sample["a"].flatten().tolist() == sample.index.tolist()
        counts[sample.index] += 1
    assert stats.chisquare(counts.numpy()).pvalue > 0.001
