"""Preprocessing of images for networks of other libraries and of folders, and the words for it."""

from collections.abc import Mapping
from pathlib import Path

from senet.data.dataset import Data, Loaded
from senet.data.file_split import Files
from senet.data.tensor_split import Tensors
from senet.networks.names import Named
from senet.networks.pretrained import preprocessing_of as of_folder
from senet.weights.config import IMAGENET, Preprocessing

__all__ = ["NORMS", "describe", "described_images", "preprocessing_of"]

NORMS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": IMAGENET,
}
"""Normalisations by name: mean and standard deviation of pixels in [0, 1], one for each channel."""


def preprocessing_of(found: Named) -> tuple[Preprocessing, str]:
    """Return the preprocessing that the library or the folder of a network specifies, and where it stands.

    Args:
        found: a network of timm or torchvision, or a folder. With a weights tag, e.g. `resnet50.a1_in1k` or
            `resnet50.IMAGENET1K_V1`, the preprocessing of those weights; otherwise that of the library's default
            weights. A network without any is described as ImageNet networks are: 224 of 256 pixels.
    """
    imagenet = Preprocessing(mean=IMAGENET[0], std=IMAGENET[1], size=224)
    none = imagenet, "ImageNet defaults, as the network specifies none"
    if found.library == "folder":
        told = of_folder(found.name)
        place = "the description in the file" if Path(found.name).is_file() else "the folder's config.json"
        return none if told is None else (told, place)
    if found.library == "timm":
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(found.name)
        told = None if config is None else Preprocessing.from_timm(config.to_dict())
        tag = f" of {config.tag}" if config is not None and config.tag else ""
        return none if told is None else (told, f"timm's configuration{tag}")
    from torchvision import models

    network, _, tag = found.name.partition(".")
    weights = models.get_model_weights(network)
    chosen = weights[tag] if tag else getattr(weights, "DEFAULT", None)  # some networks have no weights there
    if chosen is None:
        return none
    seen = chosen.transforms()
    size = int(seen.crop_size[0])
    return Preprocessing(
        mean=tuple(seen.mean),
        std=tuple(seen.std),
        size=size,
        crop=min(1.0, size / int(seen.resize_size[0])),
        interpolation=str(seen.interpolation.value),
    ), f"torchvision's transforms of {network} {chosen.name}"


def described_images(data: Data) -> Preprocessing | None:
    """Describe the images of a data set as a network sees them; None where means and deviations do not."""
    channels, height, width = data.shape
    split, spec = data.train, data.spec
    other = spec.normalize in ("kth", "none")  # a mean image, or no bytes
    if not isinstance(split, Tensors | Files) or height != width or other:
        return None
    return Preprocessing(
        mean=split.normalize.mean or (0.0,) * channels,
        std=split.normalize.std or (1.0,) * channels,
        size=height,
        crop=spec.crop if split.frame is not None and split.frame.short else 1.0,
        interpolation=spec.interpolation,
    )


def describe(split: Loaded, source: str) -> str:
    """Describe in one line how the images of a split become the input of a network.

    Args:
        split: images with frame and normalisation.
        source: where the normalisation stands.
    """
    _, height, width = split.shape
    frame, seen = split.frame, split.normalize
    kept = f"images of {height}x{width} not resized"
    if frame is not None and frame.short:
        kept = f"short side to {frame.short}, center crop {height}x{width} ({frame.interpolation})"
    mean, std = (seen.mean, seen.std) if seen.mean else ((0.0,), (1.0,))
    numbers = " and ".join(", ".join(f"{value:g}" for value in dict.fromkeys(values)) for values in (mean, std))
    return f"{kept}, mean and deviation {numbers} [{source}]"
