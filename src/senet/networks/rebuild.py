"""Conversion between a network and its description: how it was built, inserted blocks, folded blocks."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace

import torch
from torch import Tensor, nn

from senet.errors import CheckpointError, SenetError, SpecError
from senet.models import Network
from senet.networks.building import Builder, build
from senet.networks.feature_maps import FeatureMaps
from senet.networks.names import LIBRARIES, Named, named
from senet.surgery import ChannelScale, find, skeleton
from senet.surgery.insertion.inserted import inserted, reinsert
from senet.weights.config import Config
from senet.weights.difference import layers_differ, shapes_differ

__all__ = ["LIBRARY_OPTIONS", "described", "rebuild", "where"]

LIBRARY_OPTIONS = frozenset(
    ("global_pool", "output_stride", "drop_rate", "drop_path_rate", "dropout", "aux_logits", "transform_input")
)
"""Arguments of timm's and torchvision's networks that a folder may set; none of them reads a file."""
LONGEST_NAME = 300
MANY = 10_000  # classes or channels above which the weights must have the same number before the network is built


def where(config: Config, *, given: bool = False) -> Named:
    """Resolve the name in a description.

    Args:
        config: the description.
        given: the caller has the function that builds the network; its module may have moved or be absent.

    Raises:
        CheckpointError: if a description must not name this network or these options.
    """
    if len(config.model) > LONGEST_NAME:
        raise CheckpointError(
            f"model = {config.model[:60]!r}... has {len(config.model):,} characters; use at most {LONGEST_NAME}."
        )
    custom = config.model.rpartition(":")[0] not in ("", "senet", *LIBRARIES)
    found = Named("builder", config.model) if given and custom else named(config.model)
    if found.library == "folder":
        raise CheckpointError(f"model = {config.model!r} refers to another folder; a description must name a network.")
    if found.is_foreign:
        for name, value in config.options.items():
            if name not in LIBRARY_OPTIONS or not isinstance(value, int | float | str):
                allowed = ", ".join(sorted(LIBRARY_OPTIONS))
                raise CheckpointError(
                    f"options.{name[:60]} of {found} cannot be set by a folder; allowed are: {allowed}."
                )
    return found


def rebuild(config: Config, tensors: Mapping[str, Tensor], *, builder: Builder | None = None) -> nn.Module:
    """Build the network of a description with fresh weights; its size is checked against the weights first.

    Args:
        config: the description.
        tensors: the weights that will be loaded.
        builder: the function that builds the network, if the description names a custom builder.

    Raises:
        SenetError: if the description is not valid, or the weights belong to another network.
    """
    found = where(config, given=builder is not None)
    if found.library == "builder" and builder is None:
        raise CheckpointError(
            f"its network is built by {config.model}; for safety, functions that a folder names are not imported: pass "
            "it, from_pretrained(FOLDER, builder=FUNCTION), or --builder FILE.py:FUNCTION."
        )
    if found.library == "senet":
        with torch.device("meta"):
            _ensure_fit(tensors, _assembled(config, found, tensors, None))
    elif builder is None:
        sizes = {size for tensor in tensors.values() for size in tensor.shape[:2]}
        for name, number in (("num_classes", config.num_classes or 0), ("in_chans", config.in_chans)):
            if number > MANY and number not in sizes:
                raise CheckpointError(f"{name} = {number:.6g} does not match the weights; they are of another network.")
    model = _assembled(config, found, tensors, builder)
    _ensure_fit(tensors, model)
    return model


def described(model: nn.Module, config: Config, *, builder: Builder | None = None) -> Config:
    """Add inserted and folded blocks to a description, and verify it by rebuilding the network.

    Args:
        model: the network.
        config: how it was built.
        builder: the function that builds the network, if `config` names a custom builder.

    Raises:
        SpecError: if the arguments build another network.
    """
    if isinstance(model, FeatureMaps):
        raise SpecError(
            "model returns maps (features_only=True), and a folder holds whole networks: save the network that has its "
            "classifier; create_model(..., weights=FOLDER, features_only=True) reads the folder."
        )
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
        if isinstance(twin, Network) and isinstance(model, Network):
            twin.drop.p = model.drop.p  # `drop_rate` is for training, and not described
        difference = layers_differ(model, twin) or shapes_differ(state, twin)
    except SenetError as error:
        difference = str(error)
    if difference:
        raise SpecError(
            f"name, se and options build another network: {difference}; pass the arguments that built this "
            "one. For an accelerated network, call senet.decelerate(model) first."
        )
    return config


def _on_meta(make: Callable[[], nn.Module]) -> nn.Module:
    """Build on the meta device; on the default device if construction needs real values."""
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
        raise SpecError(f"se is only for networks of the zoo; list the blocks of {found} under insert.")
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
        raise CheckpointError(f"the weights belong to another network: {difference}.")
