"""Derive the seeds of all random choices, so that checkpoints need no random state."""

import hashlib

__all__ = ["mix"]


def mix(*parts: int | str) -> int:
    """Return a seed of 63 bits for a purpose, e.g. `mix(seed, "order", epoch)`.

    Every random choice of a training uses a generator seeded this way, so a resumed run makes the same choices as one
    that was not interrupted.

    Example:
        >>> mix(0, "order", 3) == mix(0, "order", 3) != mix(0, "order", 4)
        True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1
