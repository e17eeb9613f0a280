"""Fold blocks whose gates hardly depend on the image into adjacent layers."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from senet.calls import by_name
from senet.dataflow.twin import refuse_lazy
from senet.errors import SpecError, unknown
from senet.known_names import Harms
from senet.nn.evaluated import evaluated
from senet.surgery.finding.find import find
from senet.surgery.folding.batches import Batches, Passes
from senet.surgery.folding.constants import ChannelScale, put, take_out
from senet.surgery.folding.folded import Bounds, Folded, Step
from senet.surgery.folding.removal import PER, Removal, Watch
from senet.surgery.insertion.refuse import refuse_wrapped, see_changes
from senet.surgery.insertion.watch import repair

__all__ = ["fold", "skeleton"]


@torch.inference_mode(False)  # inference mode prevents recording a flow and creating trainable tensors
@by_name
def fold(
    model: nn.Module,
    batches: Batches,
    *,
    test: Batches | None = None,
    tolerance: float | None = 0.5,
    sure: bool = True,
    blocks: int | None = None,
    params: int | None = None,
    per: Harms = "block",
    at: str = "*",
    dry_run: bool = False,
    watch: Watch | None = None,
) -> Folded:
    """Replace gates that hardly depend on the image by constants, and fold the constants into adjacent layers.

    One pass measures every gate; the constant of a channel is the one that minimises the squared error of the
    block's output. One pass for each block measures the error of the network's output with a constant in this block
    alone, which determines the order of removal. Blocks are then replaced one after the other, each step measured on
    `test`, until the tolerance or the budget is reached. The order is not measured again between the steps, which
    would square the number of passes.

    A constant is folded exactly into the norm or convolution directly before the block, or into all layers directly
    after it, or through ReLU, sums and concatenations into layers before it; each fold is checked by running the
    network. If no layer can take it, a `ChannelScale` with C parameters remains. Blocks of other libraries are folded
    too. The keys of folded blocks disappear from the state dict, all other keys remain.

    Args:
        model: any network with blocks that `find` recognises; changed in place. It is measured in evaluation mode,
            and the modes of its modules are restored.
        batches: representative images for the statistics, alone or with labels, see
            `senet.surgery.folding.batches.parts_of`: a list of batches, or a DataLoader that neither
            shuffles nor augments. They are iterated several times and must be the same in every pass.
        test: the images on which steps are measured; None uses `batches`, on which the order was chosen too.
        tolerance: largest loss, see `Folded.measure` [percentage points]; None for no bound.
        sure: whether the upper end of the loss's 95 % interval is compared with the tolerance, not the measured loss.
        blocks: largest number of blocks to remove; None for no bound.
        params: number of freed parameters after which removal stops; None for no bound.
        per: rank by output error of a block, or by its square divided by the parameters, multiply-adds or time freed.
        at: pattern of the names of blocks that may be removed, with `*` and `?`.
        dry_run: whether to measure the whole curve without changing the network.
        watch: function that is called with the progress, see `Watch`.

    Returns:
        The measurements, the removed blocks and the layers that took their constants. A network without blocks that
        can be folded does not cause an error.

    Raises:
        SpecError: if an argument does not fit, the network is wrapped or compiled or cannot be copied for a trial run,
            or the batches are not the same in every pass.
        NumericError: if a gate or an output is not finite.

    Source:
        Hu et al., arXiv:1709.01507, sections 4 and 7.2: the remark that blocks of the last stage are nearly idle.

    Example:
        >>> report = fold(network, train_images, test=labelled, tolerance=0.5)  # doctest: +SKIP
    """
    bounds = Bounds(tolerance=tolerance, sure=sure, blocks=blocks, params=params)
    _check(batches, test, bounds, per)
    refuse_wrapped(model)
    refuse_lazy(model)
    repair(model)
    for name, parameter in model.named_parameters():
        if parameter.is_inference():
            raise SpecError(
                f"model.{name} was made in inference_mode and cannot change; build the network outside of it."
            )
    every = find(model)
    left = tuple(f"{one.title} stays: {one.left}" for one in every if one.left)
    found = {one.name: one for one in every if not one.left}
    eligible = {name: one for name, one in found.items() if fnmatchcase(name, at)}
    if not eligible:
        none = "the network has no SE blocks" + (" that are modules" if left else "")
        note = f"none of the {len(found)} blocks has a name like {at!r}" if found else none
        return Folded(blocks=(), bounds=bounds, dry_run=dry_run, notes=(note, *left))
    with evaluated(model):
        removal = Removal(model, eligible, batches, test, watch)
        removal.observe()
        removal.rank(per)
        steps = list(removal.steps(bounds, whole=dry_run))
        chosen = bounds.longest(steps)
        removed = removal.mark(chosen)
        rounding = 0.0
        if dry_run:
            removal.foresee()
        else:
            rounding = removal.apply(removed)
    see_changes()
    return Folded(
        blocks=tuple(removal.reports.values()),
        steps=tuple(steps),
        chosen=chosen,
        measure=removal.before.measure,
        statistics_images=removal.seen.images,
        test_images=removal.before.images,
        separate=removal.test is not None and not removal.test.shared(removal.batches),
        bounds=bounds,
        rounding=rounding,
        dry_run=dry_run,
        notes=(*_notes(steps, chosen, bounds, removal), *left),
    )


@torch.inference_mode(False)
def skeleton(model: nn.Module, removed: Sequence[str], *, scaled: Sequence[str] = ()) -> None:
    """Change the layers of a network to those of its folded version, so that the state dict of that version fits.

    Args:
        model: the network as it was before folding; changed in place. Its weights are meaningless until those of the
            folded network are loaded.
        removed: the removed blocks, `Folded.removed`.
        scaled: those of them that were replaced by a `ChannelScale`, `Folded.scaled`.

    Raises:
        SpecError: if the network does not have these blocks.
    """
    refuse_wrapped(model)
    there = {one.name: one for one in find(model) if not one.left}
    for name in (*removed, *scaled):
        if name not in there:
            raise SpecError(f"{name} is not a block of this network; build it as it was before it was folded.")
    for name in removed:
        if name in scaled:
            weight = next(model.get_submodule(name).parameters())
            put(model, name, ChannelScale(torch.ones(there[name].channels, dtype=weight.dtype, device=weight.device)))
        else:
            take_out(model, name)
    see_changes()


def _check(batches: Batches, test: Batches | None, bounds: Bounds, per: str) -> None:
    for place, given in (("batches", batches), ("test", test)):
        if given is not None:
            Passes(given, place=place)
    for place, value in (("tolerance", bounds.tolerance), ("blocks", bounds.blocks), ("params", bounds.params)):
        if value is not None and not value >= 0:
            raise SpecError(f"{place} = {value} is not possible; give 0 or more, or None for no bound.")
    if per not in PER:
        raise unknown("per", per, PER)


def _notes(steps: Sequence[Step], chosen: int, bounds: Bounds, removal: Removal) -> Iterator[str]:
    images = removal.before.images
    yield from dict.fromkeys((*removal.seen.notes, *removal.before.notes))
    if removal.note:
        yield removal.note
    if removal.test is not None and (shared := removal.test.shared(removal.batches)):
        yield f"{shared:,} of the {images:,} test images are among those that the order was chosen on"
    if removal.test is None and removal.before.measure != "output":
        yield "steps were measured on the images that the order was chosen on; give `test` for a fair number"
    if len(steps) == 1 and not removal.order():
        yield "no block can be replaced; the reasons are with the blocks"
    elif chosen == 0 and len(steps) > 1 and bounds.tolerance is not None:
        yield "nothing was folded: even the block that matters least costs more than the tolerance allows"
    tolerance, floor = bounds.tolerance, removal.before.floor
    if bounds.sure and tolerance is not None and 0 < tolerance < floor:
        yield (
            f"with {images:,} images the interval ends at {floor:.2f} even if no prediction changes, so a tolerance of "
            f"{tolerance:g} cannot be shown: give more images, a larger tolerance, or sure=False"
        )
