"""What a folder with weights says about its network: `config.json`, enough to build it again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from senet import settings
from senet.errors import CheckpointError, SenetError, SpecError
from senet.experiments.data_spec import DataSpec
from senet.files.documents import parse_json
from senet.spec import SESpec
from senet.surgery.insertion.inserted import Inserted

__all__ = ["FORMAT", "Config", "Preprocessing", "read_config"]

FORMAT = "senet-2"
"""Name and version of the meaning of the file."""
READABLE = ("senet-1", FORMAT)  # the first one knew networks of the zoo only; its fields are these
LONGEST = 2**20  # [bytes]


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """How pixels in [0, 1] become the input of a network.

    Attributes:
        mean: of every channel, subtracted.
        std: of every channel, divided by.
        size: side of the input [pixels].
        crop: part of the side that the crop keeps [1].
        interpolation: of the resize: `bilinear`, `bicubic`, ...
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int
    crop: float = 0.875
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        numbers = (*self.mean, *self.std, self.crop)
        if not all(abs(number) < 1e6 for number in numbers) or min(self.std, default=0) <= 0 or not 0 < self.crop <= 1:
            raise SpecError(f"preprocessing: mean {self.mean}, std {self.std}, crop {self.crop} are not possible.")
        if len(self.mean) != len(self.std) or not 1 <= self.size <= 16_384:
            raise SpecError(
                f"preprocessing: {len(self.mean)} means, {len(self.std)} deviations, or the size do not fit."
            )

    def applied(self, data: DataSpec) -> DataSpec:
        """Return the images of a data set as the network wants them; a size that was asked for stays."""
        return replace(
            data,
            normalize="standard",
            mean=self.mean,
            std=self.std,
            size=data.size or self.size,
            crop=self.crop,
            interpolation=self.interpolation,
        )


@dataclass(frozen=True, kw_only=True)
class Config:
    """Where a network comes from and what was done to it.

    Attributes:
        model: `resnet20` of `list_models()`, `timm:NAME`, `torchvision:NAME`, or a builder of the user's own,
            `package.module:FUNCTION` or `FILE.py:FUNCTION`.
        se: designs of blocks of a network of the zoo; none is the plain network.
        num_classes: outputs; None stands for the network's own number.
        in_chans: channels of the input.
        image_size: side of the input [pixels]; None where the network has the same weights for every size.
        options: further arguments of the family or the builder.
        insert: blocks that hang in the network.
        removed: blocks that `fold` took out, of those the network is built with.
        scaled: those of them that left a constant for each channel.
        preprocessing: of its images; None where it is not known.
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
        """Return the values as JSON has them.

        Raises:
            SpecError: if a design or an option holds a function or an object: it cannot be written down.
        """
        designs = {f"se[{number}]": spec for number, spec in enumerate(self.se)}
        designs |= {one.name: one.spec for one in self.insert if one.spec is not None}
        for place, spec in designs.items():
            for name in ("variant", "squeeze", "gate", "activation"):
                if not isinstance(getattr(spec, name), str):
                    raise SpecError(f"{place}.{name} is a function; a file needs names, so that it can be rebuilt.")
        try:
            return {"format": FORMAT, **json.loads(json.dumps(asdict(self)))}
        except TypeError as error:
            raise SpecError(f"options = {self.options}: {error}; give numbers, texts and lists.") from None


def read_config(path: Path) -> Config | None:
    """Read what a folder says about its network; None if the file is not ours (timm's has the same name).

    Args:
        path: a `config.json`.

    Raises:
        CheckpointError: if it is ours and does not fit.
    """
    try:
        if (size := path.stat().st_size) > LONGEST:
            raise CheckpointError(f"{path} has {size:,} bytes; at most {LONGEST:,} are read.")
        values = parse_json(path.read_text(encoding="utf-8"))  # the Hub's cache has links
        if not isinstance(values, dict) or not str(values.get("format", "")).startswith("senet-"):
            return None
        found = values.pop("format")
        if found not in READABLE:
            raise CheckpointError(
                f"{path}: format = {found[:40]!r} is of another version of senet, this one reads {', '.join(READABLE)}."
            )
        return settings.record(Config, values, place=str(path))
    except CheckpointError:
        raise
    except SenetError as error:
        raise CheckpointError(" ".join(str(error).split())[:600]) from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {' '.join(str(error).split())[:200]}.") from None
