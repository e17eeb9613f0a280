"""Weight initialization as in the papers."""

from torch import nn

from senet.nn.layers import CONVS

__all__ = ["glorot_", "he_normal_"]


def he_normal_(model: nn.Module, *, mode: str = "fan_out") -> None:
    """Initialize convolutions from a normal distribution of variance 2/fan and biases with zeros.

    Linear layers keep torch's weights and get zero biases, as in fb.resnet.torch; norms keep 1 and 0.

    Source:
        He et al., arXiv:1502.01852; fan_out: fb.resnet.torch.
    """
    for module in model.modules():
        if isinstance(module, CONVS) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
        if isinstance(module, (*CONVS, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def glorot_(module: nn.Module) -> None:
    """Initialize a layer from Glorot's uniform distribution and its bias with zeros, the default of Keras."""
    nn.init.xavier_uniform_(module.weight)  # type: ignore[arg-type]
    if module.bias is not None:
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
