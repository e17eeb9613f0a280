"""Tables in words: the same cells for Markdown, CSV and the terminal, and nothing missing passed over."""

import csv
import dataclasses
import io
from collections.abc import Mapping

import pytest
from study_results import SHORT, results
from study_results import study as made_up

from senet.experiments.cautions import cautions
from senet.experiments.image_bits import pack, unpack
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports.study_notes import footnotes, verdicts
from senet.reports.study_table import cells, columns, csv_text, markdown
from senet.spec import SESpec


def study(*, seeds: tuple[int, ...], paper: bool = True, label: str = "SE") -> Study:
    numbers = {
        "plain": (("loss", 0.8091), ("accuracy", 72.52)),
        "se": (("accuracy", 72.58),),
    }
    gated = dataclasses.replace(SHORT, se=(SESpec(reduction=8),))
    rows = (
        Row(id="plain", label="Plain", run=SHORT, paper=numbers["plain"] if paper else ()),
        Row(
            id="se",
            label=label,
            run=gated,
            paper=numbers["se"] if paper else (),
        ),
    )
    return Study(name="s", title="t", rows=rows, seeds=seeds)


def table(mine: Study, correct: Mapping[str, Mapping[int, int]]) -> list[dict[str, str]]:
    """Return the cells of every row by the start of their heading."""
    lines = summarize(mine, results(mine, correct))
    heads = columns(mine)
    found = cells(mine, lines)
    assert all(len(row) == len(heads) for row in found)
    return [dict(zip(heads, row, strict=True)) for row in found]


def cell(row: Mapping[str, str], start: str) -> str:
    found = [word for head, word in row.items() if head.startswith(start)]
    assert len(found) == 1, (start, list(row))
    return found[0]


def notes(mine: Study, correct: Mapping[str, Mapping[int, int]]) -> str:
    lines = summarize(mine, results(mine, correct))
    return "\n".join([*verdicts(mine, lines), *footnotes(mine, lines)])


THREE = {"plain": {0: 700, 1: 710, 2: 720}, "se": {0: 710, 1: 721, 2: 729}}


def test_several_seeds_give_spread_and_interval() -> None:
    mine = study(seeds=(0, 1, 2))
    plain, se = table(mine, THREE)
    assert cell(plain, "top-1") == "71.00 ± 1.00"
    assert cell(se, "top-1") == "72.00 ± 0.95"
    assert "baseline" in plain.values()
    assert "+1.00 [-2.95, +4.95]" in se.values(), "no record of the images: as wide as the counts alone leave it"
    assert (cell(se, "visible"), cell(plain, "visible")) == ("5.77", "-")
    assert (cell(plain, "n"), cell(se, "n")) == ("3", "3")
    assert cell(plain, "s/run") == "6"
    assert "SE: undecided: the results do not record which test images were classified correctly" in notes(mine, THREE)
    assert "bounded from the counts" in notes(mine, THREE)


def recorded(mine: Study, correct: Mapping[str, Mapping[int, int]]) -> dict[Run, Result]:
    """Make results that record which images were right: the first ones."""
    made = results(mine, correct)
    return {
        run: dataclasses.replace(one, right=pack([at < one.last.correct for at in range(1000)]))
        for run, one in made.items()
    }


def judged(mine: Study, correct: Mapping[str, Mapping[int, int]]) -> str:
    lines = summarize(mine, recorded(mine, correct))
    return "\n".join([*verdicts(mine, lines), *footnotes(mine, lines)])


def test_a_design_that_pays_off_and_one_that_does_not_are_said_with_what_the_data_allow() -> None:
    mine = study(seeds=(0, 1, 2))
    worse = {"plain": THREE["se"], "se": THREE["plain"]}
    gain = {"plain": {0: 700, 1: 710, 2: 720}, "se": {0: 730, 1: 741, 2: 749}}
    assert "SE: pays off (the data allow +2.07 to +3.93)" in judged(mine, gain)
    assert "SE: does not pay off (the data allow" in judged(mine, {"plain": gain["se"], "se": gain["plain"]})
    assert "SE: does not pay off" in judged(mine, worse)
    assert "paired image by image" in judged(mine, worse)


def test_a_difference_below_the_margin_is_equal_within_it() -> None:
    mine = dataclasses.replace(study(seeds=(0, 1, 2)), margin=3.0)
    said = judged(mine, THREE)
    assert "SE: equal within the margin of 3 points, and better by less than that (the data allow" in said


def test_an_undecided_design_says_what_the_data_allow_and_what_would_tell() -> None:
    correct = {"plain": {0: 700, 1: 720, 2: 700}, "se": {0: 735, 1: 715, 2: 722}}
    said = judged(study(seeds=(0, 1, 2)), correct)
    assert "SE: undecided: about " in said
    assert "it cannot be distinguished from the baseline, the data allow -3.3" in said
    assert "no design differs" not in said


def test_two_seeds_have_no_verdict() -> None:
    said = judged(study(seeds=(0, 1)), {"plain": {0: 700, 1: 720}, "se": {0: 750, 1: 771}})
    assert "two seeds are too few for a verdict" in said
    assert "caution: two seeds are too few to estimate" in said
    assert "pays off" not in said


def test_one_seed_gives_no_interval_and_the_table_says_so() -> None:
    mine = study(seeds=(0,))
    correct = {"plain": {0: 700}, "se": {0: 710}}
    plain, se = table(mine, correct)
    assert cell(plain, "top-1") == "70.00"
    assert "+1.00 (one pair: no interval)" in se.values()
    assert "a single pair has no interval" in notes(mine, correct)
    assert "excludes" not in notes(mine, correct)
    assert "±" not in notes(mine, correct)


def test_missing_runs_are_shown_as_missing() -> None:
    mine = study(seeds=(0, 1, 2))
    correct = {"plain": {0: 700, 1: 710}}
    plain, _ = table(mine, correct)
    assert cell(plain, "n") == "2 of 3"
    blank = "missing"
    words = ["SE", blank, blank, blank, "72.58", blank, blank, "-", "-", blank, "-", "-", "+0.06", "0 of 3", blank]
    assert cells(mine, summarize(mine, results(mine, correct)))[1] == words
    assert "4 of 6 runs are missing" in notes(mine, correct)


def test_a_whole_study_has_no_note_about_missing_runs() -> None:
    assert "missing" not in notes(study(seeds=(0, 1, 2)), THREE)


def test_the_paper_stands_beside_our_numbers_with_the_difference() -> None:
    mine = study(seeds=(0, 1, 2))
    heads = columns(mine)
    lines = summarize(mine, results(mine, THREE))
    plain, se = cells(mine, lines)
    accuracy, loss = heads.index("top-1 [%]"), heads.index("test loss")
    assert heads[accuracy + 1 : accuracy + 3] == ["paper", "ours - paper"]
    assert plain[accuracy : accuracy + 3] == ["71.00 ± 1.00", "72.52", "-1.52"]
    assert se[accuracy : accuracy + 3] == ["72.00 ± 0.95", "72.58", "-0.58"]
    assert plain[loss : loss + 3] == ["0.5000 ± 0.0000", "0.8091", "-0.3091"]
    assert se[loss : loss + 3] == ["0.5000 ± 0.0000", "-", "-"]  # the paper has no loss for this row


def test_a_study_without_paper_has_no_columns_for_it() -> None:
    heads = columns(study(seeds=(0,), paper=False))
    assert "paper" not in heads
    assert sum(head.startswith("top-1") for head in heads) == 1
    assert not any(head.startswith(("top-5", "test loss")) for head in heads)


def test_a_paper_that_prints_only_a_gain_has_a_column_of_differences() -> None:
    made = study(seeds=(0,), paper=False)
    gain = dataclasses.replace(made.rows[1], paper=(("top1_gain", 0.86),))
    mine = dataclasses.replace(made, rows=(made.rows[0], gain, *made.rows[2:]))
    at = columns(mine).index("paper's difference")
    assert [row[at] for row in cells(mine, summarize(mine, {}))][:2] == ["-", "+0.86"]
    assert "paper" not in columns(mine)


@pytest.mark.parametrize(
    ("macs", "word"), [(2_000_000, "2.00 M"), (31_300_000, "31.30 M"), (3_858_000_000, "3.86 G"), (999, "0.00 M")]
)
def test_counts_are_readable(macs: int, word: str) -> None:
    mine = study(seeds=(0,))
    made = {
        run: dataclasses.replace(r, macs=macs, params=2_127_210)
        for run, r in results(mine, {"plain": {0: 700}}).items()
    }
    row = cells(mine, summarize(mine, made))[0]
    assert row[1:3] == ["2,127,210", word]


# ---- Markdown


def test_markdown_has_a_heading_a_rule_and_a_line_for_every_row() -> None:
    mine = study(seeds=(0, 1, 2))
    lines = summarize(mine, results(mine, THREE))
    text = markdown(mine, lines)
    head, rule, *body = text.splitlines()
    assert text.endswith("|\n")
    assert [word.strip() for word in head.strip("|").split("|")] == columns(mine)
    assert set(rule) <= set("|-: ")
    assert rule.count("|") == head.count("|")
    assert [[word.strip() for word in line.strip("|").split("|")] for line in body] == cells(mine, lines)


@pytest.mark.parametrize(
    ("label", "shown"),
    [("SE | r=16", "SE \\| r=16"), ("two\nlines", "two lines"), ("a\r\nb|c", "a b\\|c"), ("Größe", "Größe")],
)
def test_a_label_cannot_break_the_table(label: str, shown: str) -> None:
    mine = study(seeds=(0,), label=label)
    text = markdown(mine, summarize(mine, {}))
    assert len(text.splitlines()) == 4
    last = text.splitlines()[-1]
    assert last.startswith(f"| {shown} | ")
    assert last.replace("\\|", "").count("|") == text.splitlines()[0].count("|")


# ---- several baselines, errors and counts


def senets() -> Study:
    """Two networks as SENet's tables have them: errors, gains, counts, a quoted number."""
    plain = dataclasses.replace(SHORT, model="resnet50")
    gated = dataclasses.replace(plain, se=(SESpec(),))
    rows = (
        Row(id="quoted", label="Quoted", run=plain, paper=(("top1_error", 24.7),), quoted=True),
        Row(id="again", label="Again", run=plain, paper=(("top1_error", 24.8), ("gflops", 3.86), ("params_m", 25.6))),
        Row(
            id="se",
            label="SE",
            run=gated,
            paper=(("top1_error", 23.29), ("top1_gain", 1.51), ("gflops", 3.87), ("params_m", 28.1)),
            versus="again",
        ),
    )
    return Study(name="s", title="t", rows=rows, seeds=(0, 1), baseline="again")


def test_errors_gains_and_counts_stand_beside_the_papers() -> None:
    mine = senets()
    quoted, again, se = table(mine, {"again": {0: 700, 1: 710}, "se": {0: 715, 1: 727}})
    assert list(se)[:5] == ["design", "params", "paper [M]", "MACs", "paper [G]"]
    assert (se["paper [M]"], se["paper [G]"]) == ("28.1", "3.87")
    assert (quoted["paper [M]"], quoted["paper [G]"]) == ("-", "-")
    assert cell(se, "top-1 error") == "27.90 ± 0.85"
    assert cell(se, "ours - paper") == "+4.61"
    assert cell(se, "difference") == "+1.60 [-2.36, +5.56]"
    assert se["p"] == "-"
    assert (cell(se, "paper's"), cell(again, "paper's")) == ("+1.51", "-")
    assert (cell(quoted, "difference"), cell(again, "difference")) == ("quoted", "baseline")
    assert "quoted: the paper takes this number from" in notes(mine, {})


def test_equal_rows_are_counted_once_among_the_missing_runs() -> None:
    assert "4 of 4 runs are missing" in notes(senets(), {})


def test_csv_holds_the_papers_counts_gains_and_the_test() -> None:
    mine = senets()
    correct = {"again": {0: 700, 1: 710, 2: 700}, "se": {0: 815, 1: 827, 2: 821}}
    mine = dataclasses.replace(mine, seeds=(0, 1, 2))
    lines = summarize(mine, results(mine, correct))
    se = list(csv.DictReader(io.StringIO(csv_text(mine, lines))))[2]
    assert (se["params_m_paper"], se["gflops_paper"], se["top1_gain_paper"]) == ("28.1", "3.87", "1.51")
    assert float(se["diff_paper"]) == 1.51
    difference = lines[2].difference
    assert difference is not None
    assert float(se["diff_p"]) == pytest.approx(difference.p)
    assert float(se["diff_visible"]) == pytest.approx(difference.visible)
    assert (se["margin"], se["verdict"]) == ("0.5", "pays off")
    assert float(se["top1_error_mean"]) == pytest.approx(17.9)


# ---- CSV


def test_csv_holds_plain_numbers() -> None:
    mine = study(seeds=(0, 1, 2), label='SE | "r", 8')
    lines = summarize(mine, results(mine, THREE))
    plain, se = csv.DictReader(io.StringIO(csv_text(mine, lines)))
    assert (se["id"], se["label"], se["design"]) == ("se", 'SE | "r", 8', "standard r=8")
    assert (plain["params"], plain["macs"], plain["n"]) == ("100", "2000000", "3")
    assert float(plain["accuracy_mean"]) == pytest.approx(71.0)
    assert float(plain["accuracy_sd"]) == pytest.approx(1.0)
    assert float(plain["accuracy_paper"]) == 72.52
    assert float(plain["loss_mean"]) == 0.5
    assert plain["diff"] == plain["diff_low"] == plain["diff_high"] == ""
    difference = lines[1].difference
    assert difference is not None
    assert (float(se["diff"]), float(se["diff_low"]), float(se["diff_high"])) == (
        difference.mean,
        difference.low,
        difference.high,
    )
    assert se["loss_paper"] == ""
    assert float(se["seconds"]) == 6.0


def test_csv_leaves_empty_what_is_missing() -> None:
    mine = study(seeds=(0,))
    plain, se = csv.DictReader(io.StringIO(csv_text(mine, summarize(mine, results(mine, {"plain": {0: 700}})))))
    assert plain["accuracy_sd"] == ""
    assert (se["n"], se["params"], se["accuracy_mean"], se["diff"], se["seconds"]) == ("0", "", "", "", "")
    assert "nan" not in csv_text(mine, summarize(mine, {}))
    assert "None" not in csv_text(mine, summarize(mine, {}))


def test_designs_without_an_interval_share_a_line() -> None:
    mine = made_up((0,))
    lines = summarize(mine, results(mine, {"plain": {0: 700}, "se": {0: 710}, "bump": {0: 690}}))
    assert verdicts(mine, lines) == ["SE, Bump: undecided: one pair has no interval; at least 3 seeds are needed"]
    apart = {"plain": {0: 700}, "se": {1: 710}, "bump": {1: 690}}
    for known in (apart, {**apart, "plain": {}}):  # no pair at all: "one pair" would be wrong
        lines = summarize(two := made_up((0, 1)), results(two, known))
        said = "SE, Bump: undecided: no seed has results for both networks; at least 3 seeds are needed"
        assert verdicts(two, lines) == [said]
    mine = made_up((0, 1, 2))
    right = {name: {seed: 700 + 10 * seed for seed in range(3)} for name in ("plain", "se", "bump")}
    lines = summarize(mine, results(mine, right))
    assert verdicts(mine, lines) == [
        "SE, Bump: undecided: the results do not record which test images were classified correctly"
    ]


# ---- reasons to be careful


def test_rising_curves_few_images_and_unequal_seeds_are_said() -> None:
    mine = made_up((0, 1, 2))
    made = recorded(mine, {"plain": {0: 700, 1: 720, 2: 715}, "se": {0: 690, 1: 735, 2: 720}, "bump": {0: 700, 1: 705}})
    rising = {
        run: dataclasses.replace(
            one, curve=(dataclasses.replace(one.curve[0], correct=one.last.correct - 40), one.curve[-1])
        )
        for run, one in made.items()
    }
    said = cautions(mine, summarize(mine, rising))
    assert any("still rises at the end, by up to 4.0 points" in one for one in said)
    assert any("unequal seeds" in one for one in said)
    assert any("half done: 1 of 9 runs" in one for one in said)
    wide = {
        run: dataclasses.replace(one, right=pack(1 - unpack(pack(range_of(one, run)), 1000)))
        for run, one in made.items()
        if run.seed < 2
    }
    flat = cautions(dataclasses.replace(mine, seeds=(0, 1)), summarize(dataclasses.replace(mine, seeds=(0, 1)), wide))
    assert any(one.startswith("1,000 test images cannot show a difference of 0.5 points") for one in flat)
    assert not any("still rises" in one for one in flat), "999 were right in the first epoch"


def test_a_single_epoch_rises_from_what_its_weights_had() -> None:
    mine = made_up((0,))
    once = dataclasses.replace(mine.rows[0].run.recipe, epochs=1)
    rows = [dataclasses.replace(row, run=dataclasses.replace(row.run, recipe=once)) for row in mine.rows]
    mine = dataclasses.replace(mine, rows=tuple(rows))
    made = recorded(mine, {"plain": {0: 700}, "se": {0: 690}, "bump": {0: 700}})
    for start, said in ((None, "by up to 20.0 points"), (660, "by up to 4.0 points"), (710, "")):
        short = {run: dataclasses.replace(one, start=start) for run, one in made.items()}
        found = [one for one in cautions(mine, summarize(mine, short)) if "still rises" in one]
        assert said in found[0] if said else not found


def range_of(one: Result, run: Run) -> list[int]:
    """Mark wrong images that the designs do not share, and all seeds do."""
    wrong = 1000 - one.last.correct
    start = 0 if run.se else 500
    return [int(start <= at < start + wrong) for at in range(1000)]
