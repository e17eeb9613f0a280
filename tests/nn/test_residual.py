"""The residual unit: the formula with a block in any of its five slots."""

import itertools
from collections.abc import Iterable, Mapping

import pytest
import torch
from torch import Tensor, nn

from senet.errors import SpecError
from senet.nn import Residual, SqueezeExcite, chain
from senet.nn.residual import RESIDUAL_SLOTS
from senet.spec import SESpec

OUTER = ("standard", "pre", "post", "identity")
CHILDREN = {"standard": "se", "pre": "se_pre", "post": "se_post", "identity": "se_identity"}


def block(channels: int) -> SqueezeExcite:
    return SqueezeExcite(channels, SESpec(reduction=2, gate="tanh", activation="silu"))


def unit(slots: Iterable[str], *, head: bool = False, act: bool = True) -> tuple[Residual, dict[str, nn.Module]]:
    """Make a unit from 4 to 8 channels at half the size, with blocks in some slots."""
    gates: dict[str, nn.Module] = {slot: block(4 if slot == "pre" else 8) for slot in slots}
    branch = chain(
        conv1=nn.Conv2d(4, 8, 3, stride=2, padding=1),
        se=gates.get("inner"),
        act1=nn.ReLU(),
        conv2=nn.Conv2d(8, 8, 1),
    )
    made = Residual(
        branch,
        shortcut=nn.Conv2d(4, 8, 1, stride=2),
        act=nn.ReLU() if act else None,
        head=nn.BatchNorm2d(4) if head else None,
        gates=gates,
    )
    return made.double().eval(), gates


def by_formula(made: Residual, gates: Mapping[str, nn.Module], x: Tensor) -> Tensor:
    """Compute post(act(standard(branch(pre(x))) + identity(shortcut(x)))) with every block spelt out as x * s(x)."""

    def gated(slot: str, y: Tensor) -> Tensor:
        return y * gates[slot].weights(y) if slot in gates else y  # type: ignore[operator]

    branch = made.branch
    if made.head is not None:
        x = made.head(x)
    y = branch.conv2(torch.relu(gated("inner", branch.conv1(gated("pre", x)))))
    y = gated("standard", y) + gated("identity", made.shortcut(x))
    return gated("post", y if made.act is None else torch.relu(y))


ALL_SETS = [slots for n in range(6) for slots in itertools.combinations(RESIDUAL_SLOTS, n)]


@pytest.mark.parametrize("slots", ALL_SETS, ids="+".join)
def test_the_unit_equals_its_formula_with_blocks_in_any_slots(slots: tuple[str, ...]) -> None:
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    for head, act in itertools.product((False, True), repeat=2):
        made, gates = unit(slots, head=head, act=act)
        difference = made(x) - by_formula(made, gates, x)
        assert difference.abs().max() <= 1e-14


def test_every_slot_gives_another_function() -> None:
    x = torch.randn(2, 4, 6, 6, dtype=torch.float64)
    made, gates = unit(RESIDUAL_SLOTS)
    outputs = [by_formula(made, {slot: gates[slot]} if slot else {}, x) for slot in ("", *RESIDUAL_SLOTS)]
    for a, b in itertools.combinations(outputs, 2):
        assert not torch.allclose(a, b)


def test_without_shortcut_and_activation_the_input_itself_is_added() -> None:
    branch = nn.Conv2d(4, 4, 3, padding=1)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(Residual(branch)(x), branch(x) + x)


def test_a_head_feeds_the_branch_and_the_shortcut() -> None:
    head = chain(norm=nn.BatchNorm2d(4), act=nn.ReLU()).eval()
    branch, shortcut = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)
    x = torch.randn(2, 4, 5, 5)
    assert torch.equal(Residual(branch, shortcut=shortcut, head=head)(x), branch(head(x)) + shortcut(head(x)))


@pytest.mark.parametrize("slots", [slots for n in range(5) for slots in itertools.combinations(OUTER, n)], ids="+".join)
def test_a_child_exists_for_a_filled_slot_only(slots: tuple[str, ...]) -> None:
    made, gates = unit(slots)
    children = dict(made.named_children())
    assert children.keys() == {"branch", "shortcut", "act", *(CHILDREN[slot] for slot in slots)}
    for slot in slots:
        assert children[CHILDREN[slot]] is gates[slot]
    found = {key.split(".")[0] for key in made.state_dict()}
    assert found == {"branch", "shortcut", *(CHILDREN[slot] for slot in slots)}


def test_every_parameter_of_a_full_unit_gets_a_gradient() -> None:
    made, _ = unit(RESIDUAL_SLOTS, head=True)
    made.train()(torch.randn(4, 4, 6, 6, dtype=torch.float64)).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_gate_in_no_slot_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        Residual(nn.Identity(), gates={"middle": block(4), "pre": block(4)})
    assert "gates = ['middle'] is not a slot of a residual unit" in str(caught.value)
    assert all(slot in str(caught.value) for slot in RESIDUAL_SLOTS)


def test_units_of_one_and_three_dimensions_work() -> None:
    for conv, sides in ((nn.Conv1d, (7,)), (nn.Conv3d, (3, 4, 5))):
        made = Residual(conv(4, 4, 3, padding=1), act=nn.ReLU(), gates={slot: block(4) for slot in OUTER})
        assert made(torch.randn(2, 4, *sides)).shape == (2, 4, *sides)
