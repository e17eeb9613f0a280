"""Self-check of fast paths: before the first use on a device, results for small cases must agree with plain torch.

This detects faults of compilers, drivers and processors. The outcome is stored in the user's cache for one version of
torch, one device and one source.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from senet.fast.kernels.compiled import identity
from senet.fast.kernels.passes import REFERENCE, Passes
from senet.files.cache import recall, remember

__all__ = ["apart", "is_sound", "pass_calls", "passes_fault", "verdict"]

SHAPES = ((2, 5, 3, 7), (3, 33, 9, 5), (1, 3, 37, 31))  # odd sizes, narrower and wider than vectors and tiles
LAYOUTS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}  # relative to the largest value, but at least to 1
POSITIONS = 15  # positions of the maps in the checks of `rows`


def verdict(name: str, words: tuple[str, ...], check: Callable[[], str]) -> str:
    """Return the outcome of a check, from the cache if it ran before under the same conditions.

    Args:
        name: name of the check.
        words: everything that the outcome depends on, besides torch and this file.
        check: returns a description of the first wrong case, or an empty string; runs without gradients.
    """
    text = "\n".join((torch.__version__, Path(__file__).read_text(encoding="utf-8"), *words))
    place = f"checked-{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    known = recall(place)
    if isinstance(known, str):
        return known
    with torch.inference_mode(False), torch.no_grad(), torch.device("cpu"):
        found = check()
    remember(place, found)
    return found


def is_sound(title: str, source: Path, check: Callable[[], str]) -> bool:
    """Return whether a C++ library agrees with torch; warn if it does not.

    Args:
        title: what the library computes, for the warning.
        source: C++ source of the library.
        check: returns a description of the first wrong case, or an empty string.
    """
    fault = verdict(source.stem, (identity(source),), check)
    if fault:
        warnings.warn(f"{title} in C++ are wrong on this machine: {fault}; using plain torch.", stacklevel=3)
    return not fault


def passes_fault(ours: Passes, device: torch.device) -> str:
    """Return a description of the first case in which passes differ from the reference; empty if all agree."""
    for title, name, words in (*_maps(device), *_rows(device)):
        expected, found = _results(REFERENCE, name, words), _results(ours, name, words)
        dtype = next(word.dtype for word in words if isinstance(word, Tensor))
        if len(found) != len(expected):
            return f"{name} of {title} returns {len(found)} results, not {len(expected)}"
        if why := next((why for pair in zip(found, expected, strict=True) if (why := apart(*pair, dtype))), ""):
            return f"{name} of {title} {why}"
    return ""


def apart(found: Any, expected: Any, dtype: torch.dtype) -> str:
    """Describe how two results differ; empty if only by rounding.

    Args:
        found: a tensor, a number or None.
        expected: a tensor, a number or None.
        dtype: dtype in which they were computed.
    """
    if isinstance(found, Tensor) and expected is None:  # an absent coefficient is 0
        expected = torch.zeros_like(found)
    if not isinstance(expected, Tensor) or not isinstance(found, Tensor):
        return "" if found == expected else f"is {found!r}, not {expected!r}"
    if found.ndim == expected.ndim + 1:  # one row for all images
        expected = expected.expand_as(found)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"is {found.dtype} of {tuple(found.shape)}, not {expected.dtype} of {tuple(expected.shape)}"
    one, other = found.detach().cpu().double(), expected.detach().cpu().double()
    error, largest = float((one - other).abs().max()), float(other.abs().max())
    fine = error <= TOLERANCE[dtype] * max(1.0, largest)  # False for nan
    return "" if fine else f"differs by {error:.2g} where the largest value is {largest:.2g}"


def pass_calls(
    u: Tensor, r: Tensor, dy: Tensor, y: Tensor, *, row: Tensor, matrix: Tensor, other: Tensor
) -> tuple[tuple[Any, ...], ...]:
    """List calls of every pass over the maps that together use all of its options.

    Args:
        u: map before the norm, `(n, c, h, w)`.
        r: map of the shortcut, like `u`.
        dy: gradient of the output, like `u`.
        y: output, like `u`.
        row: numbers for each channel, `(c,)`.
        matrix: numbers for each image and channel, `(n, c)`.
        other: more of them, `(n, c)`.
    """
    return (
        ("moments", u),
        ("apply", u, None, row, row, None, None, True),
        ("apply", u, r, matrix, other, None, None, True),
        ("apply", u, r, row, matrix, other, None, False),
        ("apply", u, None, row, row, None, matrix, True),
        ("rectified_sum", u, None, row, row),
        ("rectified_sum", u, r, matrix, row),
        ("mask", dy, y, u, None),
        ("mask", dy, y, u, r),
        ("mask", dy, None, u, None),
        ("masked_sums", dy, u, row, row, False),
        ("masked_sums", dy, u, matrix, other, True),
        ("finish", dy, u, row, None, None, None, None, None),
        ("finish", dy, u, matrix, row, other, None, None, None),
        ("finish", dy, u, matrix, row, row, other, row, row),
    )


def _maps(device: torch.device) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield a title, the name of a pass and its arguments."""
    random = torch.Generator().manual_seed(0)
    for shape in SHAPES:
        for layout, memory in LAYOUTS.items():
            for dtype in TOLERANCE:
                maps = torch.randn(4, *shape, generator=random).add(0.3).to(device, dtype)
                u, r, dy, y = (one.contiguous(memory_format=memory) for one in maps)
                matrix, other = torch.randn(2, *shape[:2], generator=random).to(device)
                row = torch.randn(shape[1], generator=random).to(device)
                title = f"{'x'.join(map(str, shape))}, {str(dtype).removeprefix('torch.')}, {layout}"
                for name, *words in pass_calls(u, r, dy, y, row=row, matrix=matrix, other=other):
                    yield title, name, tuple(words)


def _rows(device: torch.device) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """Yield the same for the computations between the passes."""
    random = torch.Generator().manual_seed(0)
    for n, c in ((2, 5), (3, 33)):
        sg, sgu, s, q, e0, e1 = torch.randn(6, n, c, generator=random).to(device)
        centre, gamma, beta, mean = torch.randn(4, c, generator=random).to(device)
        k, variance = torch.rand(2, c, generator=random).add(0.5).to(device)
        title = f"{n}x{c}"
        for running in (None, (mean, variance)):
            yield title, "combine", (sg, sgu.square(), gamma, beta, running, 0.1, 1e-5, POSITIONS)
        for words in ((None,) * 4, (s, q, None, e1), (s, q, e0, e1)):
            for count, masked in ((n * POSITIONS, False), (0, False), (n * POSITIONS, True)):
                if not masked or words[1] is not None:
                    yield title, "gradients", (sg, sgu, *words, gamma, centre, k, POSITIONS, count, masked)


def _results(of: Passes, name: str, words: tuple[Any, ...]) -> tuple[Any, ...]:
    """Run a pass; return its results, and the running statistics that it updated."""
    fresh = [tuple(part.clone() for part in word) if isinstance(word, tuple) else word for word in words]
    result = getattr(of, name)(*fresh)
    written = [part for word in fresh if isinstance(word, tuple) for part in word]
    return (*(result if isinstance(result, tuple | list) else (result,)), *written)
