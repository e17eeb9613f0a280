"""Inserted blocks: where they go, what stays as it was, what refuses."""

import copy
import io
import pickle

import pytest
import torch
from hosts import (
    Basic,
    Bottleneck,
    ChannelsLast,
    Dense,
    Inception,
    Inverted,
    Parallel,
    Residual,
    Split,
    Tokens,
    Twice,
    conv,
    host,
    resnet,
)
from torch import nn
from torch_state import forward_hooks, pre_hooks

import senet
from senet.errors import SpecError
from senet.spec import SESpec

SHAPE = (1, 3, 16, 16)
DESIGN = SESpec(reduction=4)


def picture(shape=(2, 3, 16, 16)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(7))


def wake(model):
    """Set the weights of the blocks to values with which they change the output."""
    for name, parameter in model.named_parameters():
        if ".se" in name:
            nn.init.normal_(parameter)
    return model


CASES = {
    "shared relu, addition in place": (resnet, ["unit1.bn2.se", "unit2.bn2.se", "unit3.bn2.se"]),
    "functional ops, layer scale": (lambda: host(Bottleneck(8)), ["unit1.project.se"]),
    "wrapped branch, add_": (
        lambda: host(Residual(nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8)))),
        ["unit1.branch.2.se"],
    ),
    "nested residual": (
        lambda: host(Residual(nn.Sequential(Basic(8, 8), Basic(8, 8), conv(8, 8)))),
        ["unit1.branch.0.bn2.se", "unit1.branch.1.bn2.se"],
    ),
    "channels last": (lambda: host(ChannelsLast(8)), ["unit1.down.se"]),
    "dense": (lambda: host(Dense(8, 4), Dense(12, 4), last=16), ["unit1.conv.se", "unit2.conv.se"]),
    "inception": (lambda: host(Inception(8, 4), last=12), ["unit1.se"]),
    "split and shuffle": (lambda: host(Split(8), Split(8)), ["unit1.branch.2.se", "unit2.branch.2.se"]),
    "parallel convolutions": (lambda: host(Parallel(8), Parallel(8)), ["stem.se", "unit1.act.se", "unit2.act.se"]),
    "units of which one has no shortcut": (
        lambda: host(Inverted(8, 8), Inverted(8, 12, 2), Inverted(12, 12), last=12),
        ["unit1.norm2.se", "unit2.norm2.se", "unit3.norm2.se"],
    ),
    "plain layers": (
        lambda: host(nn.Sequential(conv(8, 8), nn.BatchNorm2d(8), nn.ReLU())),
        ["stem.se", "unit1.2.se"],
    ),
}


@pytest.fixture(params=CASES)
def case(request):
    make, names = CASES[request.param]
    return make(), names


def test_blocks_sit_at_the_end_of_every_branch_and_change_nothing(case):
    model, names = case
    x = picture()
    before, state = model(x), {key: value.clone() for key, value in model.state_dict().items()}
    done = senet.insert(model, DESIGN, shape=SHAPE)
    assert list(done.names) == names
    assert torch.equal(model(x), before)
    assert [key for key in model.state_dict() if key in state] == list(state)
    assert all(torch.equal(model.state_dict()[key], value) for key, value in state.items())


def test_every_block_matters_and_gets_gradients(case):
    model, names = case
    senet.insert(model, DESIGN, shape=SHAPE)
    before = model(picture())
    for name in names:
        last = model.get_submodule(name).fc2.bias
        with torch.no_grad():
            last.fill_(0.5)
        assert not torch.equal(model(picture()), before), name
        with torch.no_grad():
            last.zero_()
    model(picture()).square().sum().backward()
    for name in names:
        block = model.get_submodule(name)
        assert block.fc2.bias.grad.abs().sum() > 0  # weights of fc2 too, where a hidden unit is alive
        assert all(p.grad is not None and p.grad.isfinite().all() for p in block.parameters())


def test_removing_is_the_exact_inverse(case):
    model, names = case
    x = picture()
    before, keys = model(x), list(model.state_dict())
    attributes = {name: set(vars(module)) for name, module in model.named_modules()}
    senet.insert(model, DESIGN, shape=SHAPE)
    wake(model)
    assert sorted(senet.remove(model)) == sorted(names)
    assert torch.equal(model(x), before)
    assert list(model.state_dict()) == keys
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert not any(forward_hooks(module) or pre_hooks(module) for module in model.modules())


def test_planning_says_what_inserting_does_and_touches_nothing(case):
    model, names = case
    state, random = pickle.dumps(model.state_dict()), torch.get_rng_state()
    planned = senet.plan(model.train(), DESIGN, shape=SHAPE)
    assert all(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), random)
    assert pickle.dumps(model.state_dict()) == state
    assert list(planned.names) == names
    assert senet.insert(model, DESIGN, shape=SHAPE) == planned


def test_a_gate_over_the_last_axis_is_the_gate_over_the_channels():
    model = host(ChannelsLast(8))
    senet.insert(model, DESIGN, shape=SHAPE)
    block = wake(model).unit1.down.se
    y = picture((2, 5, 6, 8))
    bare = copy.deepcopy(model.unit1.down)
    senet.remove(nn.Sequential(bare))
    expected = block(bare(torch.ones(2, 5, 6, 16) * y.mean()).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert torch.equal(model.unit1.down(torch.ones(2, 5, 6, 16) * y.mean()), expected)


def test_the_added_parameters_and_multiply_adds_are_those_that_cost_counts():
    for spec in (DESIGN, SESpec(variant="bump_conv", reduction=4), SESpec(squeeze="none", reduction=2)):
        model = resnet()
        plain = senet.cost(model, shape=SHAPE)
        done = senet.insert(model, spec, shape=SHAPE)
        gated = senet.cost(model, shape=SHAPE)
        assert (done.params, done.macs) == (gated.params - plain.params, gated.macs - plain.macs)
        assert [block.resolution for block in gated.blocks] == [block.resolution for block in done]
        assert [block.params for block in gated.blocks] == [block.params for block in done]


@pytest.mark.parametrize(
    ("slot", "names"),
    [
        ("post", ["unit1.se", "unit2.se", "unit3.se"]),
        ("pre", ["unit1.conv1.se_pre", "unit2.conv1.se_pre", "unit3.conv1.se_pre"]),
        ("inner", ["unit1.conv2.se_pre", "unit2.conv2.se_pre", "unit3.conv2.se_pre"]),
        ("identity", ["unit2.downsample.1.se"]),
    ],
)
def test_other_slots_where_the_graph_has_them(slot, names):
    model = resnet()
    before = model(picture())
    done = senet.insert(model, DESIGN, slot=slot, shape=SHAPE)
    assert list(done.names) == names
    assert torch.equal(model(picture()), before)
    assert not torch.equal(wake(model)(picture()), before)
    senet.remove(model)
    assert torch.equal(model(picture()), before)


def test_a_slot_that_a_unit_lacks_is_skipped_with_the_reason():
    done = senet.plan(resnet(), DESIGN, slot="identity", shape=SHAPE)
    assert {(one.name, one.reason) for one in done.skipped} == {
        (name, "its shortcut is the input itself, which no module returns") for name in ("unit1", "unit3")
    }
    with pytest.raises(SpecError, match=r"slot = 'pre' exists in no unit.*has no shortcut"):
        senet.plan(host(Inception(8, 4), last=12), DESIGN, slot="pre", shape=SHAPE)


def test_a_block_before_the_branch_leaves_the_shortcut_alone():
    model = resnet()
    senet.insert(model, DESIGN, slot="pre", at="unit1", shape=SHAPE)
    x = picture((2, 8, 6, 6))
    unit = wake(model).unit1
    gated = unit.conv1.se_pre(x)
    senet.remove(model)
    relu = torch.relu
    assert torch.equal(unit(x), relu(unit.bn2(unit.conv2(relu(unit.bn1(unit.conv1(x))))) + x))
    senet.insert(model, DESIGN, slot="pre", at="unit1", shape=SHAPE)
    assert not torch.equal(gated, x)


def test_a_branch_that_runs_twice_gets_no_block():
    with pytest.raises(SpecError, match="runs once"):
        senet.insert(host(Twice(8)), DESIGN, shape=SHAPE)


def test_a_second_insertion_leaves_blocks_alone_unless_it_is_told():
    model = resnet()
    senet.insert(model, DESIGN, shape=SHAPE)
    again = senet.insert(model, DESIGN, shape=SHAPE)
    assert len(again) == 0
    assert {one.reason for one in again.skipped} == {
        f"it has a block already: unit{number}.bn2.se" for number in (1, 2, 3)
    }
    before = wake(model)(picture())
    more = senet.insert(model, DESIGN, shape=SHAPE, allow_existing=True)
    assert list(more.names) == ["unit1.bn2.se2", "unit2.bn2.se2", "unit3.bn2.se2"]
    assert torch.equal(model(picture()), before)
    assert senet.remove(model, "*.se2") == more.names
    assert torch.equal(model(picture()), before)
    with pytest.raises(SpecError, match=r"'\*.se2' matches no inserted block; .*unit1.bn2.se"):
        senet.remove(model, "*.se2")


def test_a_part_that_lost_its_blocks_on_purpose_takes_new_ones_with_the_whole():
    model = nn.Sequential(resnet())
    first = senet.insert(model, DESIGN, shape=SHAPE)
    assert senet.remove(model[0]) == tuple(name.removeprefix("0.") for name in first.names)
    assert senet.insert(model, DESIGN, shape=SHAPE).names == first.names  # and warns of nothing


def test_our_networks_take_blocks_and_their_own_are_left():
    model = senet.create_model("resnet8")
    assert len(senet.insert(model, DESIGN, shape=(1, 3, 32, 32))) == 3
    gated = senet.create_model("resnet8", se=SESpec(stages=(1,), reduction=4))
    done = senet.insert(gated, DESIGN, shape=(1, 3, 32, 32))
    assert list(done.names) == ["stage2.unit1.branch.norm2.se", "stage3.unit1.branch.norm2.se"]
    assert [one.reason for one in done.skipped] == ["it has a block already: stage1.unit1.se"]
    assert len(senet.remove(gated)) == 2
    assert len(senet.find(gated)) == 1


@pytest.mark.parametrize(
    ("at", "names"),
    [
        ("unit[12]", ["unit1.bn2.se", "unit2.bn2.se"]),
        (["unit3", "unit1"], ["unit1.bn2.se", "unit3.bn2.se"]),
        ("*.bn1", ["unit1.bn1.se", "unit2.bn1.se", "unit3.bn1.se"]),
        (lambda name, module: isinstance(module, nn.BatchNorm2d), None),
        (["unit1", "stem"], ["stem.se", "unit1.bn2.se"]),
        ("unit2.downsample", ["unit2.downsample.1.se"]),
        ("unit2.downsample*", ["unit2.downsample.1.se"]),
    ],
)
def test_units_or_modules_are_chosen_by_name_or_by_a_function(at, names):
    model = resnet()
    before = model(picture())
    done = senet.insert(model, DESIGN, at=at, shape=SHAPE)
    if names is None:
        names = [f"{name}.se" for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    assert sorted(done.names) == sorted(names)
    assert torch.equal(model(picture()), before)


@pytest.mark.parametrize(
    ("at", "said"),
    [
        ("unit7", "at = 'unit7' matches no unit and no module; names look like: unit1, unit2, unit3"),
        ("unit1.relu", r"at = 'unit1.relu' matches unit1.relu, but ReLU runs 2 times"),
        ("head.fc", r"Linear returns no map of channels; match a conv or a norm"),
        ("head", "Head returns no map of channels; match a conv or a norm"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name(at, said):
    with pytest.raises(SpecError, match=said):
        senet.insert(resnet(), DESIGN, at=at, shape=SHAPE)


def test_ratios_by_stage_and_by_unit():
    model = resnet()
    done = senet.plan(model, SESpec(reduction=(2, 4)), shape=SHAPE, ratios={"unit3": 16})
    assert [(one.stage, one.widths) for one in done] == [(1, (8, 4, 8)), (2, (16, 4, 16)), (2, (16, 1, 16))]
    assert list(senet.plan(model, SESpec(reduction=2, stages=(2,)), shape=SHAPE).names) == [
        "unit2.bn2.se",
        "unit3.bn2.se",
    ]
    with pytest.raises(
        SpecError, match=r"names 3 stages, Sequential has 2 \(maps of 16x16, 8x8\); give one ratio, or 2"
    ):
        senet.plan(model, SESpec(reduction=(2, 4, 8)), shape=SHAPE)
    with pytest.raises(SpecError, match="goes past the 2 stages"):
        senet.plan(model, SESpec(stages=(3,)), shape=SHAPE)
    with pytest.raises(SpecError, match=r"ratios = 'unit9' matches no unit"):
        senet.plan(model, DESIGN, shape=SHAPE, ratios={"unit9": 4})


def test_narrow_maps_can_be_left_out_and_a_wide_ratio_warns_once():
    done = senet.plan(resnet(), DESIGN, shape=SHAPE, min_channels=16)
    assert list(done.names) == ["unit2.bn2.se", "unit3.bn2.se"]
    assert done.skipped[0].reason == "its 8 channels are below 16"
    with pytest.warns(UserWarning, match=r"reduction = 16 is wider than the map of 1 of 3 blocks.*unit1.bn2.se"):
        senet.insert(resnet(), shape=SHAPE)


@pytest.mark.parametrize("gate", ["sigmoid", "tanh", "unit_sigmoid", "unit_tanh", torch.exp])
def test_gates_that_are_one_at_zero_preserve(gate):
    model = resnet()
    before = model(picture())
    senet.insert(model, SESpec(reduction=4, gate=gate), shape=SHAPE)
    assert torch.equal(model(picture()), before)


def test_other_gates_need_leave_to_change_the_output():
    with pytest.raises(SpecError, match=r"gate = 'relu' is not 1 at 0.*preserve=False"):
        senet.insert(resnet(), SESpec(gate="relu"), shape=SHAPE)
    model = resnet()
    before = model(picture())
    done = senet.insert(model, SESpec(reduction=4), shape=SHAPE, preserve=False)
    assert model.get_submodule(done.names[0]).spec.gate == "sigmoid"
    assert not torch.equal(model(picture()), before)


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        ("standard:reduction=4", SESpec(reduction=4)),
        ("slow_both r=4 no-bias", SESpec(variant="slow_both", reduction=4, bias=False)),
        (["standard:reduction=2"], SESpec(reduction=2)),
    ],
)
def test_a_design_in_words_is_the_design(words, spec):
    assert senet.plan(resnet(), words, shape=SHAPE) == senet.plan(resnet(), spec, shape=SHAPE)
    assert senet.insert(resnet(), words, shape=SHAPE).blocks == senet.plan(resnet(), spec, shape=SHAPE).blocks


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("standard:r=4+bump:slot=pre", "has 2 designs; insert them one after the other"),
        ("standrd", "Did you mean 'standard'"),
        ("plain", "spec = 'plain' is not a design"),
        (8, "spec = 8 is not a design"),
        ([], r"spec = \[\] is not a design"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_words_that_are_not_one_design_are_refused(words, said):
    with pytest.raises(SpecError, match=said):
        senet.insert(resnet(), words, shape=SHAPE)


class Strided(nn.Module):
    """A residual unit whose one spatial convolution strides."""

    def __init__(self, kernel, stride):
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 8, kernel, stride, kernel // 2, groups=4), nn.Conv2d(8, 8, 1)
        self.short = nn.Conv2d(8, 8, 1, stride)

    def forward(self, x):
        return self.short(x) + self.up(self.down(x).relu())


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (5, 4)])
def test_residual_units_that_all_stride_get_blocks(kernel, stride):
    model = nn.Sequential(nn.Conv2d(3, 8, 4, 4), Strided(kernel, stride), Strided(kernel, stride))
    x = torch.randn(2, 3, 64, 64)
    before = model(x)
    assert senet.insert(model, SESpec(reduction=2), shape=(1, 3, 64, 64)).names == ("1.up.se", "2.up.se")
    assert torch.equal(model(x), before)


class Mixing(nn.Module):
    """A residual unit of linear maps behind convolutions that stride outside of it."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv2d(8, 16, 1), nn.Conv2d(16, 8, 1)

    def forward(self, x):
        return x + self.two(self.one(x).relu())


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (nn.Sequential(nn.Conv2d(3, 8, 7, 4, 3), Mixing(), nn.Conv2d(8, 8, 3, 2, 1), Mixing()), "or a mixer"),
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 5)), "has no channel maps"),
        (nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Flatten(2), Tokens(16)), "Sequential is a transformer or a mixer"),
        (nn.DataParallel(nn.Conv2d(3, 8, 3)), r"is a DataParallel; work on model.module"),
    ],
)
def test_networks_without_maps_transformers_and_wrappers_are_refused(model, said):
    with pytest.raises(SpecError, match=said):
        senet.insert(model, shape=SHAPE)


def test_a_wrong_input_shape_is_named():
    with pytest.raises(SpecError, match=r"Sequential does not run on an input of shape \(1, 4, 8, 8\).*give shape="):
        senet.insert(resnet(), shape=(1, 4, 8, 8))
    assert senet.plan(resnet(), DESIGN).shape == (1, 3, 224, 224)


def test_a_failure_after_the_first_block_leaves_the_network_as_it_was():
    class Picky(Basic):
        def forward(self, x):
            for child in self.bn2.children():  # something of its own with what hangs on the norm
                x = child(x)
            return super().forward(x)

    model = host(Basic(8, 8), Picky(8, 8))
    keys, before = list(model.state_dict()), model(picture())
    with pytest.raises(SpecError, match=r"unit2.bn2.se ran 2 times .* choose other modules with at=NAMES"):
        senet.insert(model, DESIGN, shape=SHAPE)
    assert list(model.state_dict()) == keys
    assert torch.equal(model(picture()), before)
    assert not senet.find(model)


def test_foreign_blocks_are_left_alone():
    class SELayer(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.fc = nn.Sequential(nn.Linear(width, 2), nn.ReLU(), nn.Linear(2, width), nn.Sigmoid())

        def forward(self, x):
            return x * self.fc(x.mean((2, 3)))[:, :, None, None]

    branch = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8), SELayer(8))
    model = host(Residual(branch), Basic(8, 8))
    done = senet.insert(model, DESIGN, shape=SHAPE)
    assert list(done.names) == ["unit2.bn2.se"]
    assert [one.reason for one in done.skipped] == ["it has a block already: unit1.branch.3"]


def test_a_module_with_an_attribute_se_keeps_it():
    model = host(Basic(8, 8))
    model.unit1.bn2.se = None
    assert list(senet.insert(model, DESIGN, shape=SHAPE).names) == ["unit1.bn2.se2"]
    senet.remove(model)
    assert model.unit1.bn2.se is None


def test_half_precision_hosts_get_half_precision_blocks():
    model = resnet().to(torch.bfloat16)
    x = picture().bfloat16()
    before = model(x)
    senet.insert(model, DESIGN, shape=SHAPE)
    assert {p.dtype for p in model.parameters()} == {torch.bfloat16}
    assert torch.equal(model(x), before)


def test_channels_last_memory_stays():
    model = resnet().to(memory_format=torch.channels_last)
    x = picture().to(memory_format=torch.channels_last)
    before = model(x)
    senet.insert(model, DESIGN, shape=SHAPE)
    seen = []
    model.unit3.register_forward_hook(lambda module, args, out: seen.append(out))
    assert torch.equal(model(x), before)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_maps_of_one_and_three_dimensions():
    class Unit(nn.Module):
        def __init__(self, dims):
            super().__init__()
            kind = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
            self.one, self.two = kind(4, 4, 3, padding=1), kind(4, 4, 3, padding=1)

        def forward(self, x):
            return x + self.two(self.one(x).relu())

    for dims in (1, 3):
        model = nn.Sequential(Unit(dims))
        x = picture((1, 4, *[8] * dims))
        before = model(x)
        (block,) = senet.insert(model, SESpec(reduction=2))
        assert (block.name, len(block.resolution)) == ("0.two.se", dims)
        assert torch.equal(model(x), before)


def test_a_network_that_asks_for_values_is_really_run_and_stays_as_it_was():
    class Asking(Basic):
        def forward(self, x):
            return super().forward(x) if (x.sum() + torch.rand(())).item() < 1e9 else x

    model = host(Asking(8, 8)).train()
    state, random = pickle.dumps(model.state_dict()), torch.get_rng_state()
    assert list(senet.plan(model, DESIGN, shape=SHAPE).names) == ["unit1.bn2.se"]
    assert pickle.dumps(model.state_dict()) == state
    assert torch.equal(torch.get_rng_state(), random)


def copies():
    def pickled(model):
        return pickle.loads(pickle.dumps(model))

    def saved(model):
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        return torch.load(file, weights_only=False)

    return [copy.deepcopy, pickled, saved]


@pytest.mark.parametrize("again", copies())
def test_copies_keep_their_blocks_and_are_independent(again):
    model = resnet()
    senet.insert(model, DESIGN, shape=SHAPE)
    twin = again(wake(model))
    assert torch.equal(twin(picture()), model(picture()))
    before = model(picture())
    with torch.no_grad():
        twin.unit1.bn2.se.fc2.bias.add_(3)
    assert not torch.equal(twin(picture()), before)
    assert torch.equal(model(picture()), before)
    assert len(senet.remove(twin)) == 3
    assert len(senet.find(model)) == 3


def test_old_checkpoints_load_strictly_and_leave_the_blocks():
    old = resnet()
    model = resnet()
    senet.insert(model, DESIGN, shape=SHAPE)
    wake(model)
    kept = model.unit1.bn2.se.fc1.weight.clone()
    for loaded in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not any(loaded.load_state_dict(old.state_dict(), strict=True))
        assert torch.equal(loaded.unit1.bn2.se.fc1.weight, kept)
        assert torch.equal(loaded.unit3.conv1.weight, old.unit3.conv1.weight)


def test_new_checkpoints_load_into_a_fresh_insertion_and_half_of_a_block_is_an_error():
    model = resnet()
    senet.insert(model, DESIGN, shape=SHAPE)
    wake(model)
    fresh = resnet()
    senet.insert(fresh, DESIGN, shape=SHAPE)
    fresh.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(fresh(picture()), model(picture()))
    part = model.state_dict()
    del part["unit1.bn2.se.fc1.weight"]
    with pytest.raises(RuntimeError, match=r"unit1.bn2.se.fc1.weight"):
        fresh.load_state_dict(part)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*unit1.bn2.se.fc1.weight"):
        resnet().load_state_dict(model.state_dict())


def test_a_checkpoint_without_blocks_lacks_them_where_they_have_no_values():
    with torch.device("meta"):
        model = resnet()
    senet.insert(model, SESpec(reduction=4), shape=(1, 3, 16, 16))
    with pytest.raises(RuntimeError, match=r"Missing key.*unit1.bn2.se.fc1.weight"):
        model.load_state_dict(resnet().state_dict(), strict=True, assign=True)
    model.to_empty(device="cpu")
    model.load_state_dict(resnet().state_dict(), strict=True, assign=True)


def test_the_mode_around_an_insertion_leaves_blocks_that_train():
    model = resnet()
    with torch.inference_mode():
        senet.insert(model, SESpec(reduction=4), shape=(1, 3, 16, 16))
    model.train()(picture()).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
