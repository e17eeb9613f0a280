"""What is said after a search: the two ways of choosing, the rank agreement, the confirmation, the latency."""

from dataclasses import replace
from pathlib import Path

import pytest
from test_drive import SPACE, Laboratory, correct, params

from senet.experiments.study import read_study
from senet.experiments.summary import summarize
from senet.reports.search_report import write_report
from senet.reports.search_table import agreement, notes, plain_wins
from senet.search.confirmation import against_constants, confirmation, study_text
from senet.search.driver import search
from senet.search.final_test import selections
from senet.search.findings import Findings
from senet.search.latency import latency_ms
from senet.search.strategies.exhaustive import grid
from senet.search.strategy import Score
from senet.spec import design_name

OUTCOME = search(SPACE, grid(SPACE), Laboratory(), name="grid", count=params)
SMALL = replace(SPACE, references=(4,), confirm_seeds=(7, 8))


def test_the_test_set_claims_more_than_held_out_images_for_equal_designs() -> None:
    luck = {(): 99.0, (2, 2): 50.1, (2, 4): 50.0, (4, 2): 51.2, (4, 4): 49.9}
    tests = {d: {0: luck[tuple(d[0].reduction) if d else ()]} for d in OUTCOME.trials}  # type: ignore[arg-type]
    outcome = replace(OUTCOME, space=SMALL)
    held_out, by_test = selections(outcome, tests)
    assert (design_name(held_out.design), held_out.test) == ("standard r=2-2", 50.1)
    assert (design_name(by_test.design), by_test.test) == ("standard r=4-2", 51.2)  # the plain network is no choice
    assert held_out.gain == pytest.approx(0.2)
    assert by_test.gain == pytest.approx(1.3)
    assert "KTH" in by_test.criterion
    assert by_test.reference == SPACE.design((4, 4))
    assert selections(outcome, {}) == []


def test_agreement_is_over_the_designs_that_were_trained_both_ways() -> None:
    shared = {d: Score(accuracy=-correct(d), loss=correct(d)) for d in SPACE.designs()}
    found = dict(agreement(shared, OUTCOME.scores))
    assert {value.n for value in found.values()} == {4}
    assert found["Spearman, shared accuracy with real accuracy"].value == -1
    assert found["Spearman, number of parameters with real accuracy"].value > 0.7


def test_the_confirmation_is_a_study_that_reads_back(tmp_path: Path) -> None:
    chosen = SPACE.design((2, 4))
    study = confirmation(SMALL, [chosen])
    (tmp_path / "chosen.toml").write_text(study_text(study, SMALL.final(chosen)), encoding="utf-8")
    read = read_study(tmp_path / "chosen.toml")
    assert read.rows == study.rows
    assert (read.seeds, read.baseline) == ((7, 8), "plain")
    assert [row.label for row in read.rows] == ["plain", "standard r=4-4 (constant 4)", "standard r=2-4 (chosen)"]
    both = confirmation(SMALL, [SPACE.design((4, 4))])
    assert [row.label for row in both.rows] == ["plain", "standard r=4-4 (constant 4, chosen)"]


def test_a_search_that_trained_nothing_still_has_a_report(tmp_path: Path) -> None:
    empty = replace(OUTCOME, trials={}, chosen=None, phases=(), ended="the budget of 1 trials is spent")
    write_report(Findings(outcome=empty), tmp_path, command="senet search")
    assert "nothing: no design was trained" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "pareto.png").exists()


def test_the_notes_say_that_the_choice_did_not_see_the_test_set() -> None:
    said = " ".join(notes(replace(OUTCOME, ended="x", refused={SPACE.design((2, 2)): 9}), {(): {0: 1.0}}))
    assert "pay off" not in said
    plain = search(SPACE, grid(SPACE), Laboratory(lambda d: 500 if d else 501), name="grid", count=params)
    assert "the plain network has the higher held-out accuracy" in " ".join(notes(plain, {}))
    started = replace(OUTCOME.space, base=replace(OUTCOME.space.base, weights="net.safetensors"))
    assert "seen the held-out images" in " ".join(notes(replace(OUTCOME, space=started), {}))
    assert "net.safetensors" not in said
    for words in (
        "100 held-out training images, never by the test set",
        "deviation over 2 seeds",
        "cut off",
        "1 design",
    ):
        assert words in said


def test_latency_is_a_time_of_one_image() -> None:
    assert 0 < latency_ms(SPACE.run((), 0), shape=(1, 8, 8), repeats=3) < 10_000


# ---- the confirmation


def test_a_confirmation_takes_seeds_that_no_training_of_the_search_had() -> None:
    chosen = OUTCOME.chosen
    assert chosen is not None
    for seeds in ((0,), (0, 1), (5, 2), (100,)):
        study = confirmation(replace(SPACE, seeds=seeds, confirm_seeds=()), [chosen])
        assert len(study.seeds) == 3
        assert not set(study.seeds) & set(seeds)
    assert confirmation(replace(SPACE, confirm_seeds=(7, 8)), [chosen]).seeds == (7, 8)


def test_a_confirmation_always_holds_a_constant_ratio() -> None:
    chosen = OUTCOME.chosen
    assert chosen is not None
    rows = confirmation(replace(SPACE, references=()), [chosen]).rows
    assert [row.label for row in rows if "constant 16" in row.label]


def test_the_choice_is_set_against_every_constant_ratio_pair_by_pair() -> None:
    chosen = OUTCOME.chosen
    assert chosen is not None
    study = confirmation(replace(SPACE, references=(8, 16), confirm_seeds=(7, 8, 9)), [chosen])
    lab = Laboratory()
    results = {run: lab.result(run) for run in study.runs()}
    said = against_constants(study, summarize(study, results), chosen)
    assert len(said) == 2
    assert all(text.startswith("the choice minus standard r=") and " points [" in text for text in said)
    assert all("] (corrected for 2 comparisons), p " in text for text in said)
    assert against_constants(study, summarize(study, {}), chosen) == []


def test_a_report_does_not_open_with_a_choice_that_the_plain_network_beats(tmp_path: Path) -> None:
    best = max(score.accuracy for score in OUTCOME.searched.values())
    trials = {**OUTCOME.trials}
    trials[()] = replace(trials[()], score=replace(trials[()].score, accuracy=best + 1))
    write_report(Findings(outcome=replace(OUTCOME, trials=trials)), tmp_path, command="senet search")
    opening = (tmp_path / "report.md").read_text().split("\n\n")[1]
    assert opening.startswith("The **plain** network has the highest held-out accuracy")
    assert "was chosen" in opening
    write_report(Findings(outcome=OUTCOME), tmp_path, command="senet search")
    won = (tmp_path / "report.md").read_text().split("\n\n")[1].startswith("Chosen: **")
    assert won is not plain_wins(OUTCOME)
