"""The code of a Markdown page runs as a test, and a page that is wrong fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doc_blocks import read_blocks, run_page

PAGE = """# A page

```python
import pickle


class Note:
    pass


print("3 blocks", sorted({2, 1}))
```

<!-- printed -->

```text
3 blocks ...
```

1. In a list, with the names of the block before:

   ```python
   pickle.loads(pickle.dumps(Note()))
   given.append(Path.cwd())
   ```

<!-- not run: needs a download -->

```python
1 / 0
```

```bash
senet cost resnet8   # this process
senet models 'res*8' \\
    --json
```

```bash
echo shell > made.txt
```

```toml
epochs = 1
```
"""


def run(tmp_path: Path, text: str, *, senet: Callable[[list[str]], None] | None = None, **names: Any) -> dict[str, Any]:
    path = tmp_path / "my-page.md"
    path.write_text(text)
    return run_page(path, names, senet=senet or (lambda words: None))


def test_the_blocks_of_a_page_run_in_order_in_one_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given: list[Path] = []
    commands: list[list[str]] = []
    names = run(tmp_path, PAGE, given=given, Path=Path, senet=commands.append)
    assert given == [tmp_path]
    assert names["Note"].__module__ == "page_my_page"
    assert commands == [["cost", "resnet8"], ["models", "res*8", "--json"]]
    assert (tmp_path / "made.txt").read_text() == "shell\n"
    blocks = list(read_blocks(tmp_path / "my-page.md"))
    assert [block.not_run for block in blocks if block.not_run] == ["needs a download"]
    assert [block.language for block in blocks] == ["python", "text", "python", "python", "bash", "bash", "toml"]


def test_a_failing_block_is_named_by_page_and_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as failed:
        run(tmp_path, "Text\n\n```python\nx = 1\n1 / 0\n```\n")
    page = str(tmp_path / "my-page.md")
    assert failed.value.__notes__ == [f"in the block at {page}:4"]
    last = failed.traceback[-1]
    assert (str(last.path), last.lineno + 1) == (page, 5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```\nls\n```\n", "my-page.md:1: name the language of the fence"),
        ("```python\n1\n", "my-page.md:1: the fence is not closed"),
        ("<!-- not run -->\n```python\n1\n```\n", "my-page.md:2: say why"),
        ("<!-- not run: -->\n```python\n1\n```\n", "my-page.md:2: say why"),
        ("<!-- not run: slow -->\ntext\n", "my-page.md:2: a fence must follow '<!-- not run: slow -->'"),
        ("<!-- not run: slow -->\n", "a fence must follow"),
        ("<!-- not run: slow -->\n```toml\n1\n```\n", "my-page.md:2: a fence of toml is never run"),
        ("<!-- not runnable: slow -->\n```python\n1\n```\n", "my-page.md:1: <!-- not runnable: slow -->: is not"),
        ("```python\nprint(2)\n```\n<!-- printed -->\n```text\n3\n```\n", "my-page.md:6: the page shows\n3\n"),
        ("```bash\nfalse | true\n```\n", "my-page.md:2: exit code 1"),
        ("```bash\necho no >&2; exit 3\n```\n", "my-page.md:2: exit code 3: no"),
    ],
)
def test_a_page_that_is_wrong_fails_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(AssertionError) as failed:
        run(tmp_path, text)
    assert said in str(failed.value)


def test_a_block_that_leaves_python_fails(tmp_path: Path) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"my-page\.md:2: the block left Python with 0"):
        run(tmp_path, "```python\nraise SystemExit(0)\n```\n")


def test_a_command_of_senet_that_fails_fails_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text("```bash\nsenet explane\n```\n")
    with pytest.raises(AssertionError, match=r"exit code 2: senet explane") as failed:
        run_page(tmp_path / "page.md")
    assert failed.value.__notes__ == [f"in the block at {tmp_path / 'page.md'}:2"]
