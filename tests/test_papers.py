"""Every number of the papers' tables is in a study, and every study builds the networks that the papers count."""

import math
import re
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from study_work import CLASSES, SIDES, counted, work
from torch import nn

from senet.experiments.metrics import METRICS
from senet.experiments.recipe import RECIPES
from senet.experiments.run import Run
from senet.experiments.study import Study, read_study
from senet.models import create_model
from senet.nn import SqueezeExcite
from senet.spec import SESpec

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for path in sorted((ROOT / "studies").glob("*.toml"))
    if not path.stem.endswith("_quick") and "\nsource = " in path.read_text(encoding="utf-8")
]
"""Studies of the papers' tables; those of our own questions have no source."""
BY_NAME = {path.stem: path for path in FILES}
PAPERS = ("variations", "senet", "reduction_ratio")
OURS = {
    "top1_acc": "accuracy", "top5_acc": "accuracy5", "test_acc": "accuracy", "test_loss": "loss",
    "top1_err": "top1_error", "top5_err": "top5_error",
}  # fmt: skip
"""What the transcription calls a metric, and what a study calls it."""
VARIANTS = {"se": "standard", "no_squeeze": "standard"}
SLOTS = {"replaces_conv2": "standard", "conv3x3": "inner"}
MODELS = {"shufflenet_v1_1x_g3": "shufflenet_v1", "shake26_2x96d_cutout": "shake26_2x96d"}
ARCHITECTURE = {"reduction_ratio/table1", "reduction_ratio/table2"}
"""Tables without results: the network and the learning rates, see below and tests/experiments/test_recipe.py."""


@pytest.fixture(scope="session")
def papers(shared: Path) -> dict[str, Any]:
    """The transcribed papers by name."""
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    return {name: yaml.safe_load((shared / "papers" / f"{name}.yaml").read_text(encoding="utf-8")) for name in PAPERS}


@cache
def study(name: str, *, quick: bool = False) -> Study:
    return read_study(BY_NAME[name], quick=quick)


def transcribed(papers: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every table of results, with the row that one source lost."""
    tables = [table for paper in papers.values() for table in paper["tables"] if table["id"] not in ARCHITECTURE]
    return {table["id"]: table["rows"] + table.get("beyond_seed", {}).get("rows", []) for table in tables}


SEEN: set[tuple[Any, ...]] = set()


def networks(name: str) -> list[tuple[str, Run]]:
    """Return the networks of a study at both scales that no study before had."""
    rows = [row for quick in (False, True) for row in study(name, quick=quick).rows]
    found = {(row.run.model, row.run.se): (row.id, row.run) for row in reversed(rows)}
    fresh = [network for key, network in found.items() if key not in SEEN]
    SEEN.update(found)
    return fresh


def built(run: Run) -> nn.Module:
    """Build the network of a run on no device."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # r = 16 on the 16 channels of CIFAR networks
        size = run.data.size or SIDES[run.data.name]
        return create_model(run.model, se=run.se or None, num_classes=CLASSES[run.data.name], image_size=size)


def params(run: Run) -> int:
    return sum(p.numel() for p in built(run).parameters())


# ---- every number


def test_every_table_of_results_is_a_study_and_every_study_is_a_table(papers: dict[str, Any]) -> None:
    tables = {study(name).table for name in BY_NAME}
    assert tables == transcribed(papers).keys()
    assert len(tables) == 16


def test_every_number_of_the_papers_is_in_its_row_of_its_study(papers: dict[str, Any]) -> None:
    checked = 0
    for table, rows in transcribed(papers).items():
        for mine in (study(name) for name in BY_NAME if study(name).table == table):
            assert [row.id for row in mine.rows] == [row["id"] for row in rows], mine.name
            for row, wanted in zip(mine.rows, rows, strict=True):
                numbers = {OURS.get(k, k): float(v) for k, v in wanted["values"].items() if v is not None}
                assert dict(row.paper) == numbers, (mine.name, row.id)
                checked += len(numbers)
    assert checked == 273 + 34  # the table of KTH is transcribed twice, for both readings of its recipe


def test_no_study_holds_a_number_twice_or_of_an_unknown_metric() -> None:
    for name in BY_NAME:
        for row in study(name).rows:
            assert len(dict(row.paper)) == len(row.paper)
            assert dict(row.paper).keys() <= METRICS.keys()


def test_rows_are_the_transcribed_designs(papers: dict[str, Any]) -> None:
    for table, rows in transcribed(papers).items():
        for mine in (study(name) for name in BY_NAME if study(name).table == table):
            for row, wanted in zip(mine.rows, rows, strict=True):
                if "se" not in wanted:  # the row that is known from the public paper alone
                    assert row.id.startswith("shake29")
                    continue
                where, se = f"{mine.name}: {row.id}", wanted["se"]
                assert row.run.model.split(".")[0] == MODELS.get(wanted["model"], wanted["model"]), where
                assert len(row.run.se) == (se is not None), where
                if se is None:
                    continue
                (spec,) = row.run.se
                reduction = se["reduction"] or 16
                assert spec.variant == VARIANTS.get(se["variant"], se["variant"]), where
                assert spec.reduction == (reduction if isinstance(reduction, int) else tuple(reduction)), where
                assert (spec.squeeze, spec.gate) == (se["squeeze"], se["gate"]), where
                assert spec.slot == SLOTS.get(se["placement"], se["placement"]), where
                stages = () if se["stages"] in ("all", None) else tuple(stage - 1 for stage in se["stages"])
                assert spec.stages == stages, where  # the paper counts from 2
                if se.get("fc_bias") is not None:
                    assert spec.bias == se["fc_bias"], where


def test_what_the_papers_state_of_their_training_is_in_the_recipes(papers: dict[str, Any]) -> None:
    tables = {table["id"]: table for table in papers["variations"]["tables"]}
    for number in (2, 3, 4):
        mine = study(f"variations_table{number}").rows[0].run
        stated = tables[f"variations/table{number}"]["training"]
        assert mine.recipe.batch_size == stated["stated"]["batch_size"]
        assert mine.data.size == {2: 0, 3: stated["input_size"]["stated"], 4: 0}[number]
        assert bool(mine.recipe.augment.flip and mine.recipe.augment.resized_crop) == (number == 3)
    stated = papers["senet"]["training"]["beyond_seed"]
    large, small = RECIPES["senet-imagenet"], RECIPES["senet-mobile"]
    assert (large.batch_size, large.epochs, large.optim.lr, large.optim.momentum) == tuple(
        stated["imagenet_table2"][name] for name in ("batch_size", "epochs", "learning_rate", "momentum")
    )
    assert (small.batch_size, small.optim.lr) == (256, stated["mobile_table3"]["learning_rate"])
    assert [epoch for epoch, _ in RECIPES["senet-ablation"].schedule.steps] == [125, 200, 250]
    assert RECIPES["senet-ablation"].optim.lr == stated["ablation"]["learning_rate"]
    kth = papers["reduction_ratio"]["training"]["stated"]
    for name in ("kth_table3", "kth_table3_paper"):
        recipe = study(name).rows[0].run.recipe
        assert (recipe.epochs, recipe.batch_size, recipe.optim.lr) == (
            kth["epochs"], kth["batch_size"], kth["initial_learning_rate"],
        )  # fmt: skip


def test_the_iterations_of_the_pre_activation_recipe_are_those_of_its_paper() -> None:
    recipe = RECIPES["preact"]
    lr = [recipe.optim.lr * recipe.schedule.factor(step / 391, epochs=164) for step in (0, 399, 400, 31_999, 32_000)]
    assert lr == pytest.approx([0.01, 0.01, 0.1, 0.1, 0.01])
    assert recipe.optim.lr * recipe.schedule.factor(48_000 / 391, epochs=164) == pytest.approx(0.001)


def test_gains_are_differences_to_the_row_that_a_study_names(papers: dict[str, Any]) -> None:
    checked = 0
    for name in ("senet_imagenet", "senet_mobile"):
        rows = {row.id: row for row in study(name).rows}
        for row in rows.values():
            paper = dict(row.paper)
            if "top1_gain" in paper:
                base = dict(rows[row.versus].paper)
                assert base["top1_error"] - paper["top1_error"] == pytest.approx(paper["top1_gain"])
                assert base["top5_error"] - paper["top5_error"] == pytest.approx(paper["top5_gain"])
                checked += 1
    assert checked == 10


def test_the_greedy_search_of_the_study_finds_the_winner_of_its_paper(papers: dict[str, Any]) -> None:
    accuracy = {row.run.se[0].reduction: dict(row.paper)["accuracy"] for row in study("kth_table3").rows if row.run.se}
    for phase in papers["reduction_ratio"]["greedy_search"]["phases"]:
        tried = [tuple(scheme) for scheme in phase["evaluated"]]
        assert max(tried, key=accuracy.__getitem__) == tuple(phase["winner"])


# ---- every network


@pytest.mark.parametrize("name", BY_NAME)
def test_every_network_of_a_study_builds(name: str) -> None:
    for row, run in networks(name):
        blocks = sum(isinstance(module, SqueezeExcite) for module in built(run).modules())
        assert (blocks > 0) == bool(run.se), row


def test_networks_have_the_parameters_that_the_papers_print() -> None:
    """The rule: biases counted, rounded up; MobileNet rounds alike, ShuffleNet is cut off."""
    checked = 0
    for name in BY_NAME:
        for row in study(name).rows:
            if (printed := dict(row.paper).get("params_m")) is None:
                continue
            biased = Run(model=row.run.model, se=tuple(s.but(bias=True) for s in row.run.se), data=row.run.data)
            number = params(biased) / 1e5
            if row.run.model == "shufflenet_v1":
                assert math.floor(number) / 10 == printed, row.id
            elif row.run.model == "mobilenet_v1":
                assert round(number) / 10 == printed, row.id
            else:
                assert math.ceil(number) / 10 == printed, row.id
                assert any("rounded up" in said for said in study(name).discrepancies), name
            checked += 1
    assert checked == 20


@pytest.mark.slow
def test_networks_have_the_multiply_adds_that_the_papers_print() -> None:
    known = ("inception_resnet_v2", "shufflenet_v1")  # the studies say so
    for name in ("senet_imagenet", "senet_mobile", "senet_stages", "senet_se_3x3", "senet_no_squeeze"):
        for row in study(name).rows:
            paper = dict(row.paper)
            if (printed := paper.get("gflops", paper.get("mflops", 0) / 1e3)) and row.run.model not in known:
                assert counted(row.run).macs / 1e9 == pytest.approx(printed, rel=0.006), (name, row.id)


def test_the_facts_of_complexity_follow_from_the_networks(papers: dict[str, Any]) -> None:
    facts = {fact["id"]: fact["value"] for fact in papers["senet"]["complexity_facts"]}
    plain, se, without = (
        params(Run(model="resnet50", se=se, data=study("senet_stages").rows[0].run.data))
        for se in ((), (SESpec(bias=False),), (SESpec(bias=False, stages=(1, 2, 3)),))
    )
    assert round((se - plain) / 1e6, 1) == facts["extra_parameters"]
    assert round(100 * (se / plain - 1)) == facts["extra_parameters_relative"]
    assert round(100 * (without / plain - 1)) == facts["without_final_stage"]
    rows = {row.id: dict(row.paper) for row in study("senet_imagenet").rows}
    assert rows["resnet50/reimplementation"]["gflops"] == facts["resnet50_gflops"]
    assert rows["resnet50/se"]["gflops"] == facts["se_resnet50_gflops"]
    assert rows["resnet101/reimplementation"]["gflops"] == facts["resnet101_gflops"]
    relative = 100 * (facts["se_resnet50_gflops"] / facts["resnet50_gflops"] - 1)
    assert round(relative, 2) == facts["relative_increase"]


def test_the_architecture_table_of_kth_is_the_network(papers: dict[str, Any]) -> None:
    (table,) = [t for t in papers["reduction_ratio"]["tables"] if t["id"] == "reduction_ratio/table1"]
    rows = {row["name"]: row for row in table["rows"]}
    network = create_model(study("kth_table3_paper").rows[0].run.model)
    sizes: dict[str, tuple[int, ...]] = {}
    for name in ("stem", "stage1", "stage2", "stage3"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, out, name=name: sizes.update({name: tuple(out.shape[1:])})
        )
    network.eval()(torch.zeros(1, 3, 32, 32))
    names = {"stem": "Initial Conv Layer", "stage1": "Stage 1", "stage2": "Stage 2", "stage3": "Stage 3"}
    for ours, theirs in names.items():
        h, w, c = rows[theirs]["output_hwc"]
        assert sizes[ours] == (c, h, w)
        if ours != "stem":
            assert len(list(network.get_submodule(ours).children())) == rows[theirs]["resnet52"]["repeat"]
    layers = sum(isinstance(module, nn.Conv2d | nn.Linear) for module in network.modules())
    assert layers == 52


def test_kth_networks_have_the_parameters_of_the_authors_weights(papers: dict[str, Any]) -> None:
    wanted = papers["reduction_ratio"]["training"]["beyond_seed"]["trainable_parameters"]
    by_scheme = {
        "-".join(map(str, row.run.se[0].reduction)) if row.run.se else "resnet52": row.run  # type: ignore[arg-type]
        for row in study("kth_table3").rows
    }
    assert {scheme: params(by_scheme[scheme]) for scheme in wanted} == wanted


def test_the_logs_of_kth_are_what_their_table_prints(papers: dict[str, Any]) -> None:
    logged = papers["reduction_ratio"]["training"]["beyond_seed"]["final_epoch_values_in_their_logs"]
    printed = {row.id.partition("/")[2]: dict(row.paper) for row in study("kth_table3").rows}
    for scheme, (accuracy, loss) in logged.items():
        assert printed[scheme]["accuracy"] == pytest.approx(100 * accuracy)
        assert printed[scheme]["loss"] == pytest.approx(loss, abs=6e-5)


# ---- what a study says of itself


@pytest.mark.parametrize("name", BY_NAME)
def test_every_study_names_recipe_assumptions_and_costs_and_has_a_quick_scale(name: str) -> None:
    full, quick = study(name), study(name, quick=True)
    assert full.source
    assert full.recipe_source
    assert full.assumed
    assert full.deviations
    assert not full.scaled
    assert quick.name == f"{name}_quick"
    assert quick.title == f"Quick: {full.title}"
    assert any(line.startswith("recipe.epochs: ") for line in quick.scaled)
    assert len(quick.deviations) > len(full.deviations)
    assert all(row.run.data.name != "folder" for row in quick.rows), "a laptop has no ImageNet"
    assert [row.paper for row in quick.rows] == [row.paper for row in full.rows]
    assert [len(row.run.se) for row in quick.rows] == [len(row.run.se) for row in full.rows]


def said(text: str) -> float:
    found = re.search(r"([\d.]+e\d+) multiply-adds", text)
    assert found, text
    return float(found[1])


@pytest.mark.slow  # counting the networks of all studies takes a minute
@pytest.mark.parametrize("name", BY_NAME)
def test_the_cost_of_a_study_is_counted(name: str) -> None:
    for quick in (False, True):
        mine = study(name, quick=quick)
        assert said(mine.cost) == pytest.approx(work(mine), rel=0.05)
        assert mine.cost.startswith(f"{len(mine.runs())} runs of ")
