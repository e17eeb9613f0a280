"""Squeeze-and-excitation for people who own a convolutional network.

`import senet` loads no torch; the first use of a name that needs it does.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from senet.errors import SenetError, SpecError
from senet.spec import SESpec

if TYPE_CHECKING:
    from senet.costs import Cost, cost
    from senet.models import create_model, list_models
    from senet.nn import SqueezeExcite
    from senet.surgery import find
    from senet.weights import load_weights, state_dict_as

__all__ = [
    "Cost",
    "SESpec",
    "SenetError",
    "SpecError",
    "SqueezeExcite",
    "cost",
    "create_model",
    "find",
    "list_models",
    "load_weights",
    "state_dict_as",
]

_HOMES = {
    "Cost": "senet.costs",
    "SqueezeExcite": "senet.nn",
    "cost": "senet.costs",
    "create_model": "senet.models",
    "find": "senet.surgery",
    "list_models": "senet.models",
    "load_weights": "senet.weights",
    "state_dict_as": "senet.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'senet' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # `senet.cost` is the function also after the module of that name was imported
    return value


def __dir__() -> list[str]:
    return __all__
