"""The notebooks of examples/ run as scripts, on the digits and on a folder of the user's own."""

import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from doc_blocks import ROOT
from PIL import Image

import senet

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name != "image_folder.py")

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(unchecked: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a script of examples/ in a folder of its own, with arguments; returns its names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delenv("SENET_IMAGES", raising=False)

    def called(name: str, *words: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", [name, *words])
        return runpy.run_path(str(EXAMPLES / name), run_name="__main__")

    return called


def folder_of_bars(folder: Path, *, side: int = 16) -> Path:
    """Write grey pictures of two classes: a bar that lies, a bar that stands."""
    random = torch.Generator().manual_seed(0)
    for part, count in (("train", 24), ("val", 12)):
        for number in range(count):
            noise = torch.randint(60, (side, side), dtype=torch.uint8, generator=random)
            at, name = int(torch.randint(side - 4, (), generator=random)), ("lying", "standing")[number % 2]
            (noise if name == "lying" else noise.T)[at : at + 4] += 150
            path = folder / part / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(noise.numpy()).save(path)
    return folder


def width(path: str) -> int:
    with Image.open(path) as figure:
        return figure.size[0]


def test_notebooks_are_in_the_percent_format_and_say_what_they_do() -> None:
    assert len(NOTEBOOKS) == 3
    for name in NOTEBOOKS:
        lines = (EXAMPLES / name).read_text(encoding="utf-8").splitlines()
        assert "#       format_name: percent" in lines
        cells = [number for number, line in enumerate(lines) if line.startswith("# %%")]
        assert lines[cells[0]] == "# %% [markdown]"
        assert lines[cells[0] + 1].startswith("# # ")
        for start, end in zip(cells, [*cells[1:], len(lines)], strict=True):
            if lines[start] == "# %% [markdown]":
                assert all(not line or line.startswith("#") for line in lines[start:end]), f"{name}:{start + 1}"


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_folder_of_your_own_takes_the_place_of_the_digits(run: Run, tmp_path: Path, monkeypatch, by: str) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("torchvision")
    folder = folder_of_bars(tmp_path / "mine")
    if by == "variable":
        monkeypatch.setenv("SENET_IMAGES", str(folder))
        assert run("image_folder.py")["image_folder"]() == folder
        return
    names = run("explain_and_fold.py", str(folder))
    assert names["FOLDER"] == folder
    assert names["test_images"].classes == ["lying", "standing"]
    assert [block.name for block in names["explanation"].blocks] == [f"stage{i}.unit1.se" for i in (1, 2, 3)]
    assert len(senet.find(names["model"])) == 3 - len(names["folded"].removed)
    assert torch.load("folded.pt").keys() == names["model"].state_dict().keys()
    assert not Path("digits").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_explaining_and_folding_on_the_digits(run: Run) -> None:
    names = run("explain_and_fold.py")
    assert names["explanation"].top1 > 60
    assert width("gates.png") > 600
    assert sum(1 for _ in Path("digits").rglob("*.png")) == 1797


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_inserting_and_fine_tuning_on_the_digits(run: Run) -> None:
    pytest.importorskip("timm")
    found = run("insert_and_fine_tune.py")["found"]
    assert [line.row.id for line in found.lines] == ["plain", "with blocks"]
    assert all(row["metrics"]["accuracy"]["mean"] > 80 for row in found.as_dict()["rows"])
    assert width("fine_tuning.png") > 600


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_comparing_on_the_digits(run: Run) -> None:
    found = run("compare_on_your_folder.py")["found"]
    rows = found.as_dict()["rows"]
    assert [row["id"] for row in rows] == ["plain", "standard:reduction=4", "eca"]
    assert all(row["difference"]["low"] < row["difference"]["high"] for row in rows[1:])
    assert rows[0]["metrics"]["accuracy"]["mean"] > 70
    assert width("comparison.png") > 600
