"""Results print as tables: on a terminal, in a notebook, in any encoding."""

from dataclasses import replace

import pytest
import torch
from hosts import Basic, conv, host, resnet
from torch import nn

import senet
from senet.cost_table import count_table, giga_table
from senet.fast.inference.optimized import Report
from senet.spec import SESpec
from senet.surgery.insertion.drawing import insertion_text
from senet.tables import cell_width
from senet.text import PLAIN

SHAPE = (1, 3, 16, 16)


@pytest.mark.usefixtures("unchecked")  # torch.fx traces with proxies
def test_reports_print_as_text_and_in_a_notebook():
    model = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 16, 3))
    images = torch.rand(2, 3, 16, 16)
    for report in (
        senet.optimize(model.eval()).report,
        senet.accelerate(model, backend="reference"),
        senet.fold(model, [images]),
    ):
        assert repr(report) == str(report)
        assert max(map(len, str(report).splitlines())) < 120
        assert report._repr_html_().startswith("<pre>")


def test_an_optimized_network_says_which_maps_it_wants():
    report = Report(norms=("1",), left_norms=(), blocks=(), sums=0, convolutions=("0",))
    assert "channels last" in str(report)
    assert "channels last" not in str(replace(report, convolutions=()))


def results():
    model = resnet()
    planned = senet.plan(model, SESpec(reduction=4), shape=SHAPE)
    senet.insert(model, SESpec(reduction=4), shape=SHAPE)
    return {"plan": planned, "find": senet.find(model), "cost": senet.cost(model, shape=SHAPE)}


@pytest.fixture(scope="module")
def printed():
    return results()


@pytest.mark.parametrize("name", ["plan", "find", "cost"])
def test_a_result_prints_as_a_table_with_a_line_for_each_block(printed, name):
    result = printed[name]
    text = str(result)
    assert repr(result) == text
    assert max(map(len, text.splitlines())) < 120
    assert all(block in text for block in ("unit1.bn2.se", "unit2.bn2.se", "unit3.bn2.se"))
    assert "16-4-16" in text
    assert result._repr_html_().startswith("<pre>")


def test_the_text_of_a_notebook_is_escaped():
    names = type("SELayer<b>", (nn.Module,), {})()
    names.down, names.up = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
    found = senet.find(nn.Sequential(names))
    assert "<b>" in str(found)
    assert "<b>" not in found._repr_html_()


def test_a_plan_says_what_share_of_the_convolutions_it_reaches(printed):
    planned = printed["plan"]
    assert (planned.gated, planned.convolutions) == (6, 8)  # not the stem and the projection
    assert "8  6 of them in a unit with a block" in str(planned)


def test_units_that_have_a_block_count_as_reached():
    model = host(Basic(8, 8), Basic(8, 8))
    senet.insert(model, SESpec(reduction=4), at="unit1", shape=SHAPE)
    again = senet.plan(model, SESpec(reduction=4), at="unit1", shape=SHAPE)
    assert (len(again), again.gated, again.convolutions) == (0, 2, 5)


def test_no_blocks_are_said_in_words():
    assert str(senet.find(conv(3, 8))) == "no squeeze-and-excitation blocks"


@pytest.mark.parametrize("columns", [40, 60, 72, 80, 120])
@pytest.mark.parametrize("deep", [3, 60], ids=["shallow", "deep"])
def test_a_result_is_never_wider_than_the_terminal(columns, deep, printed, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(columns))
    planned = printed["plan"]
    blocks = [replace(planned.blocks[1], name=f"features.{'x' * 20}.{at}.se", stage=1 + at // 50) for at in range(deep)]
    texts = [
        insertion_text(replace(planned, blocks=tuple(blocks)), title="timm:network", network=(10**9, 10**12)),
        str(printed["find"]),
        str(printed["cost"]),
        str(count_table(vars(printed["cost"]), vars(printed["cost"].se), plain=vars(printed["cost"]))),
        str(giga_table({"macs+add+gap+scale": {"plain": 1234.5678, "gated": 1234.5678}})),
    ]
    assert max(cell_width(line) for text in texts for line in text.splitlines()) <= columns
    assert texts[0].count("■") == deep
    assert all(block.name in texts[0] for block in blocks)
    assert all("16-4-16" in text for text in texts[:3])


def test_a_pipe_gets_all_columns(printed, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    block = printed["plan"].blocks[1]
    line = next(line for line in str(printed["plan"]).splitlines() if line.startswith(f" {block.name} "))
    size = "x".join(map(str, block.resolution))
    assert line.split() == [
        block.name,
        block.slot,
        str(block.stage),
        size,
        "16-4-16",
        f"{block.params:,}",
        f"{block.macs:,}",
    ]


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_a_drawing_fits_into_any_encoding(printed, encoding):
    text = str(printed["plan"]).encode(encoding, PLAIN).decode(encoding)
    assert "-#-#-  16 channels" in text


def test_ratios_that_leave_one_hidden_unit_everywhere_are_warned_of():
    model = host(Basic(24, 24), Basic(24, 24), width=24)
    with pytest.warns(UserWarning, match=r"reduction = 16 leaves a hidden layer of 1 unit in each of 2 of 2.*24-1-24"):
        senet.insert(model, SESpec(reduction=16), shape=SHAPE)
    assert torch.isfinite(model(torch.randn(SHAPE))).all()
