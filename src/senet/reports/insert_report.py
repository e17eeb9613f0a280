"""An insertion as plain values, with the counts of the whole network."""

from dataclasses import asdict
from typing import Any

from torch import nn

from senet.costs import cost
from senet.surgery import Insertion

__all__ = ["insertion_values"]


def insertion_values(name: str, model: nn.Module, done: Insertion) -> dict[str, Any]:
    """Return an insertion as plain values, with the counts of the network without its blocks."""
    whole = cost(model, shape=done.shape)
    return {
        "model": name,
        "shape": done.shape,
        "blocks": [{**asdict(block), "spec": str(block.spec)} for block in done],
        "skipped": [asdict(one) for one in done.skipped],
        "params": done.params,
        "macs": done.macs,
        "convolutions": done.convolutions,
        "gated_convolutions": done.gated,
        "network_params": whole.params - done.params,
        "network_macs": whole.macs - done.macs,
    }
