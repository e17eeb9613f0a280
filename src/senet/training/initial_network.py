"""The network of a run at its start: equal seeds give equal weights wherever two designs are alike."""

from collections.abc import Sequence

import torch
from torch import nn

from senet.data.dataset import Data
from senet.data.in_memory import Tensors
from senet.data.on_disk import Files
from senet.experiments.run import Run
from senet.experiments.seeds import mix
from senet.models import create_model
from senet.spec import SESpec
from senet.weights.config import Config, Preprocessing

__all__ = ["build", "described"]


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


def described(run: Run, data: Data) -> Config:
    """Describe what `build` builds, and the images that it is trained on where a file can say that.

    Args:
        run: what was built.
        data: gives the classes, channels, size and normalisation.
    """
    channels, height, width = data.shape
    split, spec, seen = data.train, data.spec, None
    if isinstance(split, Tensors | Files) and height == width and spec.normalize != "kth":  # whose mean is an image
        seen = Preprocessing(
            mean=split.normalize.mean or (0.0,) * channels,
            std=split.normalize.std or (1.0,) * channels,
            size=height,
            crop=spec.crop if split.frame is not None and split.frame.short else 1.0,
            interpolation=spec.interpolation,
        )
    return Config(
        model=run.model,
        se=run.se,
        num_classes=data.num_classes,
        in_chans=channels,
        image_size=height,
        preprocessing=seen,
    )
