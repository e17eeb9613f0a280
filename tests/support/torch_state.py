"""What torch keeps of tensors and modules and offers no public way to see: write counters and hooks."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

__all__ = ["forward_hooks", "global_hooks", "pre_hooks", "writes"]

Hooks = dict[int, Callable[..., Any]]


def writes(tensor: Tensor) -> int:
    """Return how often a tensor was written in place."""
    return tensor._version


def forward_hooks(module: nn.Module) -> Hooks:
    return module._forward_hooks


def pre_hooks(module: nn.Module) -> Hooks:
    return module._forward_pre_hooks


def global_hooks() -> int:
    """Return how many forward hooks of all modules there are."""
    modules = nn.modules.module
    return len(modules._global_forward_hooks) + len(modules._global_forward_pre_hooks)
