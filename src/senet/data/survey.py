"""A look at every picture of a set, once: is it whole, what does it contain, how large is it.

What was seen is kept in the user's cache (`senet.files.cache`), so that the next start only asks the file system
whether the files are the same: path, size, and the times of the last change of content and of entry.
"""

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, astuple, dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from senet.data.framing import Frame
from senet.data.image_decoding import UnreadableImage, check, decode, header, quiet
from senet.data.in_memory import Tensors
from senet.data.labels import printable
from senet.data.normalize import channel_statistics
from senet.data.on_disk import Files
from senet.errors import DataError, unknown
from senet.files import cache

__all__ = ["ON_BAD_IMAGE", "Look", "UnreadableImages", "decode_all", "look_at", "statistics"]

ON_BAD_IMAGE = ("error", "skip")

T = TypeVar("T")

_SHOWN = 3  # names in a message
_SMALL = 8192  # bytes; threads on smaller pictures wait for each other: 32x32 pixels took 2.6 times as long
_CHUNK = 64  # pictures a task: a million tasks of one picture would take a gigabyte
_SETTLED = 2 * 10**9  # ns; a file that changed later than this before it was read may change again at the same time


@dataclass
class UnreadableImages:
    """The pictures of a set that cannot be used, and what is to become of them.

    Attributes:
        policy: `error` or `skip`.
        found: why, by name.
    """

    policy: str = "error"
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.policy not in ON_BAD_IMAGE:
            raise unknown("on_bad_image", self.policy, ON_BAD_IMAGE)

    def settle(self) -> tuple[str, ...]:
        """Return the note on skipped pictures, if any.

        Raises:
            DataError: if there are unreadable pictures and the policy is `error`.
        """
        if not self.found:
            return ()
        number = f"{len(self.found)} unreadable image{'s' if len(self.found) > 1 else ''}"
        names = list(self.found)
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        if self.policy == "skip":
            return (f"{number} skipped: {', '.join(map(printable, names[:_SHOWN]))}{more}",)
        listed = ", ".join(f"{printable(name)} ({self.found[name]})" for name in names[:_SHOWN])
        raise DataError(f"{number}: {listed}{more}. Mend or delete them, or skip them (--on-bad-image skip).")


@dataclass(frozen=True)
class Look:
    """What was seen of one picture.

    Attributes:
        stamp: says whether the picture is the same one: size and times of a file, the digest of content in memory.
        digest: first 32 hex digits of the SHA-256 of its content.
        height: rows of the upright picture [pixels].
        width: columns [pixels].
        problem: why it cannot be used; empty if it can.
        whole: whether all of it was decoded, not only its header.
    """

    stamp: str
    digest: str
    height: int
    width: int
    problem: str
    whole: bool


def look_at(parts: Sequence[Files], *, place: Path, whole: bool) -> list[list[Look]]:
    """Look at all pictures of a set, or recall what was seen of those that are unchanged.

    Args:
        parts: the splits.
        place: folder of the set; what was seen is kept under its path.
        whole: decode all of every picture; otherwise a picture that breaks off in the middle passes.
    """
    name = f"pictures-{hashlib.sha256(os.fsencode(place)).hexdigest()[:16]}"
    known, begun = _recall(name), time.time_ns()
    looks = [[known.get(name) for name in part.names] for part in parts]
    kept: dict[str, list[object]] = {}
    news = False
    result = []
    for part, before in zip(parts, looks, strict=True):

        def one(i: int, part: Files = part, before: list[Look | None] = before) -> Look:
            stamp = _stamp(part.items[i])
            old = before[i]
            return old if old and stamp and old.stamp == stamp and old.whole >= whole else _look(part.items[i], whole)

        seen = list(_each(one, part, quick=all(before)))
        news |= any(new is not old for new, old in zip(seen, before, strict=True))
        kept |= {name: list(astuple(look)) for name, look in zip(part.names, seen, strict=True) if _lasts(look, begun)}
        result.append(seen)
    if news or len(kept) < len(known):
        cache.remember(name, kept)
    return result


def _recall(name: str) -> dict[str, Look]:
    kept = cache.recall(name)
    with contextlib.suppress(TypeError, AttributeError):  # of another version
        return {picture: Look(*values) for picture, values in kept.items()}
    return {}


def _look(item: Path | bytes, whole: bool) -> Look:
    stamp, digest, size, problem = _stamp(item), "", (0, 0), ""
    try:
        header(item)  # before the content: what is not a plain file has none
        content = item.read_bytes() if isinstance(item, Path) else item
        digest = hashlib.sha256(content).hexdigest()[:32]
        size = (check if whole else header)(content)
    except UnreadableImage as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    return Look(stamp or digest, digest, *size, problem, whole)


def _stamp(item: Path | bytes) -> str:
    """Identify this file, without reading it; of content in memory, which content."""
    if isinstance(item, bytes):
        return hashlib.sha256(item).hexdigest()[:32]
    try:
        status = item.stat()
    except OSError:
        return ""
    # a change of the content sets the time of the entry too, and nothing can set that back
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _lasts(look: Look, now: int) -> bool:
    """Return whether what was seen of a picture can be believed later."""
    times = look.stamp.split()[1:]
    return bool(look.stamp) and all(now - int(time) > _SETTLED for time in times)


def statistics(sample: Tensors | Files) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure mean and deviation of what the network sees of images, see `channel_statistics`; of files, once.

    Raises:
        DataError: if a picture cannot be decoded: only the headers of a very large set were read before.
    """
    if isinstance(sample, Tensors):
        return channel_statistics(sample.images)
    asked = repr((asdict(sample.frame), sorted(sample.digests)))
    name = f"statistics-{hashlib.sha256(asked.encode()).hexdigest()[:16]}"
    kept = cache.recall(name) if sample.digests else None
    if not kept:
        bad = UnreadableImages()
        decoded = decode_all(sample, bad=bad)
        bad.settle()
        kept = channel_statistics(decoded.images)
        cache.remember(name, kept)
    mean, std = kept
    return tuple(mean), tuple(std)


def decode_all(files: Files, *, bad: UnreadableImages) -> Tensors:
    """Decode what the frame of a split shows into one tensor, in order, on all cores if the pictures are large.

    Args:
        files: the pictures.
        bad: takes the pictures that cannot be used; they are left out.

    Returns:
        The readable ones.
    """
    frame = files.frame
    images = np.empty((len(files), 3, frame.height, frame.width), dtype=np.uint8)

    def one(i: int) -> str:
        try:
            images[i] = np.asarray(frame.centre(decode(files.items[i]))).transpose(2, 0, 1)
        except UnreadableImage as error:
            return str(error)
        return ""

    problems = list(_each(one, files))
    bad.found |= {name: problem for name, problem in zip(files.names, problems, strict=True) if problem}
    good = torch.tensor([not problem for problem in problems], dtype=torch.bool).nonzero().flatten()
    left = files if len(good) == len(files) else files[good]
    pixels = torch.from_numpy(images)
    return Tensors(
        pixels if left is files else pixels[good],
        left.labels,
        Frame(frame.height, frame.width, interpolation=frame.interpolation),
        names=left.names,
        digests=left.digests,
    )


def _each(task: Callable[[int], T], files: Files, *, quick: bool = False) -> Iterator[T]:
    """Run a task for the number of every picture and yield the results in order, on all cores if it pays."""
    count = len(files)
    with quiet():
        if quick or _mean_size(files) < _SMALL:
            yield from map(task, range(count))
            return
        chunks = (range(first, min(first + _CHUNK, count)) for first in range(0, count, _CHUNK))
        with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
            for results in pool.map(lambda chunk: [task(i) for i in chunk], chunks):
                yield from results


def _mean_size(files: Files) -> float:
    sizes = []
    for item in files.items[:: max(1, len(files) // 16)]:
        with contextlib.suppress(OSError):  # a broken link
            sizes.append(item.stat().st_size if isinstance(item, Path) else len(item))
    return sum(sizes) / max(1, len(sizes))
