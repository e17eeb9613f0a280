"""The Triton kernels of `senet.fast.kernels.triton_passes`; `senet.fast.kernels.passes` defines what they compute.

Letters: u, r, y, g, dy, du maps; a, b, e, A, B, C, D rows of coefficients; i channels, p positions.
"""

import triton
import triton.language as tl

__all__ = [
    "apply_kernel",
    "finish_kernel",
    "mask_kernel",
    "masked_sums_kernel",
    "moment_sums_kernel",
    "moments_kernel",
    "rectified_sum_kernel",
]

# All kernels: an image has c channels and hw positions; element (p, i) is at p * sp + i * sc. A coefficient with stride
# c differs between images; one with stride 0 is a row shared by all images.
#
# Kernels that sum: each program along axis 2 covers a whole number of tiles of positions and writes a partial sum;
# partial sums are `part` values apart. They are added in a fixed order, so the result does not depend on the device.


@triton.jit
def _tile(first, c, hw, sp, sc, BP: tl.constexpr, BC: tl.constexpr):
    i = tl.program_id(0) * BC + tl.arange(0, BC)
    p = first + tl.arange(0, BP)
    at = p[:, None].to(tl.int64) * sp + i[None, :].to(tl.int64) * sc + tl.program_id(1).to(tl.int64) * c * hw
    return i, at, (p[:, None] < hw) & (i[None, :] < c)


@triton.jit
def _row(pointer, stride, i, c):
    return tl.load(pointer + tl.program_id(1) * stride + i, mask=i < c, other=0.0)[None, :]


@triton.jit
def _ends(hw, walk):
    first = tl.program_id(2) * walk
    return first, tl.minimum(first + walk, hw)


@triton.jit
def moment_sums_kernel(u, sums, c, hw, sp, sc, size, part, walk, BP: tl.constexpr, BC: tl.constexpr):
    i, at, inside = _tile(0, c, hw, sp, sc, 1, BC)
    shift = tl.load(u + at, mask=inside, other=0.0).to(tl.float32)  # near the mean: no cancellation
    s1 = tl.zeros((BC,), tl.float32)
    s2 = tl.zeros((BC,), tl.float32)
    start, end = _ends(hw, walk)
    for first in range(start, end, BP):
        i, at, inside = _tile(first, c, hw, sp, sc, BP, BC)
        d = tl.where(inside, tl.load(u + at, mask=inside, other=0.0).to(tl.float32) - shift, 0.0)
        s1 += tl.sum(d, 0)
        s2 += tl.sum(d * d, 0)
    out = sums + tl.program_id(2) * part + tl.program_id(1) * c + i
    tl.store(out, s1, mask=i < c)
    tl.store(out + size, s2, mask=i < c)


@triton.jit
def moments_kernel(u, sums, mean, variance, c, hw, sp, sc, size, part, parts, BC: tl.constexpr):
    i, at, inside = _tile(0, c, hw, sp, sc, 1, BC)
    shift = tl.load(u + at, mask=inside, other=0.0).to(tl.float32)
    out = tl.program_id(1) * c + i
    s1 = tl.zeros((BC,), tl.float32)
    s2 = tl.zeros((BC,), tl.float32)
    for number in range(parts):
        s1 += tl.load(sums + number * part + out, mask=i < c, other=0.0)
        s2 += tl.load(sums + number * part + size + out, mask=i < c, other=0.0)
    s1 = s1 / hw
    spread = s2 / hw - s1 * s1
    tl.store(mean + out, tl.sum(shift, 0) + s1, mask=i < c)
    tl.store(variance + out, tl.where(spread < 0, 0.0, spread), mask=i < c)


@triton.jit
def apply_kernel(
    u, r, a, b, e, post, y, c, hw, sp, sc, na, nb, ne, np,
    WITH_R: tl.constexpr, WITH_E: tl.constexpr, WITH_POST: tl.constexpr, RELU: tl.constexpr,
    BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    i, at, inside = _tile(tl.program_id(2) * BP, c, hw, sp, sc, BP, BC)
    x = _row(a, na, i, c) * tl.load(u + at, mask=inside, other=0.0).to(tl.float32) + _row(b, nb, i, c)
    if WITH_R:
        t = tl.load(r + at, mask=inside, other=0.0).to(tl.float32)
        if WITH_E:
            t = _row(e, ne, i, c) * t
        x += t
    if RELU:
        x = tl.where(x < 0, 0.0, x)
    if WITH_POST:
        x = x * _row(post, np, i, c)
    tl.store(y + at, x.to(y.dtype.element_ty), mask=inside)


@triton.jit
def rectified_sum_kernel(
    u, r, a, b, total, c, hw, sp, sc, na, nb, part, walk,
    WITH_R: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    s = tl.zeros((BC,), tl.float32)
    i = tl.program_id(0) * BC + tl.arange(0, BC)
    slope, offset = _row(a, na, i, c), _row(b, nb, i, c)
    start, end = _ends(hw, walk)
    for first in range(start, end, BP):
        i, at, inside = _tile(first, c, hw, sp, sc, BP, BC)
        x = slope * tl.load(u + at, mask=inside, other=0.0).to(tl.float32) + offset
        if WITH_R:
            x += tl.load(r + at, mask=inside, other=0.0).to(tl.float32)
        s += tl.sum(tl.where(inside & ~(x < 0), x, 0.0), 0)
    tl.store(total + tl.program_id(2) * part + tl.program_id(1) * c + i, s, mask=i < c)


@triton.jit
def mask_kernel(
    dy, y, u, r, g, sums, c, hw, sp, sc, size, part, walk,
    WITH_Y: tl.constexpr, WITH_R: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * BC + tl.arange(0, BC)
    s0 = tl.zeros((BC,), tl.float32)
    s1 = tl.zeros((BC,), tl.float32)
    s2 = tl.zeros((BC,), tl.float32)
    start, end = _ends(hw, walk)
    for first in range(start, end, BP):
        i, at, inside = _tile(first, c, hw, sp, sc, BP, BC)
        d = tl.load(dy + at, mask=inside, other=0.0).to(tl.float32)
        if WITH_Y:
            d = tl.where(tl.load(y + at, mask=inside, other=0.0).to(tl.float32) <= 0, 0.0, d)
            tl.store(g + at, d.to(g.dtype.element_ty), mask=inside)
        s0 += tl.sum(d, 0)
        s1 += tl.sum(d * tl.load(u + at, mask=inside, other=0.0).to(tl.float32), 0)
        if WITH_R:
            s2 += tl.sum(d * tl.load(r + at, mask=inside, other=0.0).to(tl.float32), 0)
    out = sums + tl.program_id(2) * part + tl.program_id(1) * c + i
    tl.store(out, s0, mask=i < c)
    tl.store(out + size, s1, mask=i < c)
    if WITH_R:
        tl.store(out + 2 * size, s2, mask=i < c)


@triton.jit
def masked_sums_kernel(
    dy, u, a, b, sums, c, hw, sp, sc, na, nb, size, part, walk,
    FULL: tl.constexpr, BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    i = tl.program_id(0) * BC + tl.arange(0, BC)
    slope, offset = _row(a, na, i, c), _row(b, nb, i, c)
    s0 = tl.zeros((BC,), tl.float32)
    s1 = tl.zeros((BC,), tl.float32)
    s2 = tl.zeros((BC,), tl.float32)
    s3 = tl.zeros((BC,), tl.float32)
    start, end = _ends(hw, walk)
    for first in range(start, end, BP):
        i, at, inside = _tile(first, c, hw, sp, sc, BP, BC)
        x = tl.load(u + at, mask=inside, other=0.0).to(tl.float32)
        shut = (slope * x + offset <= 0) | ~inside
        d = tl.where(shut, 0.0, tl.load(dy + at, mask=inside, other=0.0).to(tl.float32))
        s0 += tl.sum(d, 0)
        s1 += tl.sum(d * x, 0)
        if FULL:
            s2 += tl.sum(tl.where(shut, 0.0, 1.0), 0)
            s3 += tl.sum(tl.where(shut, 0.0, x), 0)
    out = sums + tl.program_id(2) * part + tl.program_id(1) * c + i
    tl.store(out, s0, mask=i < c)
    tl.store(out + size, s1, mask=i < c)
    if FULL:
        tl.store(out + 2 * size, s2, mask=i < c)
        tl.store(out + 3 * size, s3, mask=i < c)


@triton.jit
def finish_kernel(
    g, u, A, B, C, D, a, b, du, c, hw, sp, sc, nA, nB, nC, nD, na, nb,
    WITH_B: tl.constexpr, WITH_C: tl.constexpr, WITH_D: tl.constexpr, MASKED: tl.constexpr,
    BP: tl.constexpr, BC: tl.constexpr,
):  # fmt: skip
    i, at, inside = _tile(tl.program_id(2) * BP, c, hw, sp, sc, BP, BC)
    out = _row(A, nA, i, c) * tl.load(g + at, mask=inside, other=0.0).to(tl.float32)
    if WITH_D:
        out += _row(D, nD, i, c)
    if WITH_B or MASKED:
        x = tl.load(u + at, mask=inside, other=0.0).to(tl.float32)
        if MASKED:
            out = tl.where(_row(a, na, i, c) * x + _row(b, nb, i, c) <= 0, 0.0, out)
        if WITH_B:
            out += _row(B, nB, i, c) * x
    if WITH_C:
        out += _row(C, nC, i, c)
    tl.store(du + at, out.to(du.dtype.element_ty), mask=inside)
