"""Damaged copies of a file, and a judge of the reader that gets them.

A reader must end with a value or with one line of a `SenetError`, whatever the bytes are. `judge` runs it in forked
children, so that a crash, a hang or a full memory is a finding and not the end of the tests:

    from support.mutations import as_file, judge, mutants

    verdict = judge(as_file(read, tmp_path / "x.mat"), mutants(content, count=300, seed=0))
    assert not verdict.faults, verdict

For JSON and TOML, `mutants(..., tokens=TOKENS)` splices words in. A content that is not a mutation, e.g. a bomb, is
judged by `judge(read, [content])`.
"""

import ctypes
import faulthandler
import os
import random
import resource
import select
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from senet.errors import SenetError

__all__ = ["TOKENS", "Fault", "Verdict", "as_file", "judge", "mutants"]

TOKENS = (
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 5000,
    b"[" * 3000,
    b'"\\ud800"',
    b"0.5",
)
"""Words that turn a JSON or TOML text into another one."""

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**63, 2**64 - 1)
SHOWN = 5
WAIT = 10  # times as long as the processor may work a content may take: a busy machine does not count as a fault
AT_ONCE = 500  # mutants of one child, at most
ADDRESSES = 6 * 2**30  # bytes of address space that a child may add: the machine survives what the reader does


@dataclass(frozen=True)
class Fault:
    """What a mutant did to the reader: a traceback, a signal, a hang, memory, or a message of several lines."""

    number: int
    what: str
    content: bytes


@dataclass
class Verdict:
    """What became of all mutants.

    Attributes:
        outcomes: how many were read, and how many were refused by each kind of error.
        faults: everything else.
        seconds: of the slowest mutant.
        peak_mib: largest growth of a child's resident memory.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    seconds: float = 0.0
    peak_mib: float = 0.0

    def __str__(self) -> str:
        shown = "".join(f"\n  mutant {f.number} ({len(f.content)} bytes): {f.what}" for f in self.faults[:SHOWN])
        counts = ", ".join(f"{number} {name}" for name, number in sorted(self.outcomes.items()))
        return f"{counts}; slowest {self.seconds:.2f} s, +{self.peak_mib:.0f} MiB; {len(self.faults)} faults{shown}"


def mutants(content: bytes, *, count: int, seed: int, tokens: Sequence[bytes] = ()) -> Iterator[bytes]:
    """Yield damaged copies, the same ones for the same seed.

    Args:
        content: a sound file.
        count: how many copies.
        seed: of the damage.
        tokens: words to splice in, e.g. `TOKENS`.
    """
    rng = random.Random(seed)
    for _ in range(count):
        mutant = bytearray(content)
        for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
            _damage(mutant, rng, tokens)
        yield bytes(mutant)


def _damage(mutant: bytearray, rng: random.Random, tokens: Sequence[bytes]) -> None:
    at = rng.randrange(len(mutant) + 1)
    if rng.random() < 0.3:  # headers are where a file makes its claims
        at = min(at, rng.randrange(256))
    length = rng.choice((1, 2, 4, 8, 64, 1024))
    match rng.randrange(8 + 3 * bool(tokens)):
        case 0 if mutant:
            mutant[at % len(mutant)] ^= 1 << rng.randrange(8)
        case 1 if mutant:
            mutant[at % len(mutant)] = rng.randrange(256)
        case 2:
            size = rng.choice((1, 2, 4, 8))
            number = (rng.choice(NUMBERS) + rng.choice((-1, 0, 0, 1))) % 256**size
            mutant[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))
        case 3:
            del mutant[at : at + length]
        case 4:
            mutant[at:at] = rng.randbytes(length)
        case 5:
            del mutant[at:]
        case 6:
            source = rng.randrange(len(mutant) + 1)
            mutant[at:at] = mutant[source : source + length]
        case 7:
            mutant[at : at + length] = bytes([rng.choice((0, 255))]) * length
        case _ if tokens:
            end = at + rng.choice((0, 1, length))
            mutant[at:end] = rng.choice(tokens)


def as_file(read: Callable[[Path], object], path: Path) -> Callable[[bytes], object]:
    """Make a reader of bytes of a reader of files: each content replaces the file at `path`."""

    def of_bytes(content: bytes) -> object:
        path.write_bytes(content)
        return read(path)

    return of_bytes


def judge(
    read: Callable[[bytes], object], contents: Iterable[bytes], *, seconds: float = 5.0, memory_mib: float = 500.0
) -> Verdict:
    """Hand every content to a reader, in children of this process, and say what happened.

    Args:
        read: returns a value, or raises a `SenetError` of one line.
        contents: the mutants.
        seconds: longest processor time for one of them, and a tenth of the longest wait (`WAIT`), for busy machines.
        memory_mib: largest growth of a child's resident memory [MiB].
    """
    verdict, number, waiting = Verdict(), 0, iter(contents)
    while batch := list(islice(waiting, AT_ONCE)):
        done = 0
        while done < len(batch):
            ended = ""
            for outcome, took, grown in _outcomes(read, batch[done:], seconds):
                verdict.seconds, verdict.peak_mib = max(verdict.seconds, took), max(verdict.peak_mib, grown)
                name, _, what = outcome.partition("\t")
                memory = f"memory grew by {grown:.0f} MiB" if grown > memory_mib else ""
                ended = "; ".join(filter(None, (what, memory)))
                verdict.outcomes["fault" if ended else name] += 1
                if ended:
                    verdict.faults.append(Fault(number + done, ended, batch[done]))
                done += 1
                if ended:  # the next content gets a fresh child
                    break
        number += len(batch)
    return verdict


def _outcomes(
    read: Callable[[bytes], object], batch: Sequence[bytes], seconds: float
) -> Iterator[tuple[str, float, float]]:
    """Yield outcome, time and growth of each content until the child ends, by itself or by ours."""
    output, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(output)
        try:
            _report(read, batch, into)
        finally:
            os._exit(0)
    os.close(into)
    try:
        with os.fdopen(output, "rb", buffering=0) as lines:
            for _ in batch:
                begun, line = time.monotonic(), b""
                while not line.endswith(b"\n"):
                    if not select.select([lines], [], [], max(0, begun + WAIT * seconds + 1 - time.monotonic()))[0]:
                        yield f"hang\tstill running after {WAIT * seconds + 1:.0f} s", WAIT * seconds, 0.0
                        return
                    if not (more := lines.read(1)):
                        status = os.waitpid(child, 0)[1]
                        child = 0
                        why = signal.Signals(status & 127).name if status & 127 else f"status {status >> 8}"
                        yield f"crash\tthe process ended by {why}", time.monotonic() - begun, 0.0
                        return
                    line += more
                took, grown, outcome = line.decode("utf-8", "replace").rstrip("\n").split("|", 2)
                if float(took) > seconds and "\t" not in outcome:
                    outcome += f"\ttook {took} s"
                yield outcome, float(took), float(grown)
    finally:
        if child:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def _report(read: Callable[[bytes], object], batch: Sequence[bytes], into: int) -> None:
    """Read every content in the child, and write a line about each."""
    faulthandler.disable()
    warnings.simplefilter("ignore")
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + ADDRESSES, -1))
    ctypes.CDLL(None).malloc_trim(0)  # what earlier tests left to malloc would hide growth
    Path("/proc/self/clear_refs").write_text(
        "5"
    )  # a child's peak begins at its parent's memory, also what it never maps
    before = _status("VmRSS")
    for content in batch:
        begun = time.process_time()
        outcome = _outcome(read, content)
        grown = (_status("VmHWM") - before) / 1024
        os.write(into, f"{time.process_time() - begun:.3f}|{grown:.0f}|{outcome}\n".encode("utf-8", "backslashreplace"))


def _status(field: str) -> int:
    """Return a size of this process from the kernel's table [KiB]."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def _outcome(read: Callable[[bytes], object], content: bytes) -> str:
    try:
        read(content)
    except SenetError as error:
        text = str(error)
        name = type(error).__name__
        return name if text.isprintable() and text else f"{name}\tnot one printable line: {text[:200]!r}"
    except BaseException as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error} at {Path(place.filename).name}:{place.lineno}"
        return "traceback\t" + what[:300].replace("\n", " / ").replace("\t", " ")
    return "read"
