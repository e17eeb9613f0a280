"""`senet run`: train what a study lacks."""

from pathlib import Path
from typing import Annotated

import typer

from senet.cli.asked import asked_study, check_models, report_folder
from senet.cli.ending import finish, warn_without_figures
from senet.cli.machine import make_setup
from senet.cli.options import (
    BadImage,
    Cluster,
    DataDir,
    Device,
    Download,
    Fused,
    Gpus,
    Graph,
    Jobs,
    Json,
    Output,
    PerGpu,
    Quick,
    RetryFailed,
    Runs,
    TensorBoard,
    Threads,
    Words,
    Workers,
)
from senet.cli.place import place_of_report
from senet.cli.training import train_all

__all__ = ["run"]


def run(
    study_file: Annotated[
        Path, typer.Argument(metavar="STUDY", help="A TOML file, e.g. studies/variations_table1_quick.toml")
    ],
    words: Words = None,
    quick: Quick = False,
    data_dir: DataDir = None,
    device: Device = "auto",
    jobs: Jobs = 0,
    workers: Workers = 0,
    threads: Threads = 0,
    gpus: Gpus = None,
    per_gpu: PerGpu = 1,
    cluster: Cluster = None,
    fused: Fused = True,
    graph: Graph = False,
    runs: Runs = Path("runs"),
    retry_failed: RetryFailed = False,
    output: Output = None,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Train what a study lacks and report it. Start it again after a stop: it goes on where it was.

    Several commands on one folder of runs (--runs), also on several machines, share the work.
    """
    study = asked_study(study_file, words, quick=quick)
    check_models(study)
    setup = make_setup(
        data_dir,
        device,
        jobs,
        workers,
        threads=threads,
        gpus=gpus,
        per_gpu=per_gpu,
        cluster=cluster,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
        graph=graph,
    )
    committed = report_folder(study_file, study)
    lists, wanted = (committed / "results.jsonl",), set(study.runs())
    folder = place_of_report(output or committed, wanted.__contains__, said=output is not None or not words)
    warn_without_figures()
    results, failed = train_all(study, runs, setup, quiet=as_json, lists=lists, retry_failed=retry_failed)
    finish(study, results, folder, as_json=as_json, failed=failed)
