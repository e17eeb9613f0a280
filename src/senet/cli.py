"""The command line: one short function a command. Torch is imported where a command needs it, never for `--help`."""

import json
import os
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from senet.errors import SenetError, SpecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from senet.lab.execute import Setup
    from senet.lab.result import Result
    from senet.lab.run import Run
    from senet.lab.study import Study

__all__ = ["app", "main"]

app = typer.Typer(
    help="Does channel attention pay off in your network - which kind, where, at what ratio, at what cost?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

DEFAULTS = {  # data: (network, recipe, designs) of `compare` and `train` where nothing else is said
    "digits": ("resnet8", "digits", ("standard", "standard:reduction=4", "slow_both", "bump")),
    "cifar10": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "cifar100": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "svhn": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "folder": ("resnet18", "photos", ("standard",)),
}

Words = Annotated[
    list[str] | None,
    typer.Argument(help="Changes by dotted name: optim.lr=0.05 data.train_size=5000", metavar="[NAME=VALUE]..."),
]
DataName = Annotated[str, typer.Option("--data", help="digits (embedded), cifar10, cifar100, svhn, or folder")]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the data set lies")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a missing data set where the network allows")]
BadImage = Annotated[str, typer.Option("--on-bad-image", help="error, or skip (counted and named)")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="A name of `senet models`; default by data set")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Passes over the training images")]
Batch = Annotated[int | None, typer.Option("--batch-size", "-b", help="Images of one step")]
Rate = Annotated[float | None, typer.Option("--lr", help="Learning rate before the schedule")]
Preset = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="A named recipe: digits, sgd-cosine, photos, or a paper's: variations-table1, variations-resnet18, "
        "senet-imagenet, senet-mobile, senet-ablation, preact, wrn, shake-cutout, kth-authors, kth-paper",
    ),
]
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1; auto takes a GPU if there is one")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Runs at a time; 0: one a core on the CPU, one on a GPU")]
Fused = Annotated[
    bool, typer.Option("--fused/--no-fused", help="Run norms and blocks as one operation where that is faster")
]
Workers = Annotated[int, typer.Option("--workers", help="Processes that decode image files, for each run")]
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs: checkpoints, curves, results")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of table, figure and report")]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        help="Share the runs with other workers: sqlite (a file in --runs), sqlite:///FILE, postgresql://USER@HOST/NAME",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table")]
Quick = Annotated[bool, typer.Option("--quick", help="At the study's quick scale: a laptop finishes it")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard too")]


def _version(asked: bool | None) -> None:
    if asked:
        from importlib.metadata import version

        print(f"senet {version('senet')}")
        raise typer.Exit


@app.callback()
def settings(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks")] = False,
    version: Annotated[
        bool | None, typer.Option("--version", help="Print the version and leave", callback=_version, is_eager=True)
    ] = None,
) -> None:
    """Hold what all commands share."""
    global _debug
    _debug = debug


_debug = False


@app.command()
def compare(
    words: Words = None,
    data: DataName = "digits",
    data_dir: DataDir = None,
    model: Model = None,
    se: Annotated[
        list[str] | None, typer.Option("--se", help="A design, repeatable: standard, slow_both:reduction=8,bias=false")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", "-n", help="Repetitions; each design gets the same seeds")] = 5,
    epochs: Epochs = None,
    batch_size: Batch = None,
    lr: Rate = None,
    recipe: Preset = None,
    device: Device = "auto",
    jobs: Jobs = 0,
    workers: Workers = 0,
    fused: Fused = True,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Train a network plain and with SE designs, seed by seed, and say what the blocks bring and cost.

    The main job. Example: `senet compare --data cifar10 --data-dir DIR --model resnet20 --se standard --seeds 3`
    """
    from senet.lab.files import ensure_writable
    from senet.lab.study import Row, Study

    if seeds < 1:
        raise UsageError(f"--seeds {seeds}: give at least 1; intervals need 2, and 5 make them useful.")
    base = _base(words, data=data, model=model, epochs=epochs, batch_size=batch_size, lr=lr, recipe=recipe)
    if "se" in base:
        raise UsageError("compare takes its designs by --se, e.g. --se standard:reduction=8, not by se.NAME=VALUE.")
    designs = list(dict.fromkeys(["plain", *(se or _defaults(base["data"]["name"])[2])]))
    rows = [_run({**base, "se": design}) for design in designs]
    study = Study(
        name=f"{rows[0].data.name}-{rows[0].model}",
        title=f"{rows[0].model} on {rows[0].data.name}: plain against squeeze-and-excitation",
        rows=tuple(Row(id=design, label=run.design, run=run) for design, run in zip(designs, rows, strict=True)),
        seeds=tuple(range(rows[0].seed, rows[0].seed + seeds)),
    )
    _check_models(study)
    setup = _setup(
        data_dir,
        device,
        jobs,
        workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
    )
    folder = output or Path("out") / study.name
    ensure_writable(folder)  # before hours of training, not after
    results = _train_all(study, runs, setup, quiet=as_json)
    _finish(study, results, folder, as_json=as_json)


@app.command()
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
    fused: Fused = True,
    runs: Runs = Path("runs"),
    storage: Storage = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --storage: try again what was given up")
    ] = False,
    output: Output = None,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Train what a study lacks and report it. Start it again after a stop: it goes on where it was.

    With `--storage`, start it as often as you like, on as many machines as you like: each takes the next run.
    """
    if retry_failed and storage is None:
        raise UsageError("--retry-failed is about a storage that remembers failures; give --storage too.")
    study = _read_study(study_file, words, quick=quick)
    _check_models(study)
    setup = _setup(
        data_dir,
        device,
        jobs,
        workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
    )
    committed = _report_folder(study_file, study)
    lists, folder = (committed / "results.jsonl",), output or committed
    if storage is None:
        _finish(study, _train_all(study, runs, setup, quiet=as_json, lists=lists), folder, as_json=as_json)
        return
    from senet.lab.share import share

    results, failed = share(study, runs, setup, storage, quiet=as_json, lists=lists, retry_failed=retry_failed)
    _finish(study, results, folder, as_json=as_json)
    if failed is not None:
        raise failed


@app.command()
def report(
    study_file: Annotated[Path, typer.Argument(metavar="STUDY", help="A TOML file of studies/")],
    words: Words = None,
    quick: Quick = False,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Print a study from the results that exist, beside the paper's numbers; what is missing is shown as missing."""
    from senet.lab.store import Store

    study = _read_study(study_file, words, quick=quick)
    folder = _report_folder(study_file, study)
    store = Store(runs, lists=(folder / "results.jsonl",))
    results = {run: found for run in study.runs() if (found := store.get(run)) is not None}
    made = f"senet run {study_file}{' --quick' * quick} --data-dir DIR"
    _finish(study, results, output or folder, as_json=as_json, command=made)


@app.command()
def studies(
    folder: Annotated[Path, typer.Argument(help="Where the TOML files lie")] = Path("studies"),
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown table, as docs/studies.md has it")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the studies with what they cost at full and at quick scale."""
    from senet.lab.catalogue import list_studies, studies_markdown

    rows = list_studies(folder)
    if as_json:
        _print_json(rows)
    elif as_markdown:
        print(studies_markdown(rows), end="")
    else:
        _print_columns([{name: value for name, value in row.items() if name != "shows"} for row in rows])


@app.command()
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
    data_dir: DataDir = None,
    device: Device = "auto",
    jobs: Jobs = 0,
    workers: Workers = 0,
    runs: Runs = Path("runs"),
    output: Output = None,
    as_json: Json = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Search for ratios, variants and slots; choose by held-out images, never by the test set.

    Writes the table, the Pareto front and the choice as a file for `senet train` and `senet run`. Start it again after
    a stop: it goes on where it was. Example: `senet search studies/spaces/search_resnet20.toml -s shared`
    """
    from senet import decode
    from senet.lab.files import ensure_writable
    from senet.lab.search.command import run_search, show, with_budget
    from senet.lab.search.report import findings_dict, write_report
    from senet.lab.search.space import read_space
    from senet.lab.store import Store

    space = read_space(space_file, changes=decode.assign(words or []))
    space = with_budget(space, trials=trials, minutes=minutes, params=params)
    setup = _setup(data_dir, device, jobs, workers, download=download, on_bad_image=on_bad_image)
    folder = output or Path("out") / f"{space.name}-{strategy}"
    ensure_writable(folder)
    found = run_search(space, strategy, Store(runs), setup, quiet=as_json)
    files = write_report(found, folder, command=_command())
    if as_json:
        _print_json({**findings_dict(found), "files": [str(file) for file in files]})
        return
    show(found, _show_study)
    print("\nwritten: " + ", ".join(str(file) for file in files))


@app.command()
def train(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="A study file whose [base] is trained, and changes: se.reduction=8", metavar="[STUDY] [NAME=VALUE]..."
        ),
    ] = None,
    data: Annotated[str | None, typer.Option("--data", help="digits, cifar10, cifar100, svhn, or folder")] = None,
    data_dir: DataDir = None,
    model: Model = None,
    se: Annotated[str | None, typer.Option("--se", help="A design, e.g. slow_both:reduction=8; default plain")] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of weights, order and augmentation")] = None,
    epochs: Epochs = None,
    batch_size: Batch = None,
    lr: Rate = None,
    recipe: Preset = None,
    device: Device = "auto",
    workers: Workers = 0,
    fused: Fused = True,
    runs: Runs = Path("runs"),
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder of this run; default RUNS/ID")] = None,
    save_every: Annotated[float, typer.Option("--save-every", help="Seconds between two checkpoints")] = 60.0,
    as_json: Json = False,
    tensorboard: TensorBoard = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Train one network, or go on where it was stopped. Under `torchrun` (`-m senet train`) processes share it."""
    from senet import decode

    words = list(words or [])
    base: dict[str, Any] = {}
    if words and "=" not in words[0]:
        path = Path(words.pop(0))
        base = decode.toml_file(path).get("base", {})
    asked = _base(words, data=data, model=model, epochs=epochs, batch_size=batch_size, lr=lr, recipe=recipe, base=base)
    if se is not None:
        asked = {**asked, "se": se}
    if seed is not None:
        asked["seed"] = seed
    planned = _run(asked)
    setup = _setup(
        data_dir,
        device,
        1,
        workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
    )
    result = _train_one(planned, output or runs / planned.id, setup, save_every=save_every, quiet=as_json)
    if os.environ.get("RANK", "0") == "0":
        _say_result(result, output or runs / planned.id, as_json=as_json)


@app.command("eval")
def evaluate(
    folder: Annotated[Path | None, typer.Argument(metavar="[RUN]", help="Folder of a finished run")] = None,
    words: Words = None,
    model: Model = None,
    se: Annotated[str, typer.Option("--se", help="Design of the blocks of --model")] = "plain",
    weights: Annotated[Path | None, typer.Option("--weights", help="Weights of --model: .safetensors or .pt")] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="Whose names the weights have: senet, timm, torchvision, kth, ...")
    ] = "senet",
    data: Annotated[str, typer.Option("--data", help="digits, cifar10, cifar100, svhn, or folder")] = "cifar10",
    data_dir: DataDir = None,
    device: Device = "auto",
    workers: Workers = 0,
    as_json: Json = False,
    download: Download = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Test a finished run, or a network with weights from elsewhere: exact counts over the whole test set.

    Example: `senet eval --model kth_resnet52 --se standard:reduction=8 --weights FILE --origin kth data.normalize=kth`
    """
    from senet.lab.testing import evaluate_run, evaluate_weights, read_run

    words = list(words or [])
    if folder is not None and "=" in str(folder):
        words.insert(0, str(folder))
        folder = None
    setup = _setup(data_dir, device, 1, workers, download=download, on_bad_image=on_bad_image)
    if folder is not None:
        if words or model is not None or weights is not None:
            raise UsageError("a run says itself what it is: give its folder alone, or --model with --weights.")
        planned = read_run(folder)
        measured, what = evaluate_run(folder, setup), str(folder)
    elif model is not None and weights is not None:
        planned = _run(_base(words, data=data, model=model, se=se))
        measured, what = evaluate_weights(planned, weights, setup, origin=origin), f"{model} {planned.design}"
    else:
        raise UsageError("give the folder of a run, or --model with --weights.")
    if as_json:
        _print_json(
            {
                "what": what,
                "run": planned.id if folder is not None else None,
                "model": planned.model,
                "se": planned.design,
                "data": asdict(planned.data),
                "weights": str(weights or folder),
                "correct": measured.correct,
                "total": measured.total,
                "accuracy": measured.accuracy,
                "correct5": measured.correct5,
                "loss": measured.loss,
                "confusion": measured.confusion,
            }
        )
    else:
        print(
            f"{what}: {measured.correct:,} of {measured.total:,} right, top-1 {measured.accuracy:.2f} %, "
            f"top-5 {100 * measured.correct5 / measured.total:.2f} %, loss {measured.loss:.5f}"
        )


@app.command()
def fold(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A name of `senet models`, of timm or of torchvision, a folder of save_pretrained, or a run",
        ),
    ],
    words: Words = None,
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Weights: .safetensors or .pt; folders have their own")
    ] = None,
    origin: Annotated[
        str, typer.Option("--origin", help="Whose names the weights of a network of ours have")
    ] = "senet",
    se: Annotated[str, typer.Option("--se", help="Design of the blocks of a network of ours")] = "standard",
    data: Annotated[str, typer.Option("--data", help="digits, cifar10, cifar100, svhn, or folder")] = "folder",
    data_dir: DataDir = None,
    tolerance: Annotated[
        float, typer.Option("--tolerance", help="Largest loss of top-1 [percentage points]; inf for none")
    ] = 0.5,
    measured: Annotated[
        bool, typer.Option("--measured", help="Compare the loss as measured, not the end of its 95 % interval")
    ] = False,
    blocks: Annotated[int | None, typer.Option("--blocks", help="Remove at most so many")] = None,
    per: Annotated[str, typer.Option("--per", help="Count a block's harm per: block, params, macs, time")] = "block",
    at: Annotated[str, typer.Option("--at", help="Only blocks with such names, e.g. 'layer4.*'")] = "*",
    statistics: Annotated[int, typer.Option("--statistics", help="Training images for gates and order")] = 1000,
    normalize: Annotated[
        str, typer.Option("--normalize", help="Pixels of foreign networks: auto, half, imagenet, unit")
    ] = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Draw the whole curve and change nothing")] = False,
    device: Device = "auto",
    workers: Workers = 0,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of network, table, figure")] = Path("out/fold"),
    as_json: Json = False,
    on_bad_image: BadImage = "error",
) -> None:
    """Remove the SE blocks whose gates hardly depend on the image: their constants go into the layers beside.

    Example: `senet fold timm:mobilenetv3_small_100 --weights FILE --data-dir PHOTOS --tolerance 0.5 data.size=224`
    """
    from senet.lab.fold_command import Asked, fold_command
    from senet.lab.hosts import named

    planned = None
    if not (Path(model) / "run.json").exists():
        found = named(model)
        network, design = (found.name, se) if found.library == "senet" else ("resnet8", "plain")  # only the data counts
        planned = _run(_base(words, data=data, model=network, se=design))
    elif words or weights is not None:
        raise UsageError("a run says itself what it is: give its folder without --weights and without NAME=VALUE.")
    asked = Asked(tolerance=tolerance, sure=not measured, blocks=blocks, per=per, at=at, dry_run=dry_run, quiet=as_json)
    setup = _setup(data_dir, device, 1, workers, on_bad_image=on_bad_image)
    values = fold_command(
        model, planned, setup, asked, output,
        weights=weights, origin=origin, normalize=normalize, statistics=statistics, command=_command(),
    )  # fmt: skip
    if as_json:
        _print_json(values)


@app.command()
def models(
    pattern: Annotated[str, typer.Argument(help="With * and ?, e.g. 'resnet*'")] = "*",
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print a Markdown table, as the README has it")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the networks with their parameters and multiply-adds, plain and with SE (r = 16, biases)."""
    from senet.lab.listing import list_costs, markdown_rows

    rows = list_costs(pattern)
    if not rows:
        raise SpecError(f"no network matches {pattern!r}; `senet models` lists all.")
    if as_json:
        _print_json(rows)
        return
    if as_markdown:
        print(markdown_rows(rows), end="")
        return
    _print_columns(rows)


@app.command()
def cost(
    model: Annotated[str, typer.Argument(help="A name of `senet models`")],
    se: Annotated[str, typer.Option("--se", help="A design, e.g. standard:reduction=8")] = "standard",
    size: Annotated[
        int | None, typer.Option("--image-size", help="Side of the input [pixels]; default the network's")
    ] = None,
    in_chans: Annotated[int, typer.Option("--in-chans", help="Channels of the input")] = 3,
    num_classes: Annotated[int | None, typer.Option("--num-classes", help="Outputs; default the network's")] = None,
    blocks: Annotated[bool, typer.Option("--blocks", help="Show every block")] = False,
    as_json: Json = False,
) -> None:
    """Count parameters and multiply-adds of a network, and what its SE blocks add."""
    from senet.lab.listing import cost_text, cost_values

    counted = cost_values(model, se, size=size, in_chans=in_chans, num_classes=num_classes)
    if as_json:
        _print_json(counted)
    else:
        print(cost_text(counted, blocks=blocks))


@app.command()
def bench(
    model: Annotated[str, typer.Argument(help="A name of `senet models`")],
    se: Annotated[str, typer.Option("--se", help="A design, e.g. standard:reduction=8")] = "standard",
    mode: Annotated[str, typer.Option("--mode", help="train (forward and backward) or infer")] = "train",
    shape: Annotated[str, typer.Option("--shape", help="Input as images,channels,height,width")] = "8,3,224,224",
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", help="plain or se, alone or with accelerated, optimized, compiled; repeat"),
    ] = None,
    timm: Annotated[str | None, typer.Option("--timm", help="Also this network of timm, e.g. seresnet50")] = None,
    device: Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1")] = "cpu",
    dtype: Annotated[str, typer.Option("--dtype", help="float32 or bfloat16")] = "float32",
    threads: Annotated[int, typer.Option("--threads", help="Of one operator; 1 measures best")] = 1,
    rounds: Annotated[int, typer.Option("--rounds", help="How often each variant is timed")] = 20,
    channels_last: Annotated[bool, typer.Option(help="Memory format")] = True,
    blocks: Annotated[bool, typer.Option("--blocks", help="Time every residual unit alone, too")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for bench.md, .json and .png")] = None,
    as_json: Json = False,
) -> None:
    """Time a network with blocks against its plain twin, paired, as ratios."""
    from senet.lab.benching import measure

    measure(
        model,
        se,
        shape,
        {"mode": mode, "names": variant or (), "timm": timm, "device": device, "dtype": dtype, "rounds": rounds},
        threads=threads,
        channels_last=channels_last,
        blocks=blocks,
        output=output,
        as_json=as_json,
    )


@app.command()
def insert(
    model: Annotated[
        str, typer.Argument(help="A name of `senet models`, of timm or of torchvision, or a folder of save_pretrained")
    ],
    se: Annotated[
        str, typer.Option("--se", help="A design, e.g. standard:reduction=8 or standard:reduction=16-8-4-4")
    ] = "standard",
    at: Annotated[list[str] | None, typer.Option("--at", help="Units or modules, repeatable: 'layer3.*'")] = None,
    slot: Annotated[str | None, typer.Option("--slot", help="standard, pre, post, identity or inner")] = None,
    reduction: Annotated[int | None, typer.Option("--reduction", "-r", help="Ratio of all blocks")] = None,
    min_channels: Annotated[int, typer.Option("--min-channels", help="Leave narrower maps alone")] = 1,
    size: Annotated[
        int | None, typer.Option("--image-size", help="Side of the input [pixels]; default the network's")
    ] = None,
    weights: Annotated[Path | None, typer.Option("--weights", help="The network's state dict")] = None,
    num_classes: Annotated[int | None, typer.Option("--num-classes", help="Outputs; default the network's")] = None,
    preserve: Annotated[
        bool, typer.Option("--preserve/--no-preserve", help="Start as the identity: the output stays bit for bit")
    ] = True,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write the weights with blocks: .safetensors")] = None,
    as_json: Json = False,
) -> None:
    """Show where blocks go in a network that exists and what they add; with --out write its weights with them.

    Example: `senet insert resnet50 --weights resnet50.pt -r 8 --out resnet50-se.safetensors`
    """
    from senet.lab.insertion import run_insert

    values, text = run_insert(
        model,
        se,
        at=at,
        slot=slot,
        reduction=reduction,
        min_channels=min_channels,
        size=size,
        weights=weights,
        num_classes=num_classes,
        preserve=preserve,
        out=out,
    )
    if as_json:
        _print_json(values)
    else:
        print(text)


def _defaults(data: str) -> tuple[str, str, tuple[str, ...]]:
    return DEFAULTS.get(data, DEFAULTS["cifar10"])


def _base(
    words: list[str] | None,
    *,
    data: str | None,
    model: str | None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    recipe: str | None = None,
    se: str | None = None,
    base: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Put flags and words over a base; what nobody said comes from the data set's defaults."""
    from senet import decode

    asked = dict(base or {})
    if isinstance(asked.get("data"), str):
        asked["data"] = {"name": asked["data"]}
    if isinstance(asked.get("recipe"), str):
        asked["recipe"] = {"preset": asked["recipe"]}
    asked.setdefault("data", {})
    if data is not None:
        asked["data"] = {**asked["data"], "name": data}
    network, preset, _ = _defaults(asked["data"].setdefault("name", "digits"))
    if model is not None or "model" not in asked:
        asked["model"] = model or network
    if recipe is not None or "recipe" not in asked:
        asked["recipe"] = {"preset": recipe or preset}
    flags = {"epochs": epochs, "batch_size": batch_size, "optim": None if lr is None else {"lr": lr}}
    asked["recipe"] = decode.merge(asked["recipe"], {k: v for k, v in flags.items() if v is not None})
    if se is not None:
        asked["se"] = se
    changes = decode.assign(words or [])
    if isinstance(changes.get("se"), dict):  # `se.reduction=8` changes the design, or makes one
        old = decode.se_designs(asked.pop("se", "standard"))
        if len(old) != 1:
            raise UsageError("se.NAME=VALUE changes a single design; write the designs out with --se.")
        changes["se"] = decode.merge(asdict(old[0]), changes["se"])
    return decode.merge(asked, changes)


def _run(values: dict[str, Any]) -> "Run":
    from senet import decode

    return decode.run(values)


def _read_study(path: Path, words: list[str] | None, *, quick: bool) -> "Study":
    from senet import decode
    from senet.lab.study import read_study

    return read_study(path, changes=decode.assign(words or []), quick=quick)


def _check_models(study: "Study") -> None:
    """Build every network of a study on no device: a design that does not fit is known before the first step."""
    import torch

    from senet.models import create_model

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in study.rows:
            try:
                create_model(row.run.model, se=row.run.se or None)
            except SenetError as error:
                error.add_note(f"in row {row.id!r} of {study.name}")
                raise


def _setup(
    data_dir: Path | None,
    device: str,
    jobs: int,
    workers: int,
    *,
    tensorboard: bool = False,
    download: bool = False,
    on_bad_image: str = "error",
    fused: bool = True,
) -> "Setup":
    import torch

    from senet.lab.execute import Setup

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise UsageError(f"--device {device} is not known; choose cpu, cuda, cuda:1, or auto.")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"--device {device}: torch sees no GPU here; use --device cpu.")
    if on_bad_image not in ("error", "skip"):
        raise UsageError(f"--on-bad-image {on_bad_image} is not known; choose error or skip.")
    if not jobs:
        jobs = (
            1
            if device != "cpu"
            else len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1
        )
    return Setup(
        data_dir=data_dir,
        device=device,
        jobs=jobs,
        workers=workers,
        tensorboard=tensorboard,
        download=download,
        on_bad_image=on_bad_image,
        fused=fused,
    )


def _train_all(
    study: "Study", runs: Path, setup: "Setup", *, quiet: bool, lists: tuple[Path, ...] = ()
) -> "dict[Run, Result]":
    from senet.console import Board
    from senet.lab.execute import execute
    from senet.lab.store import Store

    wanted = study.runs()
    results: dict[Run, Result] = {}
    with Board(len(wanted), quiet=quiet) as board:
        for result in execute(wanted, Store(runs, lists=lists), setup, watch=board.watch):
            results[result.run] = result
            board.finish(result)
    return results


def _train_one(planned: "Run", folder: Path, setup: "Setup", *, save_every: float, quiet: bool) -> "Result":
    from senet.console import Board
    from senet.data.loading import load
    from senet.lab.train import train as train_run

    data = load(planned.data, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)
    with Board(1, quiet=quiet) as board:
        result = train_run(
            planned,
            data,
            folder,
            device=setup.device,
            workers=setup.workers,
            save_every=save_every,
            tensorboard=setup.tensorboard,
            fused=setup.fused,
            watch=board.watch,
        )
        board.finish(result)
    return result


def _say_result(result: "Result", folder: Path, *, as_json: bool) -> None:
    if as_json:
        _print_json(result.as_dict())
        return
    print(
        f"{result.run.model} {result.run.design}: {result.last.correct:,} of {result.total:,} right, "
        f"top-1 {result.accuracy:.2f} % after {len(result.curve)} epochs, {result.images_per_second:,.0f} images/s"
    )
    print(f"weights, curve and result: {folder}")


def _finish(
    study: "Study", results: "dict[Run, Result]", folder: Path, *, as_json: bool, command: str | None = None
) -> None:
    """Print the table and write the report; `command` is what made the results, None is this one.

    Without any result nothing is written: a folder of missing numbers helps nobody.
    """
    from senet.console import show_table
    from senet.lab.report import write_report
    from senet.lab.summary import summarize

    command = command or _command()
    files = write_report(study, results, folder, command=command) if results else []
    if as_json:
        _print_json(
            {
                "study": study.name,
                "files": [str(f) for f in files],
                "results": [results[r].as_dict() for r in study.runs() if r in results],
            }
        )
        return
    show_table(study, summarize(study, results))
    if files:
        print("\nwritten: " + ", ".join(str(f) for f in files))
    else:
        print(f"\nno results yet, nothing written; `{command}` trains them")


def _show_study(study: "Study", results: "Mapping[Run, Result]") -> None:
    from senet.console import show_table
    from senet.lab.summary import summarize

    show_table(study, summarize(study, results))


def _command() -> str:
    """Give the command as a reader elsewhere could type it: places of this machine are not theirs, nor passwords."""
    return " ".join(["senet", *map(_anywhere, sys.argv[1:])])


def _anywhere(word: str) -> str:
    if "://" in word:
        return "--storage=URL" if word.startswith("--storage=") else "URL"
    return "DIR" if Path(word).is_absolute() else word


def _report_folder(study_file: Path, study: "Study") -> Path:
    return study_file.parent / "reports" / study.name


def _print_json(values: Any) -> None:
    print(json.dumps(values, indent=2, default=str))


def _print_columns(rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from senet.console import print_whole

    table = Table(header_style="bold")
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if number == 0 else "right")
    for row in rows:
        table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row.values()))
    print_whole(table)


def main() -> None:
    """Run the command line; every error that a user can mend is one line and an exit code."""
    global _debug
    _debug, warnings.showwarning = False, _one_line
    try:
        raise SystemExit(app(standalone_mode=False))  # else typer frames its errors and calls an EOFError "Aborted."
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as error:
        if _debug:
            raise
        sentence, code = _in_one_line(error)
        if sentence:
            print(f"senet: {sentence}", file=sys.stderr)
        raise SystemExit(code) from None


def _in_one_line(error: Exception) -> tuple[str, int]:
    """Say an error in one line, and give the exit code."""
    if isinstance(error, SenetError):
        return f"{error}" + "".join(f" ({note})" for note in getattr(error, "__notes__", ())), error.exit_code
    if isinstance(error, typer.BadParameter.__base__ or ()):  # typer's UsageError, which has no public name
        asked = getattr(error, "ctx", None)
        said = error.format_message().rstrip(".")  # type: ignore[attr-defined]
        if not said:  # no command was given: the help is printed
            return "", 2
        return f"{said}; `{asked.command_path if asked else 'senet'} --help` shows what there is.", 2
    if isinstance(error, typer.Abort):
        error = error.__cause__ if isinstance(error.__cause__, Exception) else error
    first = (str(error).splitlines() or ["no message"])[0]
    return (
        f"unexpected {type(error).__name__}: {first}; `senet --debug ...` shows the traceback: please report it with "
        "that and the command.",
        1,
    )


def _one_line(message: Warning | str, *_: object, **__: object) -> None:
    print(f"senet: warning: {message}", file=sys.stderr)
