"""The description of a saved network, `config.json`: everything needed to rebuild it."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from senet import settings
from senet.errors import CheckpointError, SenetError, SpecError, reason_of
from senet.experiments.data_spec import INTERPOLATIONS, DataSpec
from senet.files.documents import parse_json
from senet.spec import SESpec
from senet.surgery.insertion.inserted import Inserted
from senet.weights.exported_file import is_exported, read_exported

__all__ = ["FORMAT", "IMAGENET", "IN_HEADER", "Config", "Preprocessing", "is_described", "read_config"]

FORMAT = "senet-2"
"""Name and version of the file format."""
LONGEST = 2**20  # [bytes]
IN_HEADER = "senet"
"""Entry of the header of a safetensors file that holds the description of its network."""
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and standard deviation of ImageNet's pixels in [0, 1], by channel."""
CHANNELS = {"digits": 1}  # of the images of a data set; others have 3


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """Preprocessing of images with pixels in [0, 1] for a network.

    Attributes:
        mean: mean to subtract, one for each channel.
        std: standard deviation to divide by, one for each channel.
        size: side of the input [pixels].
        crop: share of the side that the center crop keeps [1].
        interpolation: interpolation of the resize, `bilinear` or `bicubic`.

    Raises:
        SpecError: if a value is out of its range, or `mean` and `std` differ in length.
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    crop: float = 0.875
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.crop)
        if not all(abs(number) < 1e6 for number in numbers) or min(self.std, default=0) <= 0 or not 0 < self.crop <= 1:
            raise SpecError(
                f"preprocessing: mean {self.mean}, std {self.std}, crop {self.crop} are not possible; use finite "
                "means, positive deviations, and a crop above 0 and up to 1."
            )
        if self.interpolation not in INTERPOLATIONS or not all(0 <= mean <= 1 for mean in self.mean):
            raise SpecError(
                f"preprocessing: mean {self.mean} and interpolation {self.interpolation!r} are not possible; use means "
                f"of pixels in [0, 1], and one of: {', '.join(INTERPOLATIONS)}."
            )
        if len(self.mean) != len(self.std) or not 1 <= self.size <= 16_384:
            raise SpecError(
                f"preprocessing: {len(self.mean)} means, {len(self.std)} deviations and size {self.size} are not "
                "possible; use one of each for every channel, and a size from 1 to 16,384 pixels."
            )

    @classmethod
    def from_timm(cls, config: Mapping[str, Any]) -> "Preprocessing | None":
        """Read the preprocessing from timm's `pretrained_cfg` of a network; None if that does not describe one.

        timm rounds the length of the resized side down.
        """
        mean, std, sizes = (config.get(name, ()) for name in ("mean", "std", "input_size"))
        if not (_is_row(mean, float) and _is_row(std, float) and _is_row(sizes, int) and len(sizes) == 3):
            return None
        size, share = max(sizes[1:]), config.get("crop_pct") or 0.875
        way, crop = config.get("interpolation") or "bicubic", min(1.0, size / int(size / share))
        try:
            return cls(mean=tuple(mean), std=tuple(std), size=size, crop=crop, interpolation=way)
        except SpecError:  # of other libraries with the same attribute, such as means of bytes
            return None

    def applied(self, data: DataSpec, *, said: Collection[str] = (), sized: bool = True) -> DataSpec:
        """Return a data spec with this preprocessing where the user set nothing.

        Args:
            data: as the user wrote it.
            said: fields of it that the user set; those with other values than the defaults count too.
            sized: with size, crop and interpolation; otherwise images keep their size.
        """
        standard = DataSpec()
        free = {
            name
            for name in ("normalize", "mean", "std", "size", "crop", "interpolation")
            if name not in said and getattr(data, name) == getattr(standard, name)
        }
        changes: dict[str, Any] = {}
        if {"normalize", "mean", "std"} <= free and len(self.mean) == CHANNELS.get(data.name, 3):
            changes |= {"mean": self.mean, "std": self.std}
        if sized:
            changes |= {name: getattr(self, name) for name in ("size", "crop", "interpolation") if name in free}
        return replace(data, **changes)


@dataclass(frozen=True, kw_only=True)
class Config:
    """How a network was built and modified.

    Attributes:
        model: a name of `list_models()`, `timm:NAME`, `torchvision:NAME`, or a custom builder as
            `package.module:FUNCTION` or `FILE.py:FUNCTION`.
        se: design of a network of the zoo; empty for the plain network.
        num_classes: outputs; None means the network's default.
        in_chans: channels of the input.
        image_size: side of the input [pixels]; None if the weights do not depend on it.
        options: further arguments of the family or the builder.
        insert: inserted blocks.
        removed: names of built-in blocks that `fold` removed.
        scaled: those of `removed` that were replaced by a constant for each channel.
        preprocessing: preprocessing of its images; None if not known.
    """

    model: str
    se: tuple[SESpec, ...] = ()
    num_classes: int | None = None
    in_chans: int = 3
    image_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    insert: tuple[Inserted, ...] = ()
    removed: tuple[str, ...] = ()
    scaled: tuple[str, ...] = ()
    preprocessing: Preprocessing | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields as JSON values.

        Raises:
            SpecError: if a spec or an option holds a function or an object, which cannot be serialized.
        """
        designs = {f"se[{number}]": spec for number, spec in enumerate(self.se)}
        designs |= {one.name: one.spec for one in self.insert if one.spec is not None}
        for place, spec in designs.items():
            if name := spec.own_function:
                raise SpecError(f"{place}.{name} is a function; only names can be saved and rebuilt.")
        try:
            return {"format": FORMAT, **json.loads(json.dumps(asdict(self)))}
        except TypeError as error:
            raise SpecError(f"options = {self.options}: {error}; use numbers, strings and lists.") from None


def _is_row(values: object, kind: type[int] | type[float]) -> bool:
    return isinstance(values, Sequence) and bool(values) and all(isinstance(value, kind | int) for value in values)


def is_described(path: str | Path) -> bool:
    """Return whether a file holds the description of its network: a safetensors file, or an exported one."""
    path = Path(path)
    if is_exported(path):
        return True
    return path.suffix == ".safetensors" and path.is_file() and _in_header(path) is not None


def _in_header(path: Path) -> str | None:
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get(IN_HEADER)
    except (OSError, SafetensorError):
        return None


def read_config(path: Path) -> Config | None:
    """Read the description of a network; None if senet did not write the file (timm uses the same file name).

    Args:
        path: a `config.json`, or a safetensors or exported file that holds its description itself.

    Raises:
        CheckpointError: if the file is too large, not JSON, of another version, or not valid.
    """
    if is_exported(path):
        return _of_exported(path)
    try:
        held = _in_header(path) if path.suffix == ".safetensors" else None
        if (size := path.stat().st_size if held is None else len(held)) > LONGEST:
            raise CheckpointError(f"{path} has {size:,} bytes; at most {LONGEST:,} are read.")
        text = path.read_text(encoding="utf-8") if held is None else held  # the Hub's cache holds symbolic links
        values = parse_json(text)
        if not isinstance(values, dict) or not str(values.get("format", "")).startswith("senet-"):
            return None
        found = values.pop("format")
        if found != FORMAT:
            raise CheckpointError(
                f"{path}: format = {found[:40]!r} is not supported; this version of senet reads {FORMAT}."
            )
        return settings.record(Config, values, place=str(path))
    except CheckpointError:
        raise
    except SenetError as error:
        raise CheckpointError(str(error)) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {reason_of(error, whole=True)}.") from None


def _of_exported(path: Path) -> Config:
    """Return the description in an exported file; of a network that could not be described, its title as `model`."""
    said = read_exported(path)
    described, channels = said.get("network"), said["input"]["shape"][1]
    network = {"model": said["title"], "in_chans": channels} if described is None else dict(described)
    network.pop("format", None)
    network["preprocessing"] = said.get("preprocessing") or network.get("preprocessing")
    try:
        return settings.record(Config, network, place=str(path))
    except SenetError as error:
        raise CheckpointError(str(error)) from None
