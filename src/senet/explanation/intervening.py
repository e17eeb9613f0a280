"""The passes of an explanation in which the gates of blocks are replaced."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack

import torch
from jaxtyping import Int64
from torch import Tensor, nn

from senet.data.subset import balanced
from senet.explanation.gathering import Gathered
from senet.explanation.interventions import (
    Effect,
    Outcome,
    effect,
    outcome,
    replaced,
    substitutes,
    zeroed,
)
from senet.explanation.values import BlockExplanation, GateCurve
from senet.surgery.folding.answers import answer
from senet.surgery.folding.batches import Passes

__all__ = ["chosen_images", "gate_curves", "intervene"]

STEP = 100  # images of one forward pass with an intervention
CURVE = (0.1, 0.25, 0.5, 0.75, 0.9)  # shares of the channels that the gate curve sets to zero


def chosen_images(seen: Gathered, images: int | None) -> Int64[Tensor, " m"]:
    """Return the numbers of the images of the interventions, in rising order."""
    if images is None or images >= seen.images or not len(seen.labels):
        return torch.arange(seen.images)
    return balanced(seen.labels, images, seed=0)


def intervene(
    model: nn.Module,
    blocks: Mapping[str, BlockExplanation],
    seen: Gathered,
    passes: Passes,
    chosen: Int64[Tensor, " m"],
    kinds: Sequence[str],
    tell: Callable[[str], None],
) -> tuple[dict[str, dict[str, Effect]], dict[int, Effect]]:
    """Return the effect of every intervention on every block, and that of constants in all blocks of each stage.

    Args:
        model: the network, in evaluation mode.
        blocks: its blocks by name.
        seen: what the first pass gathered, with labels.
        passes: the images.
        chosen: numbers of the images to use, see `chosen_images`.
        kinds: names of the interventions, see `INTERVENTIONS`.
        tell: function that is called with the name of each intervention before its pass.
    """
    assert seen.outcomes is not None
    effects: dict[str, dict[str, Effect]] = {name: {} for name in blocks}
    puts = {
        name: substitutes(
            model.get_submodule(name),
            dim=seen.dims[name],
            gate=seen.sample[name],
            index=seen.sample.index,
            constant=seen.sums[name].fold.constant(),
            classes=seen.sums[name].classes.gates,
        )
        for name in blocks
    }
    alone: dict[str | int, list[str]] = {name: [name] for name in blocks}
    stages: dict[str | int, list[str]] = {}
    for name, one in blocks.items():
        stages.setdefault(one.stage, []).append(name)
    found: dict[int, Effect] = {}
    for kind in kinds:
        tell(kind)
        groups = stages if kind == "stages" else alone
        after: dict[str | int, list[Outcome]] = {group: [] for group in groups}
        for numbers, x in _chunks(passes, chosen):
            for group, names in groups.items():
                with ExitStack() as stack:
                    for name in names:
                        put = puts[name][_of_block(kind)]
                        stack.enter_context(replaced(model, name, put(numbers, seen.rows[numbers])))
                    after[group].append(outcome(answer(model, x, None)[0], seen.labels[numbers]))
        for group, parts in after.items():
            change = effect(seen.outcomes[chosen], _joined(parts))
            if isinstance(group, str):
                effects[group][kind] = change
            else:
                found[group] = change
    return effects, found


def gate_curves(
    model: nn.Module,
    blocks: Mapping[str, BlockExplanation],
    seen: Gathered,
    passes: Passes,
    chosen: Int64[Tensor, " m"],
) -> dict[str, GateCurve]:
    """Return the accuracies with a share of the channels of each image set to zero; arguments as of `intervene`."""
    orders = ("rising", "falling", "random")
    right = {(name, order, share): 0 for name in blocks for order in orders for share in CURVE}
    for numbers, x in _chunks(passes, chosen):
        for name, order, share in right:
            block = model.get_submodule(name)
            with replaced(model, name, zeroed(block, blocks[name].channels, share, order, seed=int(numbers[0]))):
                out, _ = answer(model, x, None)
            right[name, order, share] += int((out.argmax(1).cpu() == seen.labels[numbers]).sum())
    return {
        name: GateCurve(
            shares=CURVE,
            images=len(chosen),
            **{order: tuple(100 * right[name, order, share] / len(chosen) for share in CURVE) for order in orders},
        )
        for name in blocks
    }


def _chunks(passes: Passes, chosen: Int64[Tensor, " m"]) -> Iterator[tuple[Int64[Tensor, " n"], Tensor]]:
    """Yield the chosen images in chunks, with their numbers."""
    wanted = torch.zeros(int(chosen.max()) + 1, dtype=torch.bool).index_fill(0, chosen, value=True)
    numbers: list[Tensor] = []
    parts: list[Tensor] = []
    start = 0
    for x, _ in passes:
        own = torch.arange(start, start + len(x))
        take = wanted[own.clamp(max=len(wanted) - 1)] & (own < len(wanted))
        start += len(x)
        if bool(take.any()):
            numbers.append(own[take])
            parts.append(x[take.to(x.device)])
        if sum(map(len, parts)) >= STEP:
            yield torch.cat(numbers), torch.cat(parts)
            numbers, parts = [], []
    if parts:
        yield torch.cat(numbers), torch.cat(parts)


def _of_block(kind: str) -> str:
    """Return what takes the place of the gates of a block under an intervention."""
    return "constant" if kind == "stages" else kind


def _joined(parts: Sequence[Outcome]) -> Outcome:
    return Outcome(torch.cat([part.loss for part in parts]), torch.cat([part.right for part in parts]))
