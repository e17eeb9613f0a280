"""Write the live page of the site: what `senet explain` finds in a network that is trained while the site is built."""

import hashlib
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

COMMANDS = (
    "senet train --model resnet8 --se standard:reduction=4 --data digits --epochs 6 --output RUN",
    "senet explain RUN images=100 -o OUT",
)
PAGE = """# A live page of `senet explain`

Made while the site was built, from a network that was trained on the digits of scikit-learn for six epochs:

```text
{commands}
```

It is one file that loads nothing else. [How to read it](../../explain_page.md).

<p><a href="../../../demo/explain.html">Open it alone</a></p>
<iframe src="../../../demo/explain.html" title="explanation of a network" style="width: 100%; height: 60rem"></iframe>
"""


def write_demo(page: Path, made: Path, source: Path) -> None:
    """Write the page of the site, and the explanation that it shows; an explanation of the same source is kept.

    Args:
        page: the Markdown file.
        made: the HTML file of the explanation.
        source: the folder of the package, of which `explanation` and `surgery` decide whether it is made again.
    """
    made.parent.mkdir(parents=True, exist_ok=True)
    if find_spec("sklearn") is None:
        page.write_text("# A live page of `senet explain`\n\nNot built: it needs scikit-learn.\n", encoding="utf-8")
        return
    page.write_text(PAGE.format(commands="\n".join(COMMANDS)), encoding="utf-8")
    stamp, digest = page.with_suffix(".sha256"), _digest(source)
    if made.exists() and stamp.exists() and stamp.read_text(encoding="utf-8") == digest:
        return
    with TemporaryDirectory() as folder:
        for command in COMMANDS:
            subprocess.run([sys.executable, "-m", *command.split()], cwd=folder, check=True, capture_output=True)
        made.write_bytes((Path(folder) / "OUT" / "explain.html").read_bytes())
    stamp.write_text(digest, encoding="utf-8")


def _digest(source: Path) -> str:
    files = sorted(path for room in ("explanation", "surgery") for path in (source / room).rglob("*") if path.is_file())
    files = [path for path in files if path.suffix != ".pyc"]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
