"""The evidence on accuracy: do blocks help, and do searches over ratios?"""

from collections.abc import Iterator, Mapping
from functools import partial

import kth_report  # beside this file
from evidence_piece import ROOT, Piece, found, one, rows, study

from senet.execution.store import read_results
from senet.experiments.image_bits import unpack

CIFAR100 = (ROOT / "studies" / "reports" / "resnet20_cifar100" / "report.md").exists()
NINE = (
    "Plain keeps the 9 blocks of the network; a design adds 2, at r = 16 with one hidden unit each. The photographs "
    "are not public. "
)
QUICK = "**Quick scale, far from any paper's setting.** "


digits = partial(
    study,
    "digits_resnet8",
    "Do blocks help ResNet-8 on 8x8 digits?",
    "Easy images, 500 of them tested. These 18 seeds are from `--seeds auto` as it was; the command now ends after 5, "
    "since more seeds cannot narrow what 500 images leave open. ",
)
control = partial(
    study,
    "control_resnet8",
    "Does the comparison find an effect that is there?",
    "Images that are drawn so that a channel gate helps: a check of the method, not of photographs. ",
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
    "Do two more SE blocks help a frozen MobileNetV3-Small, which has nine, on photographs?",
    f"**320 photographs of 8 classes, 80 test images, a frozen network.** {NINE}",
)
photos_scratch = partial(
    study,
    "photos_scratch",
    "Do two more SE blocks help MobileNetV3-Small, which has nine, from scratch on photographs?",
    f"**320 photographs of 8 classes, 80 test images, 10 epochs; the curves still rise.** {NINE}",
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


def table1() -> Piece:
    report = "variations_table1_quick"
    base, *others = rows(report)
    accuracy: dict[str, dict[int, float]] = {row["design"]: {} for row in (base, *others)}
    for result in read_results(ROOT / "studies" / "reports" / report / "results.jsonl").values():
        accuracy[result.run.design][result.run.seed] = result.accuracy
    plain = accuracy[base["design"]]
    pairs = [accuracy[row["design"]][seed] - plain[seed] for row in others for seed in plain]
    papers = ", ".join(f"{float(row['diff_paper']):+.2f}" for row in others)
    before = (
        "**10 of the 50 epochs of the paper.** All 50,000 images, Adadelta, batch 64, no augmentation, bfloat16. The "
        f"module replaces the middle convolution, so the default has {int(base['macs']) / int(others[0]['macs']):.2f} "
        "times the multiply-adds: this is not one network with and without blocks. "
    )
    after = (
        f" In {sum(each < 0 for each in pairs)} of {len(pairs)} pairs of trainings the default is ahead. The paper's "
        f"differences, one run each: {papers}. Five seeds were fixed beforehand; tables of one "
        "to four seeds were committed on the way."
    )
    question = "Table 1 of the variations paper: do the variants help a 3-layer CNN on CIFAR-10?"
    return study(report, question, before, after)


def cifar100() -> Piece:
    report = "resnet20_cifar100"
    single = {row["design"]: row["label"] for row in rows(report) if row["n"] == "1"}
    alone = "; ".join(f"{one.second} {kth_report.points(one)}" for one in first_pairs(report, single))
    after = f" Of the single pairs over images alone, not corrected: {alone}." if alone else ""
    visible = max(float(row["diff_visible"]) for row in rows(report) if row["diff_visible"])
    after += (
        f" The smallest difference that such a comparison shows in 4 of 5 cases is {visible:.1f} points. At r = 16 the "
        f"first stage has one hidden unit. [Gates by epoch](../studies/reports/{report}/gates.png), with "
        "`watch_gates=true`."
    )
    before = (
        "50,000 training and 10,000 test images (10 are in both), 30 epochs with a cosine, SGD with rate 0.1, batch "
        "128, flips and crops, bfloat16; accuracy of the last epoch. "
    )
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
    right = ", ".join(f"{each.label} {each.correct:,}" for each in kth_report.answers(values))  # in their order
    total = kth_report.answers(values)[0].total
    compared = kth_report.pairs(values)
    said = "; ".join(f"{pair.second} - {pair.first} {kth_report.points(pair)}, p = {pair.p:.3f}" for pair in compared)
    verdict = (
        f"Correctly classified of {total:,} CIFAR-10 test images: {right}, as the authors printed. Pair by pair, over "
        f"images alone and not corrected, with McNemar's exact p: {said}. One training each, and (8, 2, 16) was chosen "
        "on these images."
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
        f"average the winner then leads the plain network by {exact[2]}. Another seed changes more than single images: "
        f"with the spread over seeds of the 3-layer network on CIFAR-10 as the only noise, {spread[2]} points, the "
        f"chance of {seen[1]} over plain is {spread[6]} percent. Fresh seeds of the authors' networks were not trained."
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
        f"A weakly trained network ({100 * values['pretrained_correct'] / images:.2f} % on {images:,} images), {seeds} "
        f"seeds. All of it trained, against plain: {line[1]} at equal steps, {line[2]} at equal time; blocks alone: "
        f"{alone[1]} and {alone[2]}. Corrected for four comparisons; over seeds alone, on these test images; one image "
        f"is {100 / images:.2f} points."
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
