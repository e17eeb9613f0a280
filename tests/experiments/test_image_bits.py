"""Which images were right, as text in a result: there and back, and nothing that contradicts the counts."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_results import SHORT, result

from senet.errors import CheckpointError, SpecError
from senet.experiments.image_bits import check_bits, pack, unpack
from senet.experiments.result import decode_result


@given(st.lists(st.booleans(), min_size=1, max_size=70))
def test_bits_come_back_in_their_order(right: list[bool]) -> None:
    text = pack(right)
    assert unpack(text, len(right)).tolist() == right
    check_bits(text, correct=sum(right), total=len(right))


def test_ten_thousand_images_take_less_than_two_thousand_letters() -> None:
    assert len(pack([True] * 10_000)) == 1668


@pytest.mark.parametrize(
    ("text", "correct", "total"),
    [
        ("oA==", 1, 3),  # two are marked
        ("oA==", 2, 9),  # too short
        ("oAA=", 2, 3),  # too long
        ("8A==", 4, 3),  # beyond the last image
        ("o", 2, 3),
        ("ä", 0, 3),
        ("oA==\n", 2, 3),
    ],
)
def test_bits_that_contradict_the_counts_are_refused(text: str, correct: int, total: int) -> None:
    with pytest.raises(SpecError, match="right "):
        check_bits(text, correct=correct, total=total)


def test_a_result_keeps_its_bits_and_one_without_them_stays_as_it_was() -> None:
    old = result(SHORT, 700)
    assert "right" not in old.as_dict()
    new = replace(old, right=pack([1] * 700 + [0] * 300))
    for one in (old, new):
        assert decode_result(json.dumps(one.as_dict()), place="here") == one
    assert old.run.id == new.run.id
    damaged = {**new.as_dict(), "right": pack([1] * 699 + [0] * 301)}
    with pytest.raises(CheckpointError, match="right marks 699 images and the curve 700"):
        decode_result(json.dumps(damaged), place="here")
