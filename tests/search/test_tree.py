"""Scoring by a tree of common beginnings gives what running every design from the start gives."""

import os
import signal
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

import senet
from senet.data import DataSpec, load
from senet.errors import CheckpointError, Interrupted, SpecError
from senet.experiments.recipe import Optim, Recipe, Schedule
from senet.experiments.run import Run
from senet.networks.create import create
from senet.networks.stated import stated
from senet.nn.nested import NestedSqueezeExcite
from senet.search import supernet
from senet.search.shared_network import shared_network
from senet.search.space import Choices, Shared, Space
from senet.search.supernet import sandwich, score_space, train_shared
from senet.search.supernet_scores import recalibrated, score_schemes, select
from senet.spec import SESpec
from senet.training.progress import Progress

DATA = load(DataSpec(name="digits", train_size=120, val_size=60, test_size=40))
SPACE = Space(
    name="tiny",
    base=Run(
        model="resnet8",
        se=(SESpec(),),
        data=DATA.spec,
        recipe=Recipe(epochs=2, batch_size=40, optim=Optim(lr=0.05), schedule=Schedule(name="cosine")),
    ),
    choices=Choices(reduction=((2, 8), (2, 8), (4, 16))),
    shared=Shared(epochs=1, middle=1, calibration=60),
)
SPECS = [design[0] for design in SPACE.designs()]


def images(n: int) -> torch.Tensor:
    return torch.randn(n, 1, 8, 8, generator=torch.Generator().manual_seed(n))


def assert_are_those_of_each_alone(
    scores: Mapping[SESpec, tuple[float, float]],
    network: nn.Module,
    calibration: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
) -> None:
    for spec, score in scores.items():
        select(network, spec)
        network.eval()
        with torch.no_grad(), recalibrated(network):
            network(calibration)
        with torch.no_grad():
            logits = network(x)
        right = 100 * (logits.argmax(1) == y).double().mean().item()
        assert score == (right, F.cross_entropy(logits, y).item())


def test_the_tree_gives_what_every_design_alone_gives() -> None:
    network = shared_network(SPACE, DATA).model
    calibration, x, y = images(50), images(30), torch.arange(30) % 10
    scores = score_schemes(network, SPECS, calibration=calibration, images=x, labels=y)
    assert list(scores) == SPECS
    assert len({loss for _, loss in scores.values()}) == len(SPECS)  # the gates matter
    assert_are_those_of_each_alone(scores, network, calibration, x, y)


OWN = """
from torch import nn

class Unit(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)

    def forward(self, x):
        return x + self.norm(self.conv2(self.conv1(x).relu()))

def build(num_classes=10, in_chans=1):
    first, second = nn.Conv2d(in_chans, 8, 3, padding=1), nn.Conv2d(8, 16, 3, stride=2, padding=1)
    end = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, num_classes))
    return nn.Sequential(first, Unit(8), Unit(8), second, Unit(16), nn.ReLU(), end)
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Space:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(OWN)
    choices = Choices(reduction=((2, 4), (2, 8)), per="block", blocks=(2, 1))
    return Space(name="own", base=replace(SPACE.base, model="net.py:build"), choices=choices, shared=SPACE.shared)


def test_a_network_of_the_user_holds_every_ratio_where_insert_puts_its_blocks(own: Space) -> None:
    network = shared_network(own, DATA)
    widths = {(spec := design[0]): [b.widths[1] for b in inserted_alone(own, spec)] for design in own.designs()}
    for spec, hidden in widths.items():
        select(network.model, spec)
        nested = [block for block in network.model.modules() if isinstance(block, NestedSqueezeExcite)]
        assert [block.widths[1] for block in nested] == hidden
    assert len({tuple(hidden) for hidden in widths.values()}) == 8
    assert {name.rpartition(".se.")[0] for name in network.fresh} == {"1.norm", "2.norm", "4.norm"}
    calibration, x, y = images(50), images(30), torch.arange(30) % 10
    scores = score_schemes(network.model, list(widths), calibration=calibration, images=x, labels=y)
    assert len({loss for _, loss in scores.values()}) == 8
    assert_are_those_of_each_alone(scores, network.model, calibration, x, y)


def inserted_alone(space: Space, spec: SESpec) -> list[senet.SqueezeExcite]:
    model = create(space.base.model, num_classes=10, in_chans=1)
    senet.insert(model, spec, preserve=False, shape=(1, 1, 8, 8))
    return [block for block in model.modules() if isinstance(block, senet.SqueezeExcite)]


def test_with_trained_weights_every_ratio_starts_with_their_outputs(own: Space) -> None:
    trained = create("net.py:build", num_classes=10, in_chans=1)
    save_file(trained.state_dict(), "net.safetensors")
    space = replace(own, base=stated(replace(own.base, weights="net.safetensors")))
    network = shared_network(space, DATA).model.eval()
    for design in space.designs():
        select(network, design[0])
        assert torch.equal(network(images(5)), trained.eval()(images(5)))
    model, _ = train_shared(space, DATA, Path("runs"))
    assert not torch.equal(model.eval()(images(5)), trained(images(5)))


@pytest.mark.parametrize("model", ["kth_resnet52", "resnet20"])
def test_each_part_runs_once_for_each_distinct_beginning(model: str) -> None:
    space = Space(name="s", base=Run(model=model, se=(SESpec(),), data=DATA.spec), choices=SPACE.choices)
    network = shared_network(space, DATA).model
    runs = dict.fromkeys(network.parts, 0)

    def counted(name: str) -> None:
        def count(*_: object) -> None:
            runs[name] += 1

        getattr(network, name).register_forward_hook(count)

    for name in network.parts:
        counted(name)
    score_schemes(network, SPECS, calibration=images(4), images=images(4), labels=torch.zeros(4, dtype=torch.int64))
    stem = 2 if model == "kth_resnet52" else 1  # its stem has a block with the ratio of stage 1
    assert runs == {"stem": 2 * stem, "stage1": 2 * 2, "stage2": 2 * 4, "stage3": 2 * 8}


def test_recalibration_sets_the_statistics_of_the_batch_and_leaves_the_rest() -> None:
    norm = nn.BatchNorm2d(3)
    part = nn.Sequential(nn.Conv2d(1, 3, 1), norm, nn.Dropout(0.5)).eval()
    x = images(20)
    with torch.no_grad(), recalibrated(part):
        out = part(x)
        assert part[2].training is False  # noise stays off
    seen = part[0](x).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean, seen.mean(1), atol=1e-6)
    assert torch.allclose(norm.running_var, seen.var(1), rtol=1e-4)
    assert (norm.training, norm.momentum) == (False, 0.1)
    assert torch.allclose(part(x), out, atol=1e-2)


def test_the_widest_learns_labels_and_the_others_the_widest() -> None:
    network = shared_network(SPACE, DATA).model.train()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.momentum = 0.0  # the second pass below sees the same network
    wide, narrow = SPACE.design((2, 2, 4))[0], SPACE.design((8, 8, 16))[0]
    x, y = images(16), torch.arange(16) % 10
    loss = sandwich(network, [wide, narrow], x, y, amp=False)
    found = {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}
    network.zero_grad()
    select(network, wide)
    logits = network(x)
    first = F.cross_entropy(logits, y)
    assert loss == pytest.approx(first.item())
    select(network, narrow)
    second = F.cross_entropy(network(x), logits.detach().softmax(1))
    ((first + second) / 2).backward()
    assert set(found) == {name for name, _ in network.named_parameters()}
    for name, p in network.named_parameters():
        assert torch.allclose(found[name], p.grad, atol=1e-6), name


def test_every_training_step_has_the_widest_and_the_narrowest() -> None:
    for seed in range(5):
        wide, narrow, middle = supernet.sampled_specs(SPACE, seed)
        assert wide.reduction == (2, 2, 4)
        assert narrow.reduction == (8, 8, 16)
        assert middle in SPECS
    assert len({supernet.sampled_specs(SPACE, seed)[2] for seed in range(40)}) > 3


def test_select_reaches_every_block() -> None:
    network = shared_network(SPACE, DATA).model
    select(network, SPECS[-1])
    blocks = [block for block in network.modules() if isinstance(block, NestedSqueezeExcite)]
    assert [block.widths[1] for block in blocks] == [2, 4, 4]
    ratios = list(product((2, 8), (2, 8), (4, 16)))
    assert [spec.reduction for spec in SPECS] == ratios


def test_a_stopped_shared_training_goes_on_to_the_same_bits(tmp_path: Path) -> None:
    space = replace(SPACE, shared=replace(SPACE.shared, epochs=2))
    whole, _ = train_shared(space, DATA, tmp_path / "whole")

    def stop_in_the_second_epoch(progress: Progress) -> None:
        if progress.epoch > 1:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Interrupted, match="to continue after epoch 1"):
        train_shared(space, DATA, tmp_path / "cut", watch=stop_in_the_second_epoch)
    resumed, seconds = train_shared(space, DATA, tmp_path / "cut")
    assert all(
        torch.equal(a, b) for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    )
    again, same = train_shared(
        space, DATA, tmp_path / "cut", watch=lambda progress: pytest.fail("it was trained again")
    )
    assert same == seconds
    assert torch.equal(again.fc.weight, resumed.fc.weight)
    other = load(replace(DATA.spec, subset_seed=1))
    with pytest.raises(CheckpointError, match="is of other images"):
        train_shared(space, other, tmp_path / "cut")


def test_scores_of_a_space_name_every_design_with_its_own_parameters(tmp_path: Path) -> None:
    network, seconds = train_shared(SPACE, DATA, tmp_path)
    scored = score_space(SPACE, network, DATA, count=lambda design: design[0].ratio(1), train_seconds=seconds)
    assert list(scored.scores) == SPACE.designs()
    assert [score.params for score in scored.scores.values()] == [2] * 4 + [8] * 4
    assert scored.per_minute == pytest.approx(60 * 8 / scored.score_seconds)


def test_variants_do_not_share_weights() -> None:
    several = replace(SPACE, choices=replace(SPACE.choices, variant=("standard", "bump")))
    with pytest.raises(SpecError, match="varies ratios only"):
        shared_network(several, DATA)
    short = replace(SPACE, choices=Choices(reduction=((2, 4),)))
    with pytest.raises(SpecError, match="list ratios for every stage"):
        shared_network(short, DATA)
