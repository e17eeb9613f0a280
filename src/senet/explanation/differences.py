"""Differences between two networks explained on the same images, with 95 % intervals."""

from dataclasses import dataclass
from math import isnan, sqrt

import torch

from senet.explanation.class_share import interval
from senet.explanation.explanation import Explanation
from senet.explanation.interventions import Change, Effect, effect
from senet.explanation.values import BlockExplanation

__all__ = ["BlockDifference", "Differences", "differences"]


@dataclass(frozen=True)
class BlockDifference:
    """A block of the second network minus one of the first.

    Attributes:
        first: name of the block of the first network.
        second: name of the block of the second one.
        class_share: difference of the class shares; None if it has no interval.
        importance: difference of the changes of the loss by intervention [nats].
    """

    first: str
    second: str
    class_share: Change | None
    importance: dict[str, Change]


@dataclass(frozen=True)
class Differences:
    """The second network minus the first.

    Attributes:
        network: change of loss and top-1 accuracy; None without labels.
        blocks: blocks with equal names; if there are none, blocks of equal number.
    """

    network: Effect | None
    blocks: tuple[BlockDifference, ...]


def differences(first: Explanation, second: Explanation) -> Differences:
    """Return what differs between two explanations of the same images."""
    network = None
    if first.outcomes is not None and second.outcomes is not None:
        network = effect(first.outcomes, second.outcomes)
    by_name = {block.name: block for block in second.blocks}
    pairs = [(block, by_name[block.name]) for block in first.blocks if block.name in by_name]
    if not pairs and len(first.blocks) == len(second.blocks):
        pairs = list(zip(first.blocks, second.blocks, strict=True))
    whole = first.sample == first.images == second.sample
    return Differences(network, tuple(_block(a, b, paired=whole) for a, b in pairs))


def _block(a: BlockExplanation, b: BlockExplanation, *, paired: bool) -> BlockDifference:
    importance = {
        kind: _independent(a.importance[kind].loss, b.importance[kind].loss)
        for kind in a.importance
        if kind in b.importance
    }
    return BlockDifference(a.name, b.name, _shares(a, b, paired=paired), importance)


def _shares(a: BlockExplanation, b: BlockExplanation, *, paired: bool) -> Change | None:
    value = b.class_share - a.class_share
    if paired and len(a.left_out) == len(b.left_out) > 1:
        found = interval(value, torch.sub(b.left_out, a.left_out))
        return None if found is None else (value, *found)
    if a.class_share_interval is None or b.class_share_interval is None or isnan(value):
        return None
    return _independent((a.class_share, *a.class_share_interval), (b.class_share, *b.class_share_interval))


def _independent(a: Change, b: Change) -> Change:
    """Return the difference of two changes as if their errors were independent, which widens the interval of pairs."""
    half = sqrt((a[2] - a[1]) ** 2 + (b[2] - b[1]) ** 2) / 2
    value = b[0] - a[0]
    return value, value - half, value + half
