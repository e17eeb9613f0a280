"""What a folder with weights says about its network: `config.json`, enough to build it again."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from senet import decode
from senet.errors import CheckpointError, SenetError, SpecError
from senet.models import Network, create_model
from senet.spec import SESpec

__all__ = ["FORMAT", "Config", "read_config"]

FORMAT = "senet-1"
"""Name and version of the meaning of the file."""


@dataclass(frozen=True, kw_only=True)
class Config:
    """The arguments that build a network.

    Attributes:
        model: a name of `list_models()`.
        se: designs of blocks; none is the plain network.
        num_classes: outputs; None stands for the network's own number.
        in_chans: channels of the input.
        image_size: side of the input [pixels]; None where the network has the same weights for every size.
        options: further arguments of the family.
    """

    model: str
    se: tuple[SESpec, ...] = ()
    num_classes: int | None = None
    in_chans: int = 3
    image_size: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """Build the network with fresh weights."""
        return create_model(
            self.model,
            se=self.se,
            num_classes=self.num_classes,
            in_chans=self.in_chans,
            image_size=self.image_size,
            options=self.options,
        )

    def difference(self, model: nn.Module) -> str:
        """Say where a network is not the one that is described here, layer by layer; empty if it is."""
        with torch.device("meta"):
            twin = self.build()
        here, there = (
            {name: f"{type(m).__name__}({m.extra_repr()})" for name, m in network.named_modules()}
            for network in (model, twin)
        )
        for name in {**here, **there}:
            if here.get(name) != there.get(name):
                return f"{name or 'it'} is {here.get(name, 'nothing')} and not {there.get(name, 'nothing')}"
        return ""

    def as_json(self) -> dict[str, Any]:
        """Give the values as JSON has them.

        Raises:
            SpecError: if a design or an option holds a function or an object: it cannot be written down.
        """
        for number, spec in enumerate(self.se):
            for name in ("variant", "squeeze", "gate", "activation"):
                if not isinstance(getattr(spec, name), str):
                    raise SpecError(
                        f"se[{number}].{name} is a function; a file needs names, so that it can be rebuilt."
                    )
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
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}.") from None
    if not isinstance(values, dict) or not str(values.get("format", "")).startswith("senet-"):
        return None
    found = values.pop("format")
    if found != FORMAT:
        raise CheckpointError(f"{path}: format = {found!r} is of another version of senet, this one reads {FORMAT!r}.")
    try:
        return decode.record(Config, values, place=str(path))
    except SenetError as error:
        raise CheckpointError(str(error)) from None
