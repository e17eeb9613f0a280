"""Load labelled images as tensors: readers, splits and batched transforms.

Importing the package imports no torch; `load` and the splits import it on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from senet.experiments.data_spec import DATASETS, NORMALIZATIONS, PADDINGS, Augment, DataSpec

if TYPE_CHECKING:
    from senet.data.dataset import Data, Split
    from senet.data.file_split import Files
    from senet.data.loading import load
    from senet.data.tensor_split import Tensors

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
    "Files": "senet.data.file_split",
    "Split": "senet.data.dataset",
    "Tensors": "senet.data.tensor_split",
    "load": "senet.data.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'senet.data' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
