"""The evidence that is missing, with what measures it and what that costs: the end of docs/evidence.md."""

import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from senet.execution.store import read_results
from senet.tables import Table

STUDIES = Path(__file__).parents[1] / "studies"
RATE = 3e10  # multiply-adds a second that one shared core did, 2e10 to 4e10


def missing() -> Iterator[str]:
    heads = ("what", "command", "cost")
    yield "## What is missing\n"
    yield (
        "In the order of its value. Core hours are multiply-adds at 3e10 a second (one shared core did 2e10 to 4e10).\n"
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
    yield "the same with its 50 epochs", table1, hours("variations_table1", runs=30, epochs=50)
    compare = "senet compare --data {} --data-dir DIR --model {} --se standard --se eca --epochs 30 --seeds 3"
    for data, network in (("cifar10", "resnet20"), ("cifar100", "resnet56"), ("cifar10", "resnet56")):
        cost = hours(f"{network}_cifar10", runs=9, epochs=30)
        yield f"{network} on {data}: plain, SE, ECA, 3 seeds", compare.format(data, network), cost
    kth = "senet run studies/kth_table3.toml 'seeds=[0,1,2]' --data-dir DIR --device cuda --graph"
    yield (
        "fresh seeds of the KTH networks, all 14: the spread that the chance computation lacks",
        kth,
        hours("kth_table3", runs=42, epochs=200),
    )
    search = "senet search studies/spaces/search_resnet20.toml -s greedy --data-dir DIR epochs=15"
    trained = 14 * 2 + 4 * 5  # schemes of greedy with 2 seeds; winner, 2 references and plain with 5 fresh ones
    yield (
        "a search over ratios on all of CIFAR-10, confirmed",
        search,
        hours("resnet20_cifar10", runs=trained, epochs=15),
    )
    tune = "python benchmarks/finetune.py DIR --seeds 5 --pretrain 30 --epochs 5 --images 50000 --test-images 10000"
    yield "fine-tuning of a host above 90 %", tune, hours("resnet20_cifar10", runs=1, epochs=30 + 5 * 4 * 5)


def left(what: str, report: str, command: str, *, runs: int) -> Iterator[Sequence[str]]:
    """Describe the runs that a report still lacks, with the time that the others took; nothing if it has them all."""
    done = list(read_results(STUDIES / "reports" / report / "results.jsonl").values())
    if missing := runs - len(done):
        took = fmean(sum(epoch.seconds for epoch in one.curve) for one in done) / 3600
        yield what, command, f"{missing} runs of {took:.1f} core hours, as the {len(done)} others took"


def hours(study: str, *, runs: int, epochs: int) -> str:
    """Scale the multiply-adds that a study states to other runs and epochs."""
    said = tomllib.loads((STUDIES / f"{study}.toml").read_text("utf-8"))["cost"].split()
    whole, length, total = int(said[0]), int(said[3]), float(said[5])
    macs = total * runs * epochs / (whole * length)
    return f"{macs:.1e} multiply-adds, about {macs / RATE / 3600:,.0f} core hours"
