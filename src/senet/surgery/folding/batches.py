"""Iterate over batches of images several times, and check that every pass gives the same images.

Letters in shapes: n images, k outputs.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from senet.data.batch_parts import images_and_labels, named_parts
from senet.errors import SpecError

__all__ = ["Batches", "Passes", "labels_of", "parts_of"]

Batches = Iterable[Any]
"""A repeatable iterable, such as a list or a DataLoader, of images `(n, c, ...)` or of images with labels."""

ROUNDED = 1e-2  # tolerance for the sum of the shares of a soft label, which should be 1
WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # integer type by element size [bytes]


class Passes:
    """Batches with the same images in the same order in every pass.

    Outputs before and after a change are compared image by image, which would be wrong with a loader that shuffles,
    samples or augments. The first pass therefore stores a digest of every image, and later passes are compared with
    these digests.

    Args:
        source: a list of batches, a DataLoader, or another iterable that can be iterated several times.
        place: name of the source in errors.

    Raises:
        SpecError: if the source can be iterated only once, or is not a collection of batches; while iterating, if a
            batch is not valid, or a pass differs from the first one.
    """

    def __init__(self, source: Batches, *, place: str) -> None:
        self.source, self.place = source, place
        self.digests: Int64[Tensor, " n"] | None = None
        _refuse_what_is_no_collection(source, place)

    def __iter__(self) -> Iterator[tuple[Tensor, object]]:
        seen: list[Tensor] = []
        first, done, start = self.digests, 0, len(self)
        rest = iter(self.source)
        for batch in rest:
            x, y = parts_of(batch, place=self.place)
            seen.append(_digests(x))
            done += len(x)
            if first is not None and not torch.equal(seen[-1], first[done - len(x) : done]):
                seen += _up_to(rest, start - done, self.place)
                raise self._differs(first, torch.cat(seen))
            yield x, y
        if not seen and first is None:
            raise SpecError(f"{self.place} holds no images; give at least one batch.")
        found = torch.cat(seen) if seen else torch.zeros(0, dtype=torch.int64)
        if first is None:
            self.digests = found
        elif len(found) != len(first):
            raise self._differs(first, found)

    def __len__(self) -> int:
        """Return the number of images in the first pass, 0 before it."""
        return 0 if self.digests is None else len(self.digests)

    def shared(self, other: "Passes") -> int:
        """Return how many images another collection has too; both need one complete pass before."""
        assert self.digests is not None
        assert other.digests is not None
        return int(torch.isin(self.digests, other.digests).sum())

    def _differs(self, first: Tensor, now: Tensor) -> SpecError:
        if not len(now):
            cause = "it can be iterated only once"
        elif len(first) == len(now) and torch.equal(first.sort().values, now.sort().values):
            cause = "the same images in another order: it shuffles"
        elif len(first) != len(now) and torch.equal(first[: len(now)], now[: len(first)]):
            cause = f"{len(now):,} images in place of {len(first):,}"
        elif bool(torch.isin(now, first).any()):
            cause = "other images, some of them the same: it samples or augments at random"
        else:
            cause = "none of them the same: it augments or samples at random"
        return SpecError(
            f"{self.place} yields other images in every pass ({cause}), and answers are compared image by image; give "
            f"list({self.place}), or a loader with shuffle=False and without random augmentation."
        )


def parts_of(batch: object, *, place: str = "batches") -> tuple[Tensor, object]:
    """Split a batch into images and labels.

    Args:
        batch: images; images and labels, as a tuple, a list or a named tuple; or a mapping or a dataclass with names
            such as `image` and `label`, or `pixel_values` and `labels`.
        place: name of its source in errors.

    Returns:
        The images `(n, c, ...)`, and the labels unchanged (see `labels_of`) or None.

    Raises:
        SpecError: if the batch contains no images, or is a single image.
    """
    x: object
    y: object
    if (named := named_parts(batch)) is not None:
        x, y = images_and_labels(named)
        if x is None:
            names = ", ".join(map(str, list(named)[:6])) or "nothing"
            raise SpecError(f"a batch of {place} holds {names}; name its images 'image', or give (images, labels).")
    elif isinstance(batch, Sequence) and not isinstance(batch, str | bytes) and len(batch):
        x, y = batch[0], batch[1] if len(batch) > 1 else None
    else:
        x, y = batch, None
    if not isinstance(x, Tensor):
        raise SpecError(
            f"a batch of {place} is {_spoken(batch)}; give tensors of images (n, c, h, w), (images, labels), or "
            "mappings with 'image' and 'label'."
        )
    if x.ndim < 2 or not len(x):
        raise SpecError(f"a batch of {place} has the shape {tuple(x.shape)}; give images (n, c, h, w), at least one.")
    if isinstance(y, int | float) or (isinstance(y, Tensor) and y.ndim == 0):  # a batch has several labels
        raise SpecError(
            f"a batch of {place} is a single image {tuple(x.shape)}; give batches (n, c, h, w), e.g. by a DataLoader."
        )
    return x, y


def labels_of(given: object, images: int, outputs: int) -> Int64[Tensor, " n"] | str:
    """Convert labels to one class for each image.

    Args:
        given: whole numbers `(n,)` or `(n, 1)` as a tensor, an array or a list, of any type; or a row of `k` shares
            for each image: one-hot, or soft labels, whose largest share is the class.
        images: n.
        outputs: k, the classes of the network.

    Returns:
        The classes; or the reason why the labels are not valid, as the end of a sentence.
    """
    try:
        labels = torch.as_tensor(given).detach().cpu()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return f"are {_spoken(given)}"
    while labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels.squeeze(-1)
    if labels.ndim not in (1, 2) or labels.is_complex():
        return f"have the shape {tuple(labels.shape)}"
    if len(labels) != images:
        return f"are {len(labels)} for {images} images"
    if not bool(labels.isfinite().all()):
        return "are not finite"
    if labels.ndim == 2:
        shares = labels.double()
        if labels.shape[1] != outputs:
            return f"have {labels.shape[1]} columns for {outputs} outputs"
        if bool((shares < 0).any()) or bool(((shares.sum(1) - 1).abs() > ROUNDED).any()):
            return "name several classes for an image: their rows do not add up to 1"
        return shares.argmax(1)
    if bool((labels != labels.long()).any()):
        return "are not whole numbers"
    labels = labels.long()
    if int(labels.min()) < 0 or int(labels.max()) >= outputs:
        return f"reach from {int(labels.min())} to {int(labels.max())} for {outputs} outputs, which count from 0"
    return labels


def _refuse_what_is_no_collection(source: object, place: str) -> None:
    wanted = "give a list of batches, or a DataLoader"
    if isinstance(source, Tensor):
        raise SpecError(f"{place} is one tensor {tuple(source.shape)}; {wanted}: [{place}] is a list of one batch.")
    if isinstance(source, Iterator):
        raise SpecError(f"{place} can be iterated only once; {wanted}, e.g. list({place}).")
    if isinstance(source, Mapping):
        raise SpecError(f"{place} is one mapping; {wanted}: [{place}] is a list of one batch.")
    if isinstance(source, str | bytes) or not (hasattr(source, "__iter__") or hasattr(source, "__getitem__")):
        raise SpecError(f"{place} is {_spoken(source)}; {wanted}.")
    if isinstance(source, list | tuple) and len(source) == 2 and all(isinstance(part, Tensor) for part in source):
        x, y = source
        if x.ndim > 2 and y.ndim < x.ndim and len(y) == len(x):
            raise SpecError(f"{place} is one batch of images and labels; {wanted}: [{place}] is a list of one batch.")


def _up_to(rest: Iterator[object], images: int, place: str) -> Iterator[Tensor]:
    """Yield the rest of a pass that differs from the first one, up to about as many images as the first one had."""
    while images > 0 and (batch := next(rest, None)) is not None:
        found = _digests(parts_of(batch, place=place)[0])
        images -= len(found)
        yield found


def _digests(x: Tensor) -> Int64[Tensor, " n"]:
    """Return a digest of each image `(n,)`, computed on the device of the images.

    It is the sum of the elements, reinterpreted as integers, times odd random numbers, modulo 2^64; two different
    images have the same digest with a probability below 2^-32.
    """
    kept = x.detach().contiguous()
    words = kept.view(WORDS.get(x.element_size(), torch.uint8)).flatten(1)
    factors = _factors(words.shape[1]).to(x.device)
    return torch.stack([(row.long() * factors).sum() for row in words]).cpu()


@lru_cache(maxsize=4)
def _factors(number: int) -> Int64[Tensor, " number"]:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(-(2**62), 2**62, (number,), generator=generator) * 2 + 1


def _spoken(given: object) -> str:
    kind = type(given).__name__
    return f"a {kind} of {_spoken(given[0])}" if isinstance(given, list | tuple) and given else kind
