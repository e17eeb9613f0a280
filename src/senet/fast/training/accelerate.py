"""`accelerate` and `decelerate`: switch a network to fused operations and back, without changing its state dict."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from senet.calls import by_name
from senet.errors import BackendError, SpecError, unknown
from senet.fast.convolution.replace import TiledConv2d, is_available, is_tileable
from senet.fast.kernels.backends import BACKENDS, backend_for, obstacle, passes
from senet.fast.listeners import is_plain
from senet.fast.training.modules import NORMS, FusedResidual, FusedSequential, excite_of, is_norm, parts
from senet.nn import Residual, SqueezeExcite
from senet.printed import Printed
from senet.surgery import find
from senet.surgery.insertion.hooks import insertions
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
        left: names of norms and blocks that run as before, each with the reason; including those of other libraries.
        backend: backend of the passes and convolutions; empty if nothing was accelerated.
        convolutions: names of the 3x3 convolutions that use Winograd's algorithm on large maps.
    """

    fused: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    backend: str
    convolutions: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = f"norms fused: {len(self.fused)}; Winograd convolutions: {len(self.convolutions)}"
        lines = [f"{counts}; left: {len(self.left)}{f'; backend: {self.backend}' if self.backend else ''}"]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left:
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            lines.append(f"  {listed([name or 'the network itself' for name in names], 1)}: left, {why}")
        return "\n".join(lines)


@by_name
def accelerate(model: nn.Module, *, backend: str = "auto") -> Accelerated:
    """Fuse batch norms with the blocks, additions and ReLUs after them, in place, for training and evaluation.

    Only `senet.nn.Residual` and `nn.Sequential` modules are fused. Networks of torchvision and timm implement their
    units in forward methods, so only their convolutions get faster; the result lists everything else. The network is
    not run: the classes of the modules determine what is fused, and the results of the backend were compared with plain
    torch before its first use on this device.

    Values and gradients equal those of the original network up to rounding; the state dict, including running
    statistics, is the same. Maps between a norm and its ReLU are neither written nor kept. With `native`, 3x3
    convolutions in float32 and channels last need a quarter of the multiplications (docs/fast.md).

    Args:
        model: a network with `senet.nn.Residual` units or `nn.Sequential` modules; operations in other forward methods
            are not changed, and listed.
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
        chosen = _automatic(model)
        if chosen is None:
            return Accelerated(fused=(), left=tuple(_everything(model, "no backend is available")), backend="")
        backend = chosen
    passes(backend)  # compiles
    if why := obstacle(backend, device_of(model)):
        raise BackendError(f"{why}; choose the backend 'reference', or omit it.")
    tiled = backend == "native" and is_available()
    for module in model.modules():
        if fused := FUSED.get(type(module)):
            become(module, fused)
        elif tiled and is_tileable(module):
            become(module, TiledConv2d)
        if type(module) in ORDINARY:
            module.fused_backend = backend  # type: ignore[assignment]
    found = dict(_norms(model))
    done = tuple(name for name, why in found.items() if not why)
    convolutions = tuple(name for name, each in model.named_modules() if tiled and type(each) is TiledConv2d)
    return Accelerated(
        fused=done,
        left=tuple((name, why) for name, why in (*found.items(), *_blocks(model)) if why),
        backend=backend if done or convolutions else "",
        convolutions=convolutions,
    )


def decelerate(model: nn.Module) -> None:
    """Undo `accelerate`: restore the original forward passes of a network."""
    for module in model.modules():
        if type(module) in ORDINARY:
            become(module, ORDINARY[type(module)])
        if isinstance(module, tuple(ORDINARY.values())):
            module.__dict__.pop(
                "fused_backend", None
            )  # slices do not have the attribute; parametrized layers keep their class


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


def _everything(model: nn.Module, why: str) -> Iterator[tuple[str, str]]:
    yield from ((name, why) for name, module in model.named_modules() if isinstance(module, _BatchNorm))
    yield from ((block.name, why) for block in find(model))


def _norms(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield every norm with the reason why it is not fused; empty if it is."""
    ends = _ends(model)
    for parent_name, parent in model.named_modules():
        children = [(name, child) for name, child in parent._modules.items() if child is not None]
        for at, (child, norm) in enumerate(children):
            name = f"{parent_name}.{child}" if parent_name else child
            if isinstance(norm, _BatchNorm) and not is_norm(norm):
                yield name, _strangeness(norm)
            if not is_norm(norm):
                continue
            following = children[at + 1][1] if at + 1 < len(children) else None
            if name in ends:
                yield name, ends[name]
            elif type(parent) is not FusedSequential:
                yield name, f"it is called in the forward method of {type(parent).__name__}, not in a sequence"
            else:
                yield name, "" if type(following) is nn.ReLU else "no ReLU follows it"


def _strangeness(norm: nn.Module) -> str:
    """Return why a norm is not supported."""
    if type(norm) not in NORMS:
        return f"its class {type(norm).__name__} is not one of torch's norms"
    if insertions(norm._forward_hooks) or insertions(norm._forward_pre_hooks):
        return "an inserted block is attached to it"
    return "it has a hook" if not is_plain(norm) else "it has no weights, or no batch counter"


def _ends(model: nn.Module) -> dict[str, str]:
    """Return the last norm of every residual branch with the reason why it is not fused; empty if it is."""
    ends = {}
    for name, unit in model.named_modules():
        if type(unit) is not FusedResidual or not isinstance(unit.branch, nn.Sequential):
            continue
        steps = list(unit.branch._modules.items())
        if not steps or not is_norm(steps[-1][1]):
            continue
        why = ""
        if type(unit.act) is not nn.ReLU:
            why = "no ReLU follows the addition"
        elif unit.se is not None and unit.se_identity is not None:
            why = "both summands of the addition have blocks"
        elif block := unit.se or unit.se_identity:
            why = "" if excite_of(block) else "the block after it needs the whole map"
        ends[f"{name}.branch.{steps[-1][0]}".lstrip(".")] = why
    return ends


def _blocks(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield every block with the reason why its passes are not fused; empty if they are."""
    fused = set()
    for unit in model.modules():
        if type(unit) is FusedResidual:
            fused |= {unit.se, unit.se_identity}
        if type(unit) is FusedSequential:
            steps = parts(unit)
            fused |= {
                block
                for norm, act, block in zip(steps, steps[1:], steps[2:], strict=False)
                if is_norm(norm) and type(act) is nn.ReLU
            }
    for there in find(model):
        name, block = there.name, model.get_submodule(there.name)
        if not isinstance(block, SqueezeExcite):
            yield name, f"its class {type(block).__name__} is not senet's; senet.optimize supports it, for inference"
        elif block.spec.squeeze != "avg":
            yield name, f"the squeeze is {block.spec.squeeze!r}; only the average can be computed from sums"
        elif block.num_map_layers:
            yield name, f"the variant {block.spec.variant!r} acts on the map"
        else:
            yield (
                name,
                "" if block in fused else "it does not follow a norm, and is not part of a senet.nn.Residual",
            )
