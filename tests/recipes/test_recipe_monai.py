"""docs/recipes/monai.md runs as it is written, and its network learns."""

import pytest

import senet

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_the_recipe_of_nnunets_network_runs(page) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("monai")
    names = page("docs/recipes/monai.md")
    folded = names["folded"]
    assert len(senet.find(names["again"])) == 5
    assert len(senet.find(names["model"])) == 5 - len(folded.removed)
    assert not folded.scaled
    assert names["before"] > 0.7
    assert names["dice"]() > names["before"] - 0.05
    assert names["report"].error < 1e-4


@pytest.mark.parametrize(
    ("options", "at", "count"),
    [
        ({}, "auto", 2),
        ({"deep_supervision": True, "deep_supr_num": 1}, "auto", 2),
        (
            {"deep_supervision": True, "deep_supr_num": 1},
            ["input_block", "downsamples.*", "bottleneck", "upsamples.*"],
            5,
        ),
        ({"res_block": True}, "auto", 3),
        ({"res_block": True}, ["*", "upsamples.*"], 5),
    ],
)
def test_the_table_of_the_page_counts_blocks_of_nnunets_networks(
    options: dict[str, object], at: str, count: int
) -> None:
    nets = pytest.importorskip("monai.networks.nets")
    levels = {"kernel_size": [3, 3, 3], "strides": [1, 2, 2], "upsample_kernel_size": [2, 2], "filters": [8, 16, 32]}
    model = nets.DynUNet(spatial_dims=3, in_channels=1, out_channels=2, **levels, **options)
    assert len(senet.plan(model, "standard:reduction=4", at=at, shape=(1, 1, 16, 16, 16))) == count
