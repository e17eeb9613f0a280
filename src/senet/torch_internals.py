"""Everything of torch that senet uses and torch does not document: no other file names it.

tests/test_torch_internals.py lists the versions of torch on which all of it passed the tests.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode  # as torch.utils.flop_counter does it
from torch.utils._pytree import tree_leaves, tree_map_only

__all__ = [
    "TorchDispatchMode", "become", "is_batched", "is_intercepted", "quiet_export", "tree_leaves", "tree_map_only",
    "version_of",
]  # fmt: skip


def is_intercepted() -> bool:
    """Return whether a trace, a hook on all modules, a dispatch mode, a transform or forward AD is active."""
    return bool(
        torch._C._get_tracing_state()
        or nn.modules.module._has_any_global_hook()  # type: ignore[no-untyped-call]
        or torch._C._len_torch_dispatch_stack() > 0
        or torch._C._functorch.peek_interpreter_stack() is not None
        or torch.autograd.forward_ad._current_level >= 0
    )


def is_batched(tensor: Tensor) -> bool:
    """Return whether a gradient stands for many, as under `torch.autograd.grad(is_grads_batched=True)`."""
    return torch._C._functorch.is_legacy_batchedtensor(tensor)


def version_of(tensor: Tensor) -> int:
    """Return how often a tensor, or another view of its memory, was written in place."""
    return tensor._version


def become(module: nn.Module, kind: type[nn.Module]) -> None:
    """Change the class of a module to one whose instances have the same attributes, in place.

    Keys, values, hooks and what refers to the module stay, as they would not if another module took its place.
    """
    module.__class__ = kind


@contextmanager
def quiet_export() -> Iterator[None]:
    """Suppress warnings and logs of torch's and ONNX's exporters, which are about their own internals."""
    names = ("torch.onnx", "torch.export", "torch._export", "torch.fx", "torch._dynamo", "onnxscript", "onnx_ir")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
