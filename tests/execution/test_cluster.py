"""Runs on a Ray cluster: two real nodes on this machine, dying workers, nodes and drivers, nodes that do not fit."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from senet.data import DataSpec
from senet.errors import UsageError
from senet.execution.execute import execute
from senet.execution.store import Store
from senet.experiments.recipe import RECIPES
from senet.experiments.result import Result
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.spec import SESpec

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

ray: Any = pytest.importorskip("ray", reason="Ray is not installed")
DATA = DataSpec(train_size=400, test_size=100)
SETUP = Setup(threads=1, save_every=0.5)
SOURCE = Path(__file__).parents[2] / "src"


def runs(count: int, *, epochs: int = 3) -> list[Run]:
    recipe = replace(RECIPES["digits"], epochs=epochs)
    designs: tuple[tuple[SESpec, ...], ...] = ((), (SESpec(reduction=4),))
    return [
        Run(model="resnet8", se=designs[number % 2], data=DATA, recipe=recipe, seed=number // 2)
        for number in range(count)
    ]


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))  # for the nodes' processes
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    yield
    ray.shutdown()


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    made.add_node(num_cpus=2)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Weights of the twelve runs, each trained in this process."""
    folder = tmp_path_factory.mktemp("alone")
    done = list(execute(runs(12), Store(folder), SETUP))
    assert len(done) == 12
    return weights(folder)


def weights(folder: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in folder.glob("*/model.safetensors")}


def on(cluster: Any) -> Setup:
    return replace(SETUP, cluster=cluster.address)


def workers() -> list[psutil.Process]:
    """Processes in which Ray runs a task of ours."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        line = process.info["cmdline"] or []
        if line and line[0].startswith("ray::") and "seed" in line[0]:
            found.append(process)
    return found


def wait_until(true: Any, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


def test_runs_on_two_nodes_have_the_bits_of_runs_alone(cluster: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    done = list(execute(runs(12), Store(tmp_path), on(cluster)))
    assert sorted(result.run.id for result in done) == sorted(alone)
    assert weights(tmp_path) == alone
    assert not list(tmp_path.glob(".cluster-*"))


def test_a_node_that_is_lost_costs_no_run(cluster: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    second = cluster.list_all_nodes()[1]
    done: list[Any] = []
    for result in execute(runs(12), Store(tmp_path), on(cluster)):
        done.append(result)
        if len(done) == 3:
            cluster.remove_node(second, allow_graceful=False)
    assert len({result.run.id for result in done}) == len(done) == 12
    assert weights(tmp_path) == alone


def test_killed_workers_cost_no_run(cluster: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    """At least 20 workers die by -9 at random moments; every run is complete once, with the bits of a run alone."""
    words = driver(tmp_path / "runs", cluster.address, count=12)
    chance, killed = random.Random(0), 0
    trained = 0
    while killed < 20:
        assert trained < 10, f"only {killed} workers could be killed"
        with subprocess.Popen(words, env=os.environ) as process:
            while process.poll() is None:
                time.sleep(chance.uniform(0.3, 1.5))
                victims = workers()
                if victims and killed < 20 + trained:
                    chance.choice(victims).kill()
                    killed += 1
            assert process.returncode == 0
        trained += 1
        assert weights(tmp_path / "runs") == alone
        if killed < 20:
            shutil.rmtree(tmp_path / "runs")
    wait_until(lambda: not workers())


def driver(folder: Path, address: str, *, count: int, epochs: int = 3) -> list[str]:
    """Return the words that start a driver in a process of its own."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[5])\n"
        "from test_cluster import SETUP, runs\n"
        "from dataclasses import replace\n"
        "from pathlib import Path\n"
        "from senet.execution.execute import execute\n"
        "from senet.execution.store import Store\n"
        "from senet.errors import SenetError\n"
        "setup = replace(SETUP, cluster=sys.argv[2])\n"
        "try:\n"
        "    found = list(execute(runs(int(sys.argv[3]), epochs=int(sys.argv[4])), Store(Path(sys.argv[1])), setup))\n"
        "except SenetError as error:\n"
        "    print(error, file=sys.stderr)\n"
        "    sys.exit(error.exit_code)\n"
        "assert len(found) == int(sys.argv[3])\n"
    )
    return [sys.executable, "-c", code, str(folder), address, str(count), str(epochs), str(Path(__file__).parent)]


def test_a_driver_that_is_killed_is_started_again(cluster: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    words = driver(tmp_path, cluster.address, count=12)
    with subprocess.Popen(words, env=os.environ) as process:
        wait_until(lambda: len(weights(tmp_path)) >= 2)
        process.kill()
    wait_until(lambda: not workers())  # nothing goes on without its driver
    assert len(weights(tmp_path)) < 12
    subprocess.run(words, env=os.environ, check=True)
    assert weights(tmp_path) == alone


def test_ctrl_c_saves_and_the_same_command_goes_on(cluster: Any, tmp_path: Path) -> None:
    words = driver(tmp_path / "runs", cluster.address, count=4, epochs=40)
    with subprocess.Popen(words, env=os.environ) as process:
        wait_until(lambda: sum(path.stat().st_size > 0 for path in tmp_path.glob("runs/*/metrics.jsonl")) == 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(300) == 130
    wait_until(lambda: not workers())
    assert not weights(tmp_path / "runs")
    before = {path: len(path.read_text().splitlines()) for path in tmp_path.glob("runs/*/metrics.jsonl")}
    assert all(before.values())
    subprocess.run(words, env=os.environ, check=True)
    list(execute(runs(4, epochs=40), Store(tmp_path / "alone"), SETUP))
    assert weights(tmp_path / "runs") == weights(tmp_path / "alone")


def test_two_drivers_share_the_runs(cluster: Any, alone: dict[str, bytes], tmp_path: Path) -> None:
    words = driver(tmp_path, cluster.address, count=12)
    first, second = (subprocess.Popen(words, env=os.environ) for _ in range(2))
    assert (first.wait(600), second.wait(600)) == (0, 0)
    assert weights(tmp_path) == alone


def test_a_node_with_other_code_is_refused_at_the_start(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("senet.execution.cluster.executor.source_digest", lambda: "other")
    with pytest.raises(UsageError, match=r"^cluster=.*: node [\d.]+ has another version of senet than the driver; "):
        list(execute(runs(2), Store(tmp_path), on(cluster)))
    assert not list(tmp_path.iterdir())


def test_a_node_that_does_not_see_the_runs_is_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from senet.execution.cluster import executor as module

    monkeypatch.setattr(module, "PROBE", "elsewhere")  # what the driver writes is not where a node looks
    with pytest.raises(UsageError, match=r"node [\d.]+ does not see .*, the folder of the runs; put --runs on a disk"):
        list(execute(runs(2), Store(tmp_path), on(cluster)))


def test_nodes_that_do_not_answer_in_time_are_named(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("senet.execution.cluster.executor.START", 0.0)
    with pytest.raises(UsageError, match=r"^cluster=.*: no answer in 0 s from node [0-9a-f]{8}, [0-9a-f]{8}; free "):
        list(execute(runs(2), Store(tmp_path), on(cluster)))
    assert not list(tmp_path.iterdir())


def test_a_node_that_joins_with_other_images_takes_no_part(
    cluster: Any, alone: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The late node finds another data set under the same path; the others train all runs."""
    monkeypatch.setenv("SENET_TEST_OTHER_IMAGES", "1")  # seen by the node that starts now, see `sitecustomize`
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        "import os\n"
        "if os.environ.get('SENET_TEST_OTHER_IMAGES'):\n"
        "    import sklearn.datasets as d\n"
        "    whole = d.load_digits\n"
        "    def other(*a, **k):\n"
        "        found = whole(*a, **k)\n"
        "        found.images[:] = 16 - found.images  # of one image the few that are drawn here know nothing\n"
        "        return found\n"
        "    d.load_digits = other\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{SOURCE}")
    cluster.add_node(num_cpus=4)
    monkeypatch.delenv("SENET_TEST_OTHER_IMAGES")
    monkeypatch.setenv("PYTHONPATH", str(SOURCE))
    with pytest.warns(UserWarning, match=r"a node is excluded: node [\d.]+ has other images of digits than the driver"):
        done = list(execute(runs(12), Store(tmp_path / "runs"), on(cluster)))
    assert all(isinstance(one, Result) for one in done)
    assert weights(tmp_path / "runs") == alone


def test_a_run_that_fails_by_itself_lets_the_others_go_on(cluster: Any, tmp_path: Path) -> None:
    from senet.experiments.failed_run import Failed

    good = runs(4)
    bad = replace(good[0], recipe=replace(good[0].recipe, optim=replace(good[0].recipe.optim, lr=1e9)))
    done = list(execute([bad, *good], Store(tmp_path), on(cluster)))
    assert [one.run for one in done if isinstance(one, Failed)] == [bad]
    assert {one.run for one in done if isinstance(one, Result)} == set(good)


def test_no_cluster_at_an_address_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^cluster=127.0.0.1:1: no Ray cluster answers .*start one"):
        list(execute(runs(1), Store(tmp_path), replace(SETUP, cluster="127.0.0.1:1")))


def test_the_command_starts_ray_here(tmp_path: Path) -> None:
    words = [
        sys.executable, "-m", "senet", "compare", "--seeds", "2", "--epochs", "1", "--se", "standard", "--cluster",
        "local", "--threads", "1", "data.train_size=200", "data.test_size=100", "--runs", str(tmp_path / "runs"),
    ]  # fmt: skip
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    assert len(weights(tmp_path / "runs")) == 4
    wait_until(lambda: not workers())
