"""The evidence that is missing, with what measures it and what that costs: the end of docs/evidence.md."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from senet.execution.store import read_results
from senet.experiments.result import Result
from senet.tables import Table

STUDIES = Path(__file__).parents[1] / "studies"
GPU = 1e14  # multiply-adds a second that a GPU is taken to sustain; none was measured


def missing() -> Iterator[str]:
    heads = ("what", "command", "cost")
    yield "## What is missing\n"
    yield (
        f"In the order of its value. Core hours are multiply-adds at {rate('resnet20_cifar100'):.1e} a second for "
        f"ResNets, at {rate('variations_table1_quick'):.1e} for the 3-layer network, as measured here in bfloat16 on a "
        "shared core.\n"
    )
    yield Table(heads, list(rows()), words=heads).markdown()
    yield "What a GPU is to measure is queued in [gpu/QUEUE.md](../gpu/QUEUE.md)."


def rows() -> Iterator[Sequence[str]]:
    yield "correctness and speed on a GPU", "gpu/run.sh 1 OUT", "5 minutes of one H100 or H200"
    yield (
        "plain against blocks, ResNet-20 and ResNet-56, CIFAR-10, on a GPU",
        "gpu/run.sh 2 OUT CIFAR10",
        "8 minutes of one",
    )
    cifar100 = "senet run studies/resnet20_cifar100.toml --data-dir DIR watch_gates=true"
    yield from left("ResNet-20 on CIFAR-100: the rest of 3 seeds", "resnet20_cifar100", cifar100, runs=9)
    table1 = "senet run studies/variations_table1.toml --data-dir DIR"
    yield from left(
        "Table 1 of the variations, 10 epochs: the rest of 5 seeds",
        "variations_table1_quick",
        f"{table1} --quick --seeds 5",
        runs=30,
    )
    bf16 = f"{table1} recipe.amp=bf16"
    yield (
        "Table 1 of the variations with its 50 epochs",
        bf16,
        hours("variations_table1", runs=30, epochs=50, at="variations_table1_quick"),
    )
    yield (
        "ResNet-20 on CIFAR-100 decided at 0.5 points",
        "senet run studies/resnet20_cifar100.toml --seeds auto --max-seeds 30 --data-dir DIR -o OUT",
        f"up to 81 more runs of {hours_of('resnet20_cifar100'):.1f} core hours",
    )
    compare = (
        "senet compare --data {} --data-dir DIR --model {} --se standard --se eca --epochs 30 --seeds 3 recipe.amp=bf16"
    )
    for data, network in (("cifar10", "resnet20"), ("cifar100", "resnet56"), ("cifar10", "resnet56")):
        cost = hours(f"{network}_cifar10", runs=9, epochs=30)
        yield f"{network} on {data}: plain, SE, ECA, 3 seeds", compare.format(data, network), cost
    kth = "senet run studies/kth_table3.toml 'seeds=[0,1,2]' --data-dir DIR --device cuda --graph"
    yield (
        "fresh seeds of the KTH networks, all 14: the spread that the chance computation lacks",
        kth,
        on_a_gpu("kth_table3", runs=42, epochs=200),
    )
    search = "senet search studies/spaces/search_resnet20.toml -s greedy --data-dir DIR epochs=15"
    trained = 14 * 2 + 4 * 5  # schemes of greedy with 2 seeds; winner, 2 references and plain with 5 fresh ones
    yield (
        "a search over ratios on all of CIFAR-10, confirmed",
        search,
        hours("resnet20_cifar10", runs=trained, epochs=15),
    )
    tune = "python benchmarks/finetune.py DIR --seeds 5 --pretrain 30 --epochs 5 --images 50000 --test-images 10000"
    yield (
        "fine-tuning of a network that starts above 90 %",
        tune,
        hours("resnet20_cifar10", runs=1, epochs=30 + 5 * 4 * 5),
    )


def left(what: str, report: str, command: str, *, runs: int) -> Iterator[Sequence[str]]:
    """Describe the runs that a report still lacks, with the time that the others took; nothing if it has them all."""
    done = finished(report)
    if missing := runs - len(done):
        yield what, command, f"{missing} runs of {hours_of(report):.1f} core hours, as the {len(done)} others took"


def finished(report: str) -> list[Result]:
    return list(read_results(STUDIES / "reports" / report / "results.jsonl").values())


def hours_of(report: str) -> float:
    """Return the mean time of the runs of a report [h]."""
    return fmean(sum(epoch.seconds for epoch in one.curve) for one in finished(report)) / 3600


def rate(report: str) -> float:
    """Return the multiply-adds a second of the runs of a report; a training step counts as three forward passes."""
    done = finished(report)
    macs = sum(3 * one.macs * one.train_images * len(one.curve) for one in done)
    return macs / sum(epoch.seconds for one in done for epoch in one.curve)


def total(study: str, *, runs: int, epochs: int) -> float:
    """Scale the multiply-adds that a study states to other runs and epochs."""
    said = tomllib.loads((STUDIES / f"{study}.toml").read_text("utf-8"))["cost"].split()
    whole, length, macs = int(said[0]), int(said[3]), float(said[5])
    return macs * runs * epochs / (whole * length)


def hours(study: str, *, runs: int, epochs: int, at: str = "resnet20_cifar100") -> str:
    """Return the work of a study, and its core hours at the rate of the runs of the report `at`."""
    macs = total(study, runs=runs, epochs=epochs)
    return f"{macs:.1e} multiply-adds, about {macs / rate(at) / 3600:,.0f} core hours"


def on_a_gpu(study: str, *, runs: int, epochs: int) -> str:
    macs = total(study, runs=runs, epochs=epochs)
    return f"{macs:.1e} multiply-adds: {macs / GPU / 3600:.1f} hours of a GPU that sustains {GPU:.0e} a second"
