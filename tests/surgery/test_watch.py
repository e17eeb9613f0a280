"""Inserted blocks run after conversions of their hosts, or a warning names those that do not."""

import copy
import pickle
import warnings
from itertools import pairwise
from time import perf_counter

import pytest
import torch
from hosts import resnet
from torch import nn
from torch_state import forward_hooks, pre_hooks

import senet
from senet.errors import SpecError
from senet.nn import SqueezeExcite
from senet.spec import SESpec

SHAPE = (1, 3, 16, 16)
X = torch.randn(2, 3, 16, 16)
to_sync = nn.SyncBatchNorm.convert_sync_batchnorm


def gated() -> nn.Module:
    model = resnet()
    for name in senet.insert(model, SESpec(reduction=4), shape=SHAPE).names:
        for parameter in model.get_submodule(name).parameters():
            nn.init.normal_(parameter)
    return model


class Lit(nn.Module):
    """Holds the network as a Lightning module does."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


AFTER = {
    "at once": lambda model: to_sync(model),
    "after a pass": lambda model: (model(X), to_sync(model))[1],
    "a copy": lambda model: to_sync(copy.deepcopy(model)),
    "a pickle": lambda model: to_sync(pickle.loads(pickle.dumps(model))),
    "as a part": lambda model: to_sync(Lit(model)),
    "and back again": lambda model: reverted(to_sync(model)),
}


def reverted(model: nn.Module) -> nn.Module:
    """Turn the norms back into ordinary ones, children and all, as libraries do."""
    for name, child in list(model.named_children()):
        if isinstance(child, nn.SyncBatchNorm):
            norm = nn.BatchNorm2d(child.num_features)
            norm.load_state_dict({key: value for key, value in child.state_dict().items() if "." not in key})
            for key, part in child.named_children():
                norm.add_module(key, part)
            setattr(model, name, norm)
        else:
            reverted(child)
    return model


@pytest.mark.parametrize("how", AFTER)
def test_blocks_move_to_converted_norms(how):
    model = gated()
    before, keys = model(X), list(model.state_dict())
    converted = AFTER[how](model).eval()
    torch.testing.assert_close(converted(X), before)
    assert [key.removeprefix("net.") for key in converted.state_dict()] == keys
    part = getattr(converted, "net", converted)
    blocks = len(senet.find(part))
    assert len(senet.remove(part)) == blocks
    assert not pre_hooks(part)
    assert not torch.allclose(converted(X), before)


@pytest.mark.parity
def test_the_conversion_of_timm_keeps_the_blocks_and_its_freezing_is_named():
    timm = pytest.importorskip("timm")
    from timm.layers import convert_sync_batchnorm, freeze_batch_norm_2d

    model = timm.create_model("resnet10t", num_classes=3)
    names = senet.insert(model, SESpec(reduction=4), shape=(1, 3, 32, 32)).names
    ran = []
    for name in names:
        model.get_submodule(name).register_forward_hook(lambda *_: ran.append(1))
    x = torch.randn(1, 3, 32, 32)
    convert_sync_batchnorm(copy.deepcopy(model)).eval()(x)
    assert len(ran) == len(names)
    frozen = freeze_batch_norm_2d(copy.deepcopy(model)).eval()
    with pytest.warns(UserWarning, match=rf"4 inserted blocks of ResNet no longer run: {names[0]}.*FrozenBatchNorm2d"):
        frozen(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it was said
        frozen(x)


LOST = {
    "another norm": lambda model: setattr(model.unit1, "bn2", nn.GroupNorm(2, model.unit1.bn2.num_features)),
    "no norm": lambda model: setattr(model.unit1, "bn2", nn.Identity()),
    "another unit": lambda model: setattr(model, "unit1", copy.deepcopy(resnet().unit1)),
    "a fused norm": lambda model: (
        setattr(
            model.unit1, "conv2", nn.utils.fusion.fuse_conv_bn_eval(model.unit1.conv2, copy.deepcopy(model.unit1.bn2))
        ),
        setattr(model.unit1, "bn2", nn.Identity()),
    ),
}


@pytest.mark.parametrize("how", LOST)
@pytest.mark.parametrize("passes", [0, 1])
def test_blocks_that_went_with_their_host_are_named_once(how, passes):
    model = gated()
    for _ in range(passes):
        model(X)
    LOST[how](model)
    with pytest.warns(UserWarning, match=r"1 inserted blocks of .* no longer run: unit1.bn2.se; .*insert afterwards"):
        model(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(X)
        senet.remove(model)
    assert not pre_hooks(model)


def test_what_is_taken_out_on_purpose_is_no_fault():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = gated()
        senet.remove(model.unit1)
        model(X)
        senet.remove(model, "unit2*")
        model(X)
        senet.insert(model, SESpec(reduction=2), at="unit1*", shape=SHAPE)
        model(X)
        senet.fold(model, [X], tolerance=None)
        model(X)
        assert not pre_hooks(model)
        assert not senet.find(model)
        assert list(model.state_dict()) == list(resnet().state_dict())


def test_a_wrapper_that_comes_around_a_part_is_no_fault():
    model = gated()
    before = model(X)
    model.unit1 = nn.Sequential(model.unit1)
    model.unit2 = Lit(model.unit2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(model(X), before)


@pytest.mark.parametrize("use", ["optimize", "export", "fold"])
@pytest.mark.usefixtures("unchecked")  # a tracer's values are not tensors
def test_what_reads_a_converted_network_sees_its_blocks(use):
    model = gated()
    before = model(X)
    converted = to_sync(model).eval()
    if use == "optimize":
        torch.testing.assert_close(senet.optimize(converted)(X), before, rtol=1e-3, atol=1e-3)
    elif use == "export":
        torch.testing.assert_close(torch.export.export(converted, (X,)).module()(X), before)
    else:
        assert len(senet.fold(converted, [X], tolerance=None, dry_run=True).order) == len(senet.find(converted))


def test_looking_costs_less_than_a_hundredth_of_a_step():
    model = gated()
    model(X)
    (look,) = pre_hooks(model).values()
    times = []
    for work in (lambda: model(X).sum().backward(), lambda: look(model, (X,))):
        marks = [perf_counter()]
        for _ in range(9):
            work()
            marks.append(perf_counter())
        times.append(min(b - a for a, b in pairwise(marks)))
    assert times[1] < 0.02 * times[0]  # a tiny network on a busy machine


def test_a_hook_whose_block_is_gone_says_so():
    model = gated()
    forward_hooks(model.unit1.conv1).update(forward_hooks(model.unit1.bn2))  # as torch's fuse_modules moves them
    with pytest.raises(SpecError, match=r"the block 'se' of a Conv2d is gone and its hook is not"):
        model(X)


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's tracer looks at gradients of its stand-ins
@pytest.mark.usefixtures("unchecked")
def test_code_that_was_compiled_before_is_compiled_again():
    model = resnet().train()
    compiled = torch.compile(model, backend="eager")
    compiled(X).sum().backward()
    names = senet.insert(model, SESpec(reduction=4), shape=SHAPE).names
    for net in (compiled, torch.compile(model, backend="eager")):
        model.zero_grad()
        net(X).sum().backward()
        for name in names:
            assert all(parameter.grad is not None for parameter in model.get_submodule(name).parameters())


def compiled_in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def part(change):
    def done(model: nn.Module) -> nn.Module:
        model.unit1 = change(model.unit1)
        return model

    return done


REFUSED = {
    "compiled": (
        lambda model: torch.compile(model, backend="eager"),
        r"model is a OptimizedModule; work on model._orig",
    ),
    "in place": (compiled_in_place, r"model.compile\(\) was called.*model._compiled_call_impl = None"),
    "a part compiled": (
        part(torch.compile),
        r"model.unit1 is a OptimizedModule; take it out by",
    ),
    "a part compiled in place": (part(compiled_in_place), r"model.unit1.compile\(\) was called"),
    "parallel": (nn.DataParallel, r"model is a DataParallel; work on model.module"),
    "a part parallel": (part(nn.DataParallel), r"model.unit1 is a DataParallel; take it out"),
    "scripted": (lambda model: Lit(torch.jit.trace(model, X)), r"model.net is a TopLevelTracedModule"),
    "quantized": (
        lambda model: nn.Sequential(model, torch.ao.nn.quantized.dynamic.Linear(2, 2)),
        r"model.1 is a quantized Linear",
    ),
}


@pytest.mark.parametrize("how", REFUSED)
@pytest.mark.parametrize("use", ["insert", "plan", "remove", "fold", "skeleton"])
@pytest.mark.filterwarnings("ignore")  # torch's own of what is deprecated
def test_networks_that_would_not_see_a_change_are_refused_by_name(how, use):
    change, message = REFUSED[how]
    model = change(resnet())
    calls = {
        "insert": lambda: senet.insert(model, shape=SHAPE),
        "plan": lambda: senet.plan(model, shape=SHAPE),
        "remove": lambda: senet.remove(model),
        "fold": lambda: senet.fold(model, [X]),
        "skeleton": lambda: senet.surgery.skeleton(model, []),
    }
    with pytest.raises(SpecError, match=message):
        calls[use]()


@pytest.mark.filterwarnings("ignore:.torch.jit.script.")  # it is deprecated
def test_scripting_is_refused_in_one_sentence():
    for model in (gated(), SqueezeExcite(32), Lit(SqueezeExcite(32))):
        with pytest.raises(SpecError, match=r"torch.jit.script.*use torch.jit.trace or torch.export"):
            torch.jit.script(model)
