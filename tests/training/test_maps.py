"""Networks that are too deep for small images are refused before the first step, with the way out."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from forks import DATA, RECIPE, RUN
from torch import nn

from senet import SESpec
from senet.data import Augment, DataSpec
from senet.data.dataset import Data
from senet.errors import NumericError, UsageError
from senet.experiments.recipe import Optim
from senet.experiments.run import Run
from senet.training.initial_network import Initial, initial
from senet.training.map_sizes import look_at_maps, refuse_small_maps
from senet.training.train import train

DIGITS = {"shape": (1, 8, 8), "classes": 10, "images": 2}


@pytest.mark.parametrize(
    "model", ["resnet18", "resnet50.v15", "resnext50_32x4d", "mobilenet_v1", "shufflenet_v1", "vgg16_bn"]
)
def test_a_network_for_photographs_is_refused_on_digits(model: str, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=f"{model} cannot be trained on images of 8x8 pixels: .* e.g. resnet8"
    ) as caught:
        train(replace(RUN, model=model), DATA, tmp_path)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("model", ["resnet8", "resnet18.cifar", "cnn3", "wrn16_8"])
@pytest.mark.parametrize("se", [(), (SESpec(variant="bump_conv", reduction=4),)])
def test_a_network_for_small_images_sees_digits(model: str, se: tuple[SESpec, ...]) -> None:
    maps = look_at_maps(model, se, **DIGITS)  # type: ignore[arg-type]
    assert maps.sees
    assert not maps.lonely
    assert maps.spatial >= 3


def test_what_a_network_sees_depends_on_the_size() -> None:
    found = [look_at_maps("resnet18", (), **{**DIGITS, "shape": (3, side, side)}) for side in (8, 16, 32, 64)]  # type: ignore[arg-type]
    assert [(maps.blind, maps.spatial) for maps in found] == [(11, 17), (7, 17), (3, 17), (0, 17)]
    assert [maps.sees for maps in found] == [False, True, True, True]


def test_the_way_out_of_a_folder_is_a_size() -> None:
    folder = replace(DATA, spec=DataSpec(name="folder", size=8))
    with pytest.raises(UsageError, match=r"set data\.size=32 or more"):
        refuse_small_maps(replace(RUN, model="vgg16_bn"), folder)
    with pytest.raises(UsageError, match=r"set data\.size=16 or more"):
        refuse_small_maps(replace(RUN, model="resnet18"), folder)


def test_a_network_that_fails_at_every_size_is_told_what_it_must_take(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from torch import nn\n"
        "def torn(num_classes):\n"
        "    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Conv2d(9, 4, 3), nn.Flatten(1), nn.Linear(4, num_classes))\n"
    )
    with pytest.raises(UsageError, match="it must take images of 1 channel and return") as caught:
        refuse_small_maps(replace(RUN, model=f"{tmp_path}/own.py:torn"), DATA)
    assert "small images" not in str(caught.value)


@pytest.mark.parametrize("cast", ["half", "double"])
def test_a_network_in_another_precision_is_told_what_it_must_return(cast: str, tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    body = f"return create_model('resnet8', num_classes=num_classes, in_chans=1).{cast}()"
    file.write_text(f"from senet import create_model\n\ndef build(num_classes):\n    {body}\n")
    said = r"has parameters in float(16|64), .* return model.float\(\)"
    with pytest.raises(UsageError, match=said):
        train(replace(RUN, model=f"{file}:build"), DATA, tmp_path / "run")


@pytest.mark.parametrize(("batch_size", "accumulate"), [(1, 1), (4, 4), (5, 3)])
def test_a_norm_that_would_see_one_value_is_named(batch_size: int, accumulate: int) -> None:
    recipe = replace(RECIPE, batch_size=batch_size, accumulate=accumulate)
    run = replace(RUN, model="resnet18.cifar", recipe=recipe)
    with pytest.raises(UsageError, match=rf"norm stage4\..*batch_size = {2 * accumulate} or more"):
        refuse_small_maps(run, DATA)
    assert not refuse_small_maps(replace(run, model="resnet8"), DATA).lonely  # its last maps have 2x2 pixels


@pytest.mark.parametrize(("processes", "fits"), [(1, True), (2, True), (3, False), (4, False)])
def test_processes_share_a_batch(processes: int, fits: bool) -> None:
    run = replace(RUN, model="resnet18.cifar", recipe=replace(RECIPE, batch_size=4))
    if fits:
        refuse_small_maps(run, DATA, processes=processes)
    else:
        with pytest.raises(UsageError, match=f"batch_size = {2 * processes} or more"):
            refuse_small_maps(run, DATA, processes=processes)


@pytest.mark.parametrize(("crop", "fits"), [(7, True), (8, False), (1000, False)])
def test_padding_is_no_wider_than_the_image(crop: int, fits: bool) -> None:
    run = replace(RUN, recipe=replace(RECIPE, augment=Augment(crop=crop, padding="reflect")))
    if fits:
        refuse_small_maps(run, DATA)
    else:
        with pytest.raises(UsageError, match=f"crop = {crop} pads images of 8x8 pixels .* at most 7"):
            refuse_small_maps(run, DATA)


def test_a_rate_is_not_blamed_for_what_was_so_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wild = replace(RUN, recipe=replace(RECIPE, optim=Optim(lr=1e20)))
    with pytest.raises(NumericError, match=r"lower optim\.lr"):
        train(wild, DATA, tmp_path / "rate")

    def poisoned(run: Run, data: Data) -> Initial:
        start = initial(run, data)
        nn.init.constant_(next(start.model.parameters()), math.nan)
        return start

    monkeypatch.setattr("senet.training.train.initial", poisoned)
    with pytest.raises(NumericError, match=r"before the first step, for any optim\.lr"):
        train(RUN, DATA, tmp_path / "network")
