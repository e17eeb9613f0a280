"""Score many schemes of ratios by one network without training: norms measured anew, common beginnings run once.

Letters in shapes: n images, m calibration images, c channels, h and w sizes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from senet.models import Network
from senet.nn.nested import NestedSqueezeExcite
from senet.spec import SESpec

__all__ = ["recalibrated", "score_schemes", "select"]


def select(network: nn.Module, spec: SESpec) -> None:
    """Set the ratios of a design in every nested block of a network; inserted blocks keep their own gate."""
    for block in _nested(network):
        block.select(block.spec.but(reduction=spec.reduction))


@contextmanager
def recalibrated(part: nn.Module) -> Iterator[None]:
    """Let a forward pass through `part` set the mean and variance of its norms, from that batch alone."""
    norms = [module for module in part.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, before, strict=True):
            norm.training, norm.momentum = training, momentum


@torch.no_grad()
def score_schemes(
    network: nn.Module,
    specs: Sequence[SESpec],
    *,
    calibration: Float[Tensor, "m c h w"],
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    recalibrate: bool = True,
    tell: Callable[[int], None] | None = None,
) -> dict[SESpec, tuple[float, float]]:
    """Measure accuracy and loss of a network with each of many designs.

    The designs are a tree: two of them with equal ratios up to a stage, or up to a block of it, share all activations
    before the next one. Each part of the network runs once for each distinct prefix of ratios, first on the
    calibration images, which set its norms, then on the images to score. Networks that are not of the zoo are one part.

    Args:
        network: with `NestedSqueezeExcite` blocks; its norm statistics are changed, and its mode to evaluation.
        specs: the designs.
        calibration: training images.
        images: images to score.
        labels: their classes.
        recalibrate: whether the norms are set by the calibration images; false where their statistics are frozen.
        tell: receives the number of designs scored so far.

    Returns:
        Accuracy [%] and mean loss [nats] by design.
    """
    network.eval()
    scores: dict[SESpec, tuple[float, float]] = {}
    parts = _parts(network, by_block=any(not isinstance(r, int) for spec in specs for r in _stages(spec)))
    places = [sorted({(block.stage, block.unit) for block in _nested(part)}) for part in parts]

    def walk(number: int, group: Sequence[SESpec], seen: Tensor, x: Tensor) -> None:
        if number == len(parts):
            logits = network.forward_head(x) if isinstance(network, Network) else x
            loss = F.cross_entropy(logits, labels).item()
            right = 100 * (logits.argmax(1) == labels).double().mean().item()
            scores.update(dict.fromkeys(group, (right, loss)))
            if tell is not None:
                tell(len(scores))
            return
        branches: dict[tuple[int, ...], list[SESpec]] = {}
        for spec in group:
            branches.setdefault(tuple(spec.ratio(*place) for place in places[number]), []).append(spec)
        for branch in branches.values():
            select(parts[number], branch[0])
            with recalibrated(parts[number]) if recalibrate else nullcontext():
                measured = parts[number](seen)
            walk(number + 1, branch, measured, parts[number](x))

    walk(0, list(specs), calibration, images)
    return {spec: scores[spec] for spec in specs}


def _parts(network: nn.Module, *, by_block: bool) -> list[nn.Module]:
    """Return modules to run in sequence: the parts of the network, optionally split before every child with a block."""
    if not isinstance(network, Network):
        return [network]
    parts: list[nn.Module] = [getattr(network, name) for name in network.parts]
    if not by_block:
        return parts
    pieces: list[nn.Module] = []
    for part in parts:
        if not isinstance(part, nn.Sequential):
            pieces.append(part)
            continue
        groups: list[list[nn.Module]] = [[]]
        for child in part:
            if groups[-1] and _nested(child):
                groups.append([])
            groups[-1].append(child)
        pieces += [nn.Sequential(*group) for group in groups]
    return pieces


def _nested(part: nn.Module) -> list[NestedSqueezeExcite]:
    return [module for module in part.modules() if isinstance(module, NestedSqueezeExcite)]


def _stages(spec: SESpec) -> Sequence[object]:
    return (spec.reduction,) if isinstance(spec.reduction, int) else spec.reduction
