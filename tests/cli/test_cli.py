"""The commands as a user meets them: tables, files, JSON, and errors of one line with an exit code."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image
from safetensors.torch import save_file

import senet as senet_package
from senet.files.atomic import storage_error
from senet.files.lock import RunLock

TINY = ["data.train_size=200", "data.test_size=100", "threads=1", "--epochs", "1", "--device", "cpu"]
COMPARED = [*TINY, "-j", "1", "--no-cost"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A folder of runs for comparisons of which training is not the point: the first trains, the others read."""
    return "--runs", str(tmp_path_factory.mktemp("runs"))


def test_compare_ends_in_a_table_a_picture_and_results(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, err = call("compare", "--se", "standard:reduction=4", "--seeds", "2", *COMPARED)
    assert code == 0, err
    assert "standard r=4" in out
    assert "baseline" in out
    assert "±" in out
    assert "left" in err, "progress goes to stderr"
    folder = tmp_path / "out" / "digits-resnet8"
    assert {p.name for p in folder.iterdir()} == {"report.md", "table.csv", "figure.png", "results.jsonl"}
    assert (folder / "figure.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert [row["id"] for row in rows] == ["plain", "standard:reduction=4"]
    assert int(rows[1]["params"]) > int(rows[0]["params"])
    report = (folder / "report.md").read_text()
    assert "senet compare --se standard:reduction=4" in report
    assert len((folder / "results.jsonl").read_text().splitlines()) == 4


def test_the_cost_is_measured_once_shown_kept_and_reported(call, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("senet.training.cost_measurement.SECONDS", 0.0)
    words = ("compare", "--se", "standard", "--seeds", "1", *TINY, "-j1")
    code, out, err = call(*words)
    assert code == 0, err
    assert "measuring the cost of 2 networks" in err
    assert "Cost, as ratios to plain with the same treatment" in out
    assert len([line for line in out.splitlines() if line.startswith((" plain ", " standard r=16 "))]) == 6
    folder = tmp_path / "out" / "digits-resnet8"
    assert (folder / "costs.jsonl").read_text() == (tmp_path / "runs" / "costs.jsonl").read_text()
    assert "| standard r=16 | optimized |" in (folder / "report.md").read_text()
    row = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))[1]
    code, out, err = call(*words, "--json")
    assert "measuring" not in err
    found = json.loads(out)
    assert found["rows"][0]["cost"]["ordinary"]["step"] == {"median": 1.0, "low": 1.0, "high": 1.0}
    assert found["rows"][1]["cost"]["optimized"]["latency"]["median"] == pytest.approx(float(row["latency_optimized"]))
    assert (found["cost"]["batch"], found["cost"]["shape"]) == (64, [1, 8, 8])
    code, out, _ = call(*words, "--no-cost", "--json")
    assert json.loads(out)["cost"] is None


def test_equal_time_trains_the_plain_network_longer_and_compares_with_it(call, monkeypatch, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("senet.training.cost_measurement.interleave", _step_of_the_gated_takes_twice)
    code, out, err = call("compare", "--se", "standard", "--seeds", "2", "--equal-time", *TINY, "-j", "1", "--json")
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert [row["label"] for row in rows] == ["plain", "plain, equal time", "standard r=16"]
    assert [row["versus"] for row in rows] == [None, None, "plain equal time"]
    epochs = {one["run"]["recipe"]["epochs"] for one in json.loads(out)["results"] if not one["run"]["se"]}
    assert epochs == {1, 2}
    assert rows[1]["cost"]["ordinary"] == rows[0]["cost"]["ordinary"]


def _step_of_the_gated_takes_twice(candidates, **_):  # type: ignore[no-untyped-def]
    from senet.speed.interleave import Timing

    return {name: Timing((1.0 + at // 2,) * 3) for at, name in enumerate(candidates)}


@pytest.mark.usefixtures("no_matplotlib")
def test_a_second_compare_reads_what_the_first_trained(call, runs: tuple[str, str]) -> None:  # type: ignore[no-untyped-def]
    words = ("compare", "--se", "standard", "--seeds", "1", "--json", *COMPARED, *runs)
    code, first, _ = call(*words)
    assert code == 0
    _, second, _ = call(*words)
    assert json.loads(first)["results"] == json.loads(second)["results"]
    plain, gated = json.loads(first)["rows"]
    assert (plain["id"], plain["difference"], gated["versus"]) == ("plain", None, "plain")
    assert (gated["difference"]["n"], gated["difference"]["low"]) == (1, None)


@pytest.mark.slow  # six trainings, a minute of CPU
def test_blocks_pay_off_on_the_control(call) -> None:  # type: ignore[no-untyped-def]
    code, out, err = call(
        "compare", "--data", "control", "--se", "standard", "--seeds", "3", "--json", "--device", "cpu"
    )
    assert code == 0, err
    plain, gated = json.loads(out)["rows"]
    assert gated["verdict"]["word"] == "pays off"
    assert gated["difference"]["low"] > 10
    assert plain["metrics"]["accuracy"]["mean"] < 100 * 13 / 16  # more than a sum over cue and patterns can reach


@pytest.mark.usefixtures("no_matplotlib")
def test_another_comparison_goes_beside_the_report_that_is_there(  # type: ignore[no-untyped-def]
    call, tmp_path: Path, runs: tuple[str, str]
) -> None:
    words = ("compare", "--se", "standard", *COMPARED, *runs)
    assert call(*words, "--seeds", "1")[0] == 0
    report = tmp_path / "out" / "digits-resnet8" / "report.md"
    before = report.read_text()
    code, out, err = call(*words, "--seeds", "1", "optim.lr=0.01")
    assert code == 0, err
    assert "out/digits-resnet8 holds the report of another comparison; this one goes to out/digits-resnet8-2" in err
    assert "written: out/digits-resnet8-2/report.md" in out.splitlines()
    assert report.read_text() == before
    code, out, _ = call(*words, "--seeds", "2")
    assert (code, "written: out/digits-resnet8/report.md" in out.splitlines()) == (0, True), "more seeds update it"
    assert report.read_text() != before


@pytest.mark.usefixtures("no_matplotlib")
def test_without_matplotlib_a_comparison_ends_in_its_table_and_a_report(  # type: ignore[no-untyped-def]
    call, tmp_path: Path, runs: tuple[str, str]
) -> None:
    code, out, err = call("compare", "--se", "standard", "--seeds", "1", *COMPARED, *runs)
    assert code == 0, err
    first, *_, last = err.splitlines()
    assert first.startswith("senet: there will be no figure: a figure needs matplotlib; run: pip install matplotlib")
    assert last.startswith("senet: no figure was drawn: ")
    assert "standard r=16" in out
    folder = tmp_path / "out" / "digits-resnet8"
    assert {path.name for path in folder.iterdir()} == {"report.md", "table.csv", "results.jsonl"}


def test_a_full_disk_under_the_report_leaves_the_table_and_ends_in_one_line(  # type: ignore[no-untyped-def]
    call, monkeypatch: pytest.MonkeyPatch, runs: tuple[str, str]
) -> None:
    def full(path: Path, text: str) -> None:
        raise storage_error(path, OSError(28, "No space left on device"), needed=len(text))

    monkeypatch.setattr("senet.reports.study_report.write_text", full)
    words = ("compare", "--se", "standard", "--seeds", "1", *COMPARED, *runs)
    code, out, err = call(*words)
    assert code == 5
    assert "standard r=16" in out
    assert "no space left on the disk" in err.splitlines()[-1]
    code, out, _ = call(*words, "--json")
    assert (code, json.loads(out)["files"], len(json.loads(out)["rows"])) == (5, [], 2)


@pytest.mark.slow  # each starts Python and torch
@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "latin-1", "cp437"])
@pytest.mark.parametrize("words", [("insert", "resnet8"), ("models", "resnet8"), ("--help",)])
def test_a_command_prints_in_any_encoding(words: tuple[str, ...], encoding: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "senet", *words],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode(encoding)
    assert done.stdout.decode(encoding)


@pytest.mark.usefixtures("no_matplotlib")
def test_one_seed_says_that_it_says_nothing(call, runs: tuple[str, str]) -> None:  # type: ignore[no-untyped-def]
    _, out, _ = call("compare", "--se", "standard", "--seeds", "1", *COMPARED, *runs)
    assert "no interval" in out


def test_an_evaluation_that_means_nothing_is_no_result(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    weights = senet_package.create_model("resnet8", num_classes=10, in_chans=1).state_dict()
    wild = {name: value * 1e20 if value.ndim == 4 else value for name, value in weights.items()}  # finite, all of them
    save_file({name: value.contiguous() for name, value in wild.items()}, tmp_path / "wild.safetensors")
    asked = ("--model", "resnet8", "--data", "digits", "--weights", str(tmp_path / "wild.safetensors"))
    code, out, err = call("eval", *asked)
    assert code == 6
    assert out == ""
    assert "the loss over the test images is nan, so the outputs are meaningless" in err


def test_train_says_what_it_is_about_to_train_and_that_it_only_guesses(call) -> None:  # type: ignore[no-untyped-def]
    code, _, err = call("train", *TINY)
    assert code == 0, err
    assert "digits: 200 training and 100 test images of 8x8 pixels in 1 channel, 10 classes" in err
    assert "resnet8: 1 run of 1 epoch, batch 64, sgd lr 0.1 cosine" in err
    assert "1 trained network is not better than guessing (plain, seed 0: " in err
    code, _, err = call("train", *TINY)
    assert code == 0, err
    assert "training and" not in err  # it is read, not trained


def test_train_eval_and_report_agree(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call(
        "train", "--data", "digits", "--se", "slow_both:reduction=4", "-o", "one", "--seed", "3",
        "data.train_size=200", "data.test_size=100", "optim.lr=0.05", "--epochs", "2", "--json",
    )  # fmt: skip
    assert code == 0
    result = json.loads(out)
    assert result["run"]["recipe"]["optim"]["lr"] == 0.05
    assert result["run"]["seed"] == 3
    code, out, _ = call("eval", "one", "--json")
    assert code == 0
    assert json.loads(out)["correct"] == result["curve"][-1]["correct"]
    measured = json.loads(out)
    assert measured["confusion"] == result["confusion"]
    assert (measured["model"], measured["se"], measured["weights"]) == ("resnet8", "slow_both r=4", "one")
    assert measured["data"]["name"] == "digits"
    assert json.loads((tmp_path / "one" / "run.json").read_text()) == result["run"]
    assert measured["run"]


@pytest.mark.usefixtures("no_matplotlib")
def test_a_study_file_trains_its_base_with_changes(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "s.toml").write_text(
        'title = "t"\n[base]\nmodel = "resnet8"\ndata = { name = "digits", train_size = 200, test_size = 100 }\n'
        'recipe = { preset = "digits", epochs = 1 }\n[axes]\nse = ["plain", "bump"]\n'
    )
    code, out, _ = call("train", "s.toml", "se.reduction=8", "--json")
    assert code == 0
    assert json.loads(out)["run"]["se"][0]["reduction"] == 8
    code, out, _ = call("report", "s.toml")
    assert code == 0
    assert "missing" in out
    assert "no results yet, nothing written; `senet run s.toml` trains them" in out
    assert not (tmp_path / "reports").exists()
    assert call("train", "s.toml", "--se", "bump", "--runs", "runs")[0] == 0
    code, out, _ = call("report", "s.toml")
    assert code == 0
    assert "missing" in out
    assert "written: " in out
    code, out, err = call("run", "s.toml", "-j", "1", "--device", "cpu")
    assert code == 0, err
    assert "missing" not in out
    assert (tmp_path / "reports" / "s" / "report.md").exists()


@pytest.mark.slow
def test_a_quick_study_says_what_it_changes(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "s.toml").write_text(
        'title = "t"\nsource = "a paper"\n[base]\nmodel = "resnet8"\ndata = "digits"\nrecipe = "digits"\n'
        "[quick]\nrun = { data = { train_size = 200, test_size = 100 }, recipe = { epochs = 1 } }\n"
        "[pictures]\ncurves = []\nconfusion = []\nper_class = []\n"
        '[[rows]]\nid = "plain"\npaper = { accuracy = 90.0 }\n'
        '[[rows]]\nid = "se"\nse = "standard:reduction=4"\npaper = { accuracy = 91.0 }\n'
    )
    code, out, err = call("run", "s.toml", "--quick", "-j", "1", "--device", "cpu")
    assert code == 0, err
    assert "quick scale, recipe.epochs: 15 -> 1" in out
    folder = tmp_path / "reports" / "s_quick"
    report = (folder / "report.md").read_text()
    assert "**Quick scale: this is not the paper's setting**" in report
    assert "- recipe.epochs: 15 -> 1\n" in report
    assert "- data.train_size: 0 -> 200\n" in report
    for name in ("curves", "confusion", "per_class"):
        assert f"]({name}.png)" in report
        assert (folder / f"{name}.png").exists()
    code, again, _ = call("report", "s.toml", "--quick", "--json")
    assert code == 0
    assert len(json.loads(again)["results"]) == 2


def test_models_and_cost_print_the_papers_counts(call) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call("models", "resnet50*", "--json")
    assert code == 0
    rows = {row["network"]: row for row in json.loads(out)}
    assert rows["resnet50"]["params"] == 25_557_032
    assert rows["resnet50"]["params_with_se"] == 28_088_024
    assert rows["resnet50"]["macs"] == pytest.approx(3858.0e6, abs=0.1e6)
    code, out, _ = call("cost", "resnet50", "--se", "standard:bias=false", "--blocks")
    assert code == 0
    assert "28,071,976" in out
    assert "stage4.unit3.se" in out
    assert "caution" not in out


def test_the_cost_names_blocks_that_a_ratio_leaves_one_hidden_unit(call) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call("cost", "resnet20")
    assert code == 0
    assert "3 of 9 blocks have a single hidden unit, e.g. 16-1-16 at stage1.unit1.se" in " ".join(out.split())
    for design in ("standard:reduction=4", "eca"):
        assert "caution" not in call("cost", "resnet20", "--se", design)[1]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("compare", "--model", "resnet2O"), 2, "Did you mean resnet32, resnet26, resnet20?"),
        (("compare", "--se", "slow"), 2, "choose one of"),
        (("compare", "--se", "standard:reduction=8-2"), 2, "reduction = (8, 2) names 2 stages, resnet8 has 3"),
        (("compare", "recipe.optm.lr=1"), 2, "Did you mean 'optim'?"),
        (("compare", "lr"), 2, "not an assignment"),
        (("compare", "--seeds", "0"), 2, "--seeds = 0 is out of range; give a whole number from 1 to 1,000"),
        (("compare", "se.reduction=8"), 2, "with --se"),
        (("compare", "-o", "/proc/x"), 5, "/proc/x"),
        (("compare", "--runs", "/proc/x"), 5, "/proc/x"),
        (("train", "--runs", "/proc/x/y"), 5, "/proc/x/y"),
        (("train", "-o", "/proc/x"), 5, "/proc"),
        (("eval", "run", "--weights", "x.pt"), 3, "run does not exist"),
        (("cost", "resnet20", "--num-classes", "-3"), 2, "num_classes = -3"),
        (("train", "--cluster", "auto"), 2, "train has no --cluster; cluster=... is a setting of compare, run, search"),
        (("insert", "resnet8", "--epochs", "3"), 2, "insert has no --epochs; --epochs is an option of compare, train"),
        (("compare", "--train", "t.py:f", "--epochs", "3"), 2, "--train does its own training; leave out --epochs"),
        (("compare", "--train", "gone.py:f"), 2, "gone.py does not exist"),
        (("compare", "--train", "gone.py"), 2, "names no function"),
        (("compare", "--train", "t.py:f", "--device", "cpu", "--no-cost"), 2, "leave out cost, device"),
        (("compare", "--builder", "net.py:build"), 2, "--builder is for folders"),
        (("compare", "--data", "cifar11"), 2, "cifar10"),
        (("compare", "--data", "cifar10", "--data-dir", "nowhere"), 3, "nowhere"),
        (("compare", "--device", "tpu"), 2, "tpu"),
        (("train", "--device", "cpu", "--graph"), 2, "leave it out"),
        (("run", "nothing.toml"), 3, "does not exist"),
        (("report", "nothing.toml"), 3, "does not exist"),
        (("eval", "nothing"), 3, "does not exist"),
        (("eval",), 2, "--weights"),
        (("eval", "--model", "resnet20", "--weights", "nothing.pt", "--data", "digits"), 4, "nothing.pt"),
        (("cost", "resnet51"), 2, "Did you mean 'resnet5"),
        (("models", "nope*"), 2, "no network matches"),
        (("insert", "senet:resnet7"), 2, "resnet8"),
        (("insert", "resnet8", "--out", "x.pt"), 2, "--output x.pt"),
        (("insert", "resnet8", "--slot", "last"), 2, "slot = 'last'"),
        (("insert", "resnet8", "--se", "plain"), 2, "one design at a time"),
        (("insert", "resnet8", "--weights", "nothing.pt"), 4, "nothing.pt"),
        (("insert", "resnet8", "--se", "standard", "--se", "bump"), 2, "--se is given 2 times, and insert takes one"),
        (("cost", "resnet8", "--se=bump", "--se=bump"), 2, "--se is given 2 times, and cost takes one"),
        (("train", "--se", "plain", "--se", "a", "--se", "b"), 2, "--se is given 3 times, and train takes"),
        (("insert", "resnet8", "--se", "standard+bump"), 2, "insert takes one design at a time"),
        (("compare", "--se", "plain"), 2, "add a design, e.g. --se standard"),
        (("compare", "--se", "plain", "--se=plain"), 2, "compares the plain network with itself"),
        (("train", "--epochs", "0"), 2, "epochs"),
        (("cost", "a", "b"), 2, "cost --help` lists"),
        (("cost", "resnet20", "--sea", "plain"), 2, "No such option: --sea"),
        (("cots",), 2, "Did you mean 'cost'? `senet --help` lists"),
        (("compare", "--seeds", "few"), 2, "--seeds"),
        (("cost", "se_resnet50"), 2, "use 'resnet50' with blocks, e.g. --se standard"),
        (("compare", "--model", "SEResNet20"), 2, "Did you mean resnet20 with --se standard?"),
        (("cost", "se-vgg16_bn"), 2, "use 'vgg16_bn' with blocks"),
        (("cost", "resnt20"), 2, "is not known. Did you mean 'resnet20'? `senet models` lists all"),
    ],
)
def test_a_mistake_ends_in_one_line_and_an_exit_code(call, words: tuple[str, ...], code: int, said: str) -> None:  # type: ignore[no-untyped-def]
    got, out, err = call(*words)
    assert (got, out) == (code, ""), err
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert said in lines[0]


def test_the_hint_of_classes_is_given_for_weights_of_another_network_alone(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    import torch

    from senet import create_model

    torch.save(create_model("resnet8", num_classes=7).state_dict(), tmp_path / "seven.pt")
    (tmp_path / "broken.pt").write_bytes(b"no weights")
    assert "(--num-classes changes the outputs of the network)" in call("insert", "resnet8", "--weights", "seven.pt")[2]
    for name in ("nothing.pt", "broken.pt", "."):
        code, _, err = call("insert", "resnet8", "--weights", name)
        assert code == 4
        assert "--num-classes" not in err


def test_insert_draws_the_stages_and_writes_weights_that_load(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from safetensors.torch import load_file

    import senet as library

    code, out, err = call("insert", "resnet8", "-r", "4", "--image-size", "32", "--out", "gated.safetensors")
    assert code == 0, err
    assert "stage 2       16x16  ─■─  32 channels" in out
    assert "stage3.unit1.branch.norm2.se standard     3" in out
    model = library.create_model("resnet8")
    done = library.insert(model, library.SESpec(reduction=4), shape=(1, 3, 32, 32))
    model.load_state_dict(load_file(tmp_path / "gated.safetensors"))
    code, out, err = call("insert", "resnet8", "-r", "4", "--image-size", "32", "--json")
    assert code == 0, err
    values = json.loads(out)
    assert [block["name"] for block in values["blocks"]] == list(done.names)
    assert values["params"] == done.params
    assert values["network_params"] == sum(p.numel() for p in library.create_model("resnet8").parameters())


def test_debug_shows_the_traceback(call) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Exception, match="resnet20"):
        call("--debug", "compare", "--model", "resnet2O")


@pytest.mark.parametrize("kind", [RuntimeError, EOFError])
def test_what_nobody_foresaw_is_one_line_too(call, kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    def fail(pattern: str) -> None:
        raise kind("at sea\nsecond line")

    monkeypatch.setattr("senet.reports.zoo_costs.matching", fail)
    code, out, err = call("models")
    assert (code, out) == (1, "")
    assert err.strip() == (
        f"senet: unexpected {kind.__name__}: at sea; `senet --debug ...` shows the traceback: please report it with "
        "that and the command."
    )
    with pytest.raises(Exception, match="sea") if kind is RuntimeError else pytest.raises(typer.Abort):
        call("--debug", "models")


@pytest.mark.usefixtures("no_matplotlib")
def test_changes_have_one_short_form_everywhere(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "s.toml").write_text(
        'title = "t"\n[base]\nmodel = "resnet8"\ndata = { name = "digits", train_size = 200, test_size = 100 }\n'
        'recipe = { preset = "digits", epochs = 1 }\n[axes]\nse = ["plain"]\n'
    )
    rates = []
    for word in ("optim.lr=0.01", "recipe.optim.lr=0.01"):
        code, out, err = call("run", "s.toml", word, "-j", "1", "--device", "cpu", "--json")
        assert code == 0, err
        rates.append(json.loads(out)["results"][0]["run"]["recipe"]["optim"]["lr"])
    assert rates == [0.01, 0.01]


def test_without_a_command_there_is_the_help_and_no_empty_error(call) -> None:  # type: ignore[no-untyped-def]
    code, out, err = call()
    assert (code, err) == (2, "")
    assert "compare" in out


def test_help_of_every_command_says_what_it_does(call) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call("--help")
    assert code == 0
    for name in ("compare", "run", "report", "train", "eval", "models", "cost", "insert"):
        assert name in out


def test_the_version_is_printed(call) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = call("--version")
    assert code == 0
    assert out.startswith("senet 0.")


def photographs(folder: Path, *, grey: int) -> Path:
    for split, number in (("train", 6), ("val", 2)):
        for label, shift in (("cat", 0), ("dog", 90)):
            (folder / split / label).mkdir(parents=True)
            for index in range(number):
                picture = Image.new("RGB", (16, 16), (grey + shift + index,) * 3)
                picture.save(folder / split / label / f"{index}.png")
    return folder


def test_remarks_on_the_images_are_said_before_the_training(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    tree = photographs(tmp_path / "pets", grey=20) / "train"
    (tree / "cat" / "torn.png").write_bytes(b"not an image")
    code, _, err = call("train", "--data-dir", str(tree), "--model", "resnet8", "--epochs", "1", "on_bad_image=skip")
    assert code == 0
    said = err.splitlines()
    assert said[0].startswith("train: 9 training and 3 test images")
    assert said[1:3] == [
        "- train has no split: a fixed choice of 3 of 12 images is the test set",
        "- 1 unreadable image skipped: cat/torn.png",
    ]


@pytest.mark.usefixtures("no_matplotlib")
def test_two_folders_have_runs_of_their_own_and_changed_pictures_are_refused(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    from senet.execution import executors

    first, other = photographs(tmp_path / "first", grey=10), photographs(tmp_path / "other", grey=40)
    words = ("compare", "--model", "resnet8", "--se", "standard", "--seeds", "1", "data.size=16")
    tiny = ("--epochs", "1", "-b", "4", "-j", "1", "--device", "cpu", "--no-cost")
    for place in (first, other):
        code, _, err = call(*words, *tiny, "--data-dir", str(place))
        assert code == 0, err
        assert (Path("out") / f"{place.name}-resnet8" / "report.md").exists()
    picture = first / "train" / "cat" / "0.png"
    before = picture.stat().st_size
    content = bytearray(Image.new("RGB", (16, 16), (99,) * 3).tobytes())
    Image.frombytes("RGB", (16, 16), bytes(content)).save(picture)
    assert picture.stat().st_size == before
    executors.load_cached.cache_clear()  # as in a process of its own
    code, out, err = call(*words, *tiny, "--data-dir", str(first))
    assert (code, out) == (4, "")
    assert "was trained on other images" in err


def test_what_one_command_writes_the_others_read(call) -> None:  # type: ignore[no-untyped-def]
    digits = ("--data", "digits", "data.train_size=200", "data.test_size=100")
    assert (
        call("train", "--model", "resnet8", "--se", "standard:reduction=4", "--epochs", "1", "-o", "run", *digits)[0]
        == 0
    )
    code, out, err = call("insert", "run", "--se", "standard:slot=pre", "--out", "inserted")
    assert (code, err) == (0, "")
    assert "written: inserted\n- senet.from_pretrained('inserted') loads it" in out
    result = [json.loads(call("eval", name, "--json", *more)[1]) for name, more in (("run", ()), ("inserted", digits))]
    assert [result[0][key] for key in ("correct", "loss")] == [result[1][key] for key in ("correct", "loss")]
    assert result[1]["model"] == "resnet8"
    code, _, err = call("fold", "inserted", *digits, "--tolerance", "inf", "--statistics", "50", "-o", "folded")
    assert code == 0, err
    assert json.loads(call("eval", "folded", "--json", *digits)[1])["total"] == 100
    counted = json.loads(call("cost", "folded", "--json")[1])
    assert counted["gated"]["se"]["params"] == 0
    code, _, err = call("eval", "folded", "--data", "digits", "--model", "resnet8")
    assert code == 2
    assert "has its own network and weights" in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("compare", "-j", "-1"), "--jobs = -1 is out of range"),
        (("compare", "--jobs", "-100"), "--jobs = -100 is out of range"),
        (("compare", "--threads", "-2"), "threads = -2 is out of range"),
        (("train", "--workers", "-3"), "workers = -3 is out of range"),
        (("search", "none.toml", "-s", "../../x"), "--strategy = '../../x' is not known"),
        (("search", "none.toml", "-s", "greedi"), "Did you mean 'greedy'?"),
    ],
)
def test_numbers_and_names_are_refused_before_anything_is_made(  # type: ignore[no-untyped-def]
    call, words: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    code, _, err = call(*words)
    assert code == 2
    assert said in err
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


STUDY = """
title = "Try"
seeds = [0]
[base]
model = "resnet8"
data = { name = "digits", train_size = 200, test_size = 50 }
recipe = { preset = "digits", epochs = 1, batch_size = 50 }
[[rows]]
id = "plain"
label = "Without blocks"
[[rows]]
id = "lost"
recipe = { optim = { lr = 1e5 } }
"""


@pytest.mark.usefixtures("no_matplotlib")
def test_a_row_that_diverges_is_reported_and_remembered_and_the_others_are_there(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "try.toml").write_text(STUDY)
    code, out, err = call("run", "try.toml", "-j", "1")
    assert code == 6
    assert "0 of 1 missing" in out
    assert err.splitlines()[-1].startswith("senet: 1 of 2 runs failed; the first is resnet8 plain seed 0: ")
    assert err.splitlines()[-1].endswith("add retry_failed=true.")
    code, out, err = call("run", "try.toml", "-j", "1", "--json")
    assert (code, len(json.loads(out)["results"]), len(json.loads(out)["failed"])) == (6, 1, 1)
    code, _, err = call("run", "try.toml", "-j", "1")
    assert "1/2 Without blocks seed 0:" in err
    assert "(already there)" in err
    assert "failed at 2" in err
    code, out, _ = call("status", "try.toml")
    assert code == 0
    assert out.splitlines()[-1] == "2 runs: 1 done, 1 failed"
    code, out, _ = call("status", "--json")
    assert sorted(one["state"] for one in json.loads(out)["runs"]) == ["done", "failed"]
    assert call("status", "--runs", "nowhere")[1] == "no runs in nowhere\n"

    out = call("report", "try.toml", "recipe.epochs=7")[1]
    assert "2 runs with other settings are there: `senet runs` lists them" in out

    def listed(*words: str) -> list[str]:
        return sorted(one["state"] for one in json.loads(call("runs", "--json", *words)[1])["runs"])

    assert listed() == listed("try.toml") == ["done", "failed"]
    assert listed("try.toml", "seeds=[7]") == []
    assert "written: runs/names" in call("runs", "--names")[1]
    links = {link.name: link.resolve().name for link in (tmp_path / "runs" / "names").iterdir()}
    assert len(links) == 2
    assert all(name.endswith(f"-seed0-{run}") for name, run in links.items())
    code, _, err = call("runs", "--clear", "failed")
    assert code == 2
    assert "would remove 1 runs" in err
    assert "add --yes, as there is no terminal to ask on" in err
    assert call("runs", "--clear", "done")[0] == 2
    with RunLock(next(tmp_path.glob("runs/*/result.json")).parent):
        code, out, _ = call("runs", "--clear", "all", "--yes")
        assert out.splitlines()[-1].startswith("removed 1 of 2 runs")
    assert listed() == ["done"]
    (tmp_path / "runs" / "mine").mkdir()
    assert call("runs", "--clear", "all", "--yes")[0] == 0
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["mine"]


def test_run_tests_its_output_folder_before_it_trains(call, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "try.toml").write_text(STUDY)
    (tmp_path / "file").write_text("")
    code, _, err = call("run", "try.toml", "-j", "1", "-o", "file/reports")
    assert code == 5
    assert "a part of the path is a file" in err
    assert not (tmp_path / "runs").exists()
