"""Looking at a network leaves no trace in it: not in its tensors, not in its state, not in what its hooks see."""

import functools
import logging
import random
import tempfile
import threading
import weakref

import pytest
import torch
from hosts import Basic, conv, host
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch_state import writes

import senet
from senet.errors import SpecError
from senet.spec import SESpec

SHAPE = (1, 3, 16, 16)
DESIGN = SESpec(reduction=4)
LOOKS = {
    "plan": lambda model: senet.plan(model, DESIGN, shape=SHAPE),
    "cost": lambda model: senet.cost(model, shape=SHAPE),
    "insert": lambda model: senet.insert(model, DESIGN, shape=SHAPE),
}
SEEN: list[torch.Tensor] = []


@pytest.fixture(params=LOOKS)
def look(request):
    return LOOKS[request.param]


def marks(model):
    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]
    return {name: (id(tensor), tensor.data_ptr(), writes(tensor), tensor.is_meta) for name, tensor in tensors}


class Body(nn.Module):
    """A small network to add trouble to."""

    def __init__(self):
        super().__init__()
        self.stem = conv(3, 8)
        self.unit = Basic(8, 8)

    def forward(self, x):
        return self.unit(self.stem(x)).relu()


class Sequences(Body):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([self.stem, self.unit])


class Stages(Body):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(self.stem, nn.Sequential(self.unit.conv1, self.unit.bn1))


class SharedHeads(Body):
    def __init__(self):
        super().__init__()
        head = conv(8, 8, 1)
        self.heads = nn.ModuleDict({"one": head, "two": head})

    def forward(self, x):
        return self.heads["one"](super().forward(x)) + self.heads["two"](x.mean(1, True).expand(-1, 8, -1, -1))


class Tied(Body):
    def __init__(self):
        super().__init__()
        self.unit.conv2.weight = self.unit.conv1.weight
        self.mean = self.unit.bn1.running_mean


class Looped(Body):
    """A child knows its parent by an attribute that is not a child."""

    def __init__(self):
        super().__init__()
        object.__setattr__(self.unit, "parent", self)


@pytest.mark.parametrize("make", [Sequences, Stages, SharedHeads, Tied, Looped])
def test_tensors_under_several_names_stay_as_they_are(make, look):
    model, x = make().eval(), torch.randn(2, 3, 16, 16)
    before, output = marks(model), model(x)
    look(model)
    assert {name: mark for name, mark in marks(model).items() if name in before} == before
    assert torch.equal(model(x), output)


class Grid:
    def __init__(self):
        self.made = {}


class Keeping(Body):
    """Positions are made once for each size, and kept in every kind of place."""

    def __init__(self):
        super().__init__()
        self.plain, self.listed, self.named, self.helper = None, [], {"size": None}, Grid()
        self.calls, self.sizes = 0, set()

    def forward(self, x):
        x = super().forward(x)
        size = tuple(x.shape[-2:])
        self.calls += 1
        self.sizes.add(size)
        if self.named["size"] != size:
            grid = torch.linspace(0, 1, size[1], device=x.device).expand(size)
            self.plain, self.named["size"], self.helper.made[size] = grid, size, grid
            self.listed.append(grid)
        return x + self.plain + self.listed[0] + self.helper.made[size]


def test_state_in_attributes_containers_and_helpers_stays_as_it_is(look):
    model = Keeping().eval()
    look(model)
    assert (model.plain, model.listed, model.named, model.helper.made) == (None, [], {"size": None}, {})
    assert (model.calls, model.sizes) == (0, set())
    assert not model(torch.randn(SHAPE)).is_meta


class Failing(Keeping):
    def forward(self, x):
        super().forward(x)
        raise KeyError("not here")


@pytest.mark.parametrize("name", LOOKS)
def test_a_network_that_fails_on_the_way_stays_as_it_is(name):
    model = Failing().eval()
    before = marks(model)
    with pytest.raises(SpecError, match="not here"):
        LOOKS[name](model)
    assert marks(model) == before
    assert (model.plain, model.calls) == (None, 0)


def weight_normed():
    model = Body()
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(model.unit.conv1)
    model(torch.randn(SHAPE)).sum().backward()  # the weight is not a leaf now
    return model


def spectral():
    model = Body()
    nn.utils.spectral_norm(model.unit.conv1)
    return model


def parametrized():
    model = Body()
    parametrizations.weight_norm(model.unit.conv1)
    return model


def pruned():
    model = Body()
    prune.l1_unstructured(model.unit.conv1, "weight", amount=0.5)
    model(torch.randn(SHAPE)).sum().backward()
    return model


@pytest.mark.parametrize("make", [weight_normed, spectral, parametrized, pruned])
def test_weights_that_are_computed_from_others_are_no_hindrance(make, look):
    model, x = make().eval(), torch.randn(2, 3, 16, 16)
    output, before = model(x), marks(model)
    look(model)
    assert {name: mark for name, mark in marks(model).items() if name in before} == before
    assert torch.equal(model(x), output)


class Collector:
    def __init__(self):
        self.seen = []

    def __call__(self, module, args, output):
        self.seen.append(output)

    def collect(self, module, args, output):
        self.seen.append(output)


def test_hooks_of_the_user_see_nothing(look):
    model, mine, named = Body().eval(), [], {}
    collector = Collector()
    SEEN.clear()

    def keep(store, module, args, output):
        store["out"] = output

    model.stem.register_forward_hook(lambda module, args, output: mine.append(output))
    model.stem.register_forward_hook(lambda module, args, output: SEEN.append(output))
    model.stem.register_forward_hook(lambda module, args, output, store=mine: store.append(output))
    model.unit.register_forward_pre_hook(lambda module, args: mine.append(args))
    model.unit.register_forward_hook(collector)
    model.unit.register_forward_hook(collector.collect)
    model.unit.register_forward_hook(functools.partial(keep, named))
    look(model)
    assert (mine, SEEN, collector.seen, named) == ([], [], [], {})
    model(torch.randn(SHAPE))
    assert (len(mine), len(SEEN), len(collector.seen), len(named)) == (3, 1, 2, 1)


def test_hooks_that_the_forward_pass_reads_from_do_their_work(look):
    class Tapped(Body):
        def __init__(self):
            super().__init__()
            self.taps = {}
            self.stem.register_forward_hook(lambda module, args, output: self.taps.update(stem=output))

        def forward(self, x):
            return super().forward(x) + self.taps.pop("stem")

    model = Tapped().eval()
    look(model)
    assert model.taps == {}


def replaced_forward():
    model = Body()
    model.forward = lambda x: model.unit(model.stem(x)).relu()
    return model


def with_(name, value):
    def make():
        model = Body()
        setattr(model, name, value())
        return model

    return make


def weak():
    class Child(nn.Module):
        def __init__(self, parent):
            super().__init__()
            self.parent = weakref.ref(parent)

        def forward(self, x):
            return self.parent().unit(x)

    model = Body()
    model.child = Child(model)
    model.forward = lambda x: model.child(model.stem(x))
    return model


def locked():
    class Locked(Body):
        def __init__(self):
            super().__init__()
            self.lock = threading.Lock()

        def forward(self, x):
            with self.lock:
                return super().forward(x)

    return Locked()


HOLDING = {
    "a replaced forward": replaced_forward,
    "a weak reference": weak,
    "a lock": locked,
    "a lambda": with_("act", lambda: lambda x: x),
    "a logger": with_("log", lambda: logging.getLogger("senet.test")),
    "a generator": with_("numbers", lambda: (one for one in range(3))),
    "a loader": with_("data", lambda: torch.utils.data.DataLoader([1, 2, 3])),
    "an iterator of a loader": with_("data", lambda: iter(torch.utils.data.DataLoader([1, 2, 3]))),
    "an open file": with_("file", tempfile.TemporaryFile),
    "a module of Python": with_("lib", lambda: random),
    "a thread": with_("thread", lambda: threading.Thread(target=print)),
    "a lock in a dict": with_("tools", lambda: {"lock": threading.RLock(), "made": []}),
}


@pytest.mark.parametrize("title", HOLDING)
def test_objects_that_cannot_be_copied_are_no_hindrance(title):
    model, x = HOLDING[title]().eval(), torch.randn(2, 3, 16, 16)
    before, output = marks(model), model(x)
    assert senet.plan(model, DESIGN, shape=SHAPE).names
    assert senet.cost(model, shape=SHAPE).macs > 0
    senet.insert(model, DESIGN, shape=SHAPE)
    assert {name: mark for name, mark in marks(model).items() if name in before} == before
    assert torch.equal(model(x), output)
    if title == "an open file":
        model.file.close()


def test_a_forward_pass_that_reads_from_a_generator_is_refused_and_takes_nothing(look):
    class Drawing(Body):
        def __init__(self):
            super().__init__()
            self.scales = (one / 2 for one in range(1, 9))

        def forward(self, x):
            return super().forward(x) * next(self.scales)

    model = Drawing().eval()
    with pytest.raises(SpecError, match="reads from a generator, which cannot be copied"):
        look(model)
    assert next(model.scales) == 0.5


def test_what_refuses_to_be_copied_is_refused_in_one_line(look):
    class Single:
        def __deepcopy__(self, memo):
            raise TypeError("there is one of me")

    model = with_("single", Single)().eval()
    with pytest.raises(SpecError, match=r"Body cannot be copied for a trial run: there is one of me; take .*\.$"):
        look(model)


@pytest.mark.parametrize("layer", [nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.LazyLinear(8)])
def test_layers_without_a_shape_are_refused_in_one_line(layer, look):
    model = nn.Sequential(conv(3, 8), layer)
    with pytest.raises(SpecError, match=r"^1\.\w+ of Sequential has no shape before its first batch; run .*\.$"):
        look(model)


def test_random_numbers_go_on_as_if_nothing_had_run():
    class Noisy(Body):
        def forward(self, x):
            return super().forward(x) + torch.randn(()).item()

    model = Noisy().eval()
    torch.manual_seed(3)
    expected = torch.rand(())  # those of Python are drawn by the checks of types in these tests too
    torch.manual_seed(3)
    senet.plan(model, DESIGN, shape=SHAPE)
    assert torch.rand(()) == expected


def test_gradients_modes_and_frozen_weights_stay(look):
    model = host(Basic(8, 8)).train()
    model(torch.randn(2, 3, 16, 16)).sum().backward()
    model.stem.weight.requires_grad_(False)
    grads = {name: one.grad for name, one in model.named_parameters()}
    look(model)
    assert all(one.grad is grads[name] for name, one in model.named_parameters() if name in grads)
    assert model.training
    assert not model.stem.weight.requires_grad
