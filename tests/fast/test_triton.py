"""The Triton kernels against the plain passes: interpreted on the CPU here, on a GPU where there is one."""

import os
import subprocess
import sys

import pytest
import torch

COMPARE = """
import sys, torch
from senet.fast.kernels import triton_passes
from senet.fast.kernels.passes import REFERENCE
from senet.fast.kernels.selfcheck import pass_calls
from senet.fast.kernels.triton_passes import TRITON

device, shared, names = sys.argv[1], sys.argv[2] == "shared", set()
shapes = ((2, 16, 4, 4), (3, 5, 3, 7), (1, 33, 9, 9), (2, 100, 1, 1))
if shared:  # by programs that walk one tile each
    triton_passes.FEWEST, shapes = 1, ((2, 3, 41, 51),)
for shape in shapes:
    for layout in (torch.channels_last, torch.contiguous_format):
        for dtype, tolerance in ((torch.float32, 3e-5), (torch.bfloat16, 2e-2)):
            maps = torch.randn(4, *shape).add(0.3).to(device, dtype)
            u, r, dy, y = (one.contiguous(memory_format=layout) for one in maps)
            assert (triton_passes._Launch(u).parts > 1) == shared
            matrix, other = torch.randn(2, *shape[:2], device=device)
            row = torch.randn(shape[1], device=device)
            for name, *words in pass_calls(u, r, dy, y, row=row, matrix=matrix, other=other):
                ours, theirs = getattr(TRITON, name)(*words), getattr(REFERENCE, name)(*words)
                if isinstance(ours, torch.Tensor):
                    ours, theirs = (ours,), (theirs,)
                assert len(ours) == len(theirs)
                for one, wanted in zip(ours, theirs):
                    assert one.dtype == wanted.dtype
                    torch.testing.assert_close(one.double(), wanted.double(), rtol=tolerance, atol=tolerance)
                names.add(name)
u = torch.ones(1, 16, 2, 2, device=device)
u[0, 3, 0, 0] = float("nan")
ones, zeros = torch.ones(16, device=device), torch.zeros(16, device=device)
assert TRITON.apply(u, None, ones, zeros, None, None, True)[0, 3, 0, 0].isnan()
assert not TRITON.moments(u)[1][0, 3].isfinite()
print(len(names))
"""


def compare(device: str, how: str = "alone", **env: str) -> str:
    words = [sys.executable, "-W", "ignore", "-c", COMPARE, device, how]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env={**os.environ, **env})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_interpreted_kernels_equal_the_plain_passes() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert compare("cpu", TRITON_INTERPRET="1").strip() == "6"


@pytest.mark.slow
def test_programs_that_share_the_positions_of_an_image_give_the_same_sums() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    assert compare("cpu", "shared", TRITON_INTERPRET="1").strip() == "6"


def test_few_programs_share_positions_and_many_do_not() -> None:
    pytest.importorskip("triton", reason="Triton is not installed")
    from senet.fast.kernels.triton_passes import FEWEST, FILLED, parts

    for programs in (1, 8, 16, 64, 131, 132, 264, 1000):
        for tiles in (1, 4, 49, 196, 784):
            count = parts(programs, tiles)
            assert count == 1 or tiles / count >= FEWEST
            assert programs < FILLED or count == 1
            filled = programs * count >= FILLED
            assert filled or count == max(1, tiles // FEWEST)


@pytest.mark.gpu
def test_kernels_equal_the_plain_passes_on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no GPU")
    assert compare("cuda").strip() == "6"
