"""Squeeze-and-excitation for people who own a convolutional network.

`import senet` loads no torch; the first use of a name that needs it does. Nothing is imported here, so that Ctrl-C in
the first moments of a command ends in one line (`senet.cli`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from senet.comparison import Comparison, compare
    from senet.costs import Cost, cost
    from senet.errors import SenetError, SpecError
    from senet.explanation import Explanation, explain
    from senet.exporting import Exported, export
    from senet.fast import accelerate, decelerate, optimize
    from senet.models import list_models
    from senet.networks import from_pretrained, save_pretrained
    from senet.networks.timm_registry import timm_attention, timm_models
    from senet.networks.zoo_model import create_model
    from senet.nn import SqueezeExcite
    from senet.spec import ACTIVATION_NAMES, GATE_NAMES, SLOTS, SQUEEZE_NAMES, VARIANTS, SESpec
    from senet.speed import bench
    from senet.surgery import Folded, Insertion, find, fold, insert, plan, remove
    from senet.version import __version__
    from senet.weights import ORIGINS, load_weights, state_dict_as

__all__ = [
    "ACTIVATION_NAMES",
    "GATE_NAMES",
    "ORIGINS",
    "SLOTS",
    "SQUEEZE_NAMES",
    "VARIANTS",
    "Comparison",
    "Cost",
    "Explanation",
    "Exported",
    "Folded",
    "Insertion",
    "SESpec",
    "SenetError",
    "SpecError",
    "SqueezeExcite",
    "__version__",
    "accelerate",
    "bench",
    "compare",
    "cost",
    "create_model",
    "decelerate",
    "explain",
    "export",
    "find",
    "fold",
    "from_pretrained",
    "insert",
    "list_models",
    "load_weights",
    "optimize",
    "plan",
    "remove",
    "save_pretrained",
    "state_dict_as",
    "timm_attention",
    "timm_models",
]

_HOMES = {
    "VARIANTS": "senet.spec",
    "SQUEEZE_NAMES": "senet.spec",
    "SLOTS": "senet.spec",
    "GATE_NAMES": "senet.spec",
    "ACTIVATION_NAMES": "senet.spec",
    "ORIGINS": "senet.weights",
    "Comparison": "senet.comparison",
    "Cost": "senet.costs",
    "Explanation": "senet.explanation",
    "Exported": "senet.exporting",
    "Folded": "senet.surgery",
    "Insertion": "senet.surgery",
    "SESpec": "senet.spec",
    "SenetError": "senet.errors",
    "SpecError": "senet.errors",
    "SqueezeExcite": "senet.nn",
    "__version__": "senet.version",
    "accelerate": "senet.fast",
    "bench": "senet.speed",
    "compare": "senet.comparison",
    "cost": "senet.costs",
    "create_model": "senet.networks.zoo_model",
    "decelerate": "senet.fast",
    "export": "senet.exporting",
    "find": "senet.surgery",
    "explain": "senet.explanation",
    "fold": "senet.surgery",
    "insert": "senet.surgery",
    "from_pretrained": "senet.networks",
    "list_models": "senet.models",
    "load_weights": "senet.weights",
    "optimize": "senet.fast",
    "plan": "senet.surgery",
    "remove": "senet.surgery",
    "save_pretrained": "senet.networks",
    "state_dict_as": "senet.weights",
    "timm_attention": "senet.networks.timm_registry",
    "timm_models": "senet.networks.timm_registry",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'senet' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # `senet.cost` is the function also after the module of that name was imported
    return value


def __dir__() -> list[str]:
    return __all__
