"""Images as tensors: sources, splits and batched transforms. Importing this package imports no torch.

The values (`DataSpec`, `Augment`) are here at once; `load` and the splits come with torch on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from senet.experiments.data_spec import DATASETS, NORMALIZATIONS, PADDINGS, Augment, DataSpec

if TYPE_CHECKING:
    from senet.data.dataset import Data, Split
    from senet.data.in_memory import Tensors
    from senet.data.loading import load
    from senet.data.on_disk import Files

__all__ = [
    "DATASETS",
    "NORMALIZATIONS",
    "PADDINGS",
    "Augment",
    "Data",
    "DataSpec",
    "Files",
    "Split",
    "Tensors",
    "load",
]

_HOMES = {
    "Data": "senet.data.dataset",
    "Files": "senet.data.on_disk",
    "Split": "senet.data.dataset",
    "Tensors": "senet.data.in_memory",
    "load": "senet.data.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'senet.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
