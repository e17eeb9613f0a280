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

from senet.fast.kernels.backends import is_suited
from senet.fast.listeners import is_plain, is_watched
from senet.fast.training.identity_slot import gated_shortcut, scale_add
from senet.fast.training.norm_statistics import Norm, uses_batch
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import Excite, fused_tail
from senet.nn import Residual, SqueezeExcite
from senet.nn.block import without_autocast
from senet.nn.squeeze import SQUEEZES

__all__ = ["FusedResidual", "FusedSequential", "excite_of", "is_norm"]

FEW_POSITIONS = 1024  # positions of a batch up to which a matrix product beats torch's 1x1 convolution (docs/fast.md)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


class FusedSequential(nn.Sequential):
    """A sequence in which every norm followed by a ReLU, and by a block if there is one, runs as one operation."""

    fused_backend: str = ""  # none by default, e.g. for a slice of a fused sequence

    def forward(self, input: Any) -> Any:
        """Apply the sequence."""
        return run(parts(self), input, live_backend(self))


class FusedResidual(Residual):
    """A residual unit whose last norm, block, addition and ReLU run as one operation."""

    fused_backend: str = ""

    def forward(self, x: Float[Tensor, "n c *s"]) -> Float[Tensor, "n d *t"]:
        """Apply the unit."""
        x = _through(self.head, x)
        u = _through(self.se_pre, x)
        steps: list[nn.Module] = [self.branch]
        norm: Norm | None = None
        backend = live_backend(self)
        if backend and type(self.branch) in (nn.Sequential, FusedSequential) and is_plain(self.branch):
            steps = parts(self.branch)
            if steps and is_norm(last := steps[-1]):
                norm = last
                steps.pop()
        u = run(steps, u, backend)
        r = _through(self.shortcut, x)
        return _through(self.se_post, self._end(u, r, norm, backend))

    def _end(self, u: Tensor, r: Tensor, norm: Norm | None, backend: str) -> Tensor:
        """Apply everything after the branch, in as few passes as its parts allow."""
        standard, identity = excite_of(self.se), excite_of(self.se_identity)
        gated = standard is not None or identity is not None
        fits = u.shape == r.shape and u.dtype == r.dtype and fit(u, norm, backend, gated=gated)
        rectified = is_relu(self.act)
        if fits and norm is not None and rectified:
            if self.se_identity is None and (self.se is None or standard):
                return fused_tail(u, r, norm=norm, excite=standard, backend=backend)
            if self.se is None and identity:
                return gated_shortcut(u, r, norm=norm, excite=identity, backend=backend)
        if fits and norm is None and self.act is None and standard and self.se_identity is None:
            return scale_add(u, r, excite=standard, backend=backend)
        y = _through(self.se, _through(norm, u)) + _through(self.se_identity, r)
        return _through(self.act, y)


def live_backend(module: FusedSequential | FusedResidual) -> str:
    """Return the backend that may run now; empty for none."""
    return "" if is_watched() else module.fused_backend


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


def is_relu(module: nn.Module | None) -> TypeGuard[nn.ReLU]:
    """Return whether a module is a ReLU without hooks."""
    return type(module) is nn.ReLU and is_plain(module)


def is_pool(module: nn.Module | None) -> TypeGuard[nn.MaxPool2d]:
    """Return whether a module is a max pool without hooks that does not return indices."""
    return type(module) is nn.MaxPool2d and not module.return_indices and is_plain(module)


def fit(u: Any, norm: Norm | None, backend: str, *, gated: bool) -> bool:
    """Return whether the passes support a map; inputs that are not valid are left to torch, which raises the error."""
    if not backend or not is_suited(backend, u, gated=gated):
        return False
    if norm is None:
        return True
    return u.shape[1] == norm.num_features and not (uses_batch(norm) and u.numel() == u.shape[1])


def is_norm(module: nn.Module | None) -> TypeGuard[Norm]:
    """Return whether a module is a batch norm that the passes support."""
    if type(module) not in NORMS or module is None or not is_plain(module):
        return False
    counts = module.num_batches_tracked is not None or module.running_mean is None
    return module.weight is not None and module.bias is not None and counts


def excite_of(block: nn.Module | None) -> Excite | None:
    """Return a function from the squeeze of a block to its weights; None if the block needs the whole map.

    It runs the excitation of the block; only the squeeze is computed in another way.
    """
    if type(block) is not SqueezeExcite or block.spec.squeeze != "avg" or block.num_map_layers or not is_plain(block):
        return None
    if block.squeeze is not SQUEEZES["avg"]:  # replaced after construction
        return None

    def excite(z: Tensor) -> Tensor:
        parameter = next(block.parameters(), None)
        w = z if parameter is None else z.to(parameter.dtype)
        with without_autocast(z):
            if block.excitation is not None:  # takes maps, and may return a broadcastable shape
                return block.excite(w[:, :, None, None])[:, :, 0, 0].to(z.dtype).expand_as(z)
            return block.excite(w, layer=dense).to(z.dtype)

    return excite


def dense(layer: nn.Module, z: Float[Tensor, "n c"]) -> Float[Tensor, "n d"]:
    """Apply a 1x1 convolution to a descriptor as a matrix product, which is faster for a single position."""
    if type(layer) is nn.Conv2d and is_plain(layer):
        return F.linear(z, layer.weight.flatten(1), layer.bias)
    mapped: Tensor = layer(z[:, :, None, None])
    return mapped[:, :, 0, 0]


def _through(module: nn.Module | None, x: Tensor) -> Tensor:
    return x if module is None else module(x)
