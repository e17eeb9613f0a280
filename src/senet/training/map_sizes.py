"""Check before the first step, on the meta device, whether a network can be trained on images of a given size."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn

from senet.data.dataset import Data
from senet.errors import SpecError, UsageError, reason_of
from senet.experiments.run import Run
from senet.networks.names import named
from senet.networks.outline import devices, outline
from senet.nn.layers import BATCH_NORMS
from senet.spec import SESpec
from senet.text import counted

__all__ = ["Maps", "look_at_maps", "refuse_small_maps"]

SIDES = (16, 32, 64, 96, 128, 224, 299, 331)  # image sizes that an error message may suggest [pixels]


@dataclass(frozen=True)
class Maps:
    """Sizes of the maps of a network in training.

    Attributes:
        spatial: number of convolutions with a kernel of more than one pixel.
        blind: number of those whose input has one pixel.
        lonely: name of a norm whose input has one value in each channel; empty if there is none.
        failure: error of the forward pass; empty if it runs.
        precision: of its parameters if none is float32; else empty.
    """

    spatial: int
    blind: int
    lonely: str
    failure: str
    precision: str = ""

    @property
    def sees(self) -> bool:
        """Whether it runs, and most of its spatial convolutions have inputs of more than one pixel."""
        return not self.failure and 2 * self.blind <= self.spatial


@lru_cache(maxsize=64)
def look_at_maps(model: str, se: tuple[SESpec, ...], *, shape: tuple[int, int, int], classes: int, images: int) -> Maps:
    """Send a batch through a network on the meta device, in training mode.

    Args:
        model: name of the network.
        se: its blocks.
        shape: of an image, `(c, h, w)` [channels, pixels, pixels].
        classes: number of its outputs.
        images: number of images in the batch.
    """
    for device in devices(model):
        maps = _look(model, se, shape=shape, classes=classes, images=images, device=device)
        if not maps.failure:
            break
    return maps


def _look(
    model: str, se: tuple[SESpec, ...], *, shape: tuple[int, int, int], classes: int, images: int, device: str
) -> Maps:
    channels, height, width = shape
    seen: dict[str, list[str]] = {"spatial": [], "blind": [], "lonely": []}

    def note(name: str, module: nn.Module, inputs: Sequence[Any]) -> None:
        x = inputs[0]
        if isinstance(module, nn.Conv2d) and max(module.kernel_size) > 1:
            seen["spatial"].append(name)
            seen["blind"] += [name] * (x.shape[2:].numel() == 1)
        if isinstance(module, BATCH_NORMS) and x.shape[0] * x.shape[2:].numel() == 1:
            seen["lonely"].append(name)

    inside = se if named(model).library == "senet" else ()  # blocks that are inserted change no map
    try:
        network = outline(model, inside, side=height, in_chans=channels, num_classes=classes, device=device).train()
    except (NotImplementedError, SpecError) as error:
        if device == devices(model)[-1]:
            raise
        return Maps(0, 0, "", str(error))
    with torch.device(device), torch.no_grad(), torch.random.fork_rng(devices=[]):
        for name, module in network.named_modules():
            if isinstance(module, (nn.Conv2d, *BATCH_NORMS)):
                module.register_forward_pre_hook(partial(note, name))
        try:
            logits = network(torch.empty(images, channels, height, width))
            right = isinstance(logits, torch.Tensor) and logits.shape == (images, classes)
            shown = tuple(logits.shape) if isinstance(logits, torch.Tensor) else f"a {type(logits).__name__}"
            failure = "" if right else f"in training it returns {shown} and not logits ({images}, {classes})"
        except Exception as error:  # torch names the size; the user's networks may raise any type
            failure = reason_of(error)
    dtypes = dict.fromkeys(parameter.dtype for parameter in network.parameters() if parameter.is_floating_point())
    precision = "" if torch.float32 in dtypes else str(next(iter(dtypes), "")).removeprefix("torch.")
    return Maps(len(seen["spatial"]), len(seen["blind"]), "".join(seen["lonely"][:1]), failure, precision)


def refuse_small_maps(run: Run, data: Data, *, processes: int = 1) -> Maps:
    """Raise an error if the images are too small for the network of a run, or all of one class.

    Raises:
        UsageError: if there is one class, the network does not run on the images, most of its spatial convolutions
            would see a single pixel, a norm would see a single value, the padding is wider than the image, or no
            parameter is float32.
    """
    recipe, (_, height, width) = run.recipe, data.shape
    if data.num_classes < 2:
        raise UsageError(
            f"the images are all of one class, {data.classes[0]}, and there is nothing to learn; give a folder for "
            "each of at least two classes."
        )
    if recipe.augment.crop >= min(height, width):
        raise UsageError(
            f"augment.crop = {recipe.augment.crop} pads images of {height}x{width} pixels by their own size or more; "
            f"use at most {min(height, width) - 1}."
        )
    # a last batch with less than two images a part is left out: `epoch_plan`
    images = min(2, recipe.batch_size // (processes * recipe.accumulate))
    maps = look_at_maps(run.model, run.se, shape=data.shape, classes=data.num_classes, images=images)
    if maps.precision:
        raise UsageError(
            f"{run.model} has parameters in {maps.precision}, and a training keeps them in float32: return "
            "model.float() from its function; recipe.amp=bf16 computes in bfloat16."
        )
    if maps.lonely:
        raise UsageError(
            f"recipe.batch_size = {recipe.batch_size} leaves parts of a batch with one image, of which the norm "
            f"{maps.lonely} of {run.model} sees one value in each channel; norms need two: set "
            f"recipe.batch_size = {2 * processes * recipe.accumulate} or more, or lower recipe.accumulate."
        )
    if not maps.sees:
        why = f"{maps.blind} of its {maps.spatial} spatial convolutions see a single pixel"
        raise UsageError(
            f"{run.model} cannot be trained on images of {height}x{width} pixels: {maps.failure or why}; "
            f"{_way_out(run, data, failed=bool(maps.failure))}."
        )
    return maps


def _way_out(run: Run, data: Data, *, failed: bool) -> str:
    small = "choose a network for small images, e.g. resnet8 or resnet20"
    channels, height, _ = data.shape
    for side in SIDES if failed or data.spec.name == "folder" else ():
        shape = (channels, side, side)
        if side > height and look_at_maps(run.model, run.se, shape=shape, classes=2, images=2).sees:
            return f"set data.size={side} or more, or {small}" if data.spec.name == "folder" else small
    if failed:  # at every size: the size is not the reason
        return f"it must take images of {counted(channels, 'channel')} and return scores of shape (images, classes)"
    return small
