"""`senet search`: from a space of designs to a choice."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from senet.cli.machine import Machines
from senet.cli.option_groups import unfolded
from senet.cli.options import (
    Json,
    Output,
    RetryFailed,
    Runs,
    Words,
)
from senet.cli.printing import print_files, print_json, warn_without_figures
from senet.cli.study_output import folder_for_report

__all__ = ["search"]


@unfolded
def search(
    space_file: Annotated[
        Path, typer.Argument(metavar="SPACE", help="A TOML file, e.g. studies/spaces/search_resnet20.toml")
    ],
    words: Words = None,
    strategy: Annotated[
        str, typer.Option("--strategy", "-s", help="greedy, grid, random, tpe, nsga2, or shared")
    ] = "greedy",
    trials: Annotated[int | None, typer.Option("--budget-trials", help="Designs to train; 0 is no limit")] = None,
    minutes: Annotated[float | None, typer.Option("--budget-minutes", help="Of training; 0 is no limit")] = None,
    params: Annotated[
        int | None, typer.Option("--budget-params", help="Largest network to try [parameters]; 0 is no limit")
    ] = None,
    stop_early: Annotated[
        str | None,
        typer.Option(
            "--stop-early",
            help="off or median: end trainings that fall behind on held-out images; default as SPACE says",
        ),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Write the report again from what is there; train nothing")
    ] = False,
    *,
    machine: Machines,
    runs: Runs = Path("runs"),
    retry_failed: RetryFailed = False,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Search for ratios, variants and slots; choose by held-out images, never by the test set.

    Writes the table, the Pareto front and the choice as a file for `senet train` and `senet run`. Start it again after
    a stop: it goes on where it was. Example: `senet search studies/spaces/search_resnet20.toml -s shared`
    """
    from senet.cli.train_runs import announce
    from senet.execution.executors import load_cached
    from senet.execution.store import Store
    from senet.experiments import decoding
    from senet.reports.console import Board
    from senet.reports.search_report import findings_dict, write_report
    from senet.reports.search_terminal import show_search
    from senet.search.reread import lists_beside, reread
    from senet.search.run_search import check_strategy, run_search, with_options
    from senet.search.space import read_space
    from senet.text import command_line

    check_strategy(strategy)
    space = read_space(space_file, changes=decoding.assign(words or []))
    space = with_options(space, trials=trials, minutes=minutes, params=params, stop_early=stop_early)
    folder = output or Path("out") / f"{space.name}-{strategy}"
    typed = sys.argv[1:]
    if report_only:
        lists = lists_beside(folder)
        found = reread(space, strategy, Store(runs, lists=lists), folder)
        command = command_line([word for word in typed if word != "--report-only"])
        again = command_line(typed)
    else:
        setup = machine.setup()
        folder = folder_for_report(folder, space.owns, chosen=output is not None)
        lists = lists_beside(folder)
        warn_without_figures()
        found = run_search(
            space,
            strategy,
            Store(runs),
            setup,
            retry_failed=retry_failed,
            lists=lists,
            announce=None if as_json else lambda run, most: announce([run], setup, load_cached, at_most=most),
            open_display=partial(Board, quiet=as_json),
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
