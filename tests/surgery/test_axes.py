"""The axis of the channels is followed through views and pools, in one, two and three dimensions."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import senet
from senet.spec import SESpec

LAYERS = {1: (nn.Conv1d, nn.BatchNorm1d), 3: (nn.Conv3d, nn.BatchNorm3d)}
SHAPES = {1: (1, 2, 32), 3: (1, 2, 8, 8, 8)}


class Unit(nn.Module):
    def __init__(self, dims):
        super().__init__()
        conv, norm = LAYERS[dims]
        self.conv1, self.bn1 = conv(8, 8, 3, padding=1), norm(8)
        self.conv2, self.bn2 = conv(8, 8, 3, padding=1), norm(8)

    def forward(self, x):
        return torch.relu(x + self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x))))))


class Do(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def network(dims, between):
    conv, norm = LAYERS[dims]
    head = nn.Sequential(Do(lambda x: x.flatten(2).mean(2)), nn.Linear(8, 5))
    return nn.Sequential(conv(2, 8, 7, padding=3), norm(8), nn.ReLU(), between, Unit(dims), Unit(dims), *head).eval()


BETWEEN = {
    1: {
        "MaxPool1d": nn.MaxPool1d(2),
        "AvgPool1d": nn.AvgPool1d(2),
        "AdaptiveMaxPool1d": nn.AdaptiveMaxPool1d(8),
        "AdaptiveAvgPool1d": nn.AdaptiveAvgPool1d(8),
        "LPPool1d": nn.LPPool1d(2, 2),
        "Upsample": nn.Upsample(scale_factor=2),
        "unsqueeze and squeeze": Do(lambda x: F.max_pool2d(x.unsqueeze(2), (1, 2)).squeeze(2)),
        "None as an index": Do(lambda x: F.avg_pool2d(x[..., None], (2, 1))[..., 0]),
        "view": Do(lambda x: F.max_pool2d(x.view(len(x), 8, 1, -1), (1, 2)).view(len(x), 8, -1)),
        "expand, all ones squeezed": Do(lambda x: F.max_pool2d(x[..., None].expand(-1, -1, -1, 2), 2).squeeze()[None]),
        "channels last for a while": Do(
            lambda x: F.max_pool2d(x.permute(0, 2, 1).unsqueeze(1), (2, 1)).squeeze(1).permute(0, 2, 1)
        ),
        "maximum of pairs": Do(lambda x: x.reshape(len(x), 8, -1, 2).amax(-1)),
        "unbind and stack": Do(lambda x: torch.stack(x.unbind(-1)[::2], -1)),
    },
    3: {
        "MaxPool3d": nn.MaxPool3d(2),
        "LPPool3d": nn.LPPool3d(2, 2),
        "AdaptiveAvgPool3d": nn.AdaptiveAvgPool3d(4),
        "slice by slice": Do(
            lambda x: F.max_pool2d(x.transpose(1, 2).reshape(-1, 8, 8, 8), 2).view(len(x), 8, 8, 4, 4).transpose(1, 2)
        ),
        "two sizes as one": Do(lambda x: F.max_pool2d(x.flatten(3), (2, 1)).unflatten(3, (8, 8))),
        "channels and depth as one": Do(lambda x: F.avg_pool2d(x.flatten(1, 2), 2).unflatten(1, (8, 8))),
    },
}
CASES = [(dims, title) for dims, cases in BETWEEN.items() for title in cases]


@pytest.mark.parametrize(("dims", "title"), CASES)
def test_units_behind_a_pool_or_a_view_get_their_blocks_at_the_end_of_both_branches(dims, title):
    model = network(dims, BETWEEN[dims][title])
    x = torch.randn(SHAPES[dims])
    before = model(x)
    done = senet.insert(model, SESpec(reduction=4), shape=SHAPES[dims])
    assert done.names == ("4.bn2.se", "5.bn2.se")
    assert not done.skipped
    assert torch.equal(model(x), before)


@pytest.mark.parametrize("slot", ["pre", "post", "inner"])
def test_other_slots_exist_behind_a_pool_in_one_dimension(slot):
    model = network(1, nn.MaxPool1d(2))
    assert len(senet.plan(model, SESpec(reduction=4), slot=slot, shape=SHAPES[1])) == 2
