"""The parts that only one family has: shuffles, shakes, paths, pools, the notation of branches."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from senet.errors import SpecError
from senet.models.bn_inception import HalvingPool
from senet.models.branches import branch, mixed
from senet.models.kth import SamePad
from senet.models.shake import Shake, mix
from senet.models.shake_resnet import TwoPaths
from senet.models.shortcut import PadShortcut
from senet.models.shufflenet_v1 import Shuffle
from senet.models.vgg import Resize


def weights_of(*values):
    return torch.tensor(values).reshape(-1, 1, 1, 1)


def test_a_mixture_splits_the_gradient_with_other_weights_than_the_maps():
    a, b = torch.randn(2, 3, 4, 4, requires_grad=True), torch.randn(2, 3, 4, 4, requires_grad=True)
    alpha, beta = weights_of(0.25, 1.0), weights_of(0.75, 0.0)
    y = mix(a, b, alpha, beta)
    torch.testing.assert_close(y, alpha * a + (1 - alpha) * b)
    grad = torch.randn_like(y)
    y.backward(grad)
    assert torch.equal(a.grad, beta * grad)
    assert torch.equal(b.grad, (1 - beta) * grad)


def two_branches(**noise):
    return Shake(nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 1, 1, bias=False), **noise)


def shaken(*, forward_noise, backward_noise, n=64):
    """Return alpha and beta of every image: branches that return 1 and 0, and each image its own copy of the input."""
    shake = two_branches(forward_noise=forward_noise, backward_noise=backward_noise)
    with torch.no_grad():
        shake.branch1.weight.fill_(1)
        shake.branch2.weight.fill_(0)
    x = torch.ones(n, 1, 1, 1, requires_grad=True)
    alpha = shake(x)
    alpha.sum().backward()
    return alpha.detach().flatten(), x.grad.flatten()


def test_noise_is_drawn_for_every_image_and_anew_for_the_way_back():
    alpha, beta = shaken(forward_noise="shake", backward_noise="shake")
    assert len(alpha.unique()) == len(beta.unique()) == 64
    assert 0 <= alpha.min() < 0.2
    assert 0.8 < alpha.max() <= 1
    assert abs(torch.corrcoef(torch.stack([alpha, beta]))[0, 1]) < 0.5


def test_noise_may_be_even_or_kept():
    alpha, beta = shaken(forward_noise="shake", backward_noise="even")
    assert len(alpha.unique()) == 64
    assert beta.eq(0.5).all()
    alpha, beta = shaken(forward_noise="shake", backward_noise="keep")
    assert torch.equal(alpha, beta)
    alpha, beta = shaken(forward_noise="even", backward_noise="shake")
    assert alpha.eq(0.5).all()
    assert len(beta.unique()) == 64


def test_noise_comes_from_torchs_generator():
    shake, x = two_branches(), torch.randn(5, 1, 2, 2)
    torch.manual_seed(3)
    first, second = shake(x), shake(x)
    torch.manual_seed(3)
    assert torch.equal(shake(x), first)
    assert not torch.equal(first, second)


def test_evaluation_takes_half_of_each_branch():
    shake, x = two_branches().eval(), torch.randn(5, 1, 2, 2)
    torch.testing.assert_close(shake(x), 0.5 * shake.branch1(x) + 0.5 * shake.branch2(x))


def test_the_second_path_sees_the_pixels_that_the_first_leaves_out():
    paths = TwoPaths(1, 2, stride=2)
    with torch.no_grad():
        paths.path1.weight.fill_(1)
        paths.path2.weight.fill_(1)
    x = torch.arange(1.0, 17).reshape(1, 1, 4, 4)
    paths.norm = nn.Identity()
    with torch.no_grad():
        first, second = paths(x)[0]
    assert first.tolist() == [[1, 3], [9, 11]]
    assert second.tolist() == [[0, 0], [0, 6]]


@pytest.mark.parametrize(("groups", "channels"), [(1, 6), (2, 6), (3, 6), (3, 60)])
def test_a_shuffle_is_that_of_the_paper(groups, channels):
    x = torch.randn(2, channels, 3, 5)
    assert torch.equal(Shuffle(groups)(x), nn.ChannelShuffle(groups)(x))


def test_a_shuffle_brings_every_group_to_every_group():
    x = torch.arange(12.0).reshape(1, 12, 1, 1)
    groups = Shuffle(3)(x).flatten().reshape(3, 4) // 4
    assert all(set(group.tolist()) == {0, 1, 2} for group in groups)


def test_a_padding_shortcut_keeps_the_pixels_and_adds_zeros():
    x = torch.randn(1, 4, 5, 5)
    y = PadShortcut(4, 9, stride=2)(x)
    assert y.shape == (1, 9, 3, 3)
    assert torch.equal(y[:, 2:6], x[:, :, ::2, ::2])
    assert not y[:, :2].any()
    assert not y[:, 6:].any()


@pytest.mark.parametrize("size", [4, 6, 56])
def test_a_halving_pool_is_caffes_where_the_size_is_even(size):
    x = torch.randn(2, 3, size, size)
    assert torch.equal(HalvingPool()(x), nn.MaxPool2d(3, 2, ceil_mode=True)(x))


@pytest.mark.parametrize("height", [1, 2, 5, 8])
@pytest.mark.parametrize("width", [1, 2, 7])
def test_a_halving_pool_agrees_with_a_convolution_in_size(height, width):
    x = torch.randn(1, 1, height, width)
    pooled = HalvingPool()(x)
    assert pooled.shape == nn.Conv2d(1, 1, 3, 2, padding=1)(x).shape
    assert pooled[0, 0, -1, -1] == x[0, 0, (height - 1) // 2 * 2 :, (width - 1) // 2 * 2 :].max()


@pytest.mark.parametrize(("size", "before", "after"), [(32, 0, 1), (33, 1, 1), (7, 1, 1)])
def test_padding_is_that_of_tensorflow(size, before, after):
    x = torch.ones(1, 1, size, size)
    padded = SamePad()(x)
    assert padded.shape[2:] == (size + before + after,) * 2
    assert torch.equal(padded, F.pad(x, (before, after, before, after)))


def test_a_map_of_the_expected_side_is_not_resized():
    x = torch.randn(1, 2, 7, 7)
    assert Resize(7)(x) is x
    assert Resize(7)(torch.randn(1, 2, 3, 9)).shape == (1, 2, 7, 7)


def test_the_notation_of_branches():
    module, channels = mixed("1x1 8 | 1x1 4, 1x7 6, 7x1 10/2V | max/2V | avg, 1x1 3", 5)
    assert channels == 8 + 10 + 5 + 3
    assert [name for name, _ in module.named_children()] == ["branch1", "branch2", "branch3", "branch4"]
    middle = module.branch2.layer2.conv
    assert (middle.kernel_size, middle.padding, middle.stride) == ((1, 7), (0, 3), (1, 1))
    last = module.branch2.layer3.conv
    assert (last.kernel_size, last.padding, last.stride, last.bias) == ((7, 1), (0, 0), (2, 2), None)
    assert (module.branch3.layer1.padding, module.branch4.layer1.padding) == (0, 1)
    assert not module.branch4.layer1.count_include_pad
    parts, channels = branch("3x3 8, 3x3 6", 3)
    assert channels == 6
    assert parts(torch.randn(2, 3, 9, 9)).shape == (2, 6, 9, 9)


@pytest.mark.parametrize("words", ["3x3", "3x3 96 /2", "min", "3 96", ""])
def test_a_layer_that_does_not_parse_is_refused(words):
    with pytest.raises(SpecError, match="is not a valid layer; write it like"):
        branch(words, 3)
