"""Which data a command takes: what is said, else what the folder holds, else the digits."""

import pytest

from senet.errors import DataError, SpecError, UsageError
from senet.execution.asked_run import asked_values


def name_of(words=None, **said):
    return asked_values(words, **{"data": None, "model": None, **said})["data"]["name"]


def test_a_folder_that_is_given_is_the_data(tmp_path):
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
    values = asked_values(None, data=None, data_dir=tmp_path / "photos", model=None)
    assert values["data"]["name"] == "folder"
    assert values["data"]["folder"].startswith("photos-")
    assert values["model"] == "resnet18"


def test_what_is_said_wins_over_what_the_folder_holds_and_without_both_it_is_the_digits(tmp_path):
    (tmp_path / "train_32x32.mat").write_bytes(b"")
    assert name_of() == "digits"
    assert name_of(data_dir=tmp_path) == "svhn"
    assert name_of(data="cifar10", data_dir=tmp_path) == "cifar10"
    assert name_of(["data.name=cifar100"], data_dir=tmp_path) == "cifar100"
    assert name_of(data_dir=tmp_path, base={"data": {"name": "cifar10"}}) == "cifar10"


@pytest.mark.parametrize("name", ["digits", "control"])
def test_a_folder_beside_an_embedded_data_set_is_refused(tmp_path, name):
    for said in ({"data": name}, {"words": [f"data.name={name}"]}, {"base": {"data": name}}):
        with pytest.raises(UsageError, match=f"{name} needs no folder"):
            name_of(data_dir=tmp_path, **said)


def test_a_folder_that_holds_nothing_known_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no known data set"):
        name_of(data_dir=tmp_path)


@pytest.mark.parametrize("given", ["CIFAR10", "Cifar10", "cifar-10", "CIFAR_10"])
def test_another_spelling_of_a_set_suggests_the_set(given):
    from senet.data import DataSpec

    with pytest.raises(SpecError, match="Did you mean 'cifar10'"):
        DataSpec(name=given)


def test_the_setup_of_every_command_refuses_a_folder_that_is_not_there(tmp_path):
    from senet.cli.machine import make_setup
    from senet.cli.settings_words import ImageSettings

    with pytest.raises(DataError, match="nowhere is not a folder"):
        make_setup(ImageSettings(), data_dir=tmp_path / "nowhere", device="cpu")
