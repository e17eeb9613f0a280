"""From a description to a network and back: what is built by name, what hangs in it, what was folded away."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from senet.errors import CheckpointError, SenetError, SpecError
from senet.networks.building import Builder, build
from senet.networks.names import LIBRARIES, Named, named
from senet.surgery import ChannelScale, find, skeleton
from senet.surgery.insertion.inserted import inserted, reinsert
from senet.weights.config import Config
from senet.weights.difference import layers_differ, shapes_differ

__all__ = ["LIBRARY_OPTIONS", "described", "rebuild", "where"]

LIBRARY_OPTIONS = frozenset(
    ("global_pool", "output_stride", "drop_rate", "drop_path_rate", "dropout", "aux_logits", "transform_input")
)
"""Arguments of timm's and torchvision's networks that a folder may name; none of them reads a file."""
LONGEST_NAME = 300
MANY = 10_000  # classes or channels that the weights must confirm before a network of others is built


def where(config: Config, *, given: bool = False) -> Named:
    """Find out what the name in a description stands for.

    Args:
        config: the description.
        given: the caller has the function that makes the network: its place may be another one here, or none.

    Raises:
        CheckpointError: if it is not a network that a description may name.
    """
    if len(config.model) > LONGEST_NAME:
        raise CheckpointError(f"model = {config.model[:60]!r}... has {len(config.model):,} characters; give a name.")
    of_a_user = config.model.rpartition(":")[0] not in ("", "senet", *LIBRARIES)
    found = Named("builder", config.model) if given and of_a_user else named(config.model)
    if found.library == "folder":
        raise CheckpointError(f"model = {config.model!r} names another folder; a description names a network.")
    if found.is_foreign:
        for name, value in config.options.items():
            if name not in LIBRARY_OPTIONS or not isinstance(value, int | float | str):
                allowed = ", ".join(sorted(LIBRARY_OPTIONS))
                raise CheckpointError(
                    f"options.{name[:60]} of {found} is not read from a folder; allowed are: {allowed}."
                )
    return found


def rebuild(config: Config, tensors: Mapping[str, Tensor], *, builder: Builder | None = None) -> nn.Module:
    """Build the network of a description with fresh weights; nothing is allocated that the weights do not have.

    Args:
        config: the description.
        tensors: the weights that will be loaded.
        builder: makes the network, where a function of the user's own made it.

    Raises:
        SenetError: if the description does not fit, or the weights are those of another network.
    """
    found = where(config, given=builder is not None)
    if found.library == "builder" and builder is None:
        raise CheckpointError(
            f"its network is made by {config.model}, and nothing that a folder names is imported: pass the function, "
            "from_pretrained(FOLDER, builder=FUNCTION), or --builder FILE.py:FUNCTION."
        )
    if found.library == "senet":
        with torch.device("meta"):
            _ensure_fit(tensors, _assembled(config, found, tensors, None))
    elif builder is None:
        sizes = {size for tensor in tensors.values() for size in tensor.shape[:2]}
        for name, number in (("num_classes", config.num_classes or 0), ("in_chans", config.in_chans)):
            if number > MANY and number not in sizes:
                raise CheckpointError(f"{name} = {number:.6g} is not that of the weights; it is of another network.")
    model = _assembled(config, found, tensors, builder)
    _ensure_fit(tensors, model)
    return model


def described(model: nn.Module, config: Config, *, builder: Builder | None = None) -> Config:
    """Complete a description by what hangs in a network and what was folded away, and check it by building.

    Args:
        model: the network.
        config: how it was built.
        builder: makes the network, where a function of the user's own made it.

    Raises:
        SpecError: if the arguments build another network.
    """
    found = where(config, given=builder is not None)
    try:
        plain = _on_meta(lambda: _built(config, found, builder))
    except CheckpointError as error:
        raise SpecError(str(error)) from error
    removed, scaled = [], []
    for block in find(plain):
        try:
            now: nn.Module | None = model.get_submodule(block.name)
        except AttributeError:
            now = None
        if now is None or type(now) is nn.Identity or isinstance(now, ChannelScale):
            removed.append(block.name)
            if isinstance(now, ChannelScale):
                scaled.append(block.name)
    config = replace(config, insert=inserted(model), removed=tuple(removed), scaled=tuple(scaled))
    state = model.state_dict()
    try:
        twin = _on_meta(lambda: _assembled(config, found, state, builder))
        difference = layers_differ(model, twin) or shapes_differ(state, twin)
    except SenetError as error:
        difference = str(error)
    if difference:
        raise SpecError(
            f"name, se and options build another network: {difference}; give the arguments that made this one."
        )
    return config


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Build without memory; with it where a library computes with numbers while it builds."""
    for place in (torch.device("meta"), nullcontext()):
        try:
            with place:
                return make()
        except (SpecError, NotImplementedError, RuntimeError):
            if not isinstance(place, torch.device):
                raise
    raise AssertionError


def _assembled(config: Config, found: Named, tensors: Mapping[str, Tensor], builder: Builder | None) -> nn.Module:
    model = _built(config, found, builder)
    if config.removed:
        skeleton(model, config.removed, scaled=config.scaled)
    reinsert(model, config.insert, tensors)
    return model


def _built(config: Config, found: Named, builder: Builder | None) -> nn.Module:
    if found.library != "senet" and config.se:
        raise SpecError(f"se: designs are those of networks of ours; blocks in {found} stand under insert.")
    return build(
        found,
        num_classes=config.num_classes,
        in_chans=config.in_chans,
        image_size=config.image_size,
        se=config.se or None,
        options=config.options,
        builder=builder,
    )


def _ensure_fit(tensors: Mapping[str, Tensor], model: nn.Module) -> None:
    if difference := shapes_differ(tensors, model):
        raise CheckpointError(f"the weights are those of another network: {difference}.")
