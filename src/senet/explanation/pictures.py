"""The images that open or shut a channel most, as small pictures."""

from collections.abc import Mapping, Sequence

from senet.explanation.explanation import Picture
from senet.explanation.extremes import used
from senet.explanation.gathering import Gathered
from senet.explanation.thumbnails import thumbnail
from senet.explanation.values import BlockExplanation
from senet.surgery.folding.batches import Passes

__all__ = ["pictures"]

THUMBNAILS = 1500
BYTES = 2_500_000  # of all thumbnails


def pictures(
    blocks: Mapping[str, BlockExplanation],
    seen: Gathered,
    passes: Passes,
    *,
    names: Sequence[str] = (),
    mean: Sequence[float] = (),
    std: Sequence[float] = (),
) -> tuple[Picture, ...]:
    """Return the images that open or shut a channel most, with thumbnails of those that are used most often.

    Args:
        blocks: the explained blocks by name.
        seen: what the first pass gathered.
        passes: the images.
        names: name of each image; empty for none.
        mean: mean of each input channel that was subtracted from the images.
        std: standard deviation by which it was divided.
    """
    often = used(one.extremes for one in blocks.values())
    wanted = set(list(often)[:THUMBNAILS])
    made: dict[int, str | None] = {}
    start = 0
    for x, _ in passes:
        for number in wanted.intersection(range(start, start + len(x))):
            made[number] = thumbnail(x[number - start], mean=mean, std=std)
        start += len(x)
    found, total = [], 0
    for number in often:
        shown = made.get(number)
        total += len(shown or "")
        found.append(
            Picture(
                number,
                int(seen.rows[number]) if len(seen.rows) else None,
                names[number] if names else None,
                shown if total <= BYTES else None,
            )
        )
    return tuple(sorted(found, key=lambda one: one.index))
