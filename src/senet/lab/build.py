"""The network of a run at its start: equal seeds give equal weights wherever two designs are alike."""

from collections.abc import Sequence

import torch
from torch import nn

from senet.data.dataset import Data
from senet.lab.run import Run
from senet.lab.seeds import mix
from senet.models import create_model
from senet.spec import SESpec

__all__ = ["build"]


def build(run: Run, data: Data) -> nn.Module:
    """Build the network of a run with the weights of its seed.

    The layers that a design shares with the plain network start from the same weights as those, so that runs of
    equal seeds are paired: they differ in the blocks, the order of images and the noise being equal.

    Args:
        run: what to build.
        data: gives the classes, channels and size.
    """

    def network(se: Sequence[SESpec], purpose: str) -> nn.Module:
        torch.manual_seed(mix(run.seed, purpose))
        channels, height, _ = data.shape
        return create_model(
            run.model, se=se or None, num_classes=data.num_classes, in_chans=channels, image_size=height
        )

    plain = network((), "weights")
    if not run.se:
        return plain
    model = network(run.se, "blocks")
    own = model.state_dict()
    shared = {k: v for k, v in plain.state_dict().items() if k in own and own[k].shape == v.shape}
    model.load_state_dict({**own, **shared})
    return model
