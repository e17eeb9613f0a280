"""How networks of other libraries want their pixels normalised."""

from collections.abc import Mapping

from torch import nn

from senet.errors import unknown

__all__ = ["NORMS", "norm_of"]

Norm = tuple[tuple[float, ...], tuple[float, ...]]
NORMS: Mapping[str, Norm] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation that the pixels in [0, 1] are normalised with, by name."""


def norm_of(library: str, model: nn.Module, asked: str) -> Norm:
    """Say how a network wants its pixels normalised.

    Args:
        library: `timm` or `torchvision`.
        model: the network; timm's say it themselves.
        asked: a name of `NORMS`, or `auto`.

    Raises:
        SpecError: if `asked` is neither.
    """
    if asked != "auto":
        if asked not in NORMS:
            raise unknown("--normalize", asked, (*NORMS, "auto"))
        return NORMS[asked]
    config = getattr(model, "pretrained_cfg", None) or {}
    if library == "timm" and config.get("mean") and config.get("std"):
        return tuple(config["mean"]), tuple(config["std"])
    return NORMS["imagenet"]
