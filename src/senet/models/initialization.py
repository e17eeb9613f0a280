"""How the networks of the papers start."""

from torch import nn

__all__ = ["CONVS", "glorot_", "he_normal_"]

CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def he_normal_(model: nn.Module, *, mode: str = "fan_out") -> None:
    """Start every convolution from a normal distribution of variance 2/fan, norms at 1 and 0, biases at 0.

    Linear layers keep torch's weights and get zero biases, as in fb.resnet.torch.

    Source:
        He et al., arXiv:1502.01852; fan_out: fb.resnet.torch (PAPERS section 1.3).
    """
    for module in model.modules():
        if isinstance(module, CONVS) and not module.weight.is_meta:
            nn.init.kaiming_normal_(module.weight, mode=mode, nonlinearity="relu")  # type: ignore[arg-type]
        if isinstance(module, (*CONVS, nn.Linear)) and module.bias is not None:
            nn.init.zeros_(module.bias)


def glorot_(module: nn.Module) -> None:
    """Start a layer from Glorot's uniform distribution with zero biases, the default of Keras."""
    nn.init.xavier_uniform_(module.weight)  # type: ignore[arg-type]
    if module.bias is not None:
        nn.init.zeros_(module.bias)  # type: ignore[arg-type]
