"""Every backend's passes give what the plain ones give, in both layouts, both types, and sizes that fit no vector."""

import math
from itertools import product

import pytest
import torch
from torch import Tensor

from senet.errors import BackendError
from senet.fast.kernels import native as native_module
from senet.fast.kernels.backends import passes
from senet.fast.kernels.compiled import compiler
from senet.fast.kernels.native import native
from senet.fast.kernels.passes import REFERENCE

FORMATS = (torch.channels_last, torch.contiguous_format)
SHAPES = ((2, 16, 4, 4), (3, 5, 3, 7), (1, 33, 5, 5), (2, 100, 1, 1), (2, 1, 4, 3), (4, 64, 9, 9))
needs_compiler = pytest.mark.skipif(compiler() is None, reason="there is no C++ compiler")


def maps(shape: tuple[int, ...], memory_format: torch.memory_format, dtype: torch.dtype, number: int) -> list[Tensor]:
    return [torch.randn(shape).add(0.3).to(dtype).contiguous(memory_format=memory_format) for _ in range(number)]


def assert_close(ours: object, reference: object, dtype: torch.dtype) -> None:
    tolerance = 3e-5 if dtype == torch.float32 else 2e-2
    ours, reference = ([part] if isinstance(part, Tensor) else list(part) for part in (ours, reference))  # type: ignore[call-overload]
    assert len(ours) == len(reference)
    for mine, theirs in zip(ours, reference, strict=True):
        if theirs is None:  # nothing to add
            assert mine is None or not mine.any()
            continue
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine.double(), theirs.double().expand(mine.shape), rtol=tolerance, atol=tolerance)


@needs_compiler
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("shape", "memory_format"), list(product(SHAPES, FORMATS)))
def test_native_passes_equal_the_plain_ones(
    shape: tuple[int, ...], memory_format: torch.memory_format, dtype: torch.dtype
) -> None:
    u, r, dy, y = maps(shape, memory_format, dtype, 4)
    n, c = shape[:2]
    matrix, other, row = torch.randn(n, c), torch.randn(n, c), torch.randn(c)
    for name, words in {
        "moments": [(u,)],
        "apply": [
            (u, None, row, row, None, None, True),
            (u, r, matrix, other, None, None, True),
            (u, r, row, matrix, other, None, False),
            (u, None, row, row, None, matrix, True),
        ],
        "rectified_sum": [(u, None, row, row), (u, r, matrix, row)],
        "mask": [(dy, y, u, None), (dy, y, u, r), (dy, None, u, None)],
        "masked_sums": [(dy, u, row, row, False), (dy, u, matrix, other, True)],
        "finish": [
            (dy, u, row, None, None, None, None, None),
            (dy, u, matrix, row, other, None, None, None),
            (dy, u, matrix, row, row, other, row, row),
        ],
    }.items():
        for given in words:
            assert_close(getattr(native(), name)(*given), getattr(REFERENCE, name)(*given), dtype)


@needs_compiler
@pytest.mark.parametrize("masked", [False, True])
def test_native_rows_equal_the_plain_ones(masked: bool) -> None:
    mean, sg, sgu, s, q, e0, e1 = torch.randn(7, 4, 10)
    gamma, beta, centre = torch.randn(3, 10)
    variance, k = torch.rand(4, 10), torch.rand(10) + 0.5
    running = [(torch.zeros(10), torch.ones(10)) for _ in range(2)]
    ours, theirs = (
        one.combine(mean, variance, gamma, beta, own, 0.1, 1e-5, 6)
        for one, own in zip((native(), REFERENCE), running, strict=True)
    )
    assert ours[-1] == theirs[-1] == 24
    assert_close(ours[:-1], theirs[:-1], torch.float32)
    assert_close(running[0], running[1], torch.float32)
    for given in (
        (sg, sgu, None, None, None, None, gamma, centre, k, 6, 24, False),
        (sg, sgu, s, q, e0 if masked else None, e1, gamma, centre, k, 6, 24, masked),
        (sg, sgu, s, q, e0 if masked else None, e1, gamma, centre, k, 6, 0, masked),
    ):
        assert_close(native().gradients(*given), REFERENCE.gradients(*given), torch.float32)


@needs_compiler
def test_native_rounds_to_bfloat16_as_torch_does() -> None:
    bits = torch.randint(-(2**31), 2**31 - 1, (1, 64, 32, 32), dtype=torch.int64).to(torch.int32)
    half = bits.view(torch.float32).to(torch.bfloat16)
    ones, zeros = torch.ones(64), torch.zeros(64)
    for a in (1.0, 1.0039062, 0.333):  # the product is not representable: it must be rounded
        ours = native().apply(half, None, a * ones, zeros, None, None, False)
        theirs = (half.float() * a).to(torch.bfloat16)
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert torch.equal(ours.nan_to_num(7), theirs.nan_to_num(7))


@needs_compiler
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_hidden(value: float) -> None:
    u = torch.ones(1, 16, 2, 2)
    u[0, 3, 0, 0] = value
    ones, zeros = torch.ones(16), torch.zeros(16)
    for one in (native(), REFERENCE):
        y = one.apply(u, None, ones, zeros, None, None, True)
        assert torch.equal(y.nan_to_num(nan=-7), torch.relu(u).nan_to_num(nan=-7))
        assert not one.moments(u)[1][0, 3].isfinite()


@needs_compiler
def test_the_variance_of_a_map_far_from_zero_keeps_its_digits() -> None:
    u = (1e4 + torch.randn(2, 16, 32, 32, dtype=torch.float64)).float()
    variance = native().moments(u)[1]
    torch.testing.assert_close(variance.double(), u.double().var(dim=(2, 3), correction=0), rtol=1e-5, atol=0)


@needs_compiler
def test_several_threads_give_the_same_bits() -> None:
    u = torch.randn(6, 32, 8, 8).contiguous(memory_format=torch.channels_last)
    one = native().moments(u)
    torch.set_num_threads(3)
    try:
        many = native().moments(u)
    finally:
        torch.set_num_threads(1)
    assert all(map(torch.equal, one, many))


@pytest.fixture
def fresh(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> object:
    """A machine on which nothing has been compiled."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native_module.native.cache_clear()
    yield tmp_path
    native_module.native.cache_clear()


def test_without_a_compiler_the_error_says_what_to_do(fresh: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(BackendError, match="needs a C\\+\\+ compiler, but none was found; install g\\+\\+ or clang"):
        passes("native")


def test_a_compiler_that_fails_is_named_with_its_first_error(fresh: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "false")
    with pytest.raises(BackendError, match="false cannot compile the fused passes"):
        passes("native")
