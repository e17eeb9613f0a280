"""Watch the gates of a network while it trains: shares that are open, shut, in the middle, and stuck."""

import warnings
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from senet.data.dataset import Split
from senet.data.subset import balanced
from senet.experiments.run import Run
from senet.nn.evaluated import evaluated
from senet.surgery.finding.find import find
from senet.surgery.gates.reading import BlockCall, Reading, reading
from senet.surgery.gates.saturation import Saturation, range_of, stuck

__all__ = ["GateWarning", "gate_shares", "warn_of_collapse"]

IMAGES = 256
COLLAPSED = 0.9
LOW, HIGH = 0.005, 0.995


class GateWarning(UserWarning):
    """The gates of a block no longer depend on the image, or have not left the middle of their range."""


@torch.no_grad()
def gate_shares(model: nn.Module, split: Split, *, device: torch.device | str) -> dict[str, dict[str, float]]:
    """Return for each block the shares of gates that are open, shut and in the middle, and of channels that are stuck.

    Args:
        model: the network, on the device; its blocks run as modules.
        split: the images, of which up to 256 are used, as many of each class.
        device: where the network is.

    Returns:
        `open`, `shut`, `half` (without those that a gate without an upper end does not have) and `stuck` by block [1].
    """
    blocks = {one.name: (one, model.get_submodule(one.name)) for one in find(model) if not one.left}
    gates: dict[str, list[Tensor]] = {name: [] for name in blocks}

    def note(name: str, call: BlockCall) -> None:
        if call.x is not None and call.y is not None:
            gates[name].append(Reading.of(call.x, call.y).gate.cpu())

    chosen = balanced(split.labels, min(IMAGES, len(split)), seed=0)
    with evaluated(model), reading(blocks, note):
        for x, _ in split.batches([(chosen, 0)], augment=None, device=device):
            model(x)
    return {name: _shares(torch.cat(parts), blocks[name][1]) for name, parts in gates.items() if parts}


def _shares(gate: Tensor, block: nn.Module) -> dict[str, float]:
    counts = Saturation(range_of(block))
    counts.add(gate)
    low, high = torch.nanquantile(gate, torch.tensor([LOW, HIGH], dtype=gate.dtype), 0)
    shares = dict(zip(("open", "shut", "half"), counts.shares(), strict=True))
    shares["stuck"] = stuck(low, high, counts.range)
    return {name: round(value, 6) for name, value in shares.items() if value == value}


def warn_of_collapse(
    before: Mapping[str, Mapping[str, float]], now: Mapping[str, Mapping[str, float]], *, run: Run, epoch: int
) -> None:
    """Warn of blocks whose channels have become stuck in this epoch, all of them or nearly so.

    Args:
        before: shares after the epoch before; empty after the first.
        now: shares after this epoch.
        run: the run that is trained.
        epoch: number of this epoch, from 1.
    """
    for name, shares in now.items():
        if shares.get("stuck", 0.0) >= COLLAPSED > before.get(name, {}).get("stuck", 0.0):
            middle = shares.get("half", 0.0) >= COLLAPSED
            where = "in the middle of their range" if middle else "and no longer depend on the image"
            warnings.warn(
                f"run {run.id}, epoch {epoch}: the gates of {100 * shares['stuck']:.0f} % of the channels of {name} "
                f"are stuck {where}; senet explain shows why when the run is finished.",
                GateWarning,
                stacklevel=2,
            )
