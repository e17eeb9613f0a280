"""The positive control: fixed images, and a label that only a product of cue and patterns gives."""

import pytest
import torch

from senet import SESpec, create_model
from senet.data import DataSpec, load
from senet.data.control import factors

CONTROL = DataSpec(name="control")


def test_the_control_keeps_its_size_and_fingerprint_on_every_load():
    one, other = load(CONTROL), load(CONTROL)
    assert (len(one.train), len(one.test), one.shape, one.num_classes) == (1024, 512, (3, 8, 32), 4)
    assert one.fingerprint == other.fingerprint == "7d1560f0a05d38de"
    assert torch.equal(one.train.images, other.train.images)
    assert not one.notes


def test_classes_are_balanced_in_both_splits():
    data = load(CONTROL)
    assert [torch.bincount(part.labels).tolist() for part in data.loaded] == [[256] * 4, [128] * 4]


def best_rule(*columns):
    """Share that the best function of some factors gets right: the commonest label of each of their values."""
    drawn, labels = factors(), load(CONTROL).test.labels
    values, group = drawn[:, list(columns)].unique(dim=0, return_inverse=True)
    counts = torch.zeros(len(values), 4).index_put((group, labels), torch.ones(len(labels)), accumulate=True)
    return float(counts.amax(1).sum() / len(labels))


def test_the_label_needs_cue_and_both_patterns():
    cue, red, green, *shifts = range(5)
    assert best_rule(cue) == best_rule(*shifts) == 1 / 4
    assert best_rule(red) == best_rule(green) == best_rule(red, green) == best_rule(cue, red) == 5 / 8
    assert best_rule(cue, red, green) == 1


def test_a_linear_rule_on_the_pixels_of_one_side_finds_what_its_factors_tell_and_no_more():
    data = load(CONTROL)
    for columns, most in ((slice(0, 4), 0.30), (slice(4, 28), 0.32), (slice(28, 32), 0.65)):
        train, test = ((part.images[..., columns].flatten(1).double() - 128) / 40 for part in data.loaded)
        target = torch.nn.functional.one_hot(data.train.labels, 4).double() - 0.25
        weights = torch.linalg.solve(train.T @ train + 100 * torch.eye(train.shape[1]).double(), train.T @ target)
        right = ((test @ weights).argmax(1) == data.test.labels).double().mean()
        assert right < most


@pytest.mark.parametrize(("se", "product"), [(None, False), (SESpec(), True)])
def test_outputs_of_the_plain_network_are_a_sum_over_cue_and_patterns_and_those_with_blocks_are_not(se, product):
    torch.manual_seed(0)
    model = create_model("resnet8", se=se, num_classes=4, in_chans=3).double().eval()
    images = load(CONTROL).test.images.double() / 255
    left, right = images[:1].clone(), images[-1:].clone()  # other cues, other patterns
    left[..., 4:28] = right[..., 4:28]  # one background
    left_right, right_left = left.clone(), right.clone()
    left_right[..., 28:], right_left[..., 28:] = right[..., 28:], left[..., 28:]
    with torch.no_grad():
        mixed = model(left) + model(right) - model(left_right) - model(right_left)
    assert (mixed.abs().max() > 1e-7) == product
