"""Gather pixels at per-image row and column indices; all geometric augmentations use it.

`n` images, `c` channels, `h` rows, `w` columns, `r` rows and `s` columns to read. Rows are copied first, then columns
are gathered: five times faster than one gather of pixels, and twice as fast as a loop over the images.
"""

import torch
from jaxtyping import Float, Int64, Num, Shaped
from torch import Tensor

__all__ = ["mirrored", "read", "take"]


def mirrored(index: Int64[Tensor, "n m"], size: int) -> Int64[Tensor, "n m"]:
    """Reflect indices outside `0 .. size - 1` into that range, repeatedly if needed; the edge is not repeated."""
    period = max(1, 2 * (size - 1))
    index = index.remainder(period)
    return torch.minimum(index, period - index)


def take(
    x: Shaped[Tensor, "n c h w"], rows: Int64[Tensor, "n r"], cols: Int64[Tensor, "n s"]
) -> Shaped[Tensor, "n c r s"]:
    """Return whole pixels: `x[i, :, rows[i], cols[i]]` for every image `i`."""
    return _take_cols(_take_rows(x, rows), cols)


def read(x: Num[Tensor, "n c h w"], rows: Float[Tensor, "n r"], cols: Float[Tensor, "n s"]) -> Float[Tensor, "n c r s"]:
    """Return images interpolated bilinearly at fractional rows and columns."""
    h, w = x.shape[2:]
    rows, cols = rows.clamp(0, h - 1), cols.clamp(0, w - 1)
    above, before = rows.floor(), cols.floor()
    i, j = above.long(), before.long()
    # bytes become floats as late as possible, because moving them is cheaper
    here, below = _take_rows(x, i).float(), _take_rows(x, (i + 1).clamp(max=h - 1)).float()
    x = torch.lerp(here, below, (rows - above)[:, None, :, None])
    return torch.lerp(_take_cols(x, j), _take_cols(x, (j + 1).clamp(max=w - 1)), (cols - before)[:, None, None, :])


def _take_rows(x: Shaped[Tensor, "n c h w"], rows: Int64[Tensor, "n r"]) -> Shaped[Tensor, "n c r w"]:
    n, c, h, w = x.shape
    first = torch.arange(n * c, device=x.device).view(n, c, 1) * h
    lines = (first + rows[:, None]).view(-1)
    return x.reshape(n * c * h, w).index_select(0, lines).view(n, c, rows.shape[1], w)


def _take_cols(x: Shaped[Tensor, "n c r w"], cols: Int64[Tensor, "n s"]) -> Shaped[Tensor, "n c r s"]:
    n, c, r, _ = x.shape
    return x.gather(3, cols[:, None, None, :].expand(n, c, r, -1))
