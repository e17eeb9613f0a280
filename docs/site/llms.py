"""Write `llms.txt`: what senet is, and every page with its first sentence, for readers that are language models.

`python docs/site/llms.py` writes it after a page has changed; a test compares it with the pages. The form is that of
llmstxt.org; links are relative to the root of the project, and of the site.
"""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]


def llms_text() -> str:
    """Return the text of `llms.txt`, in the order of the home page."""
    home = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    lines = ["# senet", "", f"> {_sentence(home, after=2)}", ""]
    lines += [
        "Install from a checkout with `pip install -e '.[data,plot]'`; Python 3.11 or newer, PyTorch 2.10 or newer.",
        "",
    ]
    for caption, entries in re.findall(r"```\{toctree\}\n:caption: ([^\n]*)\n(?::[^\n]*\n)*\n([^`]*)```", home):
        lines += [f"## {caption}", ""]
        lines += [_line(path) for entry in entries.splitlines() for path in _pages(entry)]
        lines += [""]
    return "\n".join(lines)


def _pages(entry: str) -> Iterator[Path]:
    entry = re.sub(r".*<(.*)>", r"\1", entry).replace("/index", "/*")
    for path in sorted((ROOT / "docs").glob(f"{entry}.md") if ".." not in entry else ROOT.glob(f"{entry[3:]}.md")):
        if "made" not in path.parts:
            yield path


def _line(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    title = text.partition("\n")[0].removeprefix("# ")
    return f"- [{title}]({path.relative_to(ROOT).as_posix()}): {_sentence(text, after=1)}"


def _sentence(page: str, *, after: int) -> str:
    """Return the first sentence of the paragraph that follows a number of others, of which the title is one."""
    paragraphs = [
        part
        for part in re.sub(r"<!--.*?-->|```.*?```|!\[[^]]*\]\([^)]*\)", "", page, flags=re.DOTALL).split("\n\n")
        if part.strip()
    ]
    first = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " ".join(paragraphs[after].split()))
    return re.split(r"(?<=[.?])\s", first.replace("**", ""))[0].removeprefix("- ").rstrip(":")


if __name__ == "__main__":
    (ROOT / "llms.txt").write_text(llms_text(), encoding="utf-8")
