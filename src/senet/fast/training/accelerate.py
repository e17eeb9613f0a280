"""`accelerate` and `decelerate`: switch a network to fused operations and back, without changing its state dict."""

import warnings
from dataclasses import dataclass

import torch
from torch import nn

from senet.calls import by_name
from senet.errors import BackendError, SpecError, unknown
from senet.fast.convolution.replace import TiledConv2d, is_available, is_tileable
from senet.fast.kernels.backends import BACKENDS, backend_for, obstacle, passes
from senet.fast.training.listing import blocks, everything, norms
from senet.fast.training.modules import FusedResidual, FusedSequential, FusedSubclass
from senet.fast.training.norms import FusedNorm, end_of
from senet.fast.training.unit_plan import plan_of
from senet.fast.training.units import FusedUnit
from senet.fast.training.variant import Variant, fused
from senet.known_names import Backends
from senet.nn import Residual
from senet.printed import Printed
from senet.text import listed
from senet.torch_internals import become

__all__ = ["Accelerated", "accelerate", "decelerate", "device_of"]

FUSED: dict[type[nn.Module], type[nn.Module]] = {Residual: FusedResidual, nn.Sequential: FusedSequential}
ORDINARY: dict[type[nn.Module], type[nn.Module]] = {fused: ordinary for ordinary, fused in FUSED.items()}
ORDINARY[TiledConv2d] = nn.Conv2d


@dataclass(frozen=True, kw_only=True, repr=False)
class Accelerated(Printed):
    """The result of `accelerate`.

    Attributes:
        fused: names of the norms that are fused with the operations after them.
        blocks: names of the blocks that are computed in the passes of a norm, or of the addition after them.
        left: names of norms and blocks that run as before, each with the reason; including those of other libraries.
        backend: backend of the passes and convolutions; empty if nothing was accelerated.
        convolutions: names of the 3x3 convolutions that use Winograd's algorithm on large maps.
    """

    fused: tuple[str, ...]
    blocks: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    backend: str
    convolutions: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = {"norms": self.fused, "blocks": self.blocks}
        parts = [f"{what} fused: {len(names)}" for what, names in counts.items()]
        parts += [f"Winograd convolutions: {len(self.convolutions)}", f"left: {len(self.left)}"]
        lines = ["; ".join([*parts, *([f"backend: {self.backend}"] if self.backend else [])])]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left:
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            lines.append(f"  {listed([name or 'the network itself' for name in names], 1)}: left, {why}")
        return "\n".join(lines)


@by_name
def accelerate(model: nn.Module, *, backend: Backends = "auto") -> Accelerated:
    """Fuse batch norms with the blocks, additions and ReLUs after them, in place, for training and evaluation.

    Fused are `senet.nn.Residual` and `nn.Sequential` modules; in any network every batch norm with the block that
    `senet.insert` attached to it; and norms with the additions and ReLUs after them in forward methods that only call
    layers, add and rectify, as those of torchvision's and timm's units. The result lists everything that was left.
    No layer of the network runs: torch.fx records these methods with symbols, and the results of the backend were
    compared with plain torch before its first use on this device. A unit whose attributes, layers or hooks change later
    runs its own method again.

    Values and gradients equal those of the original network up to rounding; the state dict, including running
    statistics, is the same. Maps between a norm and its ReLU are neither written nor kept. With `native`, 3x3
    convolutions in float32 and channels last need a quarter of the multiplications (docs/fast.md).

    Args:
        model: any network. Call it again after `senet.insert` or `senet.remove`.
        backend: `native` (C++ for CPUs, compiled once on this machine in a few seconds), `triton` (CUDA), `inductor`
            (torch.compile), `reference` (plain torch: for tests, slower than no fusion); `auto` selects `native` or
            `triton`, and leaves the network unchanged, with a warning, if neither can run.

    Returns:
        What was fused and what was not, with the reason.

    Raises:
        BackendError: if the machine cannot run the backend, or its results are wrong there.
        SpecError: if the backend is not known, or `model` is not a network.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is not a network; pass a torch.nn.Module.")
    if backend not in ("auto", *BACKENDS):
        raise unknown("backend", backend, ("auto", *BACKENDS))
    if backend == "auto":
        usable = _automatic(model)
        if usable is None:
            left = tuple(everything(model, "no backend is available"))
            return Accelerated(fused=(), blocks=(), left=left, backend="")
        chosen = usable
    else:
        chosen = backend
    passes(chosen)  # compiles
    if why := obstacle(chosen, device_of(model)):
        raise BackendError(f"{why}; choose the backend 'reference', or omit it.")
    tiled = chosen == "native" and is_available()
    decelerate(model)  # blocks, layers or hooks may have changed since the last time
    _fuse(model, chosen, tiled=tiled)
    found, gates = dict(norms(model)), dict(blocks(model))
    done = tuple(name for name, why in found.items() if not why)
    convolutions = tuple(name for name, each in model.named_modules() if tiled and type(each) is TiledConv2d)
    return Accelerated(
        fused=done,
        blocks=tuple(name for name, why in gates.items() if not why),
        left=tuple((name, why) for name, why in (*found.items(), *gates.items()) if why),
        backend=chosen if done or convolutions else "",
        convolutions=convolutions,
    )


def _fuse(model: nn.Module, backend: str, *, tiled: bool) -> None:
    """Assign the fused classes to modules, parts before the units that hold them."""
    for module in [*model.modules()][::-1]:
        end = end_of(module)
        if end is not None and end.acts:
            become(module, fused(FusedNorm, type(module)))
        elif type(module) in FUSED:
            become(module, FUSED[type(module)])
        elif isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            become(module, fused(FusedSubclass, type(module)))
        elif tiled and is_tileable(module):
            become(module, TiledConv2d)
        if type(module) in ORDINARY or isinstance(module, Variant):
            module.fused_backend = backend  # type: ignore[assignment]
    for module in [*model.modules()][::-1]:
        if (plan := plan_of(module)) is not None:
            become(module, fused(FusedUnit, type(module)))
            module.fused_backend, module.fused_plan = backend, plan  # type: ignore[assignment]


def decelerate(model: nn.Module) -> None:
    """Undo `accelerate`: restore the original forward passes of a network."""
    for module in model.modules():
        _restore(module)


def _restore(module: nn.Module) -> None:
    """Restore the original class of a fused module; parametrized ones keep the class that torch made for them."""
    if type(module) in ORDINARY:
        become(module, ORDINARY[type(module)])
    elif isinstance(module, Variant) and type(module) is module.own:
        become(module, module.ordinary)
    elif not isinstance(module, (Variant, *ORDINARY)):
        return
    module.__dict__.pop("fused_backend", None)  # slices of a sequence do not have it
    module.__dict__.pop("fused_plan", None)


def _automatic(model: nn.Module) -> str | None:
    """Return the backend for the device of a network; None, with a warning, if there is none."""
    device = device_of(model)
    try:
        if (backend := backend_for(device)) is not None:
            return backend
        why = f"no backend supports {device}"
    except BackendError as error:
        why = str(error)
    warnings.warn(f"the network is not accelerated: {why}", stacklevel=4)
    return None


def device_of(model: nn.Module) -> torch.device:
    """Return the device of the parameters of a network; the CPU if it has none."""
    return next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
