"""Damaged copies of what a run leaves and of maps of classes: a right record or one line, whatever the bytes are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.mutations import TOKENS, as_file, judge, mutants

from senet import SESpec
from senet.data import DataSpec
from senet.execution.store import read_results
from senet.experiments.early_stopping import Pruned, Rule, Threshold, curve_of, read_pruned
from senet.experiments.failed_run import Failed, read_failed
from senet.experiments.recipe import Recipe
from senet.experiments.result import Epoch, Result
from senet.experiments.run import Run
from senet.networks.class_map import read_class_map
from senet.training.run_folder import read_result

RUN = Run(data=DataSpec(val_size=10), recipe=Recipe(epochs=2), se=(SESpec(reduction=(8, 2, 16)),))
CURVE = tuple(Epoch(epoch=n, lr=0.1, train_loss=1.0, test_loss=2.5, correct=1, correct5=2, seconds=1.0) for n in (1, 2))
COUNTS: dict[str, Any] = {"params": 5, "macs": 7, "train_images": 9, "train_seconds": 1.0}
RESULT = Result(
    run=RUN, curve=CURVE, classes=("a", "ü"), confusion=((1, 0), (1, 0)), data="0123", notes=("n",), **COUNTS
)
PRUNED = Pruned(
    run=RUN, rule=Rule(rule="median"), threshold=Threshold(level=50.0, others=4), curve=CURVE[:1], total=2, data="0123"
)
LINES = "".join(json.dumps(line) + "\n" for line in RESULT.as_dict()["curve"])

KINDS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "result.json": (json.dumps(RESULT.as_dict()), lambda path: read_result(path.parent), "result.json"),
    "results.jsonl": (json.dumps(RESULT.as_dict()) + "\n", read_results, "results.jsonl"),
    "pruned.json": (json.dumps(PRUNED.as_dict()), lambda path: read_pruned(path.parent), "pruned.json"),
    "failed.json": (
        json.dumps(Failed.of(RUN, ValueError("x")).as_dict()),
        lambda path: read_failed(path.parent),
        "failed.json",
    ),
    "metrics.jsonl": (LINES, lambda path: curve_of(path.parent), "metrics.jsonl"),
    "map of classes in JSON": ('{"497": ["n03028079", "church"], "1": "cat"}', read_class_map, "map.json"),
    "map of classes in CSV": ('number,name\n497,"church, old"\n1,cat\n', read_class_map, "map.csv"),
    "map of classes in lines": ("n03028079 church, building\ncat\n", read_class_map, "map.txt"),
}


@pytest.mark.parametrize("count", [100, pytest.param(20_000, marks=[pytest.mark.slow, pytest.mark.timeout(3600)])])
@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_record_is_right_or_one_line(kind: str, count: int, tmp_path: Path) -> None:
    content, read, name = KINDS[kind]
    (tmp_path / name).write_text(content)
    assert read(tmp_path / name)
    verdict = judge(as_file(read, tmp_path / name), mutants(content.encode(), count=count, seed=1, tokens=TOKENS))
    assert not verdict.faults, verdict
