"""The judge of damaged files sees every way in which a reader can fail."""

import os
import signal
import time

import pytest
from support.mutations import TOKENS, judge, mutants

from senet.errors import DataError


def reader(content: bytes) -> object:
    begun = time.process_time()
    match content:
        case b"refused":
            raise DataError("one line.")
        case b"silence":
            raise DataError("")  # one of several lines cannot be: an error joins them itself
        case b"bug":
            return {}["key"]
        case b"crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        case b"hang":
            time.sleep(60)
        case b"slow":
            while time.process_time() < begun + 0.6:
                pass
        case b"memory":
            return len(bytes(range(256)) * 2**19)
    return content


def test_values_and_errors_of_one_line_are_what_is_allowed():
    verdict = judge(reader, [b"value", b"refused", b"value"])
    assert verdict.outcomes == {"read": 2, "DataError": 1}
    assert not verdict.faults, verdict


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"silence", "not one printable line"),
        (b"bug", "KeyError"),
        (b"crash", "SIGSEGV"),
        (b"hang", "still running"),
        (b"slow", "took 0.6"),
        (b"memory", "memory grew"),
    ],
)
def test_every_other_end_is_a_fault_with_its_content_and_the_next_one_is_still_judged(content, what):
    verdict = judge(reader, [b"value", content, b"refused"], seconds=0.1 if content == b"hang" else 0.5, memory_mib=60)
    assert [(fault.number, fault.content) for fault in verdict.faults] == [(1, content)]
    assert what in verdict.faults[0].what
    assert verdict.outcomes == {"read": 1, "fault": 1, "DataError": 1}


def test_mutants_are_the_same_for_the_same_seed_and_mostly_differ_from_their_source():
    source = bytes(range(200))
    first = list(mutants(source, count=100, seed=1, tokens=TOKENS))
    assert first == list(mutants(source, count=100, seed=1, tokens=TOKENS))
    assert first != list(mutants(source, count=100, seed=2, tokens=TOKENS))
    assert sum(mutant != source for mutant in first) > 90
