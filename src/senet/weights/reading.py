"""Conventions that names and shapes of weights do not show: pool padding, position of the stride, gates of blocks."""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from senet.errors import CheckpointError
from senet.models.resnet import ResNet
from senet.models.zoo import ZOO
from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.weights.origin import Origin

__all__ = ["Reading", "check", "reading"]

PLAIN_BLOCK = {"squeeze": "avg", "activation": "relu", "gate": "sigmoid", "norm": "none"}


@dataclass(frozen=True, kw_only=True)
class Reading:
    """Two conventions of a residual network that change its outputs but not the names or shapes of its tensors.

    Attributes:
        stem_kind: padding of the first max pool, `torch` or `caffe`; `other` for any other pool, empty without one.
        stride_in: convolution with the stride in its bottlenecks, `1x1` or `3x3`; empty if none has one.
    """

    stem_kind: str
    stride_in: str

    def __str__(self) -> str:
        """Format it as options of a network: `stem_kind = 'caffe', stride_in = '1x1'`."""
        return ", ".join(f"{name} = {value!r}" for name, value in vars(self).items() if value)


def reading(model: nn.Module) -> Reading:
    """Return the conventions of a network, read from its layers.

    Example:
        >>> from senet.models import create_model
        >>> print(reading(create_model("resnet50.v15")))
        stem_kind = 'torch', stride_in = '3x3'
    """
    return Reading(stem_kind=_stem_kind(model), stride_in=_stride_in(model))


def check(model: nn.Module, origin: Origin, *, name: str) -> None:
    """Raise an error if a network would compute other outputs than the origin's with the same weights.

    Raises:
        CheckpointError: with the conventions of the origin and the name of the network to build instead.
    """
    if not origin.checked:
        return
    for where, block in model.named_modules():
        if isinstance(block, SqueezeExcite) and not _is_theirs(block.spec, origin):
            kinds = "".join(f", or are {kind}" for kind in origin.kinds)
            raise CheckpointError(
                f"{where} is {block.spec}, the blocks of {name!r} use avg, relu, sigmoid{kinds}: the outputs would "
                "differ. Build the network with these; to start another design from them, load first and copy the "
                "state dict."
            )
    if origin.basic and any("conv3" not in branch._modules for branch in _branches(model)):
        raise CheckpointError(f"the basic units of {name!r} differ from these: {origin.basic}; choose another origin.")
    has = reading(model)
    wanted = Reading(
        stem_kind=has.stem_kind and (origin.stem_kind or has.stem_kind),
        stride_in=has.stride_in and ("3x3" if _groups(model) > 1 else origin.stride_in or has.stride_in),
    )
    if has != wanted:
        raise CheckpointError(
            f"the weights of {name!r} are for {wanted}, this network has {has}: names and shapes match, but the "
            f"outputs would differ. {_remedy(model, wanted)}"
        )


def _is_theirs(spec: SESpec, origin: Origin) -> bool:
    """Return whether blocks of the origin compute the same as those of a design."""
    kind = spec.kind_name
    if kind in origin.kinds:
        return all(
            getattr(spec, field) == getattr(SESpec.kind(kind), field) for field in ("activation", "gate", "bias")
        )
    return spec.has_ratio and all(getattr(spec, field) == value for field, value in PLAIN_BLOCK.items())


def _stem_kind(model: nn.Module) -> str:
    stem = model._modules.get("stem")
    pool = next((m for m in stem.children() if isinstance(m, nn.MaxPool2d)), None) if stem else None
    if pool is None:
        return ""
    padding = pool.padding if isinstance(pool.padding, int) else max(pool.padding)
    return {(1, False): "torch", (0, True): "caffe"}.get((padding, pool.ceil_mode), "other")


def _stride_in(model: nn.Module) -> str:
    for branch in _branches(model):
        if "conv3" in branch._modules:
            for conv, kernel in (("conv1", "1x1"), ("conv2", "3x3")):
                if max(branch.get_submodule(conv).stride) > 1:  # type: ignore[arg-type]
                    return kernel
    return ""


def _groups(model: nn.Module) -> int:
    groups = (branch.get_submodule("conv2").groups for branch in _branches(model))
    return max((g for g in groups if isinstance(g, int)), default=1)


def _branches(model: nn.Module) -> Iterator[nn.Module]:
    return (module for name, module in model.named_modules() if name.endswith(".branch"))


def _remedy(model: nn.Module, wanted: Reading) -> str:
    """Name the network of the zoo that has the wanted conventions, or the options to build it with."""
    if not isinstance(model, ResNet):
        pool = "nn.MaxPool2d(3, 2, padding=1)" if wanted.stem_kind == "torch" else "nn.MaxPool2d(3, 2, ceil_mode=True)"
        return f"Replace the pool before loading: model.stem.pool = {pool}."
    branch = next(_branches(model))
    facts = {
        "depths": tuple(len(part) for name, part in model.named_children() if name.startswith("stage")),  # type: ignore[arg-type]
        "unit": "bottleneck" if "conv3" in branch._modules else "basic",
        "cardinality": _groups(model),
        **{name: value for name, value in vars(wanted).items() if value},
    }
    for name, family in ZOO.items():
        if getattr(family, "func", family) is ResNet:
            known = {p.name: p.default for p in inspect.signature(family).parameters.values()}
            if all(known[fact] == value for fact, value in facts.items()):
                return f"Build {name!r}."
    options = {fact: value for fact, value in vars(wanted).items() if value}
    return f"Build it with options={options}."
