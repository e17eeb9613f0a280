"""The evidence on accuracy: do blocks help, and do searches over ratios?"""

from collections.abc import Iterator, Mapping
from functools import partial

import kth_report  # beside this file
from evidence_piece import ROOT, Piece, found, one, rows, study

from senet.execution.store import read_results
from senet.experiments.image_bits import unpack

CIFAR100 = (ROOT / "studies" / "reports" / "resnet20_cifar100" / "report.md").exists()
QUICK = "**Quick scale, far from any paper's setting.** "


digits = partial(
    study,
    "digits_resnet8",
    "Do blocks help ResNet-8 on 8x8 digits?",
    "Easy images, 500 of them tested. ",
)
control = partial(
    study,
    "control_resnet8",
    "Does the comparison find an effect that is there?",
    "Images that are drawn so that a channel gate helps: a check of the method, not of photographs. ",
)
table1 = partial(
    study,
    "variations_table1_quick",
    "Table 1 of the variations paper: do the variants help a 3-layer CNN on CIFAR-10?",
    f"{QUICK}10 of 50 epochs. ",
)
kinds = partial(
    study,
    "kinds_cifar10_quick",
    "Which kind of channel attention helps ResNet-20 on CIFAR-10?",
    "**2,000 images, 3 epochs; the curves still rise: it shows that all rows train.** ",
)
photos_finetune = partial(
    study,
    "photos_finetune",
    "Do inserted blocks help a frozen MobileNetV3-Small on photographs?",
    "**320 photographs of 8 classes, 80 test images, a frozen network.** ",
)
photos_scratch = partial(
    study,
    "photos_scratch",
    "Do blocks help MobileNetV3-Small from scratch on photographs?",
    "**320 photographs of 8 classes, 80 test images, 10 epochs; the curves still rise.** ",
)
timm_resnet18 = partial(
    study,
    "timm_resnet18_cifar10",
    "Do blocks help timm's ResNet-18 from scratch on CIFAR-10?",
    "**5,000 images, 3 epochs; the curves still rise.** ",
)
winners8 = partial(
    study,
    "winners_resnet8_quick",
    "Do the winners of a search of SE-ResNet-8 win again with fresh seeds?",
    QUICK,
)
winners20 = partial(
    study,
    "winners_resnet20_quick",
    "Do the winners of a search of SE-ResNet-20 win again?",
    QUICK,
)


def cifar100() -> Piece:
    report = "resnet20_cifar100"
    single = {row["design"]: row["label"] for row in rows(report) if row["n"] == "1"}
    alone = "; ".join(f"{one.second} {kth_report.points(one)}" for one in first_pairs(report, single))
    after = f" Of the single pairs over images alone, not corrected: {alone}." if alone else ""
    after += f" [Gates by epoch](../studies/reports/{report}/gates.png), with `watch_gates=true`."
    before = "All 50,000 images, 30 epochs with a cosine. "
    return study(report, "Does channel attention help ResNet-20 on CIFAR-100?", before, after)


def first_pairs(report: str, labels: Mapping[str, str]) -> Iterator[kth_report.Pair]:
    """Hold the networks of designs with one seed against the plain one of that seed, image by image."""
    results = read_results(ROOT / "studies" / "reports" / report / "results.jsonl").values()
    right = {(each.run.design, each.run.seed): unpack(each.right, each.total) > 0 for each in results}
    for (design, seed), mine in right.items():
        if design in labels:
            yield kth_report.paired(("plain", right["plain", seed]), (labels[design], mine))


def authors() -> Piece:
    path = "studies/reports/kth_authors"
    values = kth_report.read(ROOT / path)
    right = ", ".join(f"{each.label} {each.correct:,}" for each in kth_report.answers(values))
    total = kth_report.answers(values)[0].total
    compared = kth_report.pairs(values)
    said = "; ".join(f"{pair.second} - {pair.first} {kth_report.points(pair)}, p = {pair.p:.3f}" for pair in compared)
    verdict = (
        f"Right of {total:,} CIFAR-10 test images: {right}; these are their printed numbers. Pair by pair, over images "
        f"alone and not corrected, with McNemar's exact p: {said}. One training each, and (8, 2, 16) was chosen on "
        "these images."
    )
    return Piece(
        question="KTH: do the authors' own networks differ?",
        verdict=verdict,
        table=f"{path}/report.md",
        figure=f"{path}/confusion.png",
        machine=f"{values['machine']}, torch {values['torch']}",
        command=values["command"],
    )


def chance() -> Piece:
    path = "benchmarks/SELECTION.md"
    exact = one(r"^The first line again.*:\n\n((?:- .*\n)+)\nThe mean lead over plain is then (\S+) points", path)
    chances = exact[1].strip().removeprefix("- ").replace("\n- ", ", ").replace(":", "")
    spread = [cell.strip() for cell in one(r"^\| (seeds: 3-layer network, CIFAR-10 .*) \|$", path)[1].split("|")]
    seen = one(r"It leads the plain network by (\S+)\spoints, the best constant scheme by (\S+) and", path)
    verdict = (
        f"The winner leads the plain network by {seen[1]} and the best constant scheme by {seen[2]}. With 14 equal "
        f"networks and no noise but that of the test images, the chance of at least this lead is: {chances}. On "
        f"average the winner then leads the plain network by {exact[2]}. Seeds add to that: with the spread over seeds "
        f"of the 3-layer network on CIFAR-10, {spread[2]} points, the chance of {seen[1]} over plain is {spread[6]} "
        "percent. Fresh seeds of this network were not trained."
    )
    return Piece(
        question="KTH: how far would the best of equal schemes lead by chance?",
        verdict=verdict,
        table=path,
        figure="benchmarks/selection.png",
        machine="any; it is computed from committed results",
        command="python benchmarks/selection_report.py",
    )


def finetune() -> Piece:
    path = "benchmarks/FINETUNE.md"
    line = one(r"^\| blocks and host .*\| ([^|]+) \| ([^|]+) \|$", path)
    alone = one(r"^\| blocks alone .*\| ([^|]+) \| ([^|]+) \|$", path)
    values = found("benchmarks/finetune/finetune.json")
    images, seeds = values["test_images"], len(values["seeds"])
    verdict = (
        f"A weak host ({100 * values['pretrained_correct'] / images:.2f} % on {images:,} images), {seeds} seeds. Host "
        f"and blocks trained, against plain: {line[1]} at equal steps, {line[2]} at equal time; blocks alone: "
        f"{alone[1]} and {alone[2]}. Not corrected for four comparisons, over seeds alone; one image is "
        f"{100 / images:.2f} points."
    )
    return Piece(
        question="Do inserted blocks help a trained ResNet-20 when it is fine-tuned?",
        verdict=verdict,
        table=path,
        figure="benchmarks/finetune/finetune.png",
        machine=f"{values['machine']}, torch {values['torch']}, {values['date']}",
        command=values["command"],
    )


def searches() -> Piece:
    path = "benchmarks/SEARCH.md"
    variance = one(r"^- Two-way analysis.*?: (F = .*)\.$", path)[1]
    ranks = [one(rf"^- Spearman, seed {a} with seed {b}: (.*?), n", path)[1] for a, b in ((0, 1), (0, 2), (1, 2))]
    shared = one(r"^- By accuracy: Spearman (.*?), n", path)[1]
    verdict = (
        f"{QUICK}15 schemes of SE-ResNet-8, 3 seeds: schemes against their noise over seeds, {variance}. Seeds agree "
        f"on the order of schemes by {', '.join(ranks)} (Spearman), the shared network with trainings by {shared}."
    )
    return Piece(
        question="Do searches over ratios find anything?",
        verdict=verdict,
        table=path,
        figure="studies/reports/ratios_resnet8_quick/figure.png",
        machine=one(r"^- (Made on .*)", "studies/reports/ratios_resnet8_quick/report.md")[1],
        command="python benchmarks/search_evidence.py",
    )
