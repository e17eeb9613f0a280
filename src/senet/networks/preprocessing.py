"""Preprocessing of images for networks of other libraries: resize, crop, interpolation, normalisation.

Letters in shapes: n images, c channels, h rows, w columns.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from senet.data.image_decoding import to_tensor
from senet.errors import SpecError, unknown
from senet.networks import Named
from senet.networks import preprocessing_of as of_folder
from senet.weights.config import Preprocessing

__all__ = ["NORMS", "ForeignPreprocessing", "adjusted", "preprocessing_of"]

NORMS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Normalisations by name: mean and standard deviation of pixels in [0, 1], one for each channel."""

INTERPOLATIONS: Mapping[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class ForeignPreprocessing:
    """Resize the short side to `resize`, center-crop to `size`, and normalise: `(x / 255 - mean) / std`.

    An image that already has the input size is not resized.

    Attributes:
        size: rows and columns of the input [pixels].
        resize: short side before the crop [pixels].
        interpolation: interpolation of the resize.
        mean: mean of pixels in [0, 1], one for each channel.
        std: standard deviation of pixels in [0, 1], one for each channel.
        source: where the values come from, for reports.
    """

    size: tuple[int, int] = (224, 224)
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = NORMS["imagenet"][0]
    std: tuple[float, ...] = NORMS["imagenet"][1]
    source: str = "ImageNet defaults, as the network specifies none"

    def __str__(self) -> str:
        height, width = self.size
        return (
            f"short side to {self.resize}, center crop {height}x{width} ({self.interpolation}; images of "
            f"{height}x{width} are not resized), {self.describe_normalization()}"
        )

    def describe_normalization(self) -> str:
        """Describe the mean and standard deviation."""
        numbers = " and ".join(", ".join(f"{value:g}" for value in dict.fromkeys(v)) for v in (self.mean, self.std))
        return f"mean and deviation {numbers} [{self.source}]"

    def fit(self, picture: Image.Image) -> Image.Image:
        """Resize and center-crop an image."""
        height, width = self.size
        if picture.size == (width, height):
            return picture
        short = min(picture.size)
        wide, high = (
            max(int(self.resize * side / short), least)
            for side, least in zip(picture.size, (width, height), strict=True)
        )
        left, top = round((wide - width) / 2), round((high - height) / 2)
        resized = picture.resize((wide, high), INTERPOLATIONS.get(self.interpolation, Image.Resampling.BILINEAR))
        return resized.crop((left, top, left + width, top + height))

    def numbers(self, pixels: Float[Tensor, "*n c h w"]) -> Float[Tensor, "*n c h w"]:
        """Normalise pixels in [0, 1]."""
        mean, std = (torch.tensor(values, device=pixels.device).view(-1, 1, 1) for values in (self.mean, self.std))
        return (pixels - mean) / std

    @property
    def described(self) -> Preprocessing:
        """The same as the description of a network holds it."""
        return Preprocessing(
            mean=self.mean, std=self.std, size=max(self.size), crop=min(1.0, min(self.size) / self.resize),
            interpolation=self.interpolation,
        )  # fmt: skip

    def __call__(self, picture: Image.Image) -> Float[Tensor, "3 h w"]:
        """Return the input of the network for an image."""
        return self.numbers(to_tensor(self.fit(picture)).float() / 255)


def preprocessing_of(found: Named) -> ForeignPreprocessing:
    """Return the preprocessing that the library or the folder of a network specifies.

    Args:
        found: a network of timm or torchvision, or a folder. With a weights tag, e.g. `resnet50.a1_in1k` or
            `resnet50.IMAGENET1K_V1`, the preprocessing of those weights; otherwise that of the library's default
            weights.
    """
    if found.library == "folder":
        told = of_folder(found.name)
        if told is None:
            return ForeignPreprocessing()
        size, resize = (told.size, told.size), int(told.size / told.crop)
        return ForeignPreprocessing(
            size=size, resize=resize, interpolation=told.interpolation, mean=told.mean, std=told.std,
            source="the description in the file" if Path(found.name).is_file() else "the folder's config.json",
        )  # fmt: skip
    if found.library == "timm":
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(found.name)
        return _from_timm({} if config is None else config.to_dict())
    from torchvision import models

    network, _, tag = found.name.partition(".")
    weights = models.get_model_weights(network)
    chosen = weights[tag] if tag else getattr(weights, "DEFAULT", None)  # some networks have no weights there
    return (
        ForeignPreprocessing() if chosen is None else _from_torchvision(chosen.transforms(), f"{network} {chosen.name}")
    )


def _from_timm(config: Mapping[str, Any]) -> ForeignPreprocessing:
    """Read the preprocessing from timm's `pretrained_cfg` of a network."""
    own = ForeignPreprocessing()
    size = tuple(config.get("input_size") or (3, *own.size))[1:]
    tag = f" of {config['tag']}" if config.get("tag") else ""
    return ForeignPreprocessing(
        size=(int(size[0]), int(size[1])),
        resize=int(min(size) / (config.get("crop_pct") or 0.875)),
        interpolation=str(config.get("interpolation") or "bicubic"),
        mean=tuple(config.get("mean") or own.mean),
        std=tuple(config.get("std") or own.std),
        source=f"timm's configuration{tag}",
    )


def _from_torchvision(transforms: Any, name: str) -> ForeignPreprocessing:
    """Read the preprocessing from torchvision's transforms."""
    side = int(transforms.crop_size[0])
    return ForeignPreprocessing(
        size=(side, side),
        resize=int(transforms.resize_size[0]),
        interpolation=str(transforms.interpolation.value),
        mean=tuple(transforms.mean),
        std=tuple(transforms.std),
        source=f"torchvision's transforms of {name}",
    )


def adjusted(own: ForeignPreprocessing, *, normalize: str = "auto", size: int = 0) -> ForeignPreprocessing:
    """Return the preprocessing of a network with the user's changes.

    Args:
        own: preprocessing of the network.
        normalize: a name of `NORMS`; `auto` keeps the normalisation.
        size: side of the input [pixels]; the resize scales in proportion; 0 keeps the size.

    Raises:
        SpecError: if `normalize` is not known, or mean and deviation differ in length.
    """
    if normalize != "auto":
        if normalize not in NORMS:
            raise unknown("--normalize", normalize, (*NORMS, "auto"))
        own = replace(own, mean=NORMS[normalize][0], std=NORMS[normalize][1], source=f"--normalize {normalize}")
    if size and own.size != (size, size):
        own = replace(own, size=(size, size), resize=round(size * own.resize / min(own.size)))
    if len(own.mean) != len(own.std):
        raise SpecError(f"mean {own.mean} and deviation {own.std} have different numbers of channels.")
    return own
