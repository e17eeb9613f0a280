"""What a network of another library wants done to a picture: the sizes, the interpolation, the numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor

from senet.data.image_decoding import to_tensor
from senet.errors import SpecError, unknown
from senet.networks import Named
from senet.networks import preprocessing_of as of_folder

__all__ = ["NORMS", "ForeignPreprocessing", "adjusted", "preprocessing_of"]

NORMS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation that the pixels in [0, 1] are normalised with, by name."""

INTERPOLATIONS: Mapping[str, Image.Resampling] = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@dataclass(frozen=True, kw_only=True)
class ForeignPreprocessing:
    """From a picture to what a network sees: short side to `resize`, the middle of `size`, `(x / 255 - mean) / std`.

    A picture that has the network's size already is not resized: it was cut for it.

    Attributes:
        size: rows and columns of the input [pixels].
        resize: short side before the crop [pixels].
        interpolation: of the resizing.
        mean: of pixels in [0, 1], one a channel.
        std: likewise.
        source: who says so.
    """

    size: tuple[int, int] = (224, 224)
    resize: int = 256
    interpolation: str = "bilinear"
    mean: tuple[float, ...] = NORMS["imagenet"][0]
    std: tuple[float, ...] = NORMS["imagenet"][1]
    source: str = "the usual of ImageNet, as the network says nothing"

    def __str__(self) -> str:
        height, width = self.size
        return (
            f"short side to {self.resize}, middle {height}x{width} ({self.interpolation}; pictures of {height}x{width} "
            f"as they are), {self.spoken_numbers()}"
        )

    def spoken_numbers(self) -> str:
        """Describe the normalisation alone."""
        numbers = " and ".join(", ".join(f"{value:g}" for value in dict.fromkeys(v)) for v in (self.mean, self.std))
        return f"mean and deviation {numbers} [{self.source}]"

    def fit(self, picture: Image.Image) -> Image.Image:
        """Resize a picture and cut out its middle."""
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

    def __call__(self, picture: Image.Image) -> Float[Tensor, "3 h w"]:
        """Turn a picture into the input of the network."""
        return self.numbers(to_tensor(self.fit(picture)).float() / 255)


def preprocessing_of(found: Named) -> ForeignPreprocessing:
    """Return what a network wants done to a picture, as its library or its folder says.

    Args:
        found: of timm or torchvision, or a folder. A name with weights, `resnet50.a1_in1k` or `resnet50.IMAGENET1K_V1`,
            asks for what those want; without them it is what the library's default weights want.
    """
    if found.library == "folder":
        told = of_folder(found.name)
        if told is None:
            return ForeignPreprocessing()
        size, resize = (told.size, told.size), int(told.size / told.crop)
        return ForeignPreprocessing(
            size=size, resize=resize, interpolation=told.interpolation, mean=told.mean, std=told.std,
            source="the folder's config.json",
        )  # fmt: skip
    if found.library == "timm":
        from timm.models import get_pretrained_cfg

        config = get_pretrained_cfg(found.name)
        return _from_timm({} if config is None else config.to_dict())
    from torchvision import models

    network, _, tag = found.name.partition(".")
    weights = models.get_model_weights(network)
    chosen = weights[tag] if tag else getattr(weights, "DEFAULT", None)  # some have never been trained there
    return (
        ForeignPreprocessing() if chosen is None else _from_torchvision(chosen.transforms(), f"{network} {chosen.name}")
    )


def _from_timm(config: Mapping[str, Any]) -> ForeignPreprocessing:
    """Read what timm says of a network, its `pretrained_cfg`."""
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
    """Read the transforms that torchvision has for weights.

    Args:
        transforms: of the weights.
        name: of the weights.
    """
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
    """Change what was asked for otherwise.

    Args:
        own: of the network.
        normalize: a name of `NORMS`; `auto` leaves it.
        size: side of the input [pixels], the margin of the crop in proportion; 0 leaves it.

    Raises:
        SpecError: if `normalize` is not known.
    """
    if normalize != "auto":
        if normalize not in NORMS:
            raise unknown("--normalize", normalize, (*NORMS, "auto"))
        own = replace(own, mean=NORMS[normalize][0], std=NORMS[normalize][1], source=f"--normalize {normalize}")
    if size and own.size != (size, size):
        own = replace(own, size=(size, size), resize=round(size * own.resize / min(own.size)))
    if len(own.mean) != len(own.std):
        raise SpecError(f"mean {own.mean} and deviation {own.std} have other numbers of channels.")
    return own
