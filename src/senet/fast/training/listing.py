"""What `accelerate` did to the norms and blocks of a network, and why it left the others."""

from collections.abc import Iterator

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from senet.fast.listeners import is_plain
from senet.fast.training.excitation import MOMENTS, excite_of
from senet.fast.training.modules import FusedResidual, FusedSequential, parts
from senet.fast.training.norms import FusedNorm, end_of, has_activation, hung_block, is_norm, is_supported
from senet.fast.training.units import FusedUnit
from senet.nn import SqueezeExcite
from senet.nn.layers import BATCH_NORMS
from senet.surgery import find
from senet.surgery.insertion.hooks import attached

__all__ = ["blocks", "everything", "norms"]


def everything(model: nn.Module, why: str) -> Iterator[tuple[str, str]]:
    """Yield every norm and block of a network that is not accelerated, with the reason."""
    yield from ((name, why) for name, module in model.named_modules() if isinstance(module, _BatchNorm))
    yield from ((block.name, why) for block in find(model))


def norms(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield every norm with the reason why it is not fused; empty if it is."""
    ends = _ends(model) | _in_units(model)
    for parent_name, parent in model.named_modules():
        children = [(name, child) for name, child in parent._modules.items() if child is not None]
        for at, (child, norm) in enumerate(children):
            name = f"{parent_name}.{child}" if parent_name else child
            if not isinstance(norm, _BatchNorm) or isinstance(parent, SqueezeExcite):  # that of a descriptor
                continue
            following = children[at + 1][1] if at + 1 < len(children) else None
            if name in ends:
                yield name, ends[name]
            elif not is_norm(norm):
                yield name, _strangeness(norm)
            elif not isinstance(parent, FusedSequential):
                yield name, f"it is called in the forward method of {_title(parent)}, not in a sequence"
            else:
                yield name, "" if type(following) is nn.ReLU else "no ReLU follows it"


def _title(module: nn.Module) -> str:
    title: str = getattr(module, "ordinary", type(module)).__name__
    return title


def _in_units(model: nn.Module) -> dict[str, str]:
    """Return the norms that are fused in units of other libraries, without a reason."""
    units = [(name, unit.fused_plan) for name, unit in model.named_modules() if isinstance(unit, FusedUnit)]
    return {f"{name}.{norm}".lstrip("."): "" for name, plan in units if plan is not None for norm in plan.norms}


def _strangeness(norm: nn.Module) -> str:
    """Return why a norm is not fused, other than by what follows it; empty if it is fused with its own end."""
    end = end_of(norm) if isinstance(norm, FusedNorm) else None
    if end is not None and end.acts:
        return ""
    kind: type[nn.Module] = getattr(norm, "ordinary", type(norm))
    if kind not in BATCH_NORMS and not has_activation(kind):
        return f"its class {kind.__name__} is not one of torch's norms"
    if not is_supported(norm):
        return "it has no weights, or no batch counter"
    if attached(norm):
        if not issubclass(kind, nn.BatchNorm2d):
            return f"a block is attached to it, and only BatchNorm2d is fused with its block, not {kind.__name__}"
        why = "the block attached to it needs the whole map"
        return why if hung_block(norm) is not None else "it has hooks besides that of its block"
    if not is_plain(norm):
        return "it has a hook"
    return f"its activation is {type(norm._modules.get('act')).__name__}, not ReLU"


def _attached_blocks(model: nn.Module) -> dict[nn.Module, str]:
    """Return the blocks that are attached to a module with the reason why they are not fused; empty if they are."""
    found = {}
    for host in model.modules():
        for name in attached(host):
            why = f"it is attached to a {type(host).__name__}; only a batch norm computes its squeeze"
            found[host.get_submodule(name)] = _strangeness(host) if isinstance(host, _BatchNorm) else why
    return found


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
            spread = block is unit.se
            why = "" if excite_of(block, spread=spread) else "the block after it needs the whole map"
        ends[f"{name}.branch.{steps[-1][0]}".lstrip(".")] = why
    return ends


def blocks(model: nn.Module) -> Iterator[tuple[str, str]]:
    """Yield every block with the reason why its passes are not fused; empty if they are."""
    inserted, fused = _attached_blocks(model), set()
    for unit in model.modules():
        if type(unit) is FusedResidual:
            fused |= {unit.se} if excite_of(unit.se, spread=True) else set()
            fused |= {unit.se_identity} if excite_of(unit.se_identity) else set()
        if isinstance(unit, FusedSequential):
            steps = parts(unit)
            fused |= {
                block
                for norm, act, block in zip(steps, steps[1:], steps[2:], strict=False)
                if is_norm(norm) and type(act) is nn.ReLU and excite_of(block)
            }
    for there in find(model):
        name, block = there.name, model.get_submodule(there.name)
        if not isinstance(block, SqueezeExcite):
            yield name, f"its class {type(block).__name__} is not senet's; senet.optimize supports it, for inference"
        elif block.adds:
            yield name, "its gate adds to the map"
        elif block.spec.squeeze not in MOMENTS:
            yield name, f"the squeeze is {block.spec.squeeze!r}, which is not a function of mean and variance"
        elif block.num_map_layers:
            yield name, f"the variant {block.spec.variant!r} acts on the map"
        elif block in inserted:
            yield name, inserted[block]
        elif block not in fused and MOMENTS[str(block.spec.squeeze)].spread:
            yield name, "its squeeze needs the variance of the map, which is known only after a norm without ReLU"
        else:
            why = "it does not follow a norm, and is not part of a senet.nn.Residual"
            yield name, "" if block in fused else why
