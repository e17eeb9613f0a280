"""`senet search`: choose a design from a space."""

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.completion import complete_setting, complete_space, complete_strategy
from senet.cli.machine import make_setup
from senet.cli.option_groups import unfolded
from senet.cli.options import DataDir, Device, Gpus, Jobs, Json, Output, Runs
from senet.cli.printing import print_files, print_json, warn_without_figures
from senet.cli.run_settings import stated_run
from senet.cli.settings_words import StudySettings
from senet.cli.study_files import find_study
from senet.cli.study_output import folder_for_report
from senet.cli.train_runs import announce
from senet.text import command_line

__all__ = ["search"]


@unfolded
def search(
    space_file: Annotated[
        Path,
        typer.Argument(
            metavar="SPACE", callback=find_study, autocompletion=complete_space,
            help="A space such as search_resnet20, or a TOML file.",
        ),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME=VALUE", autocompletion=complete_setting,
            help="Fields of SPACE, e.g. budget.trials=20 budget.minutes=60 budget.params=300000 stop_early=median "
            "epochs=10, and settings such as workers=4.",
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy", "-s", metavar="NAME", autocompletion=complete_strategy,
            help="greedy, grid (all designs), random, tpe, nsga2, or shared (one network with all ratios in it).",
        ),
    ] = "greedy",
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write the report again from the results that exist; train nothing.")
    ] = False,
    data_dir: DataDir = None,
    device: Device = "auto",
    jobs: Jobs = 0,
    gpus: Gpus = None,
    *,
    settings: StudySettings,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Search for ratios, variants and slots; the choice is made on held-out images, never on the test set.

    Writes the table, the Pareto front, and the choice as a file for `senet train` and `senet run`. Start it again after
    a stop: it resumes.

    Example: `senet search studies/spaces/search_resnet20.toml -s shared`
    """
    from senet.execution.executors import load_cached
    from senet.execution.store import Store
    from senet.experiments import decoding
    from senet.files.atomic import ensure_writable
    from senet.reports.console import RunProgress
    from senet.reports.search_report import findings_dict, write_report
    from senet.reports.search_terminal import show_search
    from senet.search.reread import lists_beside, reread
    from senet.search.run_search import check_strategy, run_search
    from senet.search.space import read_space

    check_strategy(strategy)
    space = read_space(space_file, changes=decoding.assign(words or []))
    space = replace(space, base=stated_run(space.base))
    folder = output or Path("out") / f"{space.name}-{strategy}"
    typed = sys.argv[1:]
    if report_only:
        lists = lists_beside(folder)
        found = reread(space, strategy, Store(runs, lists=lists), folder)
        command = command_line([word for word in typed if word != "--report-only"])
        again = command_line(typed)
    else:
        setup = make_setup(settings, data_dir=data_dir, device=device, jobs=jobs, gpus=gpus)
        folder = folder_for_report(folder, space.owns, chosen=output is not None)
        ensure_writable(runs)
        lists = lists_beside(folder)
        warn_without_figures()
        found = run_search(
            space,
            strategy,
            Store(runs),
            setup,
            retry_failed=settings.retry_failed,
            lists=lists,
            announce=None if as_json else lambda run, most: announce([run], setup, load_cached, at_most=most),
            open_display=partial(RunProgress, quiet=as_json),
        )
        command, again = command_line(typed), ""
    if not as_json:
        show_search(found)
    files = write_report(found, folder, command=command, again=again)
    if as_json:
        print_json({**findings_dict(found), "files": [str(file) for file in files]})
        return
    print()
    print_files(files)
