"""Modules with a fused forward pass; they differ from the original ones only in their class.

State-dict keys, values and hooks stay. A call that the passes do not support - another type of map, a hook on a module
that would be bypassed, a map too small to benefit - runs plain torch.

Letters in shapes: n images, c and d channels, *s and *t sizes.
"""

from collections.abc import Sequence
from typing import Any, TypeGuard

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from senet.fast.listeners import is_plain
from senet.fast.training.excitation import Excite, excite_of
from senet.fast.training.identity_slot import gated_shortcut, scale_add
from senet.fast.training.norm_statistics import Norm
from senet.fast.training.norms import end_of, fit, is_norm, is_relu, live_backend
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import fused_tail
from senet.fast.training.variant import Variant
from senet.nn import Residual

__all__ = ["FusedResidual", "FusedSequential", "FusedSubclass", "last_norm", "parts"]

FEW_POSITIONS = 1024  # positions of a batch up to which a matrix product beats torch's 1x1 convolution (docs/fast.md)


class FusedSequential(nn.Sequential):
    """A sequence in which every norm followed by a ReLU, and by a block if there is one, runs as one operation."""

    fused_backend: str = ""  # none by default, e.g. for a slice of a fused sequence

    def forward(self, input: Any) -> Any:
        """Apply the sequence."""
        return run(parts(self), input, live_backend(self))


class FusedSubclass(Variant, FusedSequential):
    """A sequence of another class that runs its modules one after the other as well, e.g. torchvision's."""


class FusedResidual(Residual):
    """A residual unit whose last norm, block, addition and ReLU run as one operation."""

    fused_backend: str = ""

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *t"]:
        """Apply the unit."""
        x = _through(self.head, x)
        u = _through(self.se_pre, x)
        steps: list[nn.Module] = [self.branch]
        norm: Norm | None = None
        hung: Excite | None = None
        backend = live_backend(self)
        if backend and type(self.branch) in (nn.Sequential, FusedSequential) and is_plain(self.branch):
            steps = parts(self.branch)
            norm, hung = last_norm(self, steps)
            if norm is not None:
                steps.pop()
        u = run(steps, u, backend)
        r = _through(self.shortcut, x)
        return _through(self.se_post, self._end(u, r, norm, hung, backend))

    def _end(self, u: Tensor, r: Tensor, norm: Norm | None, hung: Excite | None, backend: str) -> Tensor:
        """Apply everything after the branch, in as few passes as its parts allow."""
        standard = hung or excite_of(self.se, spread=norm is not None)
        identity = excite_of(self.se_identity)
        gated = standard is not None or identity is not None
        fits = u.shape == r.shape and u.dtype == r.dtype and fit(u, norm, backend, gated=gated)
        rectified = is_relu(self.act)
        if fits and norm is not None and rectified:
            if self.se_identity is None and (self.se is None or standard):
                return fused_tail(u, r, norm=norm, excite=standard, backend=backend)
            if self.se is None and hung is None and identity:
                return gated_shortcut(u, r, norm=norm, excite=identity, backend=backend)
        if fits and norm is None and self.act is None and standard and self.se_identity is None:
            return scale_add(u, r, excite=standard, backend=backend)
        y = _through(self.se, _through(norm, u)) + _through(self.se_identity, r)
        return _through(self.act, y)


def last_norm(unit: Residual, steps: Sequence[nn.Module]) -> tuple[Norm | None, Excite | None]:
    """Return the norm that ends the branch of a unit, and the excitation of a block that is attached to it.

    Args:
        unit: the unit.
        steps: the modules of its branch.

    Returns:
        None and None if the branch does not end in a norm that can be fused with the addition.
    """
    last = steps[-1] if steps else None
    if is_norm(last):
        return last, None
    end = end_of(last) if isinstance(last, nn.BatchNorm2d) and unit.se is None else None
    if end is None or end.relu:
        return None, None
    assert isinstance(last, nn.BatchNorm2d)
    return last, end.excite


def parts(sequence: nn.Module) -> list[nn.Module]:
    """Return the modules of a sequence in execution order, including repetitions."""
    return [module for module in sequence._modules.values() if module is not None]


def run(modules: Sequence[nn.Module], x: Any, backend: str) -> Any:
    """Apply modules in sequence, with some of them fused.

    A norm followed by a ReLU, and by a block if there is one, runs as one operation; a max pool after a ReLU is applied
    before it.
    """
    if not backend:
        for each in modules:
            x = each(x)
        return x
    at = 0
    while at < len(modules):
        module, act, block = (*modules[at : at + 3], None, None)[:3]
        at += 1
        excite = excite_of(block)
        gated = excite is not None
        if is_norm(module) and is_relu(act) and fit(x, module, backend, gated=gated):
            x = norm_relu(x, norm=module, excite=excite, backend=backend)
            at += 1 if excite is None else 2
        elif is_relu(module) and not module.inplace and is_pool(act):
            x = module(act(x))  # ReLU and max commute; the ReLU then processes a quarter of the values
            at += 1
        else:
            assert module is not None
            x = as_product(module, x) if is_product(module, x, backend) else module(x)
    return x


def is_product(module: nn.Module, x: Any, backend: str) -> TypeGuard[nn.Conv2d]:
    """Return whether a convolution is faster as a matrix product: 1x1, few positions, channels last, on a CPU."""
    if type(module) is not nn.Conv2d or module.kernel_size != (1, 1) or module.stride != (1, 1):
        return False
    if backend != "native" or module.groups != 1 or module.padding != (0, 0) or not is_plain(module):
        return False
    few = isinstance(x, Tensor) and x.ndim == 4 and x.numel() <= FEW_POSITIONS * module.in_channels
    alike = x.dtype == module.weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    return few and alike and x.device.type == "cpu" and x.is_contiguous(memory_format=torch.channels_last)


def as_product(module: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution to the channels-last view of a map."""
    return F.linear(x.permute(0, 2, 3, 1), module.weight.flatten(1), module.bias).permute(0, 3, 1, 2)


def is_pool(module: nn.Module | None) -> TypeGuard[nn.MaxPool2d]:
    """Return whether a module is a max pool without hooks that does not return indices."""
    return type(module) is nn.MaxPool2d and not module.return_indices and is_plain(module)


def _through(module: nn.Module | None, x: Tensor) -> Tensor:
    return x if module is None else module(x)
