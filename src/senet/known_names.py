"""Names that functions take, as types: for completion in editors, for mypy, and for the shell. No torch here.

Names of a design are in `senet.spec`, those of a run beside the fields of its records.
"""

from typing import Literal, get_args

__all__ = ["ORIGIN_NAMES", "Backends", "Dtypes", "Harms", "Modes", "Origins"]

Origins = Literal[
    "senet", "cadene", "kth", "mmpretrain", "monai", "moskomule", "pytorchcv", "pytorchcv.b", "timm", "torchvision",
]  # fmt: skip
"""Libraries whose tensor names weights may have."""
ORIGIN_NAMES: tuple[str, ...] = get_args(Origins)
Modes = Literal["train", "infer"]
"""What `senet.bench` times."""
Dtypes = Literal["float32", "bfloat16"]
"""Number formats of `senet.bench`."""
Harms = Literal["block", "params", "macs", "time"]
"""What `senet.fold` divides the harm of a block by."""
Backends = Literal["auto", "reference", "native", "inductor", "triton"]
"""Kernels of `senet.accelerate`."""
