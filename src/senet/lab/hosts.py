"""Networks to insert blocks into, by the name that the command line is given: ours, timm's, torchvision's."""

import warnings
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path

from torch import nn

from senet.create import create_model
from senet.errors import CheckpointError, SpecError, UsageError
from senet.models import list_models
from senet.weights.pretrained import from_pretrained
from senet.weights.safe import read_weights
from senet.weights.source import locate

__all__ = ["host"]


def host(name: str, *, weights: Path | None = None, num_classes: int | None = None) -> nn.Module:
    """Build a network and load its own weights.

    Args:
        name: a name of `list_models()`, of timm or of torchvision, looked for in this order; `timm:NAME` and
            `torchvision:NAME` say which. Or a folder that `save_pretrained` wrote.
        weights: file with the network's state dict; None leaves fresh weights.
        num_classes: outputs; None stands for the network's own number.

    Raises:
        SpecError: if nobody knows the name.
        UsageError: if the library of the name is not installed.
        CheckpointError: if the weights are those of another network.
    """
    model = from_pretrained(name) if Path(name).is_dir() else _build(name, num_classes)
    if weights is not None:
        _load(model, name, weights)
    return model.eval()


def _build(name: str, num_classes: int | None) -> nn.Module:
    library, _, short = name.rpartition(":")
    classes = {} if num_classes is None else {"num_classes": num_classes}
    ours = set(list_models())
    if library in ("", "senet") and short in ours:
        return create_model(short, num_classes=num_classes)
    known = {**_timm(library), **_torchvision(library)}
    made = known.get(short)
    if made is None:
        names = known if known and library else {*ours, *known}
        raise _unknown(name, short, names)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a library's notes on its own defaults
        model: nn.Module = _create(made, short, classes)
    return model


def _unknown(name: str, short: str, names: Collection[str]) -> SpecError:
    near = get_close_matches(short, names, n=3)
    hint = f" Near to it: {', '.join(near)}." if near else ""
    return SpecError(
        f"MODEL = {name!r} is known neither here nor to timm or torchvision, as far as they are installed; "
        f"`senet models` lists ours.{hint}"
    )


def _timm(library: str) -> Mapping[str, str]:
    if library not in ("", "timm"):
        return {}
    try:
        import timm
    except ImportError:
        return _missing("timm", library)
    return dict.fromkeys(timm.list_models(), "timm")


def _torchvision(library: str) -> Mapping[str, str]:
    if library not in ("", "torchvision"):
        return {}
    try:
        from torchvision import models
    except (ImportError, RuntimeError):  # RuntimeError: a build that does not fit torch's
        return _missing("torchvision", library)
    names = dict.fromkeys(models.list_models(module=models), "torchvision")
    if library:
        return names
    return {short: made for short, made in names.items() if short not in _timm("")}


def _missing(name: str, asked: str) -> Mapping[str, str]:
    if asked == name:
        extra = {"timm": "timm", "torchvision": "data"}[name]
        raise UsageError(f"{name} is not installed; pip install 'senet[{extra}]'.")
    return {}


def _create(library: str, name: str, classes: Mapping[str, int]) -> nn.Module:
    if library == "timm":
        import timm

        model: nn.Module = timm.create_model(name, **classes)
        return model
    from torchvision import models

    made: nn.Module = models.get_model(name, weights=None, **classes)
    return made


def _load(model: nn.Module, name: str, weights: Path) -> None:
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    try:
        model.load_state_dict(read_weights(locate(weights), expected=shapes))
    except CheckpointError as error:
        error.add_note(f"as weights of {name}; --num-classes changes its outputs")
        raise
