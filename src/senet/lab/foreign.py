"""Networks of timm and torchvision by name, with the weights of a file: nothing is fetched."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from senet.errors import CheckpointError, SpecError, UsageError, unknown
from senet.weights.safe import read_weights

__all__ = ["LIBRARIES", "NORMS", "check_foreign", "foreign", "is_foreign", "norm_of"]

LIBRARIES = ("timm", "torchvision")
Norm = tuple[tuple[float, ...], tuple[float, ...]]
NORMS: Mapping[str, Norm] = {
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
"""Mean and deviation that the pixels in [0, 1] are normalised with, by name."""


def is_foreign(name: str) -> bool:
    """Tell whether a name is `timm:NAME` or `torchvision:NAME`."""
    return name.partition(":")[0] in LIBRARIES and ":" in name


def foreign(name: str, weights: Path, *, num_classes: int) -> nn.Module:
    """Build a network of another library and load a file into it, strictly.

    Args:
        name: `timm:NAME` or `torchvision:NAME`.
        weights: `.safetensors` or what `torch.save` wrote, in that library's names.
        num_classes: outputs to try where the library's own number does not fit the file.

    Raises:
        CheckpointError: if the file is of another network.
        SpecError: if the library has no such network.
        UsageError: if the library is not installed.
    """
    check_foreign(name)
    tensors = read_weights(weights)
    first = ""
    for classes in (None, num_classes):
        model = _build(name, classes)
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        found = {key: tuple(value.shape) for key, value in tensors.items()}
        if found == shapes:
            model.load_state_dict(tensors)
            return model.eval()
        first = first or _difference(found, shapes)
    raise CheckpointError(f"{weights} is not of {name}: {first}; give weights of that network, in its own names.")


def norm_of(name: str, model: nn.Module, asked: str) -> Norm:
    """Say how a network wants its pixels normalised.

    Args:
        name: `timm:NAME` or `torchvision:NAME`.
        model: the network; timm's say it themselves.
        asked: a name of `NORMS`, or `auto`.
    """
    if asked != "auto":
        if asked not in NORMS:
            raise unknown("--normalize", asked, (*NORMS, "auto"))
        return NORMS[asked]
    config = getattr(model, "pretrained_cfg", None) or {}
    if name.startswith("timm:") and config.get("mean") and config.get("std"):
        return tuple(config["mean"]), tuple(config["std"])
    return NORMS["imagenet"]


def check_foreign(name: str) -> None:
    """Tell early whether a library has a network.

    Raises:
        SpecError: if it has none of that name.
        UsageError: if the library is not installed.
    """
    library, _, title = name.partition(":")
    try:
        if library == "timm":
            import timm

            names = timm.list_models()
        else:
            from torchvision import models

            names = models.list_models()
    except ImportError:
        raise UsageError(f"{name} needs {library}; pip install {library}.") from None
    if title not in names:
        hint = ", ".join(get_close_matches(title, names, n=3))
        raise SpecError(
            f"{library} has no network {title!r}; choose a name of its list_models()."
            + (f" Did you mean {hint}?" if hint else "")
        )


def _build(name: str, classes: int | None) -> nn.Module:
    library, _, title = name.partition(":")
    options = {} if classes is None else {"num_classes": classes}
    try:
        if library == "timm":
            import timm

            made: nn.Module = timm.create_model(title, pretrained=False, **options)
        else:
            from torchvision import models

            made = models.get_model(title, weights=None, **options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SpecError(f"{name} cannot be built: {error}; choose another network.") from error
    return made


def _difference(found: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]) -> str:
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            return f"{key} is {found.get(key, 'missing')} in the file and {wanted.get(key, 'absent')} in the network"
    return ""
