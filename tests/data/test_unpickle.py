"""A pickle is a program; the reader runs none of it."""

import os
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from senet.data.unpickle import read_pickle
from senet.errors import DataError


class Calls:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_arrays_lists_and_texts_come_back_as_they_were(tmp_path):
    path = tmp_path / "batch"
    for protocol in range(6):
        array = np.asfortranarray(np.arange(12, dtype=">i4").reshape(3, 4))
        path.write_bytes(pickle.dumps({"data": array, b"labels": [1, 2], "name": "x"}, protocol=protocol))
        content = read_pickle(path)
        assert np.array_equal(content["data"], array)
        assert content["labels"] == [1, 2]


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (Calls(os.system, "touch executed"), r"posix\.system|nt\.system"),
        (Calls(eval, "open('executed', 'w')"), r"(builtins|__builtin__)\.eval"),
        (Calls(getattr, os, "system"), "getattr"),
        (Calls(np.load, "executed"), r"numpy.*load"),
    ],
)
def test_a_batch_that_calls_a_function_does_not_run_and_is_told_its_name(tmp_path, monkeypatch, call, name, protocol):
    monkeypatch.chdir(tmp_path)
    try:
        content = pickle.dumps({"data": call}, protocol=protocol)
    except (TypeError, pickle.PicklingError):
        content = b"\x80\x02cbuiltins\ngetattr\n."
    path = tmp_path / "data_batch_1"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"data_batch_1: it calls .*{name}"):
        read_pickle(path)
    assert [p.name for p in tmp_path.iterdir()] == ["data_batch_1"]


def test_arrays_of_objects_are_refused(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": np.array([None, "x"], dtype=object)}, protocol=2))
    with pytest.raises(DataError, match="only numbers"):
        read_pickle(path)


def test_a_codec_other_than_latin1_is_refused(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(b"\x80\x02c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.")
    with pytest.raises(DataError, match="'hex' is not allowed"):
        read_pickle(path)


@given(data=st.data())
def test_a_damaged_pickle_is_read_or_refused_with_one_line(data, tmp_path_factory):
    content = bytearray(pickle.dumps({"data": np.zeros((4, 5), np.uint8), "labels": [0, 1, 2, 3]}, protocol=2))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damaged") / "batch"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        outcome = str(len(read_pickle(path)))
    except DataError as error:
        outcome = str(error)
    assert "\n" not in outcome
