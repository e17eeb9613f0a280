"""The networks that a benchmark compares: with blocks and plain, each eager, accelerated, optimized or compiled."""

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from senet.errors import SpecError, UsageError, not_installed, unknown
from senet.fast import accelerate, optimize
from senet.models import create_model
from senet.networks.building import options_for_training
from senet.networks.create import plain
from senet.networks.insert_design import insert_design
from senet.networks.names import named
from senet.spec import SESpec

__all__ = ["DEFAULTS", "VARIANTS", "variants"]


def ordinary(model: nn.Module) -> nn.Module:
    """Return the network unchanged."""
    return model


def accelerated(model: nn.Module) -> nn.Module:
    """Fuse norms and blocks, in place."""
    accelerate(model)
    return model


def compiled(model: nn.Module) -> nn.Module:
    """Compile with TorchInductor."""
    return cast(nn.Module, torch.compile(model))


def optimized(model: nn.Module) -> nn.Module:
    """Optimize for inference."""
    return optimize(model)


Make = Callable[[nn.Module], nn.Module]
VARIANTS: Mapping[str, tuple[bool, Make]] = {  # by name: whether it has blocks, and its acceleration
    "plain": (False, ordinary),
    "plain accelerated": (False, accelerated),
    "plain optimized": (False, optimized),
    "plain compiled": (False, compiled),
    "se": (True, ordinary),
    "se accelerated": (True, accelerated),
    "se optimized": (True, optimized),
    "se compiled": (True, compiled),
}
DEFAULTS: Mapping[bool, tuple[str, ...]] = {  # by training or inference
    True: ("plain", "plain accelerated", "se", "se accelerated"),
    False: ("plain", "plain optimized", "se", "se optimized"),
}


def variants(
    model: str,
    se: SESpec | Sequence[SESpec],
    names: Sequence[str],
    *,
    train: bool,
    shape: tuple[int, int, int, int],
    timm: str | None = None,
    options: Mapping[str, Any] | None = None,
    builder: str | None = None,
) -> dict[str, nn.Module]:
    """Build the networks of a benchmark; all variants with blocks share initial weights, and so do the plain ones.

    Args:
        model: network, as for `senet.networks.create`; blocks are inserted into those that are not of the zoo.
        se: the design.
        names: names of `VARIANTS`; the others are compared with the first.
        train: build for training instead of inference.
        shape: of the input `(n, c, h, w)`.
        timm: a timm network to add.
        options: further arguments of the family, the library or the builder.
        builder: the function that builds the network of a folder.

    Raises:
        SpecError: if a name is not known, or a variant cannot be trained.
        UsageError: if `timm` is set and timm is not installed or does not have the network.
    """
    specs = (se,) if isinstance(se, SESpec) else tuple(se)
    for name in names:
        if name not in VARIANTS:
            raise unknown("variant", name, VARIANTS)
        if train and VARIANTS[name][1] is optimized:
            raise SpecError(f"variant = {name!r} is for inference; leave it out, or measure with mode='infer'.")
    twins = {
        with_se: _built(model, specs if with_se else (), shape, dict(options or {}), builder)
        for with_se in dict.fromkeys(VARIANTS[name][0] for name in names)
    }
    made: dict[str, nn.Module] = {}
    for name in names:
        with_se, make = VARIANTS[name]
        made[name] = make(copy.deepcopy(twins[with_se]).train(train))
    if timm is not None:
        made[f"timm {timm}"] = _timm(timm, next(iter(twins.values()))).train(train)
    return made


def _built(
    model: str, se: Sequence[SESpec], shape: tuple[int, ...], options: dict[str, Any], builder: str | None
) -> nn.Module:
    found = named(model)
    if found.library == "senet" and builder is None:
        return create_model(found.name, se=se or None, **options)
    num_classes = options.pop("num_classes", None)
    if found.library != "folder":
        options = {**options_for_training(found, in_chans=shape[1]), **options}
    made = plain(
        model, num_classes=num_classes, in_chans=shape[1], image_size=shape[2], options=options, builder=builder
    ).model
    if se:
        insert_design(made, se, preserve=False, shape=(1, *shape[1:]))
    return made


def _timm(name: str, like: nn.Module) -> nn.Module:
    try:
        import timm
    except ImportError:
        raise not_installed("comparing with a network of timm", "timm", extra="timm") from None
    if name not in timm.list_models(name):
        raise UsageError(f"timm has no model {name!r}; timm.list_models('*se*') lists those with blocks.")
    return cast(nn.Module, timm.create_model(name, num_classes=getattr(like, "num_classes", 1000)))
