"""Saving and loading of networks as folders with description, weights and card, locally or on the Hugging Face Hub."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from senet import models
from senet.calls import by_name
from senet.errors import CheckpointError, SenetError, SpecError
from senet.experiments.result import Result
from senet.files.atomic import ensure_writable
from senet.networks.building import Builder, builder_of
from senet.networks.exported_network import ExportedNetwork
from senet.networks.names import named
from senet.networks.program_network import ProgramNetwork
from senet.networks.rebuild import described, rebuild
from senet.spec import SESpec, designs
from senet.weights.card import refuse_others, write_description
from senet.weights.config import IN_HEADER, Config, Preprocessing, is_described, read_config
from senet.weights.exported_file import PROGRAM, is_exported
from senet.weights.numbers import load_checked
from senet.weights.safe import read_weights
from senet.weights.source import CONFIG, WEIGHTS, locate
from senet.weights.writing import write_weights

__all__ = [
    "described_network",
    "description",
    "from_pretrained",
    "origin_of",
    "preprocessing_of",
    "save_pretrained",
    "side_of",
    "write_described",
]


@by_name
def save_pretrained(
    model: nn.Module,
    folder: str | Path,
    *,
    name: str | None = None,
    se: SESpec | Sequence[SESpec | str] | str | bool | None = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    builder: Builder | None = None,
    preprocessing: Preprocessing | None = None,
    result: Result | None = None,
    licence: str | None = None,
) -> Path:
    """Save a network to a folder from which it can be rebuilt and loaded.

    Blocks added by `insert` or removed by `fold` are detected in the network. The other arguments are those that the
    network was built with. They are verified by rebuilding it on the meta device: every layer must be the same,
    including pool, stride and gates, which the weights alone do not determine.

    Args:
        model: the network.
        folder: created if necessary; receives `model.safetensors`, `config.json` and the card `README.md`.
        name: what builds it: a name of `list_models()`, `timm:NAME`, `torchvision:NAME`, or a custom builder as
            `package.module:FUNCTION` or `FILE.py:FUNCTION`. None reads it from the network, which timm's support.
        se: design that a network of the zoo was built with; None for the plain network.
        num_classes: outputs; None reads it from the network.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks whose classifier depends on it.
        options: further arguments of the family or the builder.
        builder: the builder itself, if `name` cannot be imported here.
        preprocessing: preprocessing of its images; None reads it from the network, which timm's support.
        result: result of its training, for the card.
        licence: licence of the weights for the card, an identifier of the Hub such as `apache-2.0`.

    Returns:
        The folder.

    Raises:
        SpecError: if the arguments build another network, or a spec cannot be serialized.
        StorageError: if the folder cannot be written, or holds a `README.md` or `config.json` of others.
    """
    config = described_network(
        model,
        name=name,
        se=se,
        num_classes=num_classes,
        in_chans=in_chans,
        image_size=image_size,
        options=options,
        builder=builder,
        preprocessing=preprocessing,
    )
    own = named(config.model).library == "senet"  # in other networks the blocks are listed as inserted
    if result is not None and (result.run.model, result.run.se if own else ()) != (config.model, config.se):
        raise SpecError(f"result is of {result.run.model} {result.run.design}, not of this network; omit it.")
    folder = Path(folder)
    ensure_writable(folder)
    refuse_others(folder)
    params = sum(parameter.numel() for parameter in model.parameters())
    # the description first: a folder that is left without weights can be written again
    write_description(folder, config, params=params, result=result, licence=licence)
    write_weights(folder / WEIGHTS[0], model.state_dict())
    return folder


def described_network(
    model: nn.Module,
    *,
    name: str | None = None,
    se: SESpec | Sequence[SESpec | str] | str | bool | None = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    builder: Builder | None = None,
    preprocessing: Preprocessing | None = None,
) -> Config:
    """Describe a network so that it can be rebuilt, see `save_pretrained` for the arguments.

    Raises:
        SpecError: if the arguments build another network, or a spec cannot be serialized.
    """
    told = getattr(model, "pretrained_cfg", None) or {}
    if name is None and told.get("architecture"):
        name = f"timm:{told['architecture']}"
    if name is None:
        raise SpecError(
            f"name is missing: pass what builds this {type(model).__name__}: name='resnet20', 'timm:NAME', "
            "'torchvision:NAME', or for a custom network the function that returns it, name='mymodule:build'."
        )
    specs = designs(se)
    specs = () if specs is None else (specs,) if isinstance(specs, SESpec) else tuple(specs)
    if builder is None and ":" in name and not name.startswith(("senet:", "timm:", "torchvision:")):
        builder = builder_of(name)
    config = Config(
        model=name,
        se=specs,
        num_classes=_outputs(model) if num_classes is None else num_classes,
        in_chans=in_chans,
        image_size=image_size,
        options=dict(options or {}),
        preprocessing=preprocessing or Preprocessing.from_timm(told),
    )
    config = described(model, config, builder=builder)
    config.as_json()  # raises before anything is written
    return config


def write_described(path: Path, model: nn.Module, config: Config) -> None:
    """Write a network as one safetensors file, with its description in the header.

    Raises:
        StorageError: if the file cannot be written.
    """
    write_weights(path, model.state_dict(), metadata={"format": "pt", IN_HEADER: json.dumps(config.as_json())})


@by_name
def from_pretrained(source: str | Path, *, builder: Builder | str | None = None) -> nn.Module:
    """Rebuild a network from a folder and load its weights.

    Args:
        source: path of a folder of `save_pretrained` or of a finished run, of a file of `senet insert --output` with
            its description, of a file of `senet.export`, which onnxruntime or torch then runs, or `hf:owner/name`
            (with `@revision`) for a repository of the Hub.
        builder: the function that builds the network, or its name, if the folder has a custom builder. For safety,
            functions that a folder names are not imported, and a `.pt2` file, which may contain any code, needs
            `torch.export.load` here.

    Returns:
        The network in evaluation mode, in the precision of its weights.

    Raises:
        CheckpointError: if the folder was not written by senet, is damaged, has other weights, or cannot be downloaded.
        UsageError: if huggingface-hub is needed and not installed.
    """
    if isinstance(builder, str):
        builder = builder_of(builder)
    if is_exported(source):
        return _of_file(Path(source), builder)
    place, config = description(source)
    tensors = read_weights(locate(source))
    try:
        model = rebuild(config, tensors, builder=builder)
        types = {value.dtype for value in tensors.values() if value.is_floating_point()}
        model = model.to(types.pop()) if len(types) == 1 else model
        load_checked(model, tensors)
    except SenetError as error:
        raise CheckpointError(f"{place}: {error}") from error
    return model.eval()


def _of_file(path: Path, builder: Builder | None) -> nn.Module:
    """Return the network in an exported file."""
    if path.suffix != PROGRAM:
        return ExportedNetwork(path)
    if builder is None:
        raise CheckpointError(
            f"{path} is a program, which may contain any code; if you trust it, pass builder=torch.export.load "
            "(--builder torch.export:load), or export the network as .onnx."
        )
    return ProgramNetwork(path, builder)


def description(source: str | Path) -> tuple[Path, Config]:
    """Read the description of a folder's network.

    Returns:
        The file, and the description.

    Raises:
        CheckpointError: if the folder has no valid description.
    """
    file = Path(source) if is_described(source) else locate(source, (CONFIG,))
    config = read_config(file)
    if config is None:
        raise CheckpointError(
            f"{file} does not describe a network of senet; use create_model(name, weights=..., origin=...)."
        )
    return file, config


def origin_of(name: str) -> dict[str, Any]:
    """Return the arguments with which `save_pretrained` saves a network of this name.

    Raises:
        SenetError: if the name is not known, or the folder has no valid description.
    """
    found = named(name)
    if found.library != "folder":
        return {"name": str(found)}
    _, config = description(found.name)
    kept = ("se", "num_classes", "in_chans", "image_size", "options", "preprocessing")
    return {"name": config.model, **{field: getattr(config, field) for field in kept}}


def side_of(name: str) -> int | None:
    """Return the side of the images that a network was made for [pixels]; None if neither name nor folder define it."""
    made = origin_of(name)
    seen = made.get("preprocessing")
    if seen is not None:
        return int(seen.size)
    short = str(made["name"]).removeprefix("senet:")
    return made.get("image_size") or (models.image_size(short) if short in models.ZOO else None)


def preprocessing_of(source: str | Path) -> Preprocessing | None:
    """Return the preprocessing that a folder specifies for its network; None if it specifies none.

    Raises:
        CheckpointError: if the folder has no valid description.
    """
    _, config = description(source)
    return config.preprocessing


def _outputs(model: nn.Module) -> int | None:
    said = getattr(model, "num_classes", None)
    if isinstance(said, int):
        return said
    return next((m.out_features for m in reversed(list(model.modules())) if isinstance(m, nn.Linear)), None)
