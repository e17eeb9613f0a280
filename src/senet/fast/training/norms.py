"""Batch norms that run as one operation with what acts on their output inside the module: a block, a ReLU.

`senet.insert` attaches a block to a norm by a forward hook, so hook and norm together are what `norm(x)` computes. The
fused class differs from the original one in `__call__` only: it computes norm and block in the passes of the norm if
nothing else observes the norm, and otherwise calls the module as always, hooks included.

Letters in shapes: n images, c channels, h and w sizes.
"""

from typing import Any, NamedTuple, TypeGuard

from torch import Tensor, fx, nn

from senet.fast.kernels.backends import is_suited
from senet.fast.listeners import is_plain, is_watched
from senet.fast.training.excitation import Excite, excite_of
from senet.fast.training.norm_statistics import Norm, uses_batch
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import fused_tail
from senet.fast.training.variant import Variant
from senet.nn.layers import BATCH_NORMS
from senet.surgery.insertion.hooks import gate_output

__all__ = [
    "End",
    "FusedNorm",
    "end_of",
    "fit",
    "has_activation",
    "hung_block",
    "is_norm",
    "is_relu",
    "is_supported",
    "live_backend",
]

WITH_ACTIVATION = ("timm.layers.norm_act", "BatchNormAct2d")  # module and name of a norm with children `drop` and `act`


class End(NamedTuple):
    """What acts on the output of a norm before the norm returns it.

    Attributes:
        excite: the excitation of the block that is attached to the norm; None without a block.
        relu: whether a ReLU acts before the block.
    """

    excite: Excite | None
    relu: bool

    @property
    def acts(self) -> bool:
        """Whether there is anything besides the norm."""
        return self.relu or self.excite is not None


class FusedNorm(Variant, nn.BatchNorm2d):
    """A norm that runs as one operation with its end."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Apply the norm and what is attached to it."""
        x = args[0] if len(args) == 1 and not kwargs else None
        if isinstance(x, fx.Proxy):  # a leaf, like torch's own norms, so that the mode is not fixed by the trace
            return x.tracer.create_proxy("call_module", x.tracer.path_of_module(self), (x,), {})  # type: ignore[attr-defined]
        backend = live_backend(self)
        end = end_of(self) if backend else None
        if end is None or not end.acts or not fit(x, self, backend, gated=end.excite is not None):
            return super().__call__(*args, **kwargs)
        assert isinstance(x, Tensor)
        if end.relu:
            return norm_relu(x, norm=self, excite=end.excite, backend=backend)
        return fused_tail(x, None, norm=self, excite=end.excite, relu=False, backend=backend)


def end_of(norm: nn.Module) -> End | None:
    """Return what acts on the output of a norm inside its module, if all of it can run as one operation, else None."""
    if not isinstance(norm, nn.BatchNorm2d) or not is_supported(norm):
        return None
    kind: type[nn.Module] = type(norm)
    if isinstance(norm, FusedNorm) and kind is norm.own:
        kind = norm.ordinary
    relu = False
    if kind is not nn.BatchNorm2d:
        if not has_activation(kind):
            return None
        drop, act = norm._modules.get("drop"), norm._modules.get("act")
        relu = is_relu(act)
        if type(drop) is not nn.Identity or not is_plain(drop) or not (relu or _is_identity(act)):
            return None
    if is_plain(norm):
        return End(None, relu)
    excite = excite_of(hung_block(norm), spread=not relu)
    return None if excite is None else End(excite, relu)


def hung_block(norm: nn.Module) -> nn.Module | None:
    """Return the block that `senet.insert` attached to the output of a module; None if the module has other hooks."""
    own = norm.__dict__
    hooks = own["_forward_hooks"]
    if len(hooks) != 1 or own["_forward_pre_hooks"] or own["_backward_hooks"] or own["_backward_pre_hooks"]:
        return None
    hook = next(iter(hooks.values()))
    if getattr(hook, "func", None) is not gate_output or hook.keywords["last"] or "forward" in own:
        return None
    block: nn.Module | None = norm._modules.get(hook.keywords["child"])
    return block


def live_backend(module: Any) -> str:
    """Return the backend of a fused module that may run now; empty for none."""
    backend: str = module.fused_backend
    return "" if is_watched() else backend


def fit(u: Any, norm: Norm | None, backend: str, *, gated: bool) -> bool:
    """Return whether the passes support a map; inputs that are not valid are left to torch, which raises the error."""
    if not backend or not is_suited(backend, u, gated=gated):
        return False
    if norm is None:
        return True
    return u.shape[1] == norm.num_features and not (uses_batch(norm) and u.numel() == u.shape[1])


def is_norm(module: nn.Module | None) -> TypeGuard[Norm]:
    """Return whether a module is a batch norm that the passes support, without hooks."""
    return type(module) in BATCH_NORMS and is_plain(module) and is_supported(module)  # type: ignore[arg-type]


def is_relu(module: nn.Module | None) -> TypeGuard[nn.ReLU]:
    """Return whether a module is a ReLU without hooks."""
    return type(module) is nn.ReLU and is_plain(module)


def has_activation(kind: type[nn.Module]) -> bool:
    """Return whether a class is timm's norm with an activation."""
    return (kind.__module__, kind.__name__) == WITH_ACTIVATION


def _is_identity(module: nn.Module | None) -> bool:
    return type(module) is nn.Identity and is_plain(module)


def is_supported(norm: nn.Module) -> bool:
    """Return whether a norm has the weights and the counter that the passes need."""
    counts = norm.num_batches_tracked is not None or norm.running_mean is None
    return norm.weight is not None and norm.bias is not None and counts
