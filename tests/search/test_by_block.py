"""Spaces whose blocks choose: what they hold, how every strategy walks them, what the shared network scores."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_drive import MERIT, Laboratory, names
from test_tree import DATA, assert_are_those_of_each_alone, images

from senet.errors import SpecError
from senet.experiments.run import Run
from senet.models import create_model
from senet.nn.nested import NestedSqueezeExcite
from senet.search.choices import Choices
from senet.search.driver import search
from senet.search.network_blocks import additive_count, count_blocks, with_blocks
from senet.search.shared_network import shared_network
from senet.search.space import Budget, Shared, Space, read_space
from senet.search.strategies.exhaustive import MOST, grid, random_search
from senet.search.strategies.greedy import greedy
from senet.search.strategies.shared import scored_designs, shared
from senet.search.strategy import Batch, Design, Score
from senet.search.supernet import shared_id
from senet.search.supernet_scores import score_schemes
from senet.spec import SESpec

SPACE = Space(
    name="blocks",
    base=Run(model="resnet20", se=(SESpec(),), data=DATA.spec),
    choices=Choices(reduction=((2, 4), (2, 4, 8)), per="block", blocks=(2, 1), constant=(4, 2)),
)
LARGE = replace(SPACE, choices=Choices(reduction=((2, 4, 8),) * 3, per="block", blocks=(3, 3, 3)))


def correct(design: Design) -> int:
    """Return how many of 1,000 images a design gets right: most for (4.2, 8)."""
    wanted = zip(((1, 1), (1, 2), (2, 1)), (4, 2, 8), strict=True)
    return 500 + sum(50 for place, r in wanted if design and design[0].ratio(*place) == r)


def params(design: Design) -> int:
    return 1000


# ---- the space


def test_every_block_chooses_from_the_ratios_of_its_stage() -> None:
    assert list(map(str, SPACE.choices.dimensions)) == ["stage 1 block 1", "stage 1 block 2", "stage 2 block 1"]
    assert SPACE.size == 12
    designs = SPACE.designs()
    assert len(set(designs)) == 12
    assert names(designs)[:5] == ["2-2", "2-4", "2-8", "2.4-2", "2.4-4"]
    assert all(SPACE.holds(design) for design in designs)


def test_equal_ratios_in_a_stage_are_the_run_of_a_search_by_stages() -> None:
    by_stage = replace(SPACE, choices=Choices(reduction=((2, 4), (2, 4, 8))))
    same = [design for design in SPACE.designs() if design in by_stage.designs()]
    assert same == by_stage.designs()
    assert SPACE.run(SPACE.constant(4), 0).id == by_stage.run(by_stage.constant(4), 0).id


@given(number=st.integers(0, 3**9 - 1))
def test_ratios_and_designs_are_two_ways_to_say_the_same(number: int) -> None:
    design = LARGE.at(number)
    assert LARGE.design(LARGE.ratios(design)) == design
    assert LARGE.holds(design)


def test_designs_of_elsewhere_are_not_held() -> None:
    for spec in (SESpec(reduction=3), SESpec(reduction=(2, 2, 2)), SESpec(reduction=(2, 2), gate="tanh")):
        assert not SPACE.holds((spec,))
    assert not SPACE.holds(())
    assert not SPACE.holds((SESpec(reduction=((2, 2), 2)),))  # the same network, another run


def test_the_network_is_asked_how_many_blocks_it_has(tmp_path: Path) -> None:
    assert count_blocks(Run(model="resnet50")) == (3, 4, 6, 3)
    (tmp_path / "s.toml").write_text(
        '[base]\nmodel = "resnet20"\ndata = { val_size = 100 }\n'
        '[choices]\nper = "block"\nstages = 3\nreduction = [2, 4]\n'
    )
    space = read_space(tmp_path / "s.toml")
    with pytest.raises(SpecError, match=r"needs the number of blocks of every stage; set e\.g\. choices\.blocks"):
        space.designs()
    assert with_blocks(space).choices.blocks == (3, 3, 3)
    assert with_blocks(space).size == 512
    assert with_blocks(replace(space, choices=Choices(reduction=((2,),)))).choices.blocks == ()
    with pytest.raises(SpecError, match="names 3 stages, resnet50 has 4; list ratios for every stage"):
        with_blocks(replace(space, base=replace(space.base, model="resnet50")))
    with pytest.raises(SpecError, match=r"choices\.blocks = \(1, 2, 3\), resnet20 has \(3, 3, 3\); leave it out"):
        with_blocks(replace(space, choices=replace(space.choices, blocks=(1, 2, 3))))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"per": "blok"}, "choices.per = 'blok' is not known; .* Did you mean 'block'"),
        ({"blocks": (1,)}, "choices.blocks = .* goes with per = 'block'"),
        ({"per": "block", "blocks": (1, 1)}, "counts those of each of the 1 stages"),
    ],
)
def test_choices_that_cannot_be_are_refused(values: dict[str, object], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        Choices(reduction=((2, 4),), **values)  # type: ignore[arg-type]


def test_a_search_by_block_takes_all_units_of_the_network() -> None:
    some = replace(SPACE, base=replace(SPACE.base, model="timm:resnet18", at=("layer3.*",)))
    with pytest.raises(SpecError, match=r"base.at = \['layer3.\*'\] leaves units out"):
        with_blocks(some)


# ---- the walks


def test_greedy_goes_block_after_block() -> None:
    outcome = search(SPACE, greedy(SPACE, merit=MERIT), Laboratory(correct), name="greedy", count=params)
    assert [phase.name for phase in outcome.phases][2:] == list(map(str, SPACE.choices.dimensions))
    assert names(list(outcome.trials)) == ["plain", "4-4", "2-2", "2.4-4", "4.2-4", "4.2-2", "4.2-8"]
    assert outcome.chosen == SPACE.design((4, 2, 8))


@pytest.mark.parametrize("strategy", ["tpe", "nsga2"])
def test_optunas_strategies_propose_blocks(strategy: str) -> None:
    pytest.importorskip("optuna")
    from senet.search.strategies import samplers as sampled

    space = replace(LARGE, budget=Budget(trials=9), plain=False)
    outcome = search(space, getattr(sampled, strategy)(space), Laboratory(correct), name=strategy, count=params)
    assert len(outcome.trials) == 9
    assert all(space.holds(design) for design in outcome.trials)
    assert any("." in name for name in names(list(outcome.trials)))


def test_grid_refuses_what_nobody_trains() -> None:
    assert LARGE.size > MOST
    with pytest.raises(SpecError, match=r"--strategy grid: the space holds 19,683 designs, more than 5,000; choose"):
        next(grid(LARGE))
    assert len(next(grid(replace(SPACE, plain=False))).designs) == 12


def test_a_random_walk_through_a_large_space_repeats_nothing() -> None:
    def walked(batches: int, seed: int = 0) -> list[Design]:
        walk, found = random_search(replace(LARGE, plain=False), seed=seed), list[Design]()
        batch = next(walk)
        for _ in range(batches):
            assert isinstance(batch, Batch)
            found += batch.designs
            batch = walk.send({})
        return found

    found = walked(5)
    assert len(found) == len(set(found)) == 5 * 64
    assert found[:64] == walked(1)
    assert found[:64] != walked(1, seed=1)


def test_the_shared_network_scores_a_sample_with_the_constants_where_there_are_too_many() -> None:
    few = replace(LARGE, shared=Shared(designs=300))
    sample = scored_designs(few)
    assert len(sample) == len(set(sample)) == 300
    assert sample == scored_designs(few)
    assert all(few.constant(r) in sample for r in (2, 4, 8))
    assert scored_designs(replace(SPACE, shared=Shared(designs=12))) == SPACE.designs()
    scores = {design: Score(accuracy=float(number)) for number, design in enumerate(sample)}
    walk = shared(replace(few, plain=False), scores, merit=MERIT)
    assert next(walk).designs == tuple(reversed(sample[-3:]))


# ---- the networks


def test_parameters_add_up_place_by_place() -> None:
    def built(design: Design) -> int:
        with torch.device("meta"):
            return sum(p.numel() for p in create_model("resnet20", se=design or None).parameters())

    counted = additive_count(LARGE, built)
    for number in (0, 77, 4711, 19_682):
        assert counted(LARGE.at(number)) == built(LARGE.at(number))
    assert counted(()) == built(())


def test_the_tree_of_blocks_gives_what_every_design_alone_gives() -> None:
    space = replace(SPACE, choices=Choices(reduction=((2, 8), (8,), (4, 16)), per="block", blocks=(3, 3, 3)))
    network = shared_network(space, DATA).model
    specs = [space.at(number)[0] for number in (0, 1, 8, 9, 40, 63)]
    calibration, x, y = images(30), images(20), torch.arange(20) % 10
    runs = 0

    def counted(*_: object) -> None:
        nonlocal runs
        runs += 1

    network.stage1.unit1.register_forward_hook(counted)
    scores = score_schemes(network, specs, calibration=calibration, images=x, labels=y)
    assert runs == 2 * 2  # two ratios of its own, calibration and images
    assert list(scores) == specs
    assert len({loss for _, loss in scores.values()}) == len(specs)  # every block matters
    assert_are_those_of_each_alone(scores, network, calibration, x, y)


def test_a_nested_block_has_the_ratio_of_its_place() -> None:
    block = NestedSqueezeExcite(32, [SESpec(reduction=r) for r in (2, 4, 16)], stage=1, unit=2)
    block.select(SESpec(reduction=((2, 16, 4), 2)))
    assert block.widths == (32, 2, 32)
    x = torch.randn(2, 32, 4, 4)
    assert torch.equal(block(x), block.standalone()(x))


def test_a_shared_network_by_block_is_another_and_one_by_stage_the_same_as_ever() -> None:
    by_stage = replace(LARGE, choices=Choices(reduction=((2, 4, 8),) * 3))
    assert shared_id(LARGE, 2) != shared_id(by_stage, 2) == "32d196165d13"
