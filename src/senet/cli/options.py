"""The options that several commands share, each written once; an option of one command is in its signature."""

from pathlib import Path
from typing import Annotated, Any

import typer

from senet.cli.completion import (
    complete_data,
    complete_design,
    complete_model,
    complete_network,
    complete_origin,
    complete_recipe,
    complete_setting,
    one_of,
)
from senet.cli.study_files import complete_study, find_study

# panels of the help, in this order
NETWORK, DATA, TRAINING, MACHINE, OUTPUT = "Network", "Data", "Training", "Machine", "Output"

Words = Annotated[
    list[str] | None,
    typer.Argument(
        help="Settings by dotted name, e.g. optim.lr=0.05 data.train_size=5000 workers=4; `senet settings` lists all.",
        metavar="NAME=VALUE",
        autocompletion=complete_setting,
    ),
]

NETWORKS = "A network of `senet models`, of timm or torchvision (timm:NAME), FILE.py:FUNCTION, or a folder."
Network = Annotated[str, typer.Argument(metavar="MODEL", help=NETWORKS, autocompletion=complete_network)]
Model = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="NAME", rich_help_panel=NETWORK, autocompletion=complete_model,
        help=f"{NETWORKS} Default: resnet8 for digits and control, resnet18 for folders of images, else resnet20.",
    ),
]  # fmt: skip
Start = Annotated[
    str | None,
    typer.Option(
        "--weights", metavar="FILE", rich_help_panel=NETWORK,
        help="Weights to start from: a file, a folder, hf:OWNER/NAME, or timm:NAME.TAG. Default: fresh weights.",
    ),
]  # fmt: skip
Pretrained = Annotated[
    bool,
    typer.Option(
        "--pretrained", rich_help_panel=NETWORK,
        help="Start from the weights that timm or torchvision has for the network.",
    ),
]  # fmt: skip
Design = Annotated[
    str,
    typer.Option(
        "--se", metavar="DESIGN", rich_help_panel=NETWORK, autocompletion=complete_design,
        help="The design of the blocks, see below.",
    ),
]  # fmt: skip


def _zoo_design(default: str) -> Any:
    return typer.Option(
        "--se", metavar="DESIGN", rich_help_panel=NETWORK, autocompletion=complete_design, show_default=default,
        help="The blocks that a network of `senet models` has, see below.",
    )  # fmt: skip


ZooDesign = Annotated[str | None, _zoo_design("standard")]
ZooDesignOrPlain = Annotated[str | None, _zoo_design("plain")]
Weights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", rich_help_panel=NETWORK, help="Weights of MODEL: .safetensors or .pt."),
]
Origin = Annotated[
    str,
    typer.Option(
        "--origin", metavar="NAME", rich_help_panel=NETWORK, autocompletion=complete_origin,
        help="The library whose tensor names the weights have, for networks of `senet models`: senet, timm, "
        "torchvision, kth, ...",
    ),
]  # fmt: skip
Builder = Annotated[
    str | None,
    typer.Option(
        "--builder", metavar="FILE.py:FUNCTION", rich_help_panel=NETWORK,
        help="The function that builds the network of a folder; a function that a folder names is never called.",
    ),
]  # fmt: skip
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size", metavar="PIXELS", rich_help_panel=NETWORK,
        help="The side of the input. Default: that of the network.",
    ),
]  # fmt: skip
NumClasses = Annotated[
    int | None,
    typer.Option(
        "--num-classes", metavar="N", rich_help_panel=NETWORK, help="Number of outputs. Default: that of the network."
    ),
]

DataChoice = Annotated[
    str | None,
    typer.Option(
        "--data", metavar="NAME", rich_help_panel=DATA, autocompletion=complete_data,
        help="digits, control (made so that a gate helps), cifar10, cifar100, svhn, or folder. "
        "Default: the data set in --data-dir, or digits without --data-dir.",
    ),
]  # fmt: skip
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", metavar="DIR", rich_help_panel=DATA,
        help="The folder of the data set; images are in DIR/train/CLASS and DIR/val/CLASS, or in DIR/CLASS.",
    ),
]  # fmt: skip
Normalization = Annotated[
    str,
    typer.Option(
        "--normalize", metavar="NAME", rich_help_panel=DATA, autocompletion=one_of("auto", "half", "imagenet", "unit"),
        help="Normalisation for networks of timm and torchvision: auto (their own), half, imagenet, unit.",
    ),
]  # fmt: skip
ClassMap = Annotated[
    Path | None,
    typer.Option(
        "--class-map", metavar="FILE", rich_help_panel=DATA,
        help="The output of the network for every class folder: JSON, CSV, or one name per line.",
    ),
]  # fmt: skip

Preset = Annotated[
    str | None,
    typer.Option(
        "--recipe", metavar="NAME", rich_help_panel=TRAINING, autocompletion=complete_recipe,
        help="digits, sgd-cosine, photos, finetune, or that of a paper: variations-table1, variations-resnet18, "
        "senet-imagenet, senet-mobile, senet-ablation, preact, wrn, shake-cutout, kth-authors, kth-paper. Default: "
        "finetune where weights are given, digits for digits and control, photos for folders of "
        "images, else sgd-cosine.",
    ),
]  # fmt: skip
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs", metavar="N", rich_help_panel=TRAINING,
        help="Passes over the training images. Default: that of the recipe, as for --batch-size and --lr.",
    ),
]  # fmt: skip
Batch = Annotated[
    int | None,
    typer.Option("--batch-size", "-b", metavar="N", rich_help_panel=TRAINING, help="Images per optimizer step."),
]
Rate = Annotated[
    float | None,
    typer.Option("--lr", metavar="RATE", rich_help_panel=TRAINING, help="Learning rate before the schedule."),
]
Study = Annotated[
    Path,
    typer.Argument(
        metavar="STUDY", callback=find_study, autocompletion=complete_study,
        help="A name of senet studies, e.g. variations_table1, or a TOML file.",
    ),
]  # fmt: skip
MaybeStudy = Annotated[
    Path | None,
    typer.Argument(
        metavar="STUDY", callback=find_study, autocompletion=complete_study,
        help="A study, to list only its runs. Default: all runs.",
    ),
]  # fmt: skip
Quick = Annotated[
    bool, typer.Option("--quick", help="Use the quick scale of the study, which a laptop trains in minutes to hours.")
]

Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="NAME",
        rich_help_panel=MACHINE,
        autocompletion=one_of("auto", "cpu", "cuda"),
        help="cpu, cuda, cuda:1; auto uses a GPU if there is one.",
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs", "-j", metavar="N", rich_help_panel=MACHINE,
        help="Runs at a time; 0 trains one for each core of the CPU, and one on a GPU.",
    ),
]  # fmt: skip
Gpus = Annotated[
    str | None,
    typer.Option(
        "--gpus", metavar="LIST", rich_help_panel=MACHINE,
        help="all, or numbers such as 0,2: one run at a time on each of these GPUs. Default: one GPU.",
    ),
]  # fmt: skip

Runs = Annotated[
    Path,
    typer.Option("--runs", metavar="DIR", rich_help_panel=OUTPUT, help="The folder of checkpoints, curves, results."),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="DIR", rich_help_panel=OUTPUT,
        help="The folder of table, figure and report. Default: out/NAME, and of a study reports/NAME beside its file.",
    ),
]  # fmt: skip
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print one JSON document instead of a table.")
]
