"""Small networks whose data flow is hard to follow, written as users write them."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False)


class Basic(nn.Module):
    """A ReLU that runs twice, an addition in place, a projection where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(inputs, outputs, stride=stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = (
            None
            if stride == 1 and inputs == outputs
            else nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
        )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)


class Bottleneck(nn.Module):
    """A functional activation, `torch.add`, a depthwise convolution in the middle, a learned scale at the end."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand = conv(width, 2 * width, 1)
        self.mid = nn.Conv2d(2 * width, 2 * width, 3, padding=1, groups=2 * width)
        self.norm = nn.BatchNorm2d(2 * width)
        self.project = conv(2 * width, width, 1)
        self.scale = nn.Parameter(torch.full((width, 1, 1), 0.7))

    def forward(self, x: Tensor) -> Tensor:
        y = F.silu(self.norm(self.mid(F.silu(self.expand(x)))))
        return torch.add(self.project(y) * self.scale, x)


class Residual(nn.Module):
    """A wrapper: the branch is any module, the addition lies outside of it."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return self.branch(x).add_(x)


class ChannelsLast(nn.Module):
    """ConvNeXt's unit: a norm and linear maps over the last axis."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)
        self.gamma = nn.Parameter(torch.full((width,), 0.3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Dense(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = conv(inputs, growth)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


class Inception(nn.Module):
    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.one = conv(inputs, width, 1)
        self.three = nn.Sequential(conv(inputs, width, 1), nn.ReLU(), conv(width, width))
        self.pooled = conv(inputs, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = self.pooled(F.max_pool2d(x, 3, 1, 1))
        return F.relu(torch.cat([self.one(x), self.three(x), pooled], 1))


class Twice(nn.Module):
    """One branch for two additions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.branch(x)
        return x + self.branch(x)


class Parallel(nn.Module):
    """RepVGG's layer: convolutions side by side and a norm of the input, summed, then the activation."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.three, self.one, self.norm = conv(width, width), conv(width, width, 1), nn.BatchNorm2d(width)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.three(x) + self.one(x) + self.norm(x))


class Split(nn.Module):
    """ShuffleNet v2's unit: half of the map passes by, then the channels are shuffled."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(width // 2, width // 2), nn.BatchNorm2d(width // 2), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        passing, worked = x.chunk(2, dim=1)
        x = torch.cat([passing, self.branch(worked)], 1)
        n, c, h, w = x.shape
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


class Tokens(nn.Module):
    """A transformer's layer over a map that was cut into patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(F.gelu(self.up(self.norm(x))))


class Head(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.fc = nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mean((2, 3)))


def host(*units: nn.Module, width: int = 8, last: int | None = None) -> nn.Sequential:
    """Make a network: a stem, units, a classifier; norms and statistics are random."""
    model = nn.Sequential()
    model.add_module("stem", conv(3, width))
    for number, unit in enumerate(units, 1):
        model.add_module(f"unit{number}", unit)
    model.add_module("head", Head(width if last is None else last))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def resnet() -> nn.Sequential:
    return host(Basic(8, 8), Basic(8, 16, 2), Basic(16, 16), last=16)


class Inverted(nn.Module):
    """MobileNet v2's unit: no shortcut where it strides."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        wide = 2 * inputs
        self.expand, self.norm1 = conv(inputs, wide, 1), nn.BatchNorm2d(wide)
        self.spatial = nn.Conv2d(wide, wide, 3, stride=stride, padding=1, groups=wide)
        self.project, self.norm2 = conv(wide, outputs, 1), nn.BatchNorm2d(outputs)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.project(F.relu6(self.spatial(F.relu6(self.norm1(self.expand(x)))))))
        return x + y if self.shortcut else y
