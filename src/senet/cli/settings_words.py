"""Settings of a command that are typed as NAME=VALUE words, so that help shows the options that everyone needs.

`senet compare workers=4 fused=false` is the form of help and docs; `--workers 4` and `--no-fused` are accepted too.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, get_origin

from senet.bounds import check_fields
from senet.errors import UsageError, unknown

__all__ = [
    "CompareSettings",
    "ExplainSettings",
    "ExportSettings",
    "FoldSettings",
    "ImageSettings",
    "Settings",
    "StudySettings",
    "TrainSettings",
    "as_words",
    "taken",
]


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of the settings of a command; the metadata of each field has its help."""

    def __post_init__(self) -> None:
        check_fields(self, "")


Kind = TypeVar("Kind", bound=Settings)


@dataclass(frozen=True, kw_only=True)
class ImageSettings(Settings):
    """Settings of a command that reads images."""

    workers: int = _setting(0, "Processes that decode image files, for each run.")
    download: bool = _setting(False, "Download a missing data set where the network allows it.")
    on_bad_image: Literal["error", "skip"] = _setting(
        "error", "error, or skip: unreadable images are counted and named."
    )


@dataclass(frozen=True, kw_only=True)
class _Training(ImageSettings):
    threads: int = _setting(0, "Threads of each run; 0 uses OMP_NUM_THREADS, or divides the cores among the runs.")
    fused: bool = _setting(True, "Compute norms and blocks in one pass where that is faster.")
    graph: bool = _setting(False, "Record the training step as a CUDA graph, which helps small networks.")
    tensorboard: bool = _setting(False, "Write curves for TensorBoard, too.")
    watch_gates: bool = _setting(False, "Write the shares of open, shut, middle and stuck gates into the curve.")
    save_every: float = _setting(60.0, "Seconds between two checkpoints.")


@dataclass(frozen=True, kw_only=True)
class TrainSettings(_Training):
    """Settings of a command that trains one network."""


@dataclass(frozen=True, kw_only=True)
class StudySettings(_Training):
    """Settings of a command that trains many."""

    per_gpu: int = _setting(1, "Runs that share a GPU.")
    cluster: str = _setting("", "Train on a Ray cluster: auto, HOST:PORT, or local, which starts Ray here.")
    retry_failed: bool = _setting(False, "Train runs again that failed before.")


@dataclass(frozen=True, kw_only=True)
class CompareSettings(StudySettings):
    """Settings of `senet compare`."""

    cost: bool = _setting(True, "Measure the cost of the designs where it is not known: step, inference, memory.")
    measure_again: bool = _setting(False, "Measure the cost again, even if it is known.")
    equal_time: bool = _setting(
        False, "Compare the designs with a plain network that is trained longer, for the time that the blocks cost."
    )
    detect: float = _setting(
        0.0, "Train as many seeds as it takes to show a difference of this size [points] in 4 of 5 cases."
    )
    builder: str = _setting("", "FILE.py:FUNCTION that builds the network of a folder.")
    device: str = _setting("auto", "cpu, cuda, cuda:1; auto uses a GPU if there is one.")
    jobs: int = _setting(0, "Runs at a time; 0 trains one for each core of the CPU, and one on a GPU.")
    gpus: str = _setting("", "all, or numbers such as 0,2: one run at a time on each of these GPUs.")
    runs: str = _setting("runs", "The folder of checkpoints, curves, results.")


@dataclass(frozen=True, kw_only=True)
class FoldSettings(ImageSettings):
    """Settings of a fold."""

    statistics: int = _setting(1000, "Number of training images for measuring gates and removal order.")
    measured: bool = _setting(False, "Bound the measured loss instead of the upper end of its 95 % interval.")
    per: str = _setting("block", "Order blocks by harm per block, params, macs or time.")


@dataclass(frozen=True, kw_only=True)
class ExplainSettings(ImageSettings):
    """Settings of an explanation."""

    interventions: str = _setting(
        "constant,identity,shuffle,class_mean,stages", "Replacements of the gates to measure; empty for none."
    )
    images: int = _setting(500, "Images of each intervention, as many of each class; 0 uses all.")
    curve: bool = _setting(False, "Measure the accuracy with a share of the channels set to zero, too.")
    split: Literal["test", "train"] = _setting("test", "test, or train: the images that are measured.")


@dataclass(frozen=True, kw_only=True)
class ExportSettings(ImageSettings):
    """Settings of an export."""

    statistics: int = _setting(1000, "Training images that gates are measured on (--fold).")
    rank: int = _setting(128, "Number of --calibrate images for ranking blocks and layers (--int8).")


def taken(words: Sequence[str], kind: type[Kind]) -> tuple[Kind, list[str]]:
    """Split words into the settings of a command and the rest.

    Raises:
        SpecError: if a value does not fit its setting.
        UsageError: if a name is almost that of a setting.

    Example:
        >>> taken(["workers=4", "optim.lr=0.1"], ImageSettings)
        (ImageSettings(workers=4, download=False, on_bad_image='error'), ['optim.lr=0.1'])
    """
    from senet import settings

    names = [one.name for one in fields(kind)]
    own: dict[str, Any] = {}
    rest = []
    for word in words:
        name, equals, text = word.partition("=")
        if equals and name in names:
            own[name] = text if _is_text(kind, name) else settings.value(text)
        elif equals and get_close_matches(name, names, n=1, cutoff=0.8):
            raise unknown("setting", name, names, error=UsageError)
        else:
            rest.append(word)
    return settings.record(kind, own), rest


def _is_text(kind: type[Settings], name: str) -> bool:
    return next(one.type is str or get_origin(one.type) is Literal for one in fields(kind) if one.name == name)


def as_words(args: Iterable[str], kinds: Sequence["Field[Any]"], *, also: Mapping[str, str]) -> list[str]:
    """Turn `--workers 4` into the word `workers=4`, behind all other arguments; the options of a command stay.

    Args:
        args: arguments of the command.
        kinds: the settings that may be typed as options.
        also: further options that stand for words, e.g. `{"--budget-trials": "budget.trials", "-j": "jobs"}`.

    Example:
        >>> as_words(["study.toml", "--workers", "4", "--no-fused"], fields(StudySettings), also={})
        ['study.toml', 'workers=4', 'fused=false']
    """
    options, switches = dict(also), dict[str, str]()
    for one in kinds:
        option = one.name.replace("_", "-")
        if one.type is bool:
            switches |= {f"--{option}": f"{one.name}=true", f"--no-{option}": f"{one.name}=false"}
        else:
            options[f"--{option}"] = one.name
    kept: list[str] = []
    words: list[str] = []
    left = iter(args)
    for arg in left:
        option, equals, text = arg.partition("=")
        if arg[:2] in options and len(arg) > 2 and arg[1] != "-":  # -j4
            option, equals, text = arg[:2], "=", arg[2:].removeprefix("=")
        if arg == "--":
            kept += [arg, *left]
        elif arg in switches:
            words.append(switches[arg])
        elif option in options:
            value = text if equals else next(left, None)
            if value is None:
                raise UsageError(f"{option} has no value; write {options[option]}=VALUE.")
            words.append(f"{options[option]}={value}")
        else:
            kept.append(arg)
    return kept + words
