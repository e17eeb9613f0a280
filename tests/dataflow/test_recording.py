"""One record of a forward pass serves insertion, folding and counting: what it holds, and what it notices."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import senet
from senet.dataflow.example import image, tried
from senet.dataflow.recording import record
from senet.errors import SpecError
from senet.spec import SESpec

SHAPE = (2, 3, 8, 8)


def recorded(forward, *, device="meta", keep=False, **children):
    """Record a module with this forward method and these children."""
    module = type("Written", (nn.Module,), {"forward": forward})()
    for name, child in children.items():
        setattr(module, name, child)
    return record(module, image(module, SHAPE, device), keep=keep)


def kinds(ops):
    return [op.kind for op in ops]


def test_operations_on_weights_alone_stand_apart():
    flow = recorded(lambda self, x: self.head(x.mean((2, 3))), head=nn.Linear(3, 4))
    assert (kinds(flow.ops), kinds(flow.constants)) == (["mean", "addmm"], ["t"])
    assert [value.parameter for value in flow.constants[0].reads] == ["head.weight"]
    assert flow.ops[1].reads[2].op is flow.constants[0]
    assert not flow.constants[0].output.ancestors


def test_a_weight_that_is_computed_is_no_parameter():
    conv = nn.Conv2d(3, 4, 1, bias=False)
    plain = recorded(lambda self, x: self.conv(x), conv=conv)
    assert plain.ops[0].reads[1].parameter == "conv.weight"
    computed = recorded(lambda self, x: self.conv(x), conv=parametrizations.weight_norm(conv))
    assert computed.ops[-1].reads[1].parameter == ""


READINGS = {
    "once": (lambda self, x: x.relu() + 1, 1),
    "twice by one operation": (lambda self, x: (y := x.relu()) + y, 2),
    "by two operations": (lambda self, x: ((y := x.relu()) + 1) * y, 2),
    "by an operation and as an output": (lambda self, x: ((y := x.relu()) + 1, {"map": y}), 2),
    "as an output alone": (lambda self, x: x.relu(), 1),
    "not at all": (lambda self, x: (x.relu(), x)[1], 0),
}


@pytest.mark.parametrize("title", READINGS)
def test_every_reading_of_a_value_counts_once(title):
    forward, expected = READINGS[title]
    flow = recorded(forward)
    assert flow.readings(flow.ops[0].output) == expected


def sliced(self, x):
    y = x.relu()
    y[:, :1].mul_(2)
    return y


def flattened(self, x):
    y = x.relu()
    y.view(2, -1).add_(1)
    return y


def detached(self, x):
    y = x.relu()
    y.detach().neg_()
    return y


@pytest.mark.parametrize("forward", [sliced, flattened, detached])
def test_a_value_is_not_clear_once_another_view_of_its_memory_is_written(forward):
    flow = recorded(forward)
    assert not flow.ops[0].output.clear
    assert recorded(lambda self, x: x.relu().mul_(2)).ops[0].output.clear


def test_a_value_that_is_not_read_after_the_write_stays_clear():
    norm = recorded(lambda self, x: nn.functional.instance_norm(x).relu_().sin())
    assert all(value.clear for value in norm.values)
    later = recorded(lambda self, x: (y := x.relu()).view(2, -1).add_(1).sum() + y.sum())
    assert not later.ops[0].output.clear


def collected(self, x):
    out = torch.zeros_like(x)
    out[:, :2] = x[:, 1:]
    return out + out


def stacked(self, x):
    out = x.new_empty((2, 6, 8, 8))
    out[:, :3].copy_(x)
    out[:, 3:].copy_(x)
    return out.add(out)


def summed(self, x):
    out = torch.zeros(2, 3, 8, 8, device=x.device)
    out.view(-1).add_(x.flatten())
    return out + out


@pytest.mark.parametrize(("forward", "elements"), [(collected, 192), (stacked, 384), (summed, 384)])
def test_maps_that_are_written_piece_by_piece_count_in_sums(forward, elements):
    module = type("Written", (nn.Module,), {"forward": forward})()
    assert senet.cost(module, shape=SHAPE).add == elements


def test_an_image_takes_no_memory_before_it_is_needed():
    model = nn.Conv2d(3, 4, 3, padding=1)
    assert image(model, (64, 3, 65_536, 65_536)).untyped_storage().nbytes() == 4
    assert senet.cost(model, shape=(64, 3, 65_536, 65_536)).macs == 3 * 4 * 9 * 65_536**2
    assert record(model, image(model, (1, 3, 8, 8), "cpu")).values[0].shape == (1, 3, 8, 8)


def test_what_autograd_keeps_stands_with_the_calls_in_which_it_is_kept():
    def forward(self, x):
        return self.act(self.conv(x))

    flow = recorded(forward, keep=True, conv=nn.Conv2d(3, 4, 1), act=nn.Sigmoid())
    assert [(calls[-1].name, size) for calls, size in flow.kept] == [("conv", 4 * 384), ("act", 4 * 512)]
    assert recorded(forward, conv=nn.Conv2d(3, 4, 1), act=nn.Sigmoid()).kept == []


class Asking(nn.Module):
    """It reads a value, so that it cannot run on shapes alone, and writes into its input."""

    def __init__(self):
        super().__init__()
        self.conv, self.se, self.last = (
            nn.Conv2d(3, 8, 3),
            senet.SqueezeExcite(8, SESpec(reduction=2)),
            nn.Conv2d(8, 4, 1),
        )

    def forward(self, x):
        x.mul_(2 if x.max().item() > 0 else 1)
        return self.last(self.se(self.conv(x))).mean((2, 3))


def test_a_network_that_asks_for_values_gets_those_of_the_input_which_stays():
    model, x = Asking().eval(), torch.ones(SHAPE)
    flow = tried(model, x)
    assert kinds(flow.ops)[:2] == ["max", "mul"]
    assert torch.equal(x, torch.ones(SHAPE))


def test_a_network_that_asks_for_values_is_folded_and_counted():
    torch.manual_seed(0)
    model, x = Asking().eval(), torch.randn(4, 3, 8, 8)
    macs = senet.cost(model, shape=(1, 3, 8, 8)).se.macs
    report = senet.fold(model, [x], tolerance=None)
    assert report.removed == ("se",)
    assert [(block.macs, block.map_elements, block.where) for block in report.blocks] == [
        (macs, 8 * 36, "conv (before)")
    ]


def capped(z):
    """Cap a descriptor: a function of the user that asks for values."""
    return z if float(z.abs().max()) < 4 else z.clamp(-4, 4)


OWN = {"squeeze": lambda x: capped(x.mean((2, 3), keepdim=True)), "activation": capped, "gate": lambda z: 1 + capped(z)}


@pytest.mark.parametrize("part", OWN)
def test_blocks_with_functions_that_ask_for_values_are_planned_as_they_are_counted(part):
    model = senet.create_model("resnet8")
    design = SESpec(reduction=4, **{part: OWN[part]})
    plain = senet.cost(model, shape=(1, 3, 32, 32))
    done = senet.insert(model, design, shape=(1, 3, 32, 32))
    assert done.macs == senet.cost(model, shape=(1, 3, 32, 32)).macs - plain.macs > 0


def test_a_network_that_cannot_be_copied_is_not_folded():
    class Single:
        def __deepcopy__(self, memo):
            raise TypeError("there is one of me")

    model = Asking().eval()
    model.single = Single()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(SpecError, match=r"Asking cannot be copied for a trial run: there is one of me; take .*\.$"):
        senet.fold(model, [torch.randn(4, 3, 8, 8)], tolerance=None)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
