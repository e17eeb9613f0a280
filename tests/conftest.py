"""What all tests share: signatures of `senet` checked at run time, one thread, equal seeds, the papers' tables."""

import gc
import os
import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import jaxtyping
import pytest
import torch
from doc_blocks import ROOT, run_page
from typecheck import check_signatures

gc.disable()  # while tests are imported and collected: almost all that they make stays

check_signatures("senet")  # before its first import

# what the shell of whoever starts the tests says of its terminal; children of the tests inherit it, too
for name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "GITHUB_ACTIONS"):
    os.environ.pop(name, None)

torch.set_num_threads(1)
# a busy machine is no failure, hence no deadline
hypothesis.settings.register_profile("fast", deadline=None, max_examples=25)
hypothesis.settings.register_profile("all", deadline=None)
hypothesis.settings.load_profile("all" if os.environ.get("SENET_TESTS") == "all" else "fast")

HAS_CUDA = torch.cuda.is_available()
SHARED = Path(__file__).parents[2] / "shared"


def pytest_collectstart(collector: pytest.Collector) -> None:
    """Seed what a module draws while it is imported: torch's own first seed is random."""
    if isinstance(collector, pytest.Module):
        _seed()


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what the imports made, a million objects that stay, and look less often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where torch sees none, whatever marks were asked for."""
    if not HAS_CUDA:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason="torch sees no CUDA device here"))


def pytest_sessionfinish() -> None:
    """Hand it back: libraries in C++ call what is left at the end a leak."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder with the papers' tables and data beside the repository; not part of it."""
    if not SHARED.is_dir():
        pytest.skip("the papers' tables are not at ../shared")
    return SHARED


def _seed() -> None:
    random.seed(0)
    torch.default_generator.manual_seed(0)  # `torch.manual_seed` formats a stack for each absent kind of device
    if HAS_CUDA:
        torch.cuda.manual_seed_all(0)


@pytest.fixture(autouse=True)
def _equal_seeds() -> None:
    _seed()


@pytest.fixture
def unchecked() -> Iterator[None]:
    """The library as users run it, without the type checker: wrong types reach its own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports without figures, which take most of their time: for tests of anything else, and of what is said then."""
    monkeypatch.setattr("senet.reports.canvas.find_spec", lambda name: None)


@pytest.fixture
def call(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Run a command of `senet` in a folder of its own; gives its exit code, its output and its messages."""
    from senet.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["senet", *words])
        with pytest.raises(SystemExit) as left:
            main()
        out, err = capsys.readouterr()
        return int(left.value.code or 0), out, err

    return run


@pytest.fixture
def page(unchecked: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Run the code of a page, `docs/NAME.md`, in a folder of its own; returns the names that it defines."""
    monkeypatch.chdir(tmp_path)
    return lambda name, **options: run_page(ROOT / name, **options)
