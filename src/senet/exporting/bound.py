"""Whether a bound on a loss can be shown with the images that there are."""

from senet.errors import SpecError
from senet.surgery.folding.answers import Answers
from senet.surgery.folding.folded import paired_interval, share_interval

__all__ = ["ensure_possible"]


def ensure_possible(answers: Answers, bound: float) -> None:
    """Refuse a bound that even a network without any changed answer would exceed.

    Args:
        answers: of the network, on the images on which a loss will be measured.
        bound: largest upper end of the 95 % interval of the loss [percentage points].

    Raises:
        SpecError: if the images are too few.
    """
    images, floor = answers.images, 0.0
    if answers.measure == "accuracy":
        floor = paired_interval(0, 0, images)[2]
    elif answers.measure == "answers":
        floor = share_interval(0, images)[2]
    if floor > bound:
        raise SpecError(
            f"max_drop = {bound:g} (--max-drop) cannot be shown with {images:,} test images: the interval ends at "
            f"{floor:.2f} even if no answer changes; use more images or a larger bound."
        )
