"""`accelerate`: let a network train in fewer passes over its maps, and take it back. Keys, values and results stay."""

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

__all__ = ["Accelerated", "accelerate", "decelerate"]

FUSED: dict[type[nn.Module], type[nn.Module]] = {Residual: FusedResidual, nn.Sequential: FusedSequential}
ORDINARY: dict[type[nn.Module], type[nn.Module]] = {fused: ordinary for ordinary, fused in FUSED.items()}
ORDINARY[TiledConv2d] = nn.Conv2d


@dataclass(frozen=True, kw_only=True, repr=False)
class Accelerated(Printed):
    """What `accelerate` did.

    Attributes:
        fused: names of the norms that run as one with what follows them.
        left: names of norms and blocks that run as before, each with the reason; those of other libraries too.
        backend: that runs the passes and convolutions; empty if there are none.
        convolutions: names of the 3x3 convolutions that run in fewer products where a map is large enough.
    """

    fused: tuple[str, ...]
    left: tuple[tuple[str, str], ...]
    backend: str
    convolutions: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = f"norms fused: {len(self.fused)}; convolutions in fewer products: {len(self.convolutions)}"
        lines = [f"{counts}; left: {len(self.left)}{f'; backend: {self.backend}' if self.backend else ''}"]
        reasons: dict[str, list[str]] = {}
        for name, why in self.left:
            reasons.setdefault(why, []).append(name)
        for why, names in reasons.items():
            others = f" and {len(names) - 1} more" if len(names) > 1 else ""
            lines.append(f"  {names[0] or 'the network itself'}{others}: left, {why}")
        return "\n".join(lines)


@by_name
def accelerate(model: nn.Module, *, backend: str = "auto") -> Accelerated:
    """Fuse batch norms with the blocks, additions and ReLUs behind them, in place, for training and evaluation.

    Only residual units of ours (`senet.nn.Residual`) and `nn.Sequential` are fused: networks of torchvision and timm
    write their units as forward methods, so that of those only convolutions gain, and the result lists the rest.
    Nothing is run and nothing compared: which modules are fused depends on their classes alone, and what the backend
    computes on this device was compared with plain torch before its first use.

    Values and gradients are those of the ordinary network up to rounding; the state dict, running statistics
    included, is the same. The maps between a norm and its ReLU are neither written nor kept. With `native`, 3x3
    convolutions in float32 and channels last take a quarter of the products (docs/fast.md).

    Args:
        model: with residual units of ours, or sequences of modules; what is written in other forward methods is left
            alone, and listed.
        backend: `native` (C++ for CPUs, compiled once on this machine: some seconds), `triton` (CUDA), `inductor`
            (torch.compile), `reference` (plain torch: for tests, slower than not fusing); `auto` is `native` or
            `triton`, and leaves the network as it is, with a warning, where neither can run.

    Returns:
        What was fused and what was not, with the reason.

    Raises:
        BackendError: if the machine cannot run the backend, or it computes wrong values there.
        SpecError: if the backend is not known, or `model` is no network.
    """
    if not isinstance(model, nn.Module):
        raise SpecError(f"model = {model!r} is no network; give a torch.nn.Module.")
    if backend not in ("auto", *BACKENDS):
        raise unknown("backend", backend, ("auto", *BACKENDS))
    if backend == "auto":
        chosen = _automatic(model)
        if chosen is None:
            return Accelerated(fused=(), left=tuple(_everything(model, "no backend can run")), backend="")
        backend = chosen
    passes(backend)  # compiles
    if why := obstacle(backend, _device(model)):
        raise BackendError(f"{why}; choose the backend 'reference', or leave it out.")
    tiled = backend == "native" and is_available()
    for module in model.modules():
        if fused := FUSED.get(type(module)):
            module.__class__ = fused
        elif tiled and is_tileable(module):
            module.__class__ = TiledConv2d
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
    """Give a network its ordinary forward pass back."""
    for module in model.modules():
        if type(module) in ORDINARY:
            module.__class__ = ORDINARY[type(module)]
        if isinstance(module, tuple(ORDINARY.values())):
            module.__dict__.pop(
                "fused_backend", None
            )  # a slice has none of its own; a parametrized layer keeps its class


def _automatic(model: nn.Module) -> str | None:
    """Return the backend for the device of a network; None, with a warning, if there is none."""
    device = _device(model)
    try:
        if (backend := backend_for(device)) is not None:
            return backend
        why = f"no backend runs on {device}"
    except BackendError as error:
        why = str(error)
    warnings.warn(f"the network is left as it is: {why}", stacklevel=4)
    return None


def _device(model: nn.Module) -> torch.device:
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
                yield name, f"it stands in the forward method of {type(parent).__name__}, not in a sequence"
            else:
                yield name, "" if type(following) is nn.ReLU else "there is no ReLU behind it"


def _strangeness(norm: nn.Module) -> str:
    """Return why the passes of a norm are not known."""
    if type(norm) not in NORMS:
        return f"its class {type(norm).__name__} is not one of torch's norms"
    if insertions(norm._forward_hooks) or insertions(norm._forward_pre_hooks):
        return "a block that was inserted hangs on it"
    return "a hook listens to it" if not is_plain(norm) else "it has no weights, or counts no batches"


def _ends(model: nn.Module) -> dict[str, str]:
    """Give the last norms of the branches of residual units, each with the reason why it is not fused."""
    ends = {}
    for name, unit in model.named_modules():
        if type(unit) is not FusedResidual or not isinstance(unit.branch, nn.Sequential):
            continue
        steps = list(unit.branch._modules.items())
        if not steps or not is_norm(steps[-1][1]):
            continue
        why = ""
        if type(unit.act) is not nn.ReLU:
            why = "there is no ReLU after the addition"
        elif unit.se is not None and unit.se_identity is not None:
            why = "two blocks meet at the addition"
        elif block := unit.se or unit.se_identity:
            why = "" if excite_of(block) else "the block behind it needs its map"
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
            yield name, f"its class {type(block).__name__} is not senet's; senet.optimize takes it, for inference"
        elif block.spec.squeeze != "avg":
            yield name, f"the squeeze is {block.spec.squeeze!r}; only the average follows from sums"
        elif block.num_map_layers:
            yield name, f"the variant {block.spec.variant!r} acts on the map"
        else:
            yield (
                name,
                "" if block in fused else "it does not stand behind a norm or at an addition of ours",
            )
