"""The numbers that README and docs quote are those of the results in benchmarks and studies/reports."""

import csv
import importlib
import json
import re
from pathlib import Path

import pytest

from senet.execution.store import read_results
from senet.experiments.result import Result
from senet.experiments.statistics import accuracy_differences
from senet.experiments.summary import Estimate, tallies

ROOT = Path(__file__).parents[1]
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
IMAGENET = [(64, 56), (128, 28), (256, 14), (512, 7)]
RESNET20 = [(16, 32), (32, 16), (64, 8)]


def medians(heading: str) -> dict[str, float]:
    """Return the milliseconds of every variant of one part."""
    part = RESULTS.split(f"## {heading}\n")[1].split("\n## ")[0]
    return {name: float(ms) for name, ms in re.findall(r"^\| ([a-z0-9 ]+) \| ([\d.]+) \|", part, re.MULTILINE)}


def times_faster(batch: int, channels: int, side: int, operation: str, out: int = 0) -> str:
    layer = rf"{batch} x {channels} -> {out or channels} x {side}² \| {operation} \*? ?\|"
    found = re.search(rf"{layer} [\d.]+ \| [\d.]+ \| ([\d.]+) \|", RESULTS)
    assert found, layer
    return f"{float(found[1]):.1f}"


def test_docs_quote_the_measured_convolutions() -> None:
    operations = ("changing", "map", "weights")  # the training step transforms weights that change
    cnn3 = ["-".join(times_faster(64, 32, 32, op, out) for out in (32, 64)) for op in operations]
    ours = [", ".join(times_faster(128, c, side, op) for c, side in RESNET20) for op in operations]
    big = [", ".join(times_faster(8, c, side, op) for c, side in IMAGENET) for op in operations]
    one = ", ".join(times_faster(1, c, side, "forward") for c, side in IMAGENET)
    row = f"| {' / '.join(cnn3)} | {' / '.join(ours)} | {' / '.join(big)} | {one} |"
    assert row in (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")


def test_the_page_of_speed_quotes_the_measured_ratios() -> None:
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    rows = {}
    for network in ("SE-ResNet-50", "SE-ResNet-20"):
        found = medians(f"Training step, {network}")
        names = [name for name in ("se accelerated", "se", "timm seresnet50") if name in found]
        rows[network] = " | ".join(f"{found[name] / found['plain']:.2f}" for name in names)
    assert f"| training step, SE-ResNet-50, 8x3x128x128 | 1.00 | {rows['SE-ResNet-50']} |" in page
    assert f"| training step, SE-ResNet-20, 128x3x32x32 | 1.00 | {rows['SE-ResNet-20']} | |" in page
    _, ordinary, timm = rows["SE-ResNet-50"].split(" | ")
    assert f"takes {ordinary} (senet) to {timm} (timm) times as long with ordinary blocks" in " ".join(page.split())
    for row, kind in (("inference", "batch 8, float32"), ("the same", "batch 1, float32")):
        found = medians(f"Inference, SE-ResNet-50 v1.5, {kind}")
        assert re.search(
            rf"\| {row}, {kind}[^|]*\| 1.02 \| {found['se optimized'] / found['plain optimized']:.2f} \|", page
        )


def test_the_readme_quotes_the_measured_ratios() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    step = medians("Training step, SE-ResNet-50")
    assert f"takes {step['se accelerated'] / step['plain']:.2f} of the plain network's time" in readme
    assert f"(timm's: {step['timm seresnet50'] / step['plain']:.2f})" in readme
    parts = [f"batch {n}, {kind}" for n in (1, 8) for kind in ("float32", "bfloat16")]
    timed = [medians(f"Inference, SE-ResNet-50 v1.5, {part}") for part in parts]
    plain = sorted(part["se optimized"] / part["plain optimized"] for part in timed)
    timm = sorted(part["se optimized"] / part["timm seresnet50"] for part in timed)
    assert f"it takes {plain[0]:.2f} to {plain[-1]:.2f} of the plain network" in readme
    assert f"{timm[0]:.2f} to {timm[-1]:.2f} of timm's" in readme
    assert plain == pytest.approx([1.0] * 4, abs=0.02)  # the goal


def test_the_page_of_insert_quotes_the_measured_steps() -> None:
    page = " ".join((ROOT / "docs" / "insert.md").read_text(encoding="utf-8").split())
    cell = r"([\d.]+) \([\d.]+-[\d.]+\)"
    rows = re.findall(
        rf"^\| (\w+), [\dx]+ \| \d+ \| {cell} \| {cell} \| {cell} \| [\d.]+ \| ([\d.]+) \|", RESULTS, re.MULTILINE
    )
    ratio, kept = {row[0]: row[3] for row in rows}, {row[0]: row[4] for row in rows}
    assert f"blocks then takes {ratio['resnet50']} of the plain network's eager step" in page
    assert f"one of resnet18 {ratio['resnet18']}, and both keep {kept['resnet50']} of its bytes" in page
    assert float(ratio["resnet50"]) <= 1.0  # the goal
    assert float(kept["resnet50"]) <= 1.03


def test_the_readme_quotes_the_steps_of_inserted_blocks() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    rows = {
        cells[0].partition(",")[0]: [cell.partition(" ")[0] for cell in cells[1:]]
        for line in RESULTS.splitlines()
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) == 8 and " of " in cells[-1]
    }
    _, _, blocks, fused, bytes_before, bytes_after, _ = rows["resnet50"]
    assert (
        f"ResNet-50 takes {fused} of the plain network's eager time by `senet.accelerate` ({blocks} without)" in readme
    )
    assert f"keeps {bytes_after} of its bytes ({bytes_before})" in readme
    assert f"RegNetX {rows['regnetx_004'][3]} ({rows['regnetx_004'][2]})" in readme
    assert rows["convnext_atto"][-1] == "0"


def test_the_readme_quotes_the_measured_int8() -> None:
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    pages = (ROOT / "benchmarks" / "EXPORT.md").read_text(encoding="utf-8").split("\n## ")
    page = next(one for one in pages if one.startswith("MobileNetV3-Small on images that the search has not seen"))
    right = dict(re.findall(r"^\| ([a-z0-9 ]+) \| (\d+) of 500 \|", page, re.MULTILINE))
    lost = re.search(r"^\| our search .*\| \+(\S+) \[-(\S+), \+(\S+)\] \|$", page, re.MULTILINE)
    assert lost is not None
    mean, low, high = lost.groups()
    assert (
        f"has {right['float']} of 500 photographs right in float32, {right['plain int8']} in plain int8 per channel, "
        f"and {right['our search']} with the precision"
    ) in readme
    assert f"(cross-validated; -{mean} [-{high}, +{low}] points)" in readme


def test_the_readme_quotes_the_comparison_of_the_digits() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    report = (ROOT / "studies" / "reports" / "digits_resnet8" / "report.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines() if line[:2] == "| "]
    compared = [row for row in rows if len(row) == 9][2:]
    assert len(compared) == 5
    for design, params, _, accuracy, difference, *_ in compared:
        assert re.search(rf" {design} +{params} 0.75 M {accuracy} +{re.escape(difference)} ", readme), design
    step, inference = next(row[2:4] for row in rows if row[:2] == ["standard r=16", "ordinary"])
    optimized = next(row[3] for row in rows if row[:2] == ["standard r=16", "optimized"])
    text = " ".join(readme.split())
    assert f"a training step with standard r=16 takes {step} times that of the plain network" in text
    assert f"an inference {inference}, with `senet.optimize` {optimized};" in text


def test_rows_of_the_table_of_insertions_can_be_made_again_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    pytest.importorskip("torchvision")
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    families = importlib.import_module("insert_families")
    text = (ROOT / "benchmarks" / "INSERT.md").read_text(encoding="utf-8")
    rows = families.committed(text)
    assert "".join(families.markdown(rows)).split("\n\n## ")[1:] == text.split("\n\n## ")[1:]
    rows.append(families.Row("resnet18", "resnet", 128, 7, 0, True, True, True, True, False, 1.0, "a try"))
    assert "| resnet18 | resnet | 128 | 7 | 0 | yes | yes | yes | yes | **no** | 1 | a try |" in "".join(
        families.markdown(rows)
    )


def test_the_page_of_evidence_is_made_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    page = importlib.import_module("evidence_page").page()
    said = "run `python benchmarks/evidence_page.py` after a result has changed"
    assert page == (ROOT / "docs" / "evidence.md").read_text(encoding="utf-8"), said
    for link in re.findall(r"\]\(\.\./([^)]+)\)", page):
        assert (ROOT / link).is_file(), link


def test_the_page_of_fine_tuning_is_made_from_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    found = json.loads((ROOT / "benchmarks" / "finetune" / "finetune.json").read_text("utf-8"))
    page = "\n".join(importlib.import_module("finetune_report").chapter(found)) + "\n"
    assert page == (ROOT / "benchmarks" / "FINETUNE.md").read_text("utf-8")


def test_the_readme_quotes_the_page_of_evidence() -> None:
    page = " ".join((ROOT / "docs" / "evidence.md").read_text(encoding="utf-8").split())
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    quoted = re.search(r"\*\*All evidence on one page, with what is missing\*\*: (.*?) - \*\*", readme)
    assert quoted
    numbers = re.findall(r"[+-]\d\.\d\d \[[+-]\d\.\d\d, [+-]\d\.\d\d\]|\d+\.\d %", quoted[1])
    assert len(numbers) == 5
    assert [number for number in numbers if number not in page] == []


@pytest.mark.parametrize(
    "path", sorted((ROOT / "studies" / "reports").glob("*/table.csv")), ids=lambda path: path.parent.name
)
def test_the_tables_of_committed_studies_are_those_of_their_results(path: Path) -> None:
    rows = list(csv.DictReader(path.read_text("utf-8").splitlines()))
    runs: dict[str, dict[int, Result]] = {row["design"]: {} for row in rows}
    for result in read_results(path.with_name("results.jsonl")).values():
        runs[result.run.design][result.run.seed] = result
    (base,) = (row["design"] for row in rows if not row["diff"])
    others = [row for row in rows if row["diff"]]
    found = accuracy_differences([tallies(runs[row["design"]]) for row in others], tallies(runs[base]))
    for row in rows:
        accuracy = Estimate.of([result.accuracy for result in runs[row["design"]].values()])
        assert float(row["accuracy_mean"]) == pytest.approx(accuracy.mean)
        assert float(row["accuracy_sd"] or "nan") == pytest.approx(accuracy.sd, nan_ok=True)
    looks = "in looks after" in path.with_name("report.md").read_text("utf-8")
    for row, difference in zip(others, found, strict=True):
        half = float(row["diff_high"] or "nan") - float(row["diff"])
        assert float(row["diff"]) == pytest.approx(difference.mean)
        if looks:  # wider than those of a number of seeds that is fixed before the start
            assert difference.half < half < 1.5 * difference.half
        else:
            assert half == pytest.approx(difference.half, nan_ok=True)
