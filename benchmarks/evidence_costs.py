"""The evidence on what blocks cost and do, and on what can be done with them: fold, export, insert."""

import json
import re

from evidence_piece import ROOT, Piece, bracket, found, one, text  # beside this file


def step() -> Piece:
    title = "Training step, SE-ResNet-50"
    best = "se accelerated", "plain accelerated"
    return timed(title, "What does a training step with blocks cost?", *best, "docs/img/bench.png")


def inference() -> Piece:
    title = "Inference, SE-ResNet-50 v1.5, batch 1, float32"
    return timed(title, "What does an inference of one image with blocks cost?", "se optimized", "plain optimized", "")


def timed(title: str, question: str, best: str, plain: str, figure: str) -> Piece:
    """Describe a part of RESULTS.md."""
    path = "benchmarks/RESULTS.md"
    part = text(path).split(f"## {title}\n")[1].split("\n## ")[0]
    cells = {
        line[0]: line[1:]
        for line in re.findall(r"^\| ([a-z0-9 ]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.-]+) \|", part, re.M)
    }
    said = "; ".join(
        f"{name} {ratio} [{quartiles.replace('-', ', ')}]" for name, (_, ratio, quartiles) in cells.items()
    )
    ours = float(cells[best][0]) / float(cells[plain][0])
    verdict = (
        f"With the same treatment of both: {cells['se'][1]} as torch runs it, {ours:.2f} for {best} over {plain}. "
        f"Time as ratio to the plain network as torch runs it, median [quartiles]: {said}."
    )
    described, machine = re.findall(r"^`(.*)`\n\n(.*)$", part, re.M)[0]
    return Piece(
        question=question,
        verdict=verdict,
        table=path,
        figure="docs/img/bench.png",
        machine=machine.rstrip("."),
        command=described,
    )


def excitation() -> Piece:
    path = "studies/reports/excitation/report.md"
    head, _, *claims = one(r"(?:^\|.*\|\n)+", path)[0].splitlines()
    networks = [cell.strip() for cell in head.strip("|").split("|")][1:]
    said = []
    for line in claims:
        claim, *words = (cell.strip() for cell in line.strip("|").split("|"))
        said.append(f"{claim}: {', '.join(f'{word} ({name})' for name, word in zip(networks, words, strict=True))}")
    return Piece(
        question="Does the SENet paper's figure of excitation appear in three other networks?",
        verdict=f"{'. '.join(said)}. MobileNetV3 has one early block, whose gates are constant. No network was trained "
        "again without blocks, as the paper did. The rules were written after a look at two of the networks; they and "
        "the numbers with their intervals are in the report, with the `senet explain` commands to run first.",
        table=path,
        figure=path.replace("report.md", "class_share.png"),
        machine=one(r"^(senet .*)\. Commands:$", path)[1],
        command="python benchmarks/excitation.py kth mobilenet digits",
    )


EXCITATION = (ROOT / "studies" / "reports" / "excitation" / "report.md").exists()


def insertion() -> Piece:
    path = "benchmarks/INSERT.md"
    heads = [line.removeprefix("## ") for line in text(path).splitlines() if line.startswith("## ")]
    made = one(r"^Made by `(.*?)`; (.*)\.$", path)
    return Piece(
        question="Does `insert` work in networks of other libraries?",
        verdict=f"{'. '.join(heads)}.",
        table=path,
        machine=made[2],
        command=made[1],
    )


def strangers() -> Piece:
    path = "benchmarks/FOREIGN.md"
    made = one(r"^Made by `(.*?)`; (.*)\.$", path)
    said = one(r"^\d+ networks, \d+ steps: .*$", path)[0]
    return Piece(
        question="Do cost, plan, insert, remove, accelerate, optimize and fold work in networks of other libraries?",
        verdict=said,
        table=path,
        machine=made[2],
        command=made[1],
    )


def fold() -> Piece:
    said = []
    for name in ("mobilenet", "kth"):
        values = found(f"benchmarks/fold/{name}.json")
        stage = values["last_stage"]
        lost = bracket(stage["loss"], stage["low"], stage["high"])
        part = text("benchmarks/FOLD.md").split(f"## {values['title']}\n")[1].split("\n## ")[0]
        (whole,) = re.findall(r"^How many may go, of (\d+):$", part, re.M)
        number = re.findall(r"^\| (\d\.\d) \| \d+ \| (\d+) \|$", part, re.M)
        bounds = ", ".join(f"{blocks} within {bound}" for bound, blocks in number)
        said.append(
            f"{values['title']}, of {whole} blocks: {bounds} points (upper end of the interval); the {stage['blocks']} "
            f"blocks of the last stage cost {lost} points ({values['before']['total']:,} images)"
        )
    return Piece(
        question="How many blocks can be constants?",
        verdict=f"{'. '.join(said)}.",
        table="benchmarks/FOLD.md",
        figure="benchmarks/fold/kth.png",
        machine=one(r"seconds|CPU time, (torch .*)\)\.", "benchmarks/FOLD.md")[1] or "",
        command="python benchmarks/fold_curves.py kth --weights FILE --data DATA` and `... mobilenet --weights FILE "
        "--data DATA",
    )


def export() -> Piece:
    said = []
    for path in sorted((ROOT / "benchmarks" / "export").glob("*.json")):
        values = json.loads(path.read_text("utf-8"))
        if "rows" in values:
            table = {row["name"]: row for row in values["rows"]}
            losses = [
                f"{name} {bracket(*(table[name][key] for key in ('loss', 'low', 'high')))}"
                for name in ("plain int8", "our search")
            ]
            seen = " (400 of them chose the precision)" if path.stem == "mobilenet" else ""
            said.append(f"{values['title']}, {values['images']:,} images{seen}: {', '.join(losses)}")
    values = found("benchmarks/export/mobilenet.json")["machine"]
    return Piece(
        question="What does int8 cost, and does the search of `export` help?",
        verdict=f"Points of accuracy lost against float. {'. '.join(said)}. In the networks of the KTH authors the "
        "search keeps plain int8.",
        table="benchmarks/EXPORT.md",
        machine=f"{values['cpu']}, torch {values['torch']}, onnxruntime {values['onnxruntime']}",
        command=f"{values['command']}`, the same with kth-plain, kth-8-8-8 and kth-8-2-16, and `python "
        "benchmarks/export_crossed.py --weights FILE --data DATA",
    )
