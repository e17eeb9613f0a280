"""The greedy search on the numbers of the KTH report: their path, their result, their number of trainings."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from senet.data import DataSpec
from senet.experiments.run import Run
from senet.search.space import Choices, Space
from senet.search.strategies.greedy import greedy
from senet.search.strategy import Batch, Design, Score, Strategy, merit
from senet.spec import SESpec

# Holm, Lindqvist, Persson: Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation Networks, Table 3:
# test accuracy [%] after 200 epochs, one run each
TABLE_3: dict[tuple[int, ...], float] = {
    (): 90.97,
    (2, 2, 2): 90.86,
    (4, 4, 4): 91.12,
    (8, 8, 8): 91.17,
    (16, 16, 16): 91.06,
    (2, 8, 8): 90.78,
    (4, 8, 8): 90.78,
    (8, 2, 8): 91.31,
    (8, 4, 8): 91.18,
    (8, 16, 8): 91.02,
    (8, 2, 2): 91.39,
    (8, 2, 4): 90.88,
    (8, 2, 16): 91.53,
    (8, 2, 32): 91.22,
}
KTH = Space(
    name="kth",
    base=Run(model="kth_resnet52", se=(SESpec(),), data=DataSpec(name="cifar10", val_size=5000)),
    # section 5: the candidates differ from phase to phase; those of stage 2 are read from Table 3
    choices=Choices(reduction=((8, 4, 2), (2, 4, 8, 16), (32, 16, 4, 2)), constant=(16, 8, 4, 2)),
    objectives=("accuracy",),
)


def ratios(design: Design) -> tuple[int, ...]:
    return tuple(design[0].reduction) if design else ()  # type: ignore[arg-type]


def walked(
    strategy: Strategy, numbers: Mapping[tuple[int, ...], float]
) -> tuple[list[list[tuple[int, ...]]], Design | None]:
    """Drive a strategy with known numbers: what it asked for anew in each phase, and what it took."""
    seen: dict[Design, Score] = {}
    phases = []
    batch = next(strategy)
    try:
        while True:
            new = [design for design in batch.designs if design not in seen]
            phases.append([ratios(design) for design in new])
            seen |= {design: Score(accuracy=numbers[ratios(design)]) for design in new}
            batch = strategy.send({design: seen[design] for design in batch.designs})
    except StopIteration as stop:
        return phases, stop.value


def test_the_papers_numbers_lead_along_the_papers_path_with_14_trainings() -> None:
    phases, chosen = walked(greedy(KTH, merit=merit(("accuracy",))), TABLE_3)
    assert phases == [
        [()],
        [(16, 16, 16), (8, 8, 8), (4, 4, 4), (2, 2, 2)],
        [(4, 8, 8), (2, 8, 8)],
        [(8, 2, 8), (8, 4, 8), (8, 16, 8)],
        [(8, 2, 32), (8, 2, 16), (8, 2, 4), (8, 2, 2)],
    ]
    assert chosen is not None
    assert ratios(chosen) == (8, 2, 16)
    assert sum(map(len, phases)) == 14
    assert {r for phase in phases for r in phase} == set(TABLE_3)


def test_the_numbers_here_are_those_of_the_paper(shared: Path) -> None:
    paper = yaml.safe_load((shared / "papers" / "reduction_ratio.yaml").read_text("utf-8"))
    (table,) = (table for table in paper["tables"] if table["id"] == "reduction_ratio/table3")
    rows = {tuple(row["se"]["reduction"]) if row["se"] else (): row["values"]["test_acc"] for row in table["rows"]}
    assert rows == TABLE_3


def test_among_equals_the_incumbent_stays() -> None:
    _, chosen = walked(greedy(KTH, merit=merit(("accuracy",))), defaultdict(lambda: 50.0, {(16, 16, 16): 40.0}))
    assert chosen is not None
    assert ratios(chosen) == (8, 8, 8)


def finish(strategy: Strategy, scores: Callable[[Batch], dict[Design, Score]]) -> tuple[list[str], Design | None]:
    """Drive a strategy to its end: its phases, and what it took."""
    phases = []
    try:
        batch = next(strategy)
        while True:
            phases.append(batch.phase)
            batch = strategy.send(scores(batch))
    except StopIteration as stop:
        return phases, stop.value


def test_a_phase_without_scores_leaves_the_choice_as_it_is() -> None:
    def only_constants(batch: Batch) -> dict[Design, Score]:
        known = batch.phase == "constant"
        return {design: Score(accuracy=TABLE_3[ratios(design)]) for design in batch.designs} if known else {}

    phases, chosen = finish(greedy(KTH, merit=merit(("accuracy",))), only_constants)
    assert phases == ["plain", "constant", "stage 1", "stage 2", "stage 3"]
    assert chosen is not None
    assert ratios(chosen) == (8, 8, 8)


def test_without_any_score_there_is_no_choice() -> None:
    assert finish(greedy(KTH, merit=merit(("accuracy",))), lambda batch: {})[1] is None


def test_variants_and_slots_come_after_the_ratios() -> None:
    space = Space(
        name="s",
        base=KTH.base,
        choices=Choices(reduction=((4, 8),), variant=("standard", "bump"), slot=("standard", "pre")),
        plain=False,
    )

    def liked(batch: Batch) -> dict[Design, Score]:
        return {d: Score(accuracy=(d[0].variant == "bump") + (d[0].slot == "pre")) for d in batch.designs}

    phases, chosen = finish(greedy(space, merit=merit(("accuracy",))), liked)
    assert phases == ["constant", "stage 1", "variant", "slot"]
    assert chosen is not None
    assert (chosen[0].variant, chosen[0].slot) == ("bump", "pre")
