"""Building networks with fresh weights: from the zoo, other libraries, or custom builders."""

import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from senet.errors import SpecError
from senet.models import create_model
from senet.models.arguments import check_arguments
from senet.networks.ends import first_convolution, with_channels, with_outputs
from senet.networks.names import Named

__all__ = ["USUAL_SIDE", "Builder", "build", "builder_of", "options_for_training"]

WITH_AUXILIARY = ("googlenet", "inception_v3")
"""Networks of torchvision that return further logits in training unless they are told not to."""
USUAL_CLASSES = 1000  # of a function that must be told a number, where none is known
USUAL_SIDE = 224  # pixels; for a builder whose classifier is to be replaced, where no size is known

Builder = Callable[..., nn.Module]
"""A function that returns a network; may take `num_classes`, `in_chans` and its own options."""


def build(
    found: Named,
    *,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    se: Any = None,
    options: Mapping[str, Any] | None = None,
    builder: Builder | None = None,
) -> nn.Module:
    """Build a network with fresh weights.

    Where a builder has no argument `num_classes`, or a network no `in_chans`, its classifier or its first convolution
    is replaced (`senet.networks.ends`).

    Args:
        found: the network to build; not a folder.
        num_classes: outputs; None means the network's default, and 1000 for a function that must be told.
        in_chans: channels of the input; 3 leaves a builder's own number, if it has one.
        image_size: side of the input [pixels], for networks of the zoo whose classifier depends on it, and for
            builders whose classifier is replaced; None means the usual one.
        se: the design, for networks of the zoo.
        options: further arguments of the family, the library or the builder.
        builder: builds the network instead of the function that `found` names.

    Raises:
        SpecError: if the network cannot be built with these arguments.
    """
    options = dict(options or {})
    if found.library == "senet" and builder is None:
        return create_model(
            found.name, se=se, num_classes=num_classes, in_chans=in_chans, image_size=image_size, options=options
        )
    check_arguments({"num_classes": num_classes, "in_chans": in_chans}, defaults={})
    make = _of_library(found, options) if builder is None and found.is_foreign else builder or builder_of(found.name)
    if builder is not None or found.library == "builder":
        _refuse_surplus(make, found.name, options)
    told = num_classes or (USUAL_CLASSES if _requires(make, "num_classes") else None)
    asked = {"num_classes": told, "in_chans": in_chans if in_chans != 3 or _requires(make, "in_chans") else None}
    taken = {name: value for name, value in asked.items() if value is not None and _takes(make, name)}
    if found.library == "torchvision":  # takes any option and refuses this one later
        taken.pop("in_chans", None)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's warnings about its own defaults
            model = make(**{**options, **taken})
    except SpecError:
        raise
    except Exception as error:  # a user-supplied function may raise any type
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300].rstrip(".")
        raise SpecError(f"{found} cannot be built: {reason}; choose another network or other arguments.") from error
    if not isinstance(model, nn.Module):
        raise SpecError(f"{found} returns a {type(model).__name__}; it must return a torch.nn.Module.")
    if in_chans != 3 and "in_chans" not in taken:
        model = with_channels(model, in_chans)
    if num_classes is not None and "num_classes" not in taken:
        first, side = first_convolution(model), image_size or USUAL_SIDE
        channels = in_chans if first is None else first[1].in_channels
        model = with_outputs(model, num_classes, (channels, side, side))
    return model


def options_for_training(found: Named, *, in_chans: int, builder: Builder | None = None) -> dict[str, Any]:
    """Return the options with which a network takes these channels and returns one tensor of logits in training.

    Args:
        found: the network to build.
        in_chans: channels of the input.
        builder: builds the network instead of the function that `found` names.
    """
    if found.library == "torchvision" and found.name.partition(".")[0] in WITH_AUXILIARY:
        return {"aux_logits": False}
    if in_chans == 3 and (found.library == "builder" or builder is not None):
        own = inspect.signature(builder or builder_of(found.name)).parameters.get("in_chans")
        if own is not None and own.default != in_chans:
            return {"in_chans": in_chans}
    return {}


def builder_of(name: str) -> Builder:
    """Import the function that a user names, `package.module:FUNCTION` or `FILE.py:FUNCTION`.

    Raises:
        SpecError: if the file, module or function does not exist.
    """
    place, _, function = name.rpartition(":")
    if not place or not function:
        raise SpecError(f"{name} names no function; use FILE.py:FUNCTION or package.module:FUNCTION.")
    try:
        with torch.random.fork_rng(devices=[]):  # a file that sets a seed when it is run must not undo that of a run
            module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise SpecError(
            f"{name} cannot be imported: {error}; use FILE.py:FUNCTION or package.module:FUNCTION."
        ) from None
    except SyntaxError as error:
        raise SpecError(f"{name} cannot be imported: {error.msg}, line {error.lineno}.") from None
    except Exception as error:  # of the code that the file runs
        raise SpecError(f"{name} cannot be imported: {type(error).__name__}: {error}; fix the file.") from error
    found = getattr(module, function, None)
    if not callable(found):
        near = get_close_matches(function, [one for one in vars(module) if callable(getattr(module, one))], n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise SpecError(f"{place} has no function {function!r}; name one that it defines.{hint}")
    made: Builder = found
    return made


def _file(path: Path) -> Any:
    name = f"senet_builder_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise OSError(f"the file {path} does not exist")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # so that classes of the file can be pickled
    spec.loader.exec_module(module)
    return module


def _takes(make: Builder, name: str) -> bool:
    parameters = inspect.signature(make).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


def _requires(make: Builder, name: str) -> bool:
    known = inspect.signature(make).parameters.get(name)
    return known is not None and known.default is known.empty


def _refuse_surplus(builder: Builder, name: str, options: Mapping[str, Any]) -> None:
    if surplus := [key for key in options if not _takes(builder, key)]:
        raise SpecError(f"{name} has no argument {surplus[0]}; add it to the function, or omit it.")


def _of_library(found: Named, options: Mapping[str, Any]) -> Builder:
    """Return the function of another library that builds a network, with fresh weights."""
    if found.library == "timm":
        import timm

        return partial(timm.create_model, found.name, pretrained=False)
    from torchvision import models

    return partial(models.get_model, found.name.partition(".")[0], weights=None)
