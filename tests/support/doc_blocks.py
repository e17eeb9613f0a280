"""The code of a Markdown page as a test: its blocks run in order, as a reader would paste them into one session.

- A fence of `python` runs in one namespace, which the blocks of the page share, under the page's own file and lines: a
  traceback shows the page.
- A fence of `bash` whose commands are all `senet ...` runs in this process, any other in a shell with `-euo pipefail`.
- A block that cannot run here has its reason in a comment on the line before: `<!-- not run: needs a download -->`.
- `<!-- printed -->` before a fence of `text`: that is what the block before it prints, with `...` for any text.
- Every fence names its language, so that no code is taken for output.
"""

import contextlib
import doctest
import io
import os
import re
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
RUN = ("python", "bash")
FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<language>[\w{}.-]*)(?P<rest>.*)$")
MARK = re.compile(r"^\s*<!-- (?P<kind>not run|printed)(?:: *(?P<reason>.*?))? *-->\s*$")


@dataclass(frozen=True)
class Block:
    """One fence: `line` counts from 1 and is that of its first line of code."""

    path: Path
    line: int
    language: str
    text: str
    not_run: str | None
    """Why the block is not run; None for a block that runs."""
    printed: bool
    """Whether the text is what the block before it prints."""

    @property
    def where(self) -> str:
        """Return file and line, as an editor opens them."""
        return f"{self.path}:{self.line}"

    @property
    def runs(self) -> bool:
        return self.language in RUN and self.not_run is None


def read_blocks(path: Path) -> Iterator[Block]:
    """Yield the fences of a page; a mark that belongs to no fence, or is wrong, fails."""
    lines = path.read_text(encoding="utf-8").splitlines()
    mark, number = None, 0
    while number < len(lines):
        line = lines[number]
        number += 1
        fence = FENCE.match(line)
        if fence is None:
            assert mark is None or not line.strip(), f"{path}:{number}: a fence must follow {mark[0]!r}"
            mark = MARK.match(line) or mark
            stray = mark is None and line.lstrip().startswith("<!-- not run")
            assert not stray, f"{path}:{number}: {line}: is not `<!-- not run: REASON -->`"
            continue
        start = number
        closing = re.compile(rf"^ *{re.escape(fence['ticks'])}[`~]* *$")
        while number < len(lines) and not closing.match(lines[number]):
            number += 1
        assert number < len(lines), f"{path}:{start}: the fence is not closed"
        yield _block(path, start + 1, fence["language"], "\n".join(lines[start:number]), mark)
        mark, number = None, number + 1
    assert mark is None, f"{path}: a fence must follow {mark[0]!r}"


def _block(path: Path, line: int, language: str, text: str, mark: re.Match[str] | None) -> Block:
    where = f"{path}:{line - 1}"
    assert language, f"{where}: name the language of the fence; `text` for output"
    kind, reason = (mark["kind"], mark["reason"]) if mark else (None, None)
    if kind == "not run":
        assert language in RUN, f"{where}: a fence of {language} is never run; leave out the mark"
        assert reason, f"{where}: say why the block is not run: <!-- not run: REASON -->"
    if kind == "printed":
        assert language == "text", f"{where}: what is printed is a fence of `text`"
    not_run = reason if kind == "not run" else None
    return Block(path, line, language, textwrap.dedent(text), not_run, kind == "printed")


def run_senet(words: list[str]) -> None:
    """Run a command of `senet` in this process; fails unless it succeeds."""
    from senet.cli import main

    before, sys.argv = sys.argv, ["senet", *words]
    try:
        main()
    except SystemExit as left:
        if left.code:
            raise AssertionError(f"exit code {left.code}: {shlex.join(sys.argv)}") from left
    finally:
        sys.argv = before


def run_page(
    path: Path, names: Mapping[str, Any] | None = None, *, senet: Callable[[list[str]], None] = run_senet
) -> dict[str, Any]:
    """Run all blocks of a page in the current folder, in order; return the names that its Python defines.

    Args:
        path: the page.
        names: what the page takes as given, such as a trained `model`.
        senet: is called with the words of each `senet` command, without the first; a test may make a training shorter.
    """
    module = ModuleType(re.sub(r"\W", "_", f"page_{path.stem}"))  # a module, so that classes of the page can be pickled
    namespace = module.__dict__
    namespace.update(names or {})
    said, before = "", sys.modules.get(module.__name__)
    sys.modules[module.__name__] = module
    try:
        for block in read_blocks(path):
            if block.printed:
                _check_printed(block, said)
            elif block.runs:
                said = _run(block, namespace, senet)
    finally:
        sys.modules.pop(module.__name__)
        if before is not None:
            sys.modules[module.__name__] = before
    return namespace


def _run(block: Block, namespace: dict[str, Any], senet: Callable[[list[str]], None]) -> str:
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            if block.language == "python":
                exec(compile("\n" * (block.line - 1) + block.text, str(block.path), "exec"), namespace)
            else:
                _run_shell(block, senet)
    except (Exception, SystemExit) as error:
        if isinstance(error, SystemExit):
            pytest.fail(f"{block.where}: the block left Python with {error.code!r}")
        error.add_note(f"in the block at {block.where}")
        raise
    finally:
        print(printed.getvalue(), end="")  # pytest shows it where the test fails
    return printed.getvalue()


def _run_shell(block: Block, senet: Callable[[list[str]], None]) -> None:
    commands = [shlex.split(line, comments=True) for line in block.text.replace("\\\n", " ").splitlines()]
    commands = [words for words in commands if words]
    plain = not re.search(r"[|<>;&$`]", block.text)
    if plain and all(words[0] == "senet" for words in commands):
        for words in commands:
            senet(words[1:])
        return
    paths = {"PATH": Path(sys.executable).parent, "PYTHONPATH": ROOT / "src"}
    places = {name: os.pathsep.join([str(path), *filter(None, [os.environ.get(name)])]) for name, path in paths.items()}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block.text], env=os.environ | places, capture_output=True, text=True
    )
    print(done.stdout, end="")
    assert done.returncode == 0, f"{block.where}: exit code {done.returncode}: {done.stderr.strip()}"


def _check_printed(block: Block, said: str) -> None:
    rules = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    equal = doctest.OutputChecker().check_output(block.text + "\n", said, rules)
    assert equal, f"{block.where}: the page shows\n{block.text}\nand the block before it prints\n{said}"
