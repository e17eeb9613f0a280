"""Arguments of networks: one table of kinds and ranges, and nothing is built that is not weighed first."""

import inspect
import time
from functools import partial
from typing import Any

import pytest
import torch

import senet
from senet.errors import SpecError
from senet.models.arguments import ARGUMENTS
from senet.models.zoo import ZOO

DEEP: list[Any] = []
DEEP.append(DEEP)


def test_every_argument_of_every_network_is_declared_and_its_default_fits() -> None:
    for name, family in ZOO.items():
        for parameter in inspect.signature(family).parameters.values():
            if parameter.name == "se":
                continue
            assert parameter.name in ARGUMENTS, (name, parameter)
            fits = ARGUMENTS[parameter.name].holds(parameter.default)
            assert fits or parameter.default is None, (name, parameter)
        if isinstance(family, partial):
            assert all(ARGUMENTS[key].holds(value) for key, value in family.keywords.items()), name


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("resnet8", {"num_classes": 10**12}, "num_classes = 1000000000000 is not possible; use a whole number from 0"),
        ("resnet8", {"num_classes": -1}, "num_classes = -1"),
        ("resnet8", {"num_classes": True}, "num_classes = True"),
        ("resnet8", {"num_classes": 10**5000}, "num_classes = a number of 5,0.* digits"),
        ("resnet8", {"in_chans": 10**7}, "in_chans = 10000000"),
        ("resnet8", {"in_chans": 3.0}, "in_chans = 3.0"),
        ("resnet8", {"in_chans": None}, "in_chans = None"),
        ("cnn3", {"image_size": 10**6}, "image_size = 1000000"),
        ("cnn3", {"image_size": 16_384}, r"cnn3 needs 2,\d\d\d GB for its weights"),
        ("resnet50", {"options": {"depths": [10**9]}}, "depths = .1000000000. is not possible"),
        ("resnet50", {"options": {"depths": 5}}, "depths = 5"),
        ("resnet50", {"options": {"depths": "3463"}}, "depths = '3463'"),
        ("resnet50", {"options": {"depths": [900, 900]}}, "1,500 together"),
        ("resnet50", {"options": {"depths": [3, 4, 6, None]}}, "depths = "),
        ("resnet50", {"options": {"depths": DEEP}}, "depths = "),
        ("resnet50", {"options": {"depths": [3, 4, 6, 10**5000]}}, "depths = list is not possible"),
        ("resnet50", {"options": {"widths": [65_536] * 4}}, "resnet50 needs"),
        ("resnet50", {"options": {"widths": [64]}}, "has 4 stages|cannot build a network with"),
        ("resnet50", {"options": {"stem_kind": ["torch"]}}, "stem_kind = .'torch'. is not possible; use a name"),
        ("resnet50", {"options": {"unit": None}}, "unit = None"),
        ("resnet50", {"options": {"group_width": 0}}, "group_width = 0"),
        ("resnet50", {"options": ["depths"]}, "is not a mapping"),
        ("wrn16_8", {"options": {"depth": 10**9}}, "depth = 1000000000"),
        ("wrn16_8", {"options": {"width": 1e3}}, "width = 1000.0"),
        ("vgg16_bn", {"options": {"widths": [64, 64]}}, "widths"),
        ("vgg16_bn", {"options": {"hidden": {}}}, "hidden = {}"),
        ("senet154", {"options": {"drop": float("nan")}}, "drop = nan"),
        ("senet154", {"options": {"drop": 2}}, "drop = 2"),
        ("bn_inception", {"options": {"modules": [[1]]}}, "modules = "),
        ("kth_resnet52", {"options": {"stem_se": "yes"}}, "stem_se = 'yes' is not possible; use true or false"),
        ("shake26_2x96d", {"options": {"se_on": 5}}, "se_on = 5"),
        ("shufflenet_v1", {"options": {"groups": 7}}, "does not split into 7 groups"),
        ("resnet18", {"num_classes": 10_000_000, "options": {"widths": [64, 64, 64, 4096]}}, "resnet18 needs"),
    ],
)
def test_a_wrong_argument_is_one_line_and_builds_nothing(name: str, arguments: dict[str, Any], said: str) -> None:
    start = time.process_time()
    with pytest.raises(SpecError, match=said) as caught:
        senet.create_model(name, **arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert time.process_time() - start < 2


def test_a_dry_run_changes_no_weight_and_no_random_number() -> None:
    torch.manual_seed(3)
    plain = senet.create_model("resnet8")
    after = torch.rand(1)
    torch.manual_seed(3)
    checked = senet.create_model("resnet8", options={"shortcut": "A"})
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), checked.parameters(), strict=True))


def test_a_large_network_may_be_built_without_memory() -> None:
    with torch.device("meta"):
        assert senet.create_model("cnn3", image_size=16_384).pool.fc.in_features == 64 * 8_192**2  # type: ignore[union-attr]
