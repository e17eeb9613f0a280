"""What may stand for images in `fold`: batches of many forms, the same in every pass, with labels that are classes."""

import random
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, IterableDataset, RandomSampler, TensorDataset

from senet.errors import SpecError
from senet.models import create_model
from senet.spec import SESpec
from senet.surgery import fold
from senet.surgery.folding.batches import Passes, labels_of, parts_of

X, Y = torch.randn(24, 3, 12, 12), torch.arange(24) % 10
Pair = namedtuple("Pair", ["label", "image"])
Odd = namedtuple("Odd", ["first", "second"])


@dataclass
class Sample:
    pixel_values: Tensor
    labels: Tensor


def net() -> nn.Module:
    return create_model("resnet8", se=SESpec(reduction=4)).eval()


class Augmented(Dataset):
    def __init__(self, change):
        self.change = change

    def __len__(self):
        return len(X)

    def __getitem__(self, index):
        return self.change(X[index]), Y[index]


class Buffered(IterableDataset):
    def __iter__(self):
        order = list(range(len(X)))
        random.shuffle(order)
        yield from ((X[index], Y[index]) for index in order)


class Once:
    def __init__(self):
        self.batches = iter([X[:12], X[12:]])

    def __iter__(self):
        return self.batches


class Mixed:
    def __iter__(self):
        share = random.random()
        yield share * X + (1 - share) * X.flip(0), Y


class Growing:
    passes = 0

    def __iter__(self):
        self.passes += 1
        yield from [X[:12]] * self.passes


PAIRS = TensorDataset(X, Y)
RESTLESS = {
    "shuffle=True": (lambda: DataLoader(PAIRS, 8, shuffle=True), "another order: it shuffles"),
    "one batch, shuffled": (lambda: DataLoader(PAIRS, 24, shuffle=True), "another order: it shuffles"),
    "a sampler with replacement": (
        lambda: DataLoader(PAIRS, 8, sampler=RandomSampler(PAIRS, replacement=True)),
        "samples or augments at random",
    ),
    "flips": (
        lambda: DataLoader(Augmented(lambda x: x.flip(-1) if random.random() < 0.5 else x), 8),
        "samples or augments at random",
    ),
    "noise": (lambda: DataLoader(Augmented(lambda x: x + 1e-6 * torch.randn(x.shape)), 8), "none of them the same"),
    "mixup": (Mixed, "none of them the same"),
    "a buffer that shuffles": (lambda: DataLoader(Buffered(), 8), "another order: it shuffles"),
    "an iterator inside": (Once, "iterated only once"),
    "more images every time": (Growing, "24 images in place of 12"),
}


@pytest.mark.parametrize("kind", RESTLESS)
@pytest.mark.parametrize("place", ["batches", "test"])
def test_images_that_change_from_pass_to_pass_are_one_error_that_names_the_cause(kind, place):
    make, cause = RESTLESS[kind]
    batches, test = (make(), None) if place == "batches" else ([X], make())
    with pytest.raises(SpecError, match=rf"{place} yields other images in every pass.*{cause}.*give list\({place}\)"):
        fold(net(), batches, test=test, dry_run=True)


def test_a_source_without_an_end_is_still_found_to_differ():
    passes = Passes(EndlessLater(), place="batches")
    assert len(list(passes)) == 2
    with pytest.raises(SpecError, match="batches yields other images"):
        list(passes)


class EndlessLater:
    again = False

    def __iter__(self):
        if not self.again:
            self.again = True
            return iter([X[:4], X[4:8]])
        return iter(lambda: torch.randn(4, 3, 12, 12), None)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float64, torch.bool])
def test_a_single_changed_bit_is_seen_in_every_type(dtype):
    images = torch.randint(0, 2, (3, 2, 5, 5)).to(dtype)
    passes = Passes([images], place="test")
    list(passes)
    list(passes)
    images[2, 1, 4, 4] = 1 - images[2, 1, 4, 4].int()
    with pytest.raises(SpecError, match="samples or augments"):
        list(passes)


def test_images_in_other_memory_are_the_same_images():
    channels_last = X.contiguous(memory_format=torch.channels_last)
    passes = Passes([X], place="batches")
    list(passes)
    passes.source = [channels_last[:10], channels_last[10:]]
    assert sum(len(x) for x, _ in passes) == 24


class Writing(nn.Module):
    """Normalises its input in place."""

    def __init__(self) -> None:
        super().__init__()
        self.net = net()

    def forward(self, x):
        return self.net(x.sub_(0.5).div_(2))


def test_a_network_that_writes_into_its_input_does_not_change_the_images():
    images = X.clone()
    report = fold(Writing().eval(), [images], dry_run=True)
    assert torch.equal(images, X)
    assert report.steps[0].error == 0


FORMS = {
    "a tuple": (X, Y),
    "a list": [X, Y],
    "with an index": (X, Y, torch.arange(24)),
    "image and label": {"image": X, "label": Y},
    "pixel_values and labels": {"pixel_values": X, "labels": Y},
    "img and target": {"target": Y, "img": X},
    "a named tuple": Pair(Y, X),
    "a named tuple with names of its own": Odd(X, Y),
    "a dataclass": Sample(X, Y),
}


@pytest.mark.parametrize("form", FORMS)
def test_batches_of_many_forms_are_understood(form):
    x, y = parts_of(FORMS[form])
    assert x is X
    assert y is Y


@pytest.mark.parametrize("batch", [X, [X], (X,), {"images": X}])
def test_images_alone_have_no_labels(batch):
    assert parts_of(batch)[1] is None


def test_without_labels_answers_are_compared():
    assert fold(net(), [{"images": X}], dry_run=True).measure == "answers"


NO_BATCHES = {
    "a lone tensor": (X, r"batches is one tensor \(24, 3, 12, 12\).*\[batches\]"),
    "one batch": ((X, Y), r"batches is one batch of images and labels"),
    "one mapping": ({"image": X, "label": Y}, r"batches is one mapping"),
    "a generator": ((x for x in [X]), r"iterated only once"),
    "a dataset": (PAIRS, r"is a single image \(3, 12, 12\).*DataLoader"),
    "a number": (5, r"batches is int; give a list of batches"),
    "a name": ("photos", r"batches is str"),
    "nothing": ([], r"batches holds no images"),
    "arrays": ([np.zeros((2, 3, 8, 8))], r"a batch of batches is ndarray"),
    "other names": ([{"picture": X, "label": Y}], r"holds picture, label; name its images 'image'"),
    "nothing in a batch": ([X[:0]], r"shape \(0, 3, 12, 12\)"),
    "an image without its batch": ([X[0]], r"ResNet does not run on a batch of shape \(3, 12, 12\)"),
    "grey images": ([X[:, :1]], r"does not run on a batch of shape \(24, 1, 12, 12\)"),
    "bytes": ([(X * 0).byte()], r"torch.uint8"),
    "labels in some": ([(X, Y), X], r"some batches have labels"),
}


@pytest.mark.parametrize("kind", NO_BATCHES)
@pytest.mark.usefixtures("unchecked")
def test_what_is_no_batches_is_one_sentence(kind):
    given, message = NO_BATCHES[kind]
    with pytest.raises(SpecError, match=message) as raised:
        fold(net(), given, dry_run=True)
    assert len(str(raised.value).splitlines()) == 1


SOFT = 0.9 * nn.functional.one_hot(Y, 10) + 0.01
LABELS = {
    "(n,)": Y,
    "(n, 1)": Y[:, None],
    "(n, 1, 1)": Y[:, None, None],
    "int32": Y.int(),
    "floats": Y.double(),
    "a list": Y.tolist(),
    "a list of tensors": list(Y),
    "a tuple": tuple(Y.tolist()),
    "an array": Y.numpy(),
    "one-hot": nn.functional.one_hot(Y, 10),
    "one-hot of bools": nn.functional.one_hot(Y, 10).bool(),
    "soft": SOFT,
    "soft in half precision": SOFT.half(),
    "rows of a list": SOFT.tolist(),
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_of_many_forms_are_classes(kind):
    found = labels_of(LABELS[kind], 24, 10)
    assert isinstance(found, Tensor)
    assert torch.equal(found, Y)


UNREADABLE = {
    "other lengths": (Y[:5], "labels are 5 for 24 images"),
    "too few outputs": (Y + 5, "labels reach from 5 to 14 for 10 outputs, which count from 0"),
    "unknown": (Y - 1, "labels reach from -1 to 8"),
    "fractions": (Y + 0.5, "labels are not whole numbers"),
    "nan": (Y / 0.0 * 0.0, "labels are not finite"),
    "several classes": (torch.ones(24, 10), "labels name several classes for an image"),
    "other columns": (torch.eye(24), "labels have 24 columns for 10 outputs"),
    "masks": (torch.zeros(24, 12, 12).long(), r"labels have the shape \(24, 12, 12\)"),
    "names": (["cat"] * 24, "labels are a list of str"),
    "a dict": ({"boxes": Y}, "labels are dict"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_labels_that_are_no_classes_are_refused_by_name(kind):
    given, message = UNREADABLE[kind]
    with pytest.raises(SpecError, match=f"{message}.*images alone"):
        fold(net(), [(X, given)], dry_run=True)


def test_labels_of_networks_that_do_not_classify_are_noted_by_name():
    body = nn.Sequential(net(), nn.Unflatten(1, (2, 5)))
    report = fold(body, [(X, torch.zeros(24, 12, 12))], dry_run=True)
    assert report.measure == "output"
    assert any("labels have the shape (24, 12, 12)" in note for note in report.notes)


def test_test_images_that_chose_the_order_are_counted():
    report = fold(net(), [X[:16]], test=[(X[8:], Y[8:])], dry_run=True)
    assert any("8 of the 16 test images are among those" in note for note in report.notes)
    assert not any("among" in note for note in fold(net(), [X[:8]], test=[X[8:]], dry_run=True).notes)
