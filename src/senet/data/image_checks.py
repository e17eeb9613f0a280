"""Check every image of a data set once: is it damaged, what are its digest and its size.

The results are kept in the user's cache (`senet.files.cache`). The next start only compares path, size, and the times
of the last changes of content and inode with the file system.
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

from senet.data.file_split import Files
from senet.data.image_decoding import UnreadableImage, check, decode, header, quiet
from senet.data.labels import printable
from senet.data.normalize import channel_statistics
from senet.data.resize_crop import Frame
from senet.data.tensor_split import Tensors
from senet.errors import DataError, unknown
from senet.files import cache
from senet.text import listed

__all__ = ["ON_BAD_IMAGE", "Look", "UnreadableImages", "decode_all", "examine", "look_at", "statistics"]

ON_BAD_IMAGE = ("error", "skip")

T = TypeVar("T")

_SHOWN = 3  # names in a message
_SMALL = 8192  # bytes; on smaller images threads wait for each other: 32x32 pixels took 2.6 times as long
_CHUNK = 64  # images per task: a million tasks of one image would take a gigabyte
SETTLED = 2 * 10**9  # ns; a file changed less than this before it was read may change again with the same time stamp


@dataclass
class UnreadableImages:
    """The images of a data set that cannot be decoded, and whether they are an error.

    Attributes:
        policy: `error` or `skip`.
        found: the reason, by name of the image.
    """

    policy: str = "error"
    found: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.policy not in ON_BAD_IMAGE:
            raise unknown("on_bad_image", self.policy, ON_BAD_IMAGE)

    def settle(self) -> tuple[str, ...]:
        """Return the note on skipped images, if any.

        Raises:
            DataError: if there are unreadable images and the policy is `error`.
        """
        if not self.found:
            return ()
        number = f"{len(self.found)} unreadable image{'s' if len(self.found) > 1 else ''}"
        if self.policy == "skip":
            return (f"{number} skipped: {listed([*map(printable, self.found)], _SHOWN)}",)
        reasons = [f"{printable(name)} ({reason})" for name, reason in self.found.items()]
        raise DataError(
            f"{number}: {listed(reasons, _SHOWN)}. Repair or delete them, or skip them (on_bad_image=skip)."
        )


@dataclass(frozen=True)
class Look:
    """The result of the check of one image.

    Attributes:
        stamp: changes if the image changes: size and times of a file, the digest of content in memory.
        digest: first 32 hex digits of the SHA-256 of its content.
        height: rows of the upright image [pixels].
        width: columns of the upright image [pixels].
        problem: why it cannot be decoded; empty if it can.
        whole: whether all of it was decoded, not only its header.
    """

    stamp: str
    digest: str
    height: int
    width: int
    problem: str
    whole: bool


def look_at(parts: Sequence[Files], *, place: Path, whole: bool) -> list[list[Look]]:
    """Check all images of a data set; results of unchanged images come from the cache.

    Args:
        parts: the splits.
        place: folder of the data set, the key of the cache.
        whole: decode every image completely; otherwise truncated images are not detected.
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
            return old if old and stamp and old.stamp == stamp and old.whole >= whole else examine(part.items[i], whole)

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


def examine(item: Path | bytes, whole: bool) -> Look:
    """Check one image: a file, or its content in memory.

    Args:
        item: the image.
        whole: decode it completely; otherwise only its header.
    """
    stamp, digest, size, problem = _stamp(item), "", (0, 0), ""
    try:
        header(item)  # before the content: only a plain file has one
        content = item.read_bytes() if isinstance(item, Path) else item
        digest = hashlib.sha256(content).hexdigest()[:32]
        size = (check if whole else header)(content)
    except UnreadableImage as error:
        problem = str(error)
    except OSError as error:
        problem = error.strerror or type(error).__name__
    return Look(stamp or digest, digest, *size, problem, whole)


def _stamp(item: Path | bytes) -> str:
    """Return the size and times of a file, or the digest of content in memory; empty if there is no file."""
    if isinstance(item, bytes):
        return hashlib.sha256(item).hexdigest()[:32]
    try:
        status = item.stat()
    except OSError:
        return ""
    # a change of the content also sets the time of the inode, which cannot be set back
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def _lasts(look: Look, now: int) -> bool:
    """Return whether a check may be reused later."""
    times = look.stamp.split()[1:]
    return bool(look.stamp) and all(now - int(time) > SETTLED for time in times)


def statistics(sample: Tensors | Files) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Measure mean and standard deviation of images, see `channel_statistics`; those of files are cached.

    Raises:
        DataError: if an image cannot be decoded: of a very large data set only the headers were read before.
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
    """Decode, resize and crop a split into one tensor, in order, on all cores if the files are large.

    Args:
        files: the images.
        bad: collects the unreadable images, which are left out.
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
    """Call a function with the index of every image and yield the results in order, on all cores if that is faster."""
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
