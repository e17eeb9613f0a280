"""A builder of the user's own gives equal weights for equal seeds, in separate networks; else it is refused."""

from pathlib import Path

import pytest
import torch
from torch import nn

import senet
from senet.errors import SpecError
from senet.networks.building import builder_of
from senet.networks.repeatable import ensure_repeatable

KEPT = nn.Conv2d(1, 2, 3)
OWN = torch.Generator().manual_seed(7)


def drifting() -> nn.Module:
    layer = nn.Conv2d(1, 2, 3)
    nn.init.normal_(layer.weight, generator=OWN)
    return layer


def sharing() -> nn.Module:
    return nn.Sequential(KEPT, nn.ReLU())


def test_weights_that_differ_for_one_seed_are_refused():
    with pytest.raises(SpecError, match="mine returns other weights for the same seed"):
        ensure_repeatable(drifting, "mine")
    ensure_repeatable(drifting, "mine", weights=False)


@pytest.mark.parametrize("make", [lambda: KEPT, sharing])
def test_a_network_that_is_returned_again_is_refused(make):
    with pytest.raises(SpecError, match="mine returns the same network at every call"):
        ensure_repeatable(make, "mine", weights=False)


def test_the_check_takes_no_random_numbers_and_passes_an_ordinary_builder():
    torch.manual_seed(3)
    before = torch.get_rng_state()
    ensure_repeatable(lambda: nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), "mine")
    assert torch.equal(torch.get_rng_state(), before)


def test_compare_refuses_such_builders_before_the_first_training():
    calls = []
    with pytest.raises(SpecError, match="drifting returns other weights"):
        senet.compare(lambda model, seed: calls.append(seed), ["standard"], model=drifting, seeds=3)
    with pytest.raises(SpecError, match=r"model = Conv2d.* is not a name or a function"):
        senet.compare(lambda model, seed: calls.append(seed), ["standard"], model=KEPT, seeds=3)
    assert calls == []


def test_a_file_that_sets_a_seed_when_it_is_run_does_not_undo_that_of_a_run(tmp_path: Path):
    file = tmp_path / "net.py"
    file.write_text("import torch\n\ntorch.manual_seed(0)\ndef build():\n    return torch.nn.Linear(2, 2)\n")
    torch.manual_seed(5)
    before = torch.get_rng_state()
    builder_of(f"{file}:build")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        ("def build():\n    return None.layers\n", "build", "cannot be built: AttributeError: 'NoneType'"),
        ("def build():\n    return 1\n", "biuld", "has no function 'biuld'.*Did you mean 'build'"),
        ("def build():\n    return 1\n", "", "a file is given as FILE.py:FUNCTION"),
        ("raise OverflowError('of mine')\n", "build", "cannot be imported: OverflowError: of mine"),
    ],
)
def test_faults_of_the_users_file_are_one_line(tmp_path: Path, text: str, name: str, said: str):
    file = tmp_path / "net.py"
    file.write_text(text)
    where = f"{file}:{name}" if name else f"{file}"
    with pytest.raises(SpecError, match=said):
        senet.compare(lambda model, seed: 50.0, ["standard"], model=where, seeds=3)
