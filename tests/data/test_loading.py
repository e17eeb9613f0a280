"""The front door: digits, subsets, statistics, laziness."""

import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import senet.data
from senet.data import DataSpec, load
from senet.data.normalize import channel_statistics, kth_mean, kth_wrap
from senet.data.subset import balanced, proportional


def test_digits_are_1297_and_500_with_every_class_in_its_share():
    data = load(DataSpec(name="digits"))
    assert (len(data.train), len(data.test), data.shape, data.num_classes) == (1297, 500, (1, 8, 8), 10)
    shares = torch.bincount(data.test.labels) / torch.bincount(torch.cat([data.train.labels, data.test.labels]))
    assert ((shares - 500 / 1797).abs() < 0.01).all()
    assert data.train.images.max() == 255
    assert not data.notes


def test_digits_keep_their_fingerprint():
    assert load(DataSpec(name="digits")).fingerprint == "1e4d59b29f096b91"


def test_train_and_test_digits_are_all_the_digits():
    from sklearn.datasets import load_digits

    data = load(DataSpec(name="digits"))
    ours = torch.cat([data.train.images, data.test.images])[:, 0].flatten(1)
    theirs = (torch.from_numpy(load_digits().data) * (255 / 16)).round().byte()
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, theirs.tolist()))


def test_unit_is_the_pixel_over_255():
    data = load(DataSpec(name="digits", normalize="unit"))
    ((x, _),) = data.test.batches([(torch.arange(500), 0)], augment=None, device="cpu")
    assert torch.equal(x, data.test.images / 255)


def test_statistics_do_not_depend_on_the_subset():
    whole, part = load(DataSpec(name="digits")), load(DataSpec(name="digits", train_size=100))
    assert (part.mean, part.std) == (whole.mean, whole.std)
    assert torch.bincount(part.train.labels).tolist() == [10] * 10


def test_another_seed_chooses_another_subset_and_the_same_seed_the_same():
    a, b, c = (load(DataSpec(name="digits", train_size=100, subset_seed=seed)).fingerprint for seed in (0, 0, 1))
    assert a == b != c


labels = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(torch.tensor)


@given(labels=labels, data=st.data(), seed=st.integers(0, 99))
def test_a_balanced_choice_differs_by_one_at_most_where_classes_are_large_enough(labels, data, seed):
    size = data.draw(st.integers(0, len(labels)))
    chosen = balanced(labels, size, seed=seed)
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert len(chosen) == size
    counts, have = torch.bincount(labels[chosen], minlength=5), torch.bincount(labels, minlength=5)
    assert ((counts >= counts.max() - 1) | (counts == have)).all()


@given(labels=labels, data=st.data(), seed=st.integers(0, 99))
def test_a_smaller_balanced_choice_is_part_of_a_larger_one(labels, data, seed):
    small, large = sorted(data.draw(st.tuples(*[st.integers(0, len(labels))] * 2)))
    assert set(balanced(labels, small, seed=seed).tolist()) <= set(balanced(labels, large, seed=seed).tolist())


@given(labels=labels, data=st.data(), seed=st.integers(0, 99))
def test_a_proportional_choice_keeps_every_class_within_one_of_its_share(labels, data, seed):
    size = data.draw(st.integers(0, len(labels)))
    chosen = proportional(labels, size, seed=seed)
    assert len(chosen) == size
    share = torch.bincount(labels, minlength=5) * (size / len(labels))
    assert ((torch.bincount(labels[chosen], minlength=5) - share).abs() <= 1).all()


@given(n=st.integers(1, 20), h=st.integers(1, 9), w=st.integers(1, 9), seed=st.integers(0, 99))
def test_channel_statistics_are_those_of_float64(n, h, w, seed):
    images = torch.randint(256, (n, 3, h, w), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    mean, std = channel_statistics(images)
    x = images.double() / 255
    torch.testing.assert_close(torch.tensor(mean).double(), x.mean((0, 2, 3)), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.tensor(std).double(), x.std((0, 2, 3), correction=0), atol=1e-6, rtol=0)


def test_the_kth_mean_is_a_plain_loop_in_bytes():
    images = torch.randint(256, (50, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    total = torch.zeros(3, 32, 32, dtype=torch.uint8)
    for image in images:
        total += image  # wraps, as it did in TensorFlow 2.1
    mean = kth_mean(images)
    assert torch.equal(mean, total // 80)
    assert torch.equal(kth_wrap(images, mean).int(), (images.int() - mean.int()) % 256)


def test_importing_the_package_and_its_values_loads_no_torch():
    code = "import sys, senet.data as d; d.DataSpec(); d.Augment(); dir(d); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.slow
def test_loading_small_sets_needs_no_torchvision(cifar10_binary):
    code = (
        "import sys, pathlib; sys.modules['torchvision'] = None; from senet.data import *;"
        "print(len(load(DataSpec()).train), len(load(DataSpec(name='cifar10'), root=pathlib.Path(sys.argv[1])).train))"
    )
    run = subprocess.run([sys.executable, "-c", code, str(cifar10_binary)], capture_output=True, text=True, check=True)
    assert run.stdout == "1297 100\n"


def test_every_public_name_is_there_and_others_are_not():
    for name in senet.data.__all__:
        assert getattr(senet.data, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = senet.data.nothing


def test_held_out_images_stand_in_for_the_test_set_and_are_not_trained_on():
    whole, held = load(DataSpec(name="digits")), load(DataSpec(name="digits", val_size=300, test_size=7))
    assert (len(held.train), len(held.test)) == (997, 300)
    assert (held.mean, held.std) == (whole.mean, whole.std)
    ours = torch.cat([held.train.images, held.test.images]).flatten(1)
    assert sorted(map(tuple, ours.tolist())) == sorted(map(tuple, whole.train.images.flatten(1).tolist()))
    shares = torch.bincount(held.test.labels) / torch.bincount(whole.train.labels)
    assert ((shares - 300 / 1297).abs() < 0.01).all()


def test_a_training_subset_is_chosen_from_what_was_not_held_out():
    held = load(DataSpec(name="digits", val_size=300, train_size=100))
    more = load(DataSpec(name="digits", val_size=300, train_size=200))
    assert (len(held.train), len(held.test)) == (100, 300)
    assert torch.equal(held.test.images, more.test.images)
    few, many = (set(map(tuple, part.images.flatten(1).tolist())) for part in (held.train, more.train))
    assert few < many
    assert load(DataSpec(name="digits", val_size=300, subset_seed=1)).fingerprint != held.fingerprint


def test_holding_everything_out_is_refused():
    with pytest.raises(senet.errors.SpecError, match="leaves none of the 1297 training images"):
        load(DataSpec(name="digits", val_size=1297))


def test_held_out_images_have_runs_of_their_own_and_old_runs_keep_their_ids():
    from senet.experiments.run import Run

    assert Run(data=DataSpec(val_size=100)).id != Run().id
    assert Run(data=DataSpec(val_size=0)).id == Run().id
