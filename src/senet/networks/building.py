"""Building networks with fresh weights: from the zoo, other libraries, or custom builders."""

import importlib
import importlib.util
import inspect
import sys
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import SpecError
from senet.models import create_model
from senet.models.arguments import check_arguments
from senet.networks.names import Named

__all__ = ["Builder", "build", "builder_of"]

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

    Args:
        found: the network to build; not a folder.
        num_classes: outputs; None means the network's default.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks of the zoo whose classifier depends on it.
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
    asked = {"num_classes": num_classes, "in_chans": None if in_chans == 3 else in_chans}
    asked = {name: value for name, value in asked.items() if value is not None}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a library's warnings about its own defaults
            if builder is not None or found.library == "builder":
                return _own(builder or builder_of(found.name), found.name, {**asked, **options})
            return _foreign(found, {**asked, **options})
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:300].rstrip(".")
        raise SpecError(f"{found} cannot be built: {reason}; choose another network or other arguments.") from error


def builder_of(name: str) -> Builder:
    """Import the function that a user names, `package.module:FUNCTION` or `FILE.py:FUNCTION`.

    Raises:
        SpecError: if the file, module or function does not exist.
    """
    place, _, function = name.rpartition(":")
    try:
        module = _file(Path(place)) if place.endswith(".py") else importlib.import_module(place)
    except (ImportError, OSError) as error:
        raise SpecError(
            f"{name} cannot be imported: {error}; use FILE.py:FUNCTION or package.module:FUNCTION."
        ) from None
    except SyntaxError as error:
        raise SpecError(f"{name} cannot be imported: {error.msg}, line {error.lineno}.") from None
    found = getattr(module, function, None)
    if not callable(found):
        raise SpecError(f"{place} has no function {function!r}; name one that returns the network.")
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


def _own(builder: Builder, name: str, arguments: Mapping[str, Any]) -> nn.Module:
    parameters = inspect.signature(builder).parameters
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    if surplus := [key for key in arguments if key not in parameters and not takes_all]:
        raise SpecError(f"{name} has no argument {surplus[0]}; add it to the function, or omit it.")
    made = builder(**arguments)
    if not isinstance(made, nn.Module):
        raise SpecError(f"{name} returns a {type(made).__name__}; it must return a torch.nn.Module.")
    return made


def _foreign(found: Named, arguments: Mapping[str, Any]) -> nn.Module:
    if found.library == "timm":
        import timm

        model: nn.Module = timm.create_model(found.name, pretrained=False, **arguments)
        return model
    from torchvision import models

    if "in_chans" in arguments:
        raise SpecError(f"{found}: torchvision's networks only support 3 channels; timm's support in_chans.")
    made: nn.Module = models.get_model(found.name.partition(".")[0], weights=None, **arguments)
    return made
