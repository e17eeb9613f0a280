"""Text from outside is shown and nothing else: 200 payloads in every place that a stranger's file can fill."""

import csv
import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from markdown_it import MarkdownIt
from study_results import SHORT, result
from support.payloads import PAYLOADS

from senet.cli.failure import error_line
from senet.errors import DataError
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.study import Row, Study
from senet.experiments.summary import summarize
from senet.reports.console import RunProgress, say, say_written, show, show_table
from senet.reports.study_report import write_report
from senet.spec import SESpec
from senet.tables import Table
from senet.text import (
    PLAIN,
    bullets,
    code_span,
    command_line,
    counted,
    csv_cell,
    markdown,
    one_line,
)

CHUNKS = [PAYLOADS[first : first + 40] for first in range(0, len(PAYLOADS), 40)]
HIDDEN = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
TEXT_ONLY = {"inline", "text", "softbreak", "code_inline", "paragraph_open", "paragraph_close"}
PARSER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def kinds(text: str) -> list[str]:
    """Return the kinds of all tokens of Markdown, those within a line included."""
    tokens = PARSER.parse(text)
    return [one.type for token in tokens for one in (token, *(token.children or ()))]


def shown(text: str) -> str:
    """Return the text that a reader of rendered Markdown sees, in one line."""
    inner = (one.content for token in PARSER.parse(text) for one in (token.children or ()) if one.content)
    return " ".join("".join(inner).split())


def test_there_are_200_payloads_and_the_parser_would_see_markup() -> None:
    assert len(set(PAYLOADS)) >= 200
    assert {"html_inline", "link_open", "image"} <= set(kinds("<b>x</b> [a](b) ![c](d)"))
    assert kinds("# a\n\n| a | b |\n| - | - |\n| c | d |\n").count("tr_open") == 2


@pytest.mark.parametrize("texts", CHUNKS, ids=range(len(CHUNKS)))
def test_a_payload_is_plain_text_in_markdown(texts: list[str]) -> None:
    for text in texts:
        said = markdown(text)
        assert "\n" not in said
        assert not HIDDEN.search(said)
        assert set(kinds(said)) <= TEXT_ONLY
        assert shown(said) == " ".join(one_line(" ".join(text.split())).split()), "and it is the text that was given"
        assert set(kinds(f"# {said}\n")) <= {*TEXT_ONLY, "heading_open", "heading_close"}
        listed = kinds(bullets([text, text]))
        assert (listed.count("list_item_open"), listed.count("bullet_list_open")) in ((2, 1), (0, 0))
        assert set(listed) <= {*TEXT_ONLY, "list_item_open", "list_item_close", "bullet_list_open", "bullet_list_close"}


@pytest.mark.parametrize("texts", CHUNKS, ids=range(len(CHUNKS)))
def test_a_payload_fills_one_cell_of_a_table_and_one_span_of_code(texts: list[str]) -> None:
    for text in texts:
        tokens = kinds(Table(["name", text], [["a", text], [text, "b"]]).markdown())
        assert (tokens.count("tr_open"), tokens.count("th_open"), tokens.count("td_open")) == (3, 2, 4)
        assert not {"html_inline", "html_block", "link_open", "image", "heading_open"} & set(tokens)
        assert set(kinds(f"Command: {code_span(text)}, then more")) <= TEXT_ONLY
        assert "then more" in shown(f"Command: {code_span(text)}, then more")


@pytest.mark.parametrize("texts", CHUNKS, ids=range(len(CHUNKS)))
def test_a_payload_has_no_power_over_a_terminal_or_a_spreadsheet(texts: list[str]) -> None:
    for text in texts:
        assert not HIDDEN.search(one_line(text))
        assert "\n" not in one_line(text)
        assert csv_cell(text)[:1] not in ("=", "+", "-", "@")
        assert not HIDDEN.search(csv_cell(text))
        said, code = error_line(DataError(f"{text}: cannot be read."))
        assert (code, HIDDEN.search(said), said.count("\n")) == (3, None, 0)
        one_line(text).encode("utf-8")
        for encoding in ("ascii", "cp1252", "latin-1"):
            one_line(text).encode(encoding, PLAIN)


def hostile(texts: list[str]) -> tuple[Study, dict[Run, Result]]:
    """Make a study and its results with payloads wherever a file of a stranger has text."""
    runs = [SHORT, *(replace(SHORT, se=(SESpec(reduction=r),)) for r in range(2, 2 + len(texts)))]
    rows = tuple(
        Row(id=f"{number}{text}", label=text, run=run)
        for number, (text, run) in enumerate(zip(["plain", *texts], runs, strict=True))
    )
    study = Study(
        name="s",
        title=texts[0],
        rows=rows,
        seeds=(0, 1),
        source=texts[-1],
        recipe_source=texts[0],
        assumed=tuple(texts),
        deviations=tuple(texts),
        discrepancies=tuple(texts),
        scaled=tuple(texts),
    )
    made = {}
    for number, row in enumerate(rows):
        for seed in study.seeds:
            run = study.run(row, seed)
            one = result(run, 700 + number + seed)
            made[run] = replace(one, notes=tuple(texts), classes=(texts[0], texts[-1]))
    return study, made


@pytest.mark.parametrize("texts", CHUNKS, ids=range(len(CHUNKS)))
def test_a_report_of_payloads_holds_only_its_own_headings_rows_and_pictures(
    texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in texts]  # files of ours hold no halves of characters
    study, made = hostile(texts)
    monkeypatch.setattr("senet.reports.study_report.no_figures", lambda: None)
    monkeypatch.setattr("senet.reports.study_report.draw", lambda study, lines, path: path.write_bytes(b""))
    write_report(study, made, tmp_path, command=command_line(["run", *texts]))
    report = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert not HIDDEN.search(report)
    tokens = kinds(report)
    assert not {"html_inline", "html_block", "link_open", "fence", "code_block", "blockquote_open", "hr"} & set(tokens)
    assert tokens.count("image") == 1
    assert tokens.count("heading_open") == 7  # the title, five lists, how it was made
    assert tokens.count("tr_open") == 2 + len(texts)
    assert tokens.count("table_open") == 1
    rows = list(csv.reader(io.StringIO((tmp_path / "table.csv").read_text(encoding="utf-8"))))
    assert len({len(row) for row in rows}) == 1
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@")]
    assert all(json.loads(line) for line in (tmp_path / "results.jsonl").read_text().splitlines())

    capsys.readouterr()
    show_table(study, summarize(study, made))
    show(Table(["name", "text"], [[text, text] for text in texts], words={"text"}), title=texts[0])
    for text in texts:
        say(f"- {text}")
        RunProgress(1).note(text)
    say_written([Path(f"a{text}b".replace("\0", "")) for text in texts])
    printed = capsys.readouterr()
    assert not HIDDEN.search(printed.out + printed.err)
    assert "[bold]rich[/bold]" in printed.out or "[bold]rich[/bold]" not in texts
    assert len(printed.err.splitlines()) == len(texts)


ODD = ["$x^2$", "$\\frac$", "_hidden", "猫", "a\nb", "[x]", "%s {0} \\", "\x1b[31m" + "y" * 99]


def test_labels_are_drawn_as_text(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    study, made = hostile(ODD[:3])
    study = replace(study, pictures=(("curves", ()), ("confusion", ()), ("per_class", ())))
    files = write_report(study, made, tmp_path, command="senet run")
    assert {file.name for file in files if file.suffix == ".png"} == {
        "figure.png",
        "curves.png",
        "confusion.png",
        "per_class.png",
    }
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".tmp")]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "s.toml", "optim.lr=0.05"], "senet run s.toml optim.lr=0.05"),
        (["run", "/home/me/studies/s.toml"], "senet run s.toml"),
        (["compare", "--data-dir", "/data/photos"], "senet compare --data-dir DIR"),
        (["compare", "--data-dir=/data/photos", "--runs=/abs"], "senet compare --data-dir=DIR --runs=DIR"),
        (["compare", "-o/abs/x", "-o", "out/x"], "senet compare -oDIR -o out/x"),
        (["fold", "/home/me/my.py:build", "--weights=/home/me/w.pt"], "senet fold my.py:build --weights=w.pt"),
        (["run", "--storage=postgresql://me:secret@host/db?password=x"], "senet run --storage=URL"),
        (["run", "mysql://host/db?password=x"], "senet run URL"),
        (["run", "~/photos", "C:\\Users\\me\\x.toml"], "senet run DIR x.toml"),
        (["run", "data.root=/data/x"], "senet run data.root=DIR"),
        (["run", "a b", "x;y", "a\nb"], "senet run 'a b' 'x;y' 'a\\nb'"),
        (["compare", "--se", "standard:reduction=4"], "senet compare --se standard:reduction=4"),
    ],
)
def test_a_command_is_one_that_a_reader_elsewhere_can_type(words: list[str], said: str) -> None:
    assert command_line(words) == said


@pytest.mark.parametrize(
    ("text", "ascii_"), [("71.0 ± 1.0", b"71.0 +- 1.0"), ("─■─ ├──┤ │", b"-#- +--+ |"), ("é 猫 →", b"\\xe9 \\u732b ->")]
)
def test_letters_that_an_encoding_lacks_are_written_in_those_it_has(text: str, ascii_: bytes) -> None:
    assert text.encode("ascii", PLAIN) == ascii_


@pytest.mark.parametrize(
    ("number", "word", "said"),
    [(1, "epoch", "1 epoch"), (2, "epoch", "2 epochs"), (0, "image", "0 images"), (1200, "class", "1,200 classes")],
)
def test_a_number_has_its_word(number: int, word: str, said: str) -> None:
    assert counted(number, word) == said


@pytest.mark.parametrize(
    ("cell", "form", "written"),
    [
        ("=HYPERLINK(1)", "", "'=HYPERLINK(1)"),
        ("a,b", "", '"a,b"'),
        ("two\nlines", "", "two\\nlines"),
        (float("nan"), "", ""),
        (None, ".4f", ""),
        (1 / 3, ".4f", "0.3333"),
        (1 / 3, "", "0.3333333333333333"),
        (-7, ".4f", "-7"),
    ],
)
def test_a_cell_of_csv_is_text_or_a_plain_number(cell: object, form: str, written: str) -> None:
    assert Table(["a", "b"], [[cell, 1]]).csv(form=form) == f"a,b\n{written},1\n"
