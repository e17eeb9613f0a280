"""Count the blocks of a network for a search by block, and the parameters that each of them adds."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache

import torch
from torch import nn

from senet.errors import SpecError
from senet.experiments.run import Run
from senet.models import create_model
from senet.networks.names import named
from senet.networks.outline import outline_of
from senet.nn import Site
from senet.search.space import Space
from senet.search.strategy import Design
from senet.spec import SESpec
from senet.surgery import plan

__all__ = ["additive_count", "count_blocks", "with_blocks"]


def count_blocks(run: Run) -> tuple[int, ...]:
    """Count the units that can have a block, stage by stage; the network is built on the meta device.

    Example:
        >>> count_blocks(Run(model="resnet20"))
        (3, 3, 3)
    """
    if named(run.model).library != "senet":
        planned = plan(outline_of(replace(run, se=())), SESpec(), at=list(run.at) or "auto", preserve=False)
        stages = Counter(block.stage for block in planned)
        return tuple(stages[stage] for stage in range(1, max(stages) + 1))
    last: dict[int, int] = {}

    def gates(site: Site) -> Mapping[str, nn.Module]:
        last[site.stage] = max(last.get(site.stage, 0), site.unit)
        return {}

    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        create_model(run.model, se=gates)
    return tuple(last[stage] for stage in sorted(last))


def with_blocks(space: Space) -> Space:
    """Set the numbers of blocks of a space with `per = "block"` by those of its network.

    Raises:
        SpecError: if the network has other numbers of stages or blocks than the space, or some units are left out.
    """
    choices = space.choices
    if choices.per != "block":
        return space
    if space.base.at:
        raise SpecError(
            f"base.at = {list(space.base.at)} leaves units out, and choices.per = 'block' lists a ratio for each; "
            "remove base.at, or search by stage."
        )
    blocks = count_blocks(space.base)
    if len(blocks) != len(choices.reduction):
        raise SpecError(
            f"choices.reduction names {len(choices.reduction)} stages, {space.base.model} has {len(blocks)}; list "
            f"ratios for every stage."
        )
    if choices.blocks not in ((), blocks):
        raise SpecError(
            f"choices.blocks = {choices.blocks}, {space.base.model} has {blocks}; leave it out to count them in the "
            f"network."
        )
    return replace(space, choices=replace(choices, blocks=blocks))


def additive_count(space: Space, count: Callable[[Design], int]) -> Callable[[Design], int]:
    """Return a function that counts the parameters of designs as sums over their blocks.

    Thousands of designs then need one network for each candidate ratio. The sums are exact, because the weights of a
    block depend on its own ratio only.
    """

    @cache
    def start(variant: str, slot: str) -> int:
        return count(space.design([place.ratios[0] for place in space.choices.dimensions], variant=variant, slot=slot))

    @cache
    def added(number: int, ratio: int, variant: str, slot: str) -> int:
        ratios = [place.ratios[0] for place in space.choices.dimensions]
        ratios[number] = ratio
        return count(space.design(ratios, variant=variant, slot=slot)) - start(variant, slot)

    def params(design: Design) -> int:
        if not space.holds(design):
            return count(design)
        kind = str(design[0].variant), design[0].slot
        return start(*kind) + sum(added(number, ratio, *kind) for number, ratio in enumerate(space.ratios(design)))

    return params
