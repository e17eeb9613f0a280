"""The option `--shape`."""

from senet.errors import UsageError

__all__ = ["parse_shape"]


def parse_shape(text: str) -> tuple[int, ...]:
    """Read the shape of a batch of images.

    Args:
        text: `N,C,H,W`, or with `x` in place of the commas.

    Raises:
        UsageError: if it is not a list of at least three whole numbers from 1.
    """
    parts = [part.strip() for part in text.replace("x", ",").split(",")]
    if len(parts) < 3 or not all(part.isdecimal() and int(part) for part in parts):
        raise UsageError(f"--shape {text} is not a valid shape; write N,C,H,W, e.g. 1,3,224,224.")
    return tuple(map(int, parts))
