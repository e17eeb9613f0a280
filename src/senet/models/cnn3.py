"""The 3-layer CNN of the variations paper: 3 -> 32, the module in place of conv 2, 32 -> 64, two linear layers.

Its Figure 2 is an image and its widths are stated nowhere: this is the PyTorch MNIST example network with a middle
convolution that keeps the shape, so that replacing it changes nothing else.
"""

from collections.abc import Sequence

from torch import nn

from senet.models.network import Network
from senet.models.stages import standard_gate
from senet.nn import Gates, Site, chain, place
from senet.spec import SESpec

__all__ = ["CNN3"]


class CNN3(Network):
    """Three 3x3 convolutions, a max pool and two linear layers; dropout 0.25 and 0.5, torch's default initialization.

    Args:
        se: the design of the module at conv 2; None for the plain network.
        num_classes: outputs; 0 returns the 128 features.
        in_chans: channels of the input.
        image_size: side of the input [pixels], even; the first linear layer depends on it.
        keep_conv2: keep conv 2 and gate its output, the other interpretation of "replace the 2nd conv layer".

    Source:
        Mahendran, arXiv:2304.06502, section 5 and Table 1.
    """

    def __init__(
        self,
        *,
        se: SESpec | Sequence[SESpec] | Gates | None = None,
        num_classes: int = 10,
        in_chans: int = 3,
        image_size: int = 32,
        keep_conv2: bool = False,
    ) -> None:
        gates = place(se, depths=(1,), network="cnn3")
        gate = standard_gate(gates, Site(stage=1, unit=1, channels=32, name="cnn3 conv2"))
        with_conv2 = gate is None or keep_conv2
        super().__init__(
            {
                "stage1": chain(
                    conv1=nn.Conv2d(in_chans, 32, 3, padding=1),
                    act1=nn.ReLU(),
                    conv2=nn.Conv2d(32, 32, 3, padding=1) if with_conv2 else None,
                    act2=nn.ReLU() if with_conv2 else None,
                    se=gate,
                    conv3=nn.Conv2d(32, 64, 3, padding=1),
                    act3=nn.ReLU(),
                    pool=nn.MaxPool2d(2),
                )
            },
            num_features=128,
            num_classes=num_classes,
            pool=chain(
                drop=nn.Dropout(0.25),
                flatten=nn.Flatten(),
                fc=nn.Linear(64 * (image_size // 2) ** 2, 128),
                act=nn.ReLU(),
            ),
            drop=0.5,
        )
