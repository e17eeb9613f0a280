"""Explain what the gates of a network do: one pass over the images, and one for each intervention."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import nn

from senet.calls import by_name
from senet.dataflow.example import tried
from senet.dataflow.flow import Flow
from senet.dataflow.twin import refuse_lazy
from senet.dataflow.units import find_units, stage_of, stage_sizes
from senet.errors import SpecError, unknown
from senet.explanation.conditions import checked, groups_of
from senet.explanation.diagnosis import diagnose
from senet.explanation.explanation import Explanation
from senet.explanation.gathering import Gathered, gather
from senet.explanation.intervening import chosen_images, gate_curves, intervene
from senet.explanation.interventions import INTERVENTIONS, Effect
from senet.explanation.pictures import pictures
from senet.explanation.summarizing import Place, summarize
from senet.nn.evaluated import evaluated
from senet.surgery.finding.find import Found, find
from senet.surgery.folding.answers import note_of_outputs
from senet.surgery.folding.batches import Batches, Passes
from senet.surgery.folding.profile import time_percents
from senet.surgery.folding.removal import Watch
from senet.surgery.insertion.places import Placer, chains
from senet.surgery.insertion.refuse import refuse_wrapped
from senet.surgery.insertion.watch import repair

__all__ = ["explain"]

IMAGES = 500  # images of each intervention


@torch.inference_mode(False)
@by_name
def explain(
    model: nn.Module,
    batches: Batches,
    *,
    classes: Sequence[str] | Mapping[int, str] | None = None,
    interventions: Sequence[str] = INTERVENTIONS,
    images: int | None = IMAGES,
    curve: bool = False,
    by: Mapping[str, Sequence[object]] | None = None,
    other: nn.Module | None = None,
    names: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
    watch: Watch | None = None,
) -> Explanation:
    """Measure what the gates of a network do: statistics, interventions, and a diagnosis for each block.

    One pass over the images gathers sums in float64, and the gates of single images as far as they fit into 1 GiB (of
    more images, a random sample), on which quantiles, intervals, permutations and regressions rest. Each intervention
    is one more pass, in which the gates of one block after the other are replaced and the paired change of loss and
    top-1 accuracy is measured. Every block that `find` knows is explained, of any library.

    Args:
        model: any network with blocks that `find` recognises; measured in evaluation mode and not changed.
        batches: images with labels or alone, see `senet.surgery.folding.batches.parts_of`: a list of batches, or a
            DataLoader that neither shuffles nor augments. Without labels nothing about classes is known.
        classes: names of the labels: a list whose i-th name is that of label i, or a mapping. None numbers them.
        interventions: names among `constant`, `identity`, `shuffle` (the gates of another image), `class_mean`, and
            `stages` (constants in all blocks of a stage at once).
        images: images of the interventions, as many of each class; None uses all.
        curve: whether to measure the accuracy with a share of the channels of each image set to zero, in rising,
            falling and random order of the gates: 15 more forward passes for each block and image.
        by: further conditions of the images by name, with one value for each image: scanner, site, age.
        other: a second network, explained on the same images; differences are in `Explanation.other`.
        names: name of each image, for lists of images; empty numbers them.
        mean: mean of each input channel that was subtracted from the images, for thumbnails in their own colours.
        std: standard deviation by which it was divided.
        watch: function that is called with the progress, see `senet.surgery.folding.removal.Watch`.

    Returns:
        The explanation: a table, figures, the statistics of each block by name, files.

    Raises:
        SpecError: if an argument does not fit, the network has no blocks, the images have one class or one image of
            each class, or batches differ between passes.
        NumericError: if a value in a block or an output is not finite.

    Source:
        Hu et al., arXiv:1709.01507, section 7.2: the role of excitation; the definitions are in the docs of `explain`.

    Example:
        >>> explanation = explain(network, test_images, classes=["cat", "dog"])  # doctest: +SKIP
        >>> print(explanation["layer4.2.se"].class_share)  # doctest: +SKIP
    """
    for kind in interventions:
        if kind not in INTERVENTIONS:
            raise unknown("interventions", kind, INTERVENTIONS)
    if images is not None and images < 2:
        raise SpecError(f"images = {images} is too few for an interval; give at least 2, or None for all.")
    passes = Passes(batches, place="batches")
    plan = _Plan(tuple(interventions), images, curve, by, classes, tuple(names), tuple(mean), tuple(std), watch)
    first = _explained(model, passes, plan)
    if other is None:
        return first
    return replace(first, other=_explained(other, passes, plan))


@dataclass
class _Plan:
    """What is asked of an explanation, and how many passes are done."""

    interventions: tuple[str, ...]
    images: int | None
    curve: bool
    by: Mapping[str, Sequence[object]] | None
    classes: Sequence[str] | Mapping[int, str] | None
    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    watch: Watch | None
    done: int = field(default=0)

    def tell(self, what: str) -> None:
        if self.watch is not None:
            self.watch(what, self.done, max(self.done + 1, 2 + len(self.interventions) + self.curve))
        self.done += 1


def _explained(model: nn.Module, passes: Passes, plan: _Plan) -> Explanation:
    """Explain one network."""
    refuse_wrapped(model)
    refuse_lazy(model)
    repair(model)
    every = find(model)
    left = [f"{one.title} is left out: {one.left}" for one in every if one.left]
    found = {one.name: one for one in every if not one.left}
    if not found:
        raise SpecError(
            f"{type(model).__name__} has no squeeze-and-excitation blocks{' that are modules' if left else ''}, so "
            "there are no gates to explain; senet.find(model) lists what is recognised."
        )
    with evaluated(model):
        plan.tell("gates of all images")
        seen = gather(model, found, passes)
        outputs = note_of_outputs(model, next(iter(passes))[0])
        _check_classes(seen)
        names = _class_names(plan.classes, seen)
        groups = {name: groups_of(values.tolist()) for name, values in seen.conditions.items()}
        groups |= {name: groups_of(values) for name, values in checked(plan.by, seen.images).items()}
        places = _places(model, found, seen, passes)
        blocks = {name: summarize(name, places[name], seen, groups) for name in found if name in seen.sums}
        chosen = chosen_images(seen, plan.images)
        stages: dict[int, Effect] = {}
        if seen.outcomes is not None and plan.interventions:
            effects, stages = intervene(model, blocks, seen, passes, chosen, plan.interventions, plan.tell)
            blocks = {name: replace(one, importance=effects[name]) for name, one in blocks.items()}
        if seen.outcomes is not None and plan.curve:
            plan.tell("gate curve")
            curves = gate_curves(model, blocks, seen, passes, chosen)
            blocks = {name: replace(one, gate_curve=curves[name]) for name, one in blocks.items()}
    strange = [f"{name} is left out: it does not run once in every pass, from one map to one of the same shape"
               for name in seen.strange]  # fmt: skip
    if not blocks:
        raise SpecError(f"no block can be explained: {strange[0]}.")
    plan.tell("pictures of the extremes")
    if plan.names and len(plan.names) != seen.images:
        raise SpecError(f"names has {len(plan.names)} names for {seen.images} images; give one for each image.")
    return Explanation(
        title=type(model).__name__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        classes=names,
        rows=seen.rows,
        images=seen.images,
        sample=len(seen.sample.index),
        outcomes=seen.outcomes,
        blocks=tuple(replace(one, diagnosis=diagnose(one, names)) for one in blocks.values()),
        stages=stages,
        pictures=pictures(blocks, seen, passes, names=plan.names, mean=plan.mean, std=plan.std),
        notes=(*seen.notes, *([outputs] if outputs else []), *left, *strange),
    )


def _check_classes(seen: Gathered) -> None:
    if not len(seen.labels):
        return
    counts = torch.bincount(seen.rows)
    if len(counts) == 1:
        raise SpecError(
            f"all {seen.images} images have the label {seen.of_rows[0]}, and classes are compared; give images of at "
            "least two classes, or images without labels."
        )
    if int(counts.max()) == 1:
        raise SpecError(
            f"each of the {len(counts)} classes has one image, so the class cannot be told from the image; give at "
            "least two images of a class, 50 are a good start."
        )


def _class_names(given: Sequence[str] | Mapping[int, str] | None, seen: Gathered) -> tuple[str, ...]:
    """Return the names of the rows of the class sums, whose labels are in rising order.

    Raises:
        SpecError: if a label has no name.
    """
    if given is None:
        return tuple(map(str, seen.of_rows))
    names = dict(given) if isinstance(given, Mapping) else dict(enumerate(given))
    missing = [label for label in seen.of_rows if label not in names]
    if missing:
        raise SpecError(
            f"classes has {len(names)} names and none for label {missing[0]}; name every label, from 0 in a list, or "
            "by a mapping."
        )
    return tuple(str(names[label]) for label in seen.of_rows)


def _places(model: nn.Module, found: Mapping[str, Found], seen: Gathered, passes: Passes) -> dict[str, Place]:
    """Return what the blocks are and where they run."""
    device = next(model.parameters()).device
    probe = next(iter(passes))[0][:32].to(device, copy=True)
    blocks = {name: model.get_submodule(name) for name in found}
    flow, percents = tried(model, probe[:1]), time_percents(model, blocks, probe)
    stages = _stages(model, flow, found)
    return {
        name: Place(
            one,
            blocks[name],
            stage=stages.get(name, 0),
            macs=sum(op.macs for op in flow.inside(name)),
            time_percent=percents[name],
        )
        for name, one in found.items()
    }


def _stages(model: nn.Module, flow: Flow, found: Mapping[str, Found]) -> dict[str, int]:
    """Return the stages of blocks as `SESpec.stages` counts them: those of a network of the zoo, else by map sizes."""
    if type(model).__module__.startswith("senet.models."):
        stages = {name: re.match(r"stage(\d+)\.", name) for name in found}
        return {name: 1 if stage is None else int(stage[1]) for name, stage in stages.items()}  # a stem is in stage 1
    blocks = {name for one in find(model) for name in one.modules}
    units, skipped = find_units(flow, blocks=blocks, chains=chains(model))
    sizes = stage_sizes(Placer(model, flow, blocks).with_relatives(units, skipped))
    maps = {call.name: call.input.sizes for call in flow.calls if call.name in found and call.input is not None}
    return {name: stage_of(size, sizes) for name, size in maps.items()}
