"""Build the network of the strategy `shared`: every block holds all ratios of its place."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from senet.data.dataset import Data
from senet.errors import SpecError
from senet.experiments.seeds import mix
from senet.models import create_model
from senet.networks.names import named
from senet.nn import Site
from senet.nn.nested import NestedSqueezeExcite
from senet.search.space import Space
from senet.surgery.insertion.insert import insert
from senet.training.initial_network import block_parameters, initial, is_trained

__all__ = ["SharedNetwork", "shared_network"]


@dataclass(frozen=True, eq=False)
class SharedNetwork:
    """A network with nested blocks.

    Attributes:
        model: the network.
        fresh: names of the parameters that are new in it: of its blocks, and of a classifier that replaced another.
    """

    model: nn.Module
    fresh: frozenset[str]


def shared_network(space: Space, data: Data) -> SharedNetwork:
    """Build the network of a space with nested blocks, from the weights of its first seed or those of the space.

    Networks of the zoo with fresh weights are built with the blocks. All others get them as `senet.insert` does; with
    trained weights, the blocks start as the identity, whichever ratio is selected.

    Raises:
        SpecError: if the space holds several variants or slots, whose weights cannot be shared, or fewer stages than
            the network.
    """
    if len(space.choices.variant) > 1 or len(space.choices.slot) > 1:
        raise SpecError(
            f"choices.variant = {space.choices.variant}, choices.slot = {space.choices.slot}: the strategy shared "
            "varies ratios only; keep one of each."
        )
    if named(space.base.model).library == "senet" and not space.base.weights:
        return _of_zoo(space, data)
    return _inserted(space, data)


def _of_zoo(space: Space, data: Data) -> SharedNetwork:
    template = space.template

    def gates(site: Site) -> Mapping[str, nn.Module]:
        ratios = _ratios(space, site.stage)
        if template.stages and site.stage not in template.stages:
            return {}
        if template.slot not in site.slots():
            raise SpecError(f"slot = {template.slot!r} does not exist in {space.base.model}.")
        specs = [template.but(reduction=r) for r in ratios]
        return {
            template.slot: NestedSqueezeExcite(site.slots()[template.slot], specs, stage=site.stage, unit=site.unit)
        }

    torch.manual_seed(mix(space.seeds[0], "shared"))
    channels, height, _ = data.shape
    model = create_model(space.base.model, se=gates, num_classes=data.num_classes, in_chans=channels, image_size=height)
    return SharedNetwork(model, block_parameters(model, NestedSqueezeExcite))


def _inserted(space: Space, data: Data) -> SharedNetwork:
    """Insert blocks with the first ratios, and replace each by a nested block in the same place."""
    run = space.run((), space.seeds[0])
    start, trained = initial(run, data), is_trained(run)
    model = start.model
    torch.manual_seed(mix(space.seeds[0], "shared"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the runs of the candidates warn of ratios that are too large
        done = insert(
            model,
            space.template.but(reduction=space.choices.reduction[0][0]),
            at=list(run.at) or "auto",
            preserve=trained,
            shape=(1, *data.shape),
        )
    if not len(done):
        raise SpecError(f"no unit of {run.model} takes a block; the strategy shared needs one that does.")
    for one in done:
        specs = [one.spec.but(reduction=ratio) for ratio in _ratios(space, one.stage)]
        block = NestedSqueezeExcite(one.channels, specs, stage=one.stage, unit=one.number)
        if trained:
            block.start_as_identity()
        model.set_submodule(one.name, block)
    return SharedNetwork(model, start.fresh | block_parameters(model, NestedSqueezeExcite))


def _ratios(space: Space, stage: int) -> tuple[int, ...]:
    """Return the ratios of a stage.

    Raises:
        SpecError: if the space has fewer stages.
    """
    if stage > len(space.choices.reduction):
        raise SpecError(
            f"choices.reduction names {len(space.choices.reduction)} stages, {space.base.model} has stage "
            f"{stage}; list ratios for every stage."
        )
    return space.choices.reduction[stage - 1]
