"""A space as a file: what it means, and what it refuses before anything is trained."""

from pathlib import Path

import pytest

from senet.errors import SpecError
from senet.experiments.run import Run
from senet.search.network_blocks import with_blocks
from senet.search.space import Space, read_space

STUDIES = Path(__file__).parents[2] / "studies" / "spaces"
SPACES = sorted(STUDIES.glob("*.toml"))

FILE = """
title = "A title"
[base]
model = "resnet8"
data = { name = "digits", val_size = 100 }
recipe = "digits"
[choices]
stages = 3
reduction = [2, 8]
"""


def read(tmp_path: Path, text: str, **changes: object) -> Space:
    (tmp_path / "space.toml").write_text(text, encoding="utf-8")
    return read_space(tmp_path / "space.toml", changes=changes)


@pytest.mark.parametrize("file", SPACES, ids=lambda file: file.stem)
def test_every_space_of_the_repository_decodes(file: Path) -> None:
    space = with_blocks(read_space(file))
    assert space.title
    assert space.size > 20


def test_the_kth_space_holds_the_candidates_of_the_report() -> None:
    choices = read_space(STUDIES / "search_kth.toml").choices
    assert choices.constant == (16, 8, 4, 2)
    assert choices.reduction == ((8, 4, 2), (2, 4, 8, 16), (32, 16, 4, 2))


def test_one_list_of_ratios_holds_for_every_stage(tmp_path: Path) -> None:
    space = read(tmp_path, FILE)
    assert space.choices.reduction == ((2, 8),) * 3
    assert space.choices.constant == (2, 8)
    assert [design[0].reduction for design in space.designs()][:3] == [(2, 2, 2), (2, 2, 8), (2, 8, 2)]
    assert len(space.designs()) == 8


def test_constants_are_the_ratios_that_all_stages_have(tmp_path: Path) -> None:
    listed = FILE.replace("stages = 3\nreduction = [2, 8]", "reduction = [[2, 8], [16, 8], [8, 4]]")
    assert read(tmp_path, listed).choices.constant == (8,)


def test_changes_of_the_command_line_reach_the_run(tmp_path: Path) -> None:
    space = read(tmp_path, FILE, recipe={"epochs": 2}, se={"bias": False})
    assert space.base.recipe.epochs == 2
    assert all(not design[0].bias for design in space.designs())


def test_the_ratio_of_a_kind_is_searched_by_the_base(tmp_path: Path) -> None:
    space = read(tmp_path, FILE.replace('recipe = "digits"', 'recipe = "digits"\nse = "cbam"'))
    assert [str(design[0]) for design in space.designs()][:2] == ["cbam r=2-2-2", "cbam r=2-2-8"]


def test_candidates_are_tested_on_held_out_images_and_choices_on_the_test_set(tmp_path: Path) -> None:
    space = read(tmp_path, FILE)
    design = space.designs()[0]
    assert space.run(design, 3) == Run(
        model="resnet8", se=design, data=space.base.data, recipe=space.base.recipe, seed=3
    )
    assert space.run(design, 3).data.val_size == 100
    assert space.final(design, 3).data.val_size == 0


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ("val_size = 100", "val_size = 0", "would choose by the test set; hold out"),
        ("reduction = [2, 8]", "reduction = []", r"choices\.reduction = .* is empty"),
        ("[choices]", "[budget]\ntrials = -1\n[choices]", r"budget\.trials = -1"),
        ("[choices]", "[choices]\nvariants = ['bump']", "Did you mean 'variant'"),
        ("[base]", "objectives = ['accurracy']\n[base]", "Did you mean 'accuracy'"),
        ("[base]", "seeds = [0, 1]\nconfirm_seeds = [1]\n[base]", "holds 1, which the search uses too"),
        ("[base]", "seeds = []\n[base]", "trains nothing"),
        ('recipe = "digits"', 'recipe = "digits"\nse = "standard+standard:slot=pre"', "a search varies one"),
        ("reduction = [2, 8]", "reduction = [[2], [8]]", "one flat list"),
        ("[choices]", "[shared]\nretrain = 0\n[choices]", r"shared\.retrain = 0 is out of range"),
        ("reduction = [2, 8]", "reduction = 2", "one flat list"),
        ("stages = 3", "stages = true", "from 1 to 1,000"),
        (
            "reduction = [2, 8]",
            "reduction = [2, 0]",
            r"choices\.reduction\[0\] = \(2, 0\) is not valid; list ratios from 1",
        ),
        (
            "reduction = [2, 8]",
            "reduction = [2, -8]",
            r"choices\.reduction\[0\] = \(2, -8\) is not valid; list ratios from 1",
        ),
        ("reduction = [2, 8]", "reduction = [2, 2]", r"choices\.reduction\[0\] = \(2, 2\) .* each once"),
        ("[choices]", "[choices]\nconstant = [0]", r"choices\.constant = \(0,\) is not valid; list ratios from 1"),
        ("[choices]", "[choices]\nvariant = ['bumb']", r"choices\.variant = 'bumb' .* Did you mean 'bump'"),
        ("[choices]", "[choices]\nvariant = ['conv']", r"choices\.variant = 'conv' has no ratio to search; compare it"),
        ("[choices]", "[choices]\nslot = ['inne']", r"choices\.slot = 'inne' .* Did you mean 'inner'"),
        ("[base]", "references = [16, 0]\n[base]", r"references = \(16, 0\) is not valid; list ratios from 1"),
        ('recipe = "digits"', 'recipe = "digits"\nse = { slot = "pre" }', r"base\.se\.slot = 'pre' would be lost"),
        ('recipe = "digits"', 'recipe = "digits"\nseed = 3', r"base\.seed = 3 would be lost; write seeds = \[3\]"),
        ('recipe = "digits"', 'recipe = "digits"\nse = "bump"', r"base\.se\.variant = 'bump' would be lost"),
        ('recipe = "digits"', 'recipe = "digits"\nse = { reduction = 8 }', r"base\.se\.reduction = 8 would be lost"),
    ],
)
def test_what_does_not_fit_is_said_with_the_file(tmp_path: Path, was: str, now: str, says: str) -> None:
    with pytest.raises(SpecError, match=rf"space\.toml.*{says}"):
        read(tmp_path, FILE.replace(was, now))
