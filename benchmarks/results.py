"""Measure all that RESULTS.md shows, and write it.

    python benchmarks/results.py DIR [--only TEXT]       (and the two figures of docs/fast.md)

DIR holds CIFAR-10 as `senet` reads it. Each part is a command that stands above its numbers; with --only the parts with
this text in their title are measured anew and the others are kept; `--redraw` draws the figures from RESULTS.md.
A quarter of an hour on a quiet core.
"""

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from senet.reports.bench_report import draw
from senet.speed import Bench
from senet.speed.measure import Line

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
HEAD = """# Results of the benchmarks

Each part: the command, date, versions and machine, then what it printed. CPU: one core of an AMD EPYC (AVX-512,
AVX512-BF16), shared with other processes, hence CPU time, interleaved rounds and quartiles. `python
benchmarks/results.py DIR` measures all of it. What needs a GPU waits in [gpu/QUEUE.md](../gpu/QUEUE.md).
"""
INFER = "senet bench resnet50.v15 --mode infer --timm seresnet50"
PARTS = {
    "Training step, SE-ResNet-50": "senet bench resnet50 --shape 8,3,128,128 --rounds 15 --timm seresnet50",
    "Training step, SE-ResNet-20": "senet bench resnet20 --shape 128,3,32,32 --rounds 15",
    "Inference, SE-ResNet-50 v1.5, batch 1, float32": f"{INFER} --shape 1,3,224,224 --rounds 25",
    "Inference, SE-ResNet-50 v1.5, batch 8, float32": f"{INFER} --shape 8,3,224,224 --rounds 7",
    "Inference, SE-ResNet-50 v1.5, batch 1, bfloat16": f"{INFER} --shape 1,3,224,224 --dtype bfloat16 --rounds 25",
    "Inference, SE-ResNet-50 v1.5, batch 8, bfloat16": f"{INFER} --shape 8,3,224,224 --dtype bfloat16 --rounds 7",
    "The tail of a unit alone, a training step": "python benchmarks/tails.py --rounds 20 --figure docs/img/tails.png",
    "A training step with inserted blocks": "python benchmarks/inserted.py --rounds 5",
    "3x3 convolutions": "python benchmarks/convolutions.py",
    "The trainer against stock PyTorch, cnn3": "python benchmarks/trainer.py DIR --rounds 8",
    "The trainer against stock PyTorch, cnn3 with the recipe of senet compare": (
        "python benchmarks/trainer.py DIR --rounds 4 --recipe sgd-cosine --batch 128"
    ),
    "The trainer against stock PyTorch, SE-ResNet-20": (
        "python benchmarks/trainer.py DIR --rounds 4 --model resnet20 --design standard --recipe sgd-cosine --batch 128"
    ),
}
FIGURE = PARTS["Training step, SE-ResNet-50"]  # the one that docs/fast.md shows


def measured(command: str, data: Path) -> str:
    """Run a command and give what it measured as Markdown, the command first."""
    program, *words = shlex.split(command)
    if program == "senet":
        with tempfile.TemporaryDirectory() as folder:
            run([sys.executable, "-m", "senet", *words, "-o", folder])
            if command == FIGURE:
                shutil.copy(Path(folder) / "bench.png", HERE.parent / "docs/img")
            text = (Path(folder) / "bench.md").read_text()
        return re.sub("^`.*`$", lambda _: f"`{command}`", text, count=1, flags=re.MULTILINE)
    said = run([sys.executable, *(str(data) if word == "DIR" else word for word in words)])
    return f"`{command}`\n\n" + (said if "\n|" in said else f"```\n{said}```\n")


def redraw() -> None:
    """Draw the two figures of docs/fast.md from the numbers of RESULTS.md."""
    run([sys.executable, "benchmarks/tails.py", "--redraw"])
    text = RESULTS.read_text("utf-8").partition(f"`{FIGURE}`")[2].partition("\n## ")[0]
    head = r"^(\S+) with (.+?), training .*?, ([\dx]+), (\w+), (\w+), (\d+) thread.*? (\d+) inter"
    found = re.search(head, text, re.MULTILINE)
    assert found is not None
    model, design, shape, dtype, device, threads, rounds = found.groups()
    lines = []
    for row in re.findall(r"^\| ([^|]+) \| (\d.*) \|$", text, re.MULTILINE):
        ms, ratio, quartiles, images, saved, _, bound = [cell.strip() for cell in row[1].split("|")]
        low, high = map(float, quartiles.split("-"))
        numbers = {"milliseconds": float(ms), "ratio": float(ratio), "low": low, "high": high}
        share = float(bound.removesuffix(" %")) / 100
        kept = {"images_per_second": float(images), "saved_mb": float(saved), "peak_mb": None, "bound": share}
        lines.append(Line(name=row[0].strip(), **numbers, **kept))
    known = {"model": model, "design": design, "mode": "train", "dtype": dtype, "device": device}
    sizes = tuple(map(int, shape.split("x")))
    bench = Bench(
        **known, shape=sizes, threads=int(threads), rounds=int(rounds), copy_gb=0.0, lines=tuple(lines), blocks=()
    )
    draw(bench, HERE.parent / "docs/img/bench.png")


def run(words: list[str]) -> str:
    print("$", *words, flush=True)
    return subprocess.run(words, cwd=HERE.parent, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("data", metavar="DIR", type=Path, nargs="?")
    words.add_argument("--only", default="", metavar="TEXT")
    words.add_argument("--redraw", action="store_true", help="draw the figures of docs/fast.md again, measure nothing")
    asked = words.parse_args()
    if asked.redraw:
        redraw()
        return
    if asked.data is None:
        words.error("DIR is missing")
    kept = dict(re.findall(r"^## (.*?)\n\n(.*?)(?=^## |\Z)", RESULTS.read_text(), flags=re.MULTILINE | re.DOTALL))
    texts = {}
    for title, command in PARTS.items():
        if asked.only in title:
            texts[title] = measured(command, asked.data.absolute())
        elif title in kept:
            texts[title] = kept[title]
        sections = [f"## {done}\n\n{text.strip()}\n" for done, text in texts.items()]
        missing = [f"## {other}\n\n{kept[other].strip()}\n" for other in PARTS if other not in texts and other in kept]
        RESULTS.write_text("\n".join([HEAD, *sections, *missing]))


if __name__ == "__main__":
    main()
