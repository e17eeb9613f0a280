"""A ratio for each block: what it means, how it is written, and that everything after it goes on as before."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import senet
from senet import SESpec
from senet.errors import SpecError
from senet.execution.store import read_results
from senet.experiments import decoding
from senet.experiments.run import Run
from senet.experiments.study import Row, Study, read_study
from senet.models import create_model
from senet.nn import Site, SqueezeExcite
from senet.search.confirmation import study_text
from senet.surgery.finding.find import find
from senet.weights import load_weights, state_dict_as

REPORTS = Path(__file__).parents[1] / "studies" / "reports"
NESTED = ((8, 4, 2), 2, (16, 4, 16))
SPEC = SESpec(reduction=NESTED)
WIDTHS = [2, 4, 8, 16, 16, 16, 4, 16, 4]
FAMILIES = ["resnet20", "resnet50", "preact_resnet110", "wrn16_8", "kth_resnet52", "vgg16_bn", "bn_inception"]
FAMILIES += ["inception_resnet_v2", "mobilenet_v1", "shufflenet_v1", "shake26_2x96d", "shake29_2x4x64d", "cnn3"]


def hidden(model: torch.nn.Module) -> list[int]:
    return [block.widths[1] for block in model.modules() if isinstance(block, SqueezeExcite)]


# ---- the value


def test_a_block_has_the_ratio_of_its_place() -> None:
    assert [SPEC.ratio(stage, unit) for stage in (1, 2, 3) for unit in (1, 2, 3)] == [8, 4, 2, 2, 2, 2, 16, 4, 16]
    with pytest.raises(SpecError, match=r"reduction\[0\] = \(8, 4, 2\) names 3 blocks, block 4 of stage 1 is asked"):
        SPEC.ratio(1, 4)
    assert hidden(create_model("resnet20", se=SPEC)) == WIDTHS


def test_equal_ratios_in_a_stage_are_the_network_of_one_ratio() -> None:
    torch.manual_seed(0)
    one = create_model("resnet20", se=SESpec(reduction=(8, 2, 16))).state_dict()
    torch.manual_seed(0)
    other = create_model("resnet20", se=SESpec(reduction=((8, 8, 8), 2, (16, 16, 16)))).state_dict()
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert list(one) == list(other)


@pytest.mark.parametrize("reduction", [((8, 0), 2), ((), 2), ((8, (4,)), 2), (("8", 4), 2), ((True, 4), 2)])
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_ratio_is_refused(reduction: object) -> None:
    with pytest.raises(SpecError, match="or for a stage one for each of its blocks"):
        SESpec(reduction=reduction)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_counts_its_blocks_from_one(name: str) -> None:
    seen: dict[int, list[int]] = {}

    def gates(site: Site) -> dict[str, torch.nn.Module]:
        seen.setdefault(site.stage, []).append(site.unit)
        return {}

    with torch.device("meta"):
        create_model(name, se=gates)
    units = {stage: list(dict.fromkeys(found)) for stage, found in seen.items()}
    assert all(found == list(range(1, len(found) + 1)) for found in units.values())
    ratios = tuple(tuple(1 + (stage + unit) % 3 for unit in found) for stage, found in units.items())
    with torch.device("meta"):
        model = create_model(name, se=SESpec(reduction=ratios))
        short = SESpec(reduction=(*ratios[:-1], (*ratios[-1], 2)))
        with pytest.raises(SpecError, match=rf"names {len(ratios[-1]) + 1} blocks, stage {len(ratios)} of .* has"):
            create_model(name, se=short)
    assert len(set(hidden(model))) > 1 or name == "cnn3"


# ---- how it is written


def test_words_tables_and_names_say_it() -> None:
    assert str(SPEC) == "standard r=8.4.2-2-16.4.16"
    assert decoding.se_designs("standard:reduction=8.4.2-2-16.4.16") == (SPEC,)
    assert decoding.se_designs({"reduction": [[8, 4, 2], 2, [16, 4, 16]]}) == (SPEC,)
    assert decoding.assign(["se.reduction=[[8, 4, 2], 2, [16, 4, 16]]"])["se"] == {
        "reduction": [[8, 4, 2], 2, [16, 4, 16]]
    }
    assert decoding.se_designs("standard:reduction=8.4.2") == (SESpec(reduction=((8, 4, 2),)),)  # of one stage
    with pytest.raises(SpecError, match="reduction = -8 is not a ratio"):
        decoding.se_designs("standard:reduction=-8")
    with pytest.raises(SpecError, match=r"se\.reduction\[0\]\[1\] = 'x' does not fit"):
        decoding.run({"se": {"reduction": [[8, "x"], 2]}})


def test_it_comes_back_from_json_and_from_a_study(tmp_path: Path) -> None:
    run = Run(model="resnet20", se=(SPEC,))
    assert decoding.run(json.loads(json.dumps(run.as_dict()))) == run
    study = Study(name="s", title="t", rows=(Row(id="plain", label="p", run=Run()), Row(id="b", label="b", run=run)))
    (tmp_path / "s.toml").write_text(study_text(study, run), encoding="utf-8")
    assert read_study(tmp_path / "s.toml").rows[1].run == run


def test_ids_of_finished_runs_stay_what_they_were() -> None:
    checked = 0
    for file in sorted(REPORTS.glob("search_*/*/search.json")):
        results = read_results(file.with_name("results.jsonl"))
        for trial in json.loads(file.read_text())["trials"]:
            for known in trial["runs"]:
                specs = decoding.se_designs(trial["se"])
                assert results[known].run.id == known  # under the id of its values today
                assert results[known].run.se == specs
                checked += 1
    assert checked > 20
    assert Run(se=(SESpec(reduction=(8, 2, 16)),)).id == "aeb1c24e2df6"
    assert len({Run(se=(SESpec(reduction=r),)).id for r in ((8, 2, 16), NESTED, ((8, 8, 8), 2, 16))}) == 3


# ---- what is done with it


def test_weights_go_to_other_libraries_and_to_a_folder_and_back(tmp_path: Path) -> None:
    model = create_model("resnet20", se=SPEC)
    twin = create_model("resnet20", se=SPEC)
    load_weights(twin, state_dict_as(model, "pytorchcv"), origin="pytorchcv")
    senet.save_pretrained(model, tmp_path / "net", name="resnet20", se=SPEC)
    again = senet.from_pretrained(tmp_path / "net")
    x = torch.rand(2, 3, 32, 32)
    assert torch.equal(model.eval()(x), twin.eval()(x))
    assert torch.equal(model(x), again(x))
    with pytest.raises(SpecError, match="build another network"):
        senet.save_pretrained(model, tmp_path / "other", name="resnet20", se=SESpec(reduction=(8, 2, 16)))


def test_an_insertion_gives_the_network_that_the_zoo_builds() -> None:
    host = create_model("resnet20")
    assert [block.widths[1] for block in senet.plan(host, SPEC, at="stage3.*", shape=(1, 3, 32, 32))] == WIDTHS[6:]
    done = senet.insert(host, SPEC, shape=(1, 3, 32, 32), ratios={"stage2.unit2": 1})
    assert [block.widths[1] for block in done] == [*WIDTHS[:4], 32, *WIDTHS[5:]]
    assert [str(block.spec) for block in done][:3] == [f"standard r={r} gate=unit_sigmoid" for r in (8, 4, 2)]
    with pytest.raises(SpecError, match=r"reduction\[0\] = \(8, 4\) names 2 blocks, stage 1 of CifarResNet has 3"):
        senet.plan(create_model("resnet20"), SESpec(reduction=((8, 4), 2, 2)), shape=(1, 3, 32, 32))


def test_costs_folding_and_removal_go_on_as_before() -> None:
    model = create_model("resnet20", se=SPEC).eval()
    counted = senet.cost(model, shape=(1, 3, 32, 32))
    assert [block.widths[1] for block in counted.blocks] == WIDTHS
    assert counted.se.params == sum(
        2 * c * h + c + h for c, h in zip([16] * 3 + [32] * 3 + [64] * 3, WIDTHS, strict=True)
    )
    for block in model.modules():
        if isinstance(block, SqueezeExcite):
            torch.nn.init.zeros_(block.fc2.weight)  # constant gates fold exactly
    x = torch.rand(4, 3, 32, 32)
    before = model(x)
    assert senet.fold(model, [x], tolerance=0).chosen == 9
    assert torch.allclose(model(x), before, atol=1e-4)
    host = create_model("resnet20").eval()
    plain = host(x)
    done = senet.insert(host, SPEC, shape=(1, 3, 32, 32))
    senet.remove(host, done.names)
    assert find(host) == ()
    assert torch.equal(host(x), plain)


def test_the_saved_values_are_plain_lists() -> None:
    assert json.loads(json.dumps(asdict(SPEC)))["reduction"] == [[8, 4, 2], 2, [16, 4, 16]]
