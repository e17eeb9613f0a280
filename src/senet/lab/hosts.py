"""Networks that the command line is given by name: ours, timm's, torchvision's, or a folder of `save_pretrained`."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from torch import Tensor, nn

from senet.create import create_model
from senet.errors import CheckpointError, SpecError, UsageError, unknown
from senet.models import list_models
from senet.weights.pretrained import from_pretrained
from senet.weights.safe import read_weights
from senet.weights.source import CONFIG, locate
from senet.weights.values import check_values

__all__ = ["LIBRARIES", "Named", "host", "named"]

LIBRARIES: Mapping[str, str] = {"timm": "timm", "torchvision": "data"}
"""The libraries of others, in the order in which they are asked, each with the extra that installs it."""


@dataclass(frozen=True)
class Named:
    """Who knows a name.

    Attributes:
        library: `senet`, `timm`, `torchvision`, or `folder`.
        name: without the library; the path of a folder.
    """

    library: str
    name: str

    @property
    def is_foreign(self) -> bool:
        """Tell whether it is a network of another library."""
        return self.library in LIBRARIES


def named(name: str) -> Named:
    """Find out who knows a name; nothing is built.

    Args:
        name: a name of `list_models()`, of timm or of torchvision, looked for in this order; `senet:NAME`, `timm:NAME`
            and `torchvision:NAME` say which. Or a folder that `save_pretrained` wrote.

    Raises:
        SpecError: if nobody knows it.
        UsageError: if the library of the name is not installed.
        CheckpointError: if it is another folder.
    """
    if (Path(name) / CONFIG).is_file():
        return Named("folder", name)
    library, _, short = name.rpartition(":")
    if library not in ("", "senet", *LIBRARIES):
        raise unknown(f"MODEL = {name!r}: library", library, ("senet", *LIBRARIES))
    known: dict[str, Collection[str]] = {}
    for candidate in ("senet", *LIBRARIES):
        if library in ("", candidate):
            known[candidate] = _names(candidate, asked=bool(library))
            if short in known[candidate]:
                return Named(candidate, short)
    if Path(name).is_dir():
        raise CheckpointError(f"{name} is a folder without {CONFIG}; give one that save_pretrained wrote, or a name.")
    raise _unknown(name, library, short, known)


def host(
    name: str, *, weights: Path | None = None, num_classes: int | None = None, or_classes: int | None = None
) -> nn.Module:
    """Build a network and load its own weights, strictly; nothing is fetched by the name.

    Args:
        name: see `named`.
        weights: file with the network's state dict, in its own names; None leaves fresh weights, a folder its own.
        num_classes: outputs; None stands for the network's own number.
        or_classes: outputs to try where the file does not fit the network with the number before.

    Raises:
        SpecError: if nobody knows the name, or the library cannot build the network.
        UsageError: if the library of the name is not installed.
        CheckpointError: if the weights are those of another network.
    """
    found = named(name)
    if found.library == "folder" and num_classes is not None:
        raise UsageError(f"{name} says itself how many outputs its network has; leave out --num-classes.")
    model = _build(found, num_classes)
    if weights is None:
        return model.eval()
    tensors = read_weights(locate(weights))
    difference = _difference(tensors, model)
    if difference and or_classes is not None and found.library != "folder":
        other = _build(found, or_classes)
        if not _difference(tensors, other):
            model, difference = other, ""
    if difference:
        raise CheckpointError(f"{weights} is not of {name}: {difference}; give weights of that network, in its names.")
    check_values(tensors, model.state_dict())
    model.load_state_dict(tensors)
    return model.eval()


def _names(library: str, *, asked: bool) -> Collection[str]:
    """Give the networks of a library; none if it is not installed and was not asked for."""
    if library == "senet":
        return list_models()
    try:
        if library == "timm":
            import timm

            return set(timm.list_models())
        from torchvision import models

        return set(models.list_models(module=models))  # not those that detect, segment or take films
    except (ImportError, RuntimeError):  # RuntimeError: a build of torchvision that does not fit torch's
        if asked:
            raise UsageError(f"{library} is not installed; pip install 'senet[{LIBRARIES[library]}]'.") from None
        return ()


def _unknown(name: str, library: str, short: str, known: Mapping[str, Collection[str]]) -> SpecError:
    near = get_close_matches(short, [one for names in known.values() for one in names], n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    if library:
        where = "`senet models` lists ours" if library == "senet" else "choose a name of its list_models()"
        return SpecError(f"{library} has no network {short!r}; {where}.{hint}")
    return SpecError(
        f"MODEL = {name!r} is known neither here nor to timm or torchvision, as far as they are installed; "
        f"`senet models` lists ours.{hint}"
    )


def _build(found: Named, num_classes: int | None) -> nn.Module:
    if found.library == "folder":
        return from_pretrained(found.name)
    if found.library == "senet":
        return create_model(found.name, num_classes=num_classes)
    options = {} if num_classes is None else {"num_classes": num_classes}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's notes on its own defaults
            return _foreign(found, options)
    except (RuntimeError, TypeError, ValueError) as error:
        raise SpecError(f"{found.library}:{found.name} cannot be built: {error}; choose another network.") from error


def _foreign(found: Named, options: Mapping[str, int]) -> nn.Module:
    if found.library == "timm":
        import timm

        model: nn.Module = timm.create_model(found.name, pretrained=False, **options)
        return model
    from torchvision import models

    made: nn.Module = models.get_model(found.name, weights=None, **options)
    return made


def _difference(tensors: Mapping[str, Tensor], model: nn.Module) -> str:
    """Say where a file and a network differ first; empty if they fit."""
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    wanted = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    for key in (*wanted, *found):
        if found.get(key) != wanted.get(key):
            return f"{key} is {found.get(key, 'missing')} in the file and {wanted.get(key, 'absent')} in the network"
    return ""
