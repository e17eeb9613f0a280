"""What the committed searches tell of ratio searches: do seeds agree, do schemes differ, does the shared network rank?

`python benchmarks/search_evidence.py` computes everything from `studies/reports` and writes SEARCH.md beside this
file; it trains nothing. `--measure` first times the scoring of schemes anew (CPU time of one core, a few minutes) and
keeps that in search_speed.json.
"""

import argparse
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from scipy import stats

from senet.execution.store import read_results
from senet.experiments.rank_correlation import kendall, spearman
from senet.experiments.result import Result
from senet.search.space import read_space
from senet.spec import SESpec
from senet.tables import Table

HERE = Path(__file__).parent
STUDIES = HERE.parent / "studies"
SPEED = HERE / "search_speed.json"
NETWORKS = {"SE-ResNet-8": "resnet8", "SE-ResNet-20": "resnet20"}

Designs = Mapping[str, Mapping[int, Result]]
"""Results by the design in words and by seed."""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--measure", action="store_true", help="time the scoring of schemes anew")
    if asked.parse_args().measure:
        SPEED.write_text(json.dumps(measured(), indent=2) + "\n", encoding="utf-8")
    text = evidence()
    (HERE / "SEARCH.md").write_text(text, encoding="utf-8")
    print(text, end="")


def evidence() -> str:
    """Write the page."""
    lines = [HEAD, *seeds()]
    for title in NETWORKS:
        lines += [*costs(title), *sharing(title)]
    lines += speed()
    return "\n".join(lines) + "\n"


# ---- what is there


def held_out(*reports: str) -> Designs:
    """Read trainings that were tested on held-out images, without the plain network."""
    read: dict[str, dict[int, Result]] = {}
    for report in reports:
        for result in read_results(STUDIES / "reports" / report / "results.jsonl").values():
            if result.run.data.val_size and result.run.se:
                read.setdefault(result.run.design, {})[result.run.seed] = result
    return read


def found(network: str, strategy: str) -> dict[str, Any]:
    path = STUDIES / "reports" / f"search_{network}_quick" / strategy / "search.json"
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


# ---- seeds


def seeds() -> Iterator[str]:
    """Do three seeds put the same schemes first?"""
    designs = held_out("ratios_resnet8_quick")
    table = [[designs[d][seed].accuracy for d in designs] for seed in sorted(next(iter(designs.values())))]
    yield "## Do real trainings agree with themselves? SE-ResNet-8\n"
    yield f"{len(designs)} schemes, {len(table)} seeds, held-out accuracy (`studies/reports/ratios_resnet8_quick`).\n"
    for (i, a), (j, b) in combinations(enumerate(table), 2):
        yield f"- Spearman, seed {i} with seed {j}: {spearman(a, b)} (95 % interval)."
    means, within, f, df, p = two_way(table)
    yield (
        f"- Two-way analysis of variance, schemes against their noise over seeds: F = {f:.2f} with {df[0]} and {df[1]} "
        f"degrees of freedom, p = {p:.2f}."
    )
    yield (
        f"- The means of the schemes have a standard deviation of {means:.2f} points; the seeds alone would give "
        f"{within:.2f}.\n"
    )


def two_way(table: Sequence[Sequence[float]]) -> tuple[float, float, float, tuple[int, int], float]:
    """Analyse seeds (rows) by schemes (columns) without interaction.

    Returns:
        Spread of the schemes' means, what noise alone would give, F, its degrees of freedom, p.
    """
    rows, columns = len(table), len(table[0])
    grand = fmean(x for row in table for x in row)
    by_row = [fmean(row) for row in table]
    by_column = [fmean(column) for column in zip(*table, strict=True)]
    between = rows * sum((x - grand) ** 2 for x in by_column) / (columns - 1)
    rest = sum((table[i][j] - by_row[i] - by_column[j] + grand) ** 2 for i in range(rows) for j in range(columns))
    df = columns - 1, (columns - 1) * (rows - 1)
    noise = rest / df[1]
    f = between / noise
    return stdev(by_column), math.sqrt(noise / rows), f, df, float(stats.f.sf(f, *df))


# ---- the two searches


def costs(title: str) -> Iterator[str]:
    """Images that went forward and backward: minutes were those of a shared machine."""
    network = NETWORKS[title]
    space = read_space(STUDIES / "spaces" / f"search_{network}_quick.toml")
    images, epochs = space.base.data.train_size, space.base.recipe.epochs
    yield f"## Cost of the two searches, {title}\n"
    for strategy in ("greedy", "shared"):
        said = found(network, strategy)
        trained = len(said["trials"]) * len(said["seeds"])
        alone = trained * epochs * images
        together = (space.shared.epochs or epochs) * images * (2 + space.shared.middle) if "shared" in said else 0
        words = f"{trained} trainings of {epochs} epochs, {alone:,} images"
        if together:
            words += (
                f", and the shared network's {space.shared.epochs or epochs} epochs with {2 + space.shared.middle} "
            )
            words += f"schemes a step, {together:,}: {alone + together:,}"
        yield f"- `{strategy}`: {words}."
    yield ""


# ---- the shared network


def sharing(title: str) -> Iterator[str]:
    """Does the shared network rank as real trainings do?"""
    network = NETWORKS[title]
    said = found(network, "shared")
    scores = said["shared"]["scores"]
    real = held_out(f"search_{network}_quick/greedy", f"search_{network}_quick/shared")
    both = [design for design in real if design in scores]
    first = {design: real[design][0] for design in both}
    accuracy = [scores[d]["accuracy"] for d in both]
    loss = [-scores[d]["loss"] for d in both]
    yield f"## Does the shared network rank as real trainings do? {title}\n"
    yield f"{len(both)} schemes that were trained alone with seed 0 by `greedy` and `shared`; 95 % intervals.\n"
    for what, a, b in (
        ("accuracy", accuracy, [first[d].accuracy for d in both]),
        ("loss", loss, [-first[d].last.test_loss for d in both]),
    ):
        yield f"- By {what}: Spearman {spearman(a, b)}; Kendall {kendall(a, b)}."
    if network == "resnet8":
        mean = {
            d: fmean(r.accuracy for r in found_by.values()) for d, found_by in held_out("ratios_resnet8_quick").items()
        }
        known = [d for d in both if d in mean]
        against = spearman([scores[d]["accuracy"] for d in known], [mean[d] for d in known])
        yield f"- By accuracy, against the means of three seeds: Spearman {against}."
        yield f"- {places(said['chosen'], held_out('ratios_resnet8_quick'))}"
    levels = [score["accuracy"] for score in scores.values()]
    ranked = sorted(scores, key=lambda d: (scores[d]["accuracy"], -scores[d]["params"]), reverse=True)
    yield f"- All {len(levels)} shared scores lie between {min(levels):.1f} and {max(levels):.1f} %."
    yield f"- The choice {said['chosen']} has rank {ranked.index(said['chosen']) + 1} of {len(ranked)} among them."
    alone = [r[0].accuracy for d, r in held_out(f"search_{network}_quick/greedy").items()]
    total = next(iter(first.values())).total
    share = fmean(alone) / 100
    yield (
        f"- The {len(alone)} schemes of `greedy` lie between {min(alone):.1f} and {max(alone):.1f} % on the held-out "
        f"images; counting {total:,} of them leaves a standard deviation of "
        f"{100 * math.sqrt(share * (1 - share) / total):.1f} points.\n"
    )


def places(design: str, designs: Designs) -> str:
    """Return which place a design has with each seed."""
    said = []
    for seed in sorted(designs[design]):
        better = sum(other[seed].accuracy > designs[design][seed].accuracy for other in designs.values())
        said.append(f"{better + 1} with seed {seed}")
    return f"The choice {design} among {len(designs)} schemes: place {', '.join(said)}."


# ---- speed


def speed() -> Iterator[str]:
    """Schemes a minute, as measured last."""
    yield "## Schemes a minute\n"
    if not SPEED.exists():
        yield "Not measured; `python benchmarks/search_evidence.py --measure` does."
        return
    values = json.loads(SPEED.read_text(encoding="utf-8"))
    yield (
        f"{values['machine']}, one thread, CPU time; median [least, most] of {values['repeats']} repeats. Weights are "
        "fresh: they change no time. Every scheme has its norms measured anew.\n"
    )
    heads = ("network", "chooses", "pixels", "images + calibration", "schemes", "common beginnings once", "each alone")
    rows = [
        [
            *(str(row[name]) for name in ("network", "per", "pixels")),
            f"{row['images']} + {row['calibration']}",
            str(row["schemes"]),
            _range(row["tree"]),
            _range(row["alone"]),
        ]
        for row in values["rows"]
    ]
    yield Table(heads, rows, words=("chooses",)).markdown().rstrip()


def _range(values: Sequence[float]) -> str:
    ranked = sorted(values)
    return f"{ranked[len(ranked) // 2]:,.0f} [{ranked[0]:,.0f}, {ranked[-1]:,.0f}]"


def measured(repeats: int = 3) -> dict[str, Any]:
    """Time the scoring of spaces."""
    import platform

    import torch

    torch.set_num_threads(1)
    cases = [
        ("resnet8", "stage", (2, 4, 8, 16), 32),
        ("resnet20", "stage", (2, 4, 8, 16), 32),
        ("resnet20", "block", (4, 16), 32),
        ("resnet20", "block", (4, 16), 8),
    ]
    rows = [timed(model, per, ratios, pixels, repeats) for model, per, ratios, pixels in cases]
    return {"machine": f"{platform.machine()} CPU, torch {torch.__version__}", "repeats": repeats, "rows": rows}


def timed(model: str, per: str, ratios: tuple[int, ...], pixels: int, repeats: int) -> dict[str, Any]:
    """Time one space: all schemes as a tree, and some of them one by one."""
    import time

    import torch

    from senet.models import create_model
    from senet.nn import Site
    from senet.nn.nested import NestedSqueezeExcite
    from senet.search.network_blocks import count_blocks
    from senet.search.supernet_scores import score_schemes

    blocks = count_blocks(model)
    specs = list(schemes(blocks if per == "block" else (1,) * len(blocks), ratios))
    images, calibration = 500, 125

    def gates(site: Site) -> dict[str, torch.nn.Module]:
        every = [SESpec(reduction=r) for r in ratios]
        return {"standard": NestedSqueezeExcite(site.channels, every, stage=site.stage, unit=site.unit)}

    network = create_model(model, se=gates, image_size=pixels)
    draw = torch.Generator().manual_seed(0)
    data = {
        "calibration": torch.randn(calibration, 3, pixels, pixels, generator=draw),
        "images": torch.randn(images, 3, pixels, pixels, generator=draw),
        "labels": torch.randint(10, (images,), generator=draw),
    }

    def a_minute(groups: Sequence[Sequence[SESpec]]) -> float:
        began = time.process_time()
        for group in groups:
            score_schemes(network, group, **data)
        return 60 * sum(map(len, groups)) / (time.process_time() - began)

    some = [[spec] for spec in specs[:: max(1, len(specs) // 4)]][:4]
    a_minute(some[:1])  # warm
    tree, alone = zip(*((a_minute([specs]), a_minute(some)) for _ in range(repeats)), strict=True)
    return {
        "network": f"SE-{model.replace('resnet', 'ResNet-')}",
        "per": per,
        "pixels": f"{pixels}x{pixels}",
        "images": images,
        "calibration": calibration,
        "schemes": len(specs),
        "tree": tree,
        "alone": alone,
    }


def schemes(counts: Sequence[int], ratios: Sequence[int]) -> Iterator[SESpec]:
    """Return every scheme, with one ratio for each of `counts` places of every stage."""
    from itertools import islice, product

    for chosen in product(ratios, repeat=sum(counts)):
        left = iter(chosen)
        stages = [tuple(islice(left, number)) for number in counts]
        yield SESpec(reduction=tuple(stage[0] if len(stage) == 1 else stage for stage in stages))


HEAD = """# What the committed searches tell

Made by `python benchmarks/search_evidence.py` from the results in studies/reports; nothing was
trained for it. How to read it: [docs/search.md](../docs/search.md).
"""


if __name__ == "__main__":
    main()
