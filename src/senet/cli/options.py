"""The options that several commands share, each written once; an option of one command stands in its signature."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "BadImage",
    "Batch",
    "Builder",
    "ClassMap",
    "Cluster",
    "DataChoice",
    "DataDir",
    "Design",
    "Device",
    "Download",
    "Epochs",
    "Fused",
    "ImageSize",
    "Jobs",
    "Json",
    "Model",
    "Network",
    "Normalization",
    "NumClasses",
    "Output",
    "PerGpu",
    "Preset",
    "Quick",
    "Rate",
    "RetryFailed",
    "Runs",
    "TensorBoard",
    "Threads",
    "Words",
    "Workers",
]

Words = Annotated[
    list[str] | None,
    typer.Argument(help="Changes by dotted name: optim.lr=0.05 data.train_size=5000", metavar="[NAME=VALUE]..."),
]

# data
DataChoice = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="digits, cifar10, cifar100, svhn, or folder; default what --data-dir holds, or digits",
    ),
]
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="Where the data set lies")]
Download = Annotated[bool, typer.Option("--download", help="Fetch a missing data set where the network allows")]
BadImage = Annotated[str, typer.Option("--on-bad-image", help="error, or skip (counted and named)")]

# network
Network = Annotated[str, typer.Argument(help="A name of `senet models`")]
Model = Annotated[str | None, typer.Option("--model", "-m", help="A name of `senet models`; default by data set")]
Design = Annotated[str, typer.Option("--se", help="A design, e.g. standard:reduction=8")]
Builder = Annotated[
    str | None,
    typer.Option(
        "--builder",
        help="FILE.py:FUNCTION that makes the network of a folder; what a folder names is never run",
    ),
]
ImageSize = Annotated[
    int | None, typer.Option("--image-size", help="Side of the input [pixels]; default the network's")
]
Normalization = Annotated[
    str,
    typer.Option(
        "--normalize",
        help="Pixels for networks of timm and torchvision: auto (as they say), half, imagenet, unit",
    ),
]
ClassMap = Annotated[
    Path | None,
    typer.Option(
        "--class-map",
        help="Which output of a network of timm or torchvision a class folder means: JSON, CSV, or one name a line",
    ),
]
NumClasses = Annotated[int | None, typer.Option("--num-classes", help="Outputs; default the network's")]

# recipe
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
Quick = Annotated[bool, typer.Option("--quick", help="At the study's quick scale: a laptop finishes it")]

# machine
Device = Annotated[str, typer.Option("--device", help="cpu, cuda, cuda:1; auto takes a GPU if there is one")]
Jobs = Annotated[int, typer.Option("--jobs", "-j", help="Runs at a time; 0: one a core on the CPU, one on a GPU")]
Gpus = Annotated[
    str | None, typer.Option("--gpus", help="all, or numbers as in 0,2: a process for each run, pinned to its GPU")
]
PerGpu = Annotated[int, typer.Option("--per-gpu", help="Runs that share a GPU")]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Train on a Ray cluster: auto, HOST:PORT, or local, which starts Ray here"),
]
Threads = Annotated[
    int, typer.Option("--threads", help="Of one operator in each run; 0: OMP_NUM_THREADS, or the cores shared by jobs")
]
Fused = Annotated[
    bool, typer.Option("--fused/--no-fused", help="Run norms and blocks as one operation where that is faster")
]
Graph = Annotated[bool, typer.Option("--graph", help="Record the training step as a CUDA graph: for small networks")]
Workers = Annotated[int, typer.Option("--workers", help="Processes that decode image files, for each run")]

# what is written and printed
Runs = Annotated[Path, typer.Option("--runs", help="Folder of the runs: checkpoints, curves, results")]
RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="Train runs again that failed by themselves")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Folder of table, figure and report")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table")]
TensorBoard = Annotated[bool, typer.Option("--tensorboard", help="Write curves for TensorBoard too")]
