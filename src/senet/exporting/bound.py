"""Whether a bound on a loss can be shown with the images that there are."""

from senet.errors import SpecError
from senet.surgery.folding.answers import Answers

__all__ = ["ensure_possible"]


def ensure_possible(answers: Answers, bound: float) -> None:
    """Refuse a bound that even a network without any changed answer would exceed.

    Args:
        answers: of the network, on the images on which a loss will be measured.
        bound: largest upper end of the 95 % interval of the loss [percentage points].

    Raises:
        SpecError: if the images are too few.
    """
    if answers.floor > bound:
        raise SpecError(
            f"max_drop = {bound:g} (--max-drop) cannot be shown with {answers.images:,} test images: the interval ends "
            f"at {answers.floor:.2f} even if no prediction changes; use more images or a larger bound."
        )
