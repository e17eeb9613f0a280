"""The evidence on what blocks cost and do, and on what can be done with them: fold, export, insert."""

import json
import re

from evidence_piece import ROOT, Piece, bracket, found, one, text  # beside this file


def step() -> Piece:
    return timed("Training step, SE-ResNet-50", "What does a training step with blocks cost?", "se accelerated")


def inference() -> Piece:
    title = "Inference, SE-ResNet-50 v1.5, batch 1, float32"
    return timed(title, "What does an inference of one image with blocks cost?", "se optimized", "plain optimized")


def timed(title: str, question: str, best: str, plain: str = "plain") -> Piece:
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
    verdict = f"Time as ratio to the plain network, median [quartiles]: {said}. {best} / {plain}: {ours:.2f}."
    described, machine = re.findall(r"^`(.*)`\n\n(.*)$", part, re.M)[0]
    return Piece(question=question, verdict=verdict, table=path, machine=machine.rstrip("."), command=described)


def excitation() -> Piece:
    path = "studies/reports/excitation/report.md"
    head, _, *claims = one(r"(?:^\|.*\|\n)+", path)[0].splitlines()
    networks = [cell.strip() for cell in head.strip("|").split("|")][1:]
    said = []
    for line in claims:
        claim, *words = (cell.strip() for cell in line.strip("|").split("|"))
        said.append(f"{claim}: {', '.join(f'{word} ({name})' for name, word in zip(networks, words, strict=True))}")
    return Piece(
        question="Does the SENet paper's figure of excitation hold?",
        verdict=f"{'. '.join(said)}. The numbers with their intervals, and the rules, are in the report.",
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
        total = values["before"]["total"]
        said.append(
            f"{values['title']}: {stage['blocks']} blocks of the last stage as constants lose {lost} points "
            f"({total:,} images)"
        )
    return Piece(
        question="How many gates are constants?",
        verdict=f"{'. '.join(said)}.",
        table="benchmarks/FOLD.md",
        figure="benchmarks/fold/kth.png",
        machine=one(r"seconds|CPU time, (torch .*)\)\.", "benchmarks/FOLD.md")[1] or "",
        command="python benchmarks/fold_curves.py kth --weights FILE --data DATA",
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
            said.append(f"{values['title']}, {values['images']:,} images: {', '.join(losses)}")
    values = found("benchmarks/export/mobilenet.json")["machine"]
    return Piece(
        question="What does int8 cost, and does the search of `export` help?",
        verdict=f"Points of accuracy lost against float. {'. '.join(said)}.",
        table="benchmarks/EXPORT.md",
        machine=f"{values['cpu']}, torch {values['torch']}, onnxruntime {values['onnxruntime']}",
        command=values["command"],
    )
