"""Thumbnails of images as data URLs."""

import base64
import io
from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["thumbnail"]

SIDE = 48  # pixels


def thumbnail(x: Tensor, *, mean: Sequence[float] = (), std: Sequence[float] = ()) -> str | None:
    """Return an image as a data URL of a PNG or JPEG of at most 48 pixels; None if it is not an image.

    Of a volume the middle slice is shown, of more than three channels the first.

    Args:
        x: the input of the network `(c, ...)`.
        mean: mean of each channel that was subtracted; empty stretches the image from black to white.
        std: standard deviation of each channel by which it was divided.
    """
    from PIL import Image

    picture = x.detach().float().cpu()
    while picture.ndim > 3:
        picture = picture[:, picture.shape[1] // 2]
    if picture.ndim != 3:
        return None
    if len(mean) == len(picture) == len(std):
        picture = picture * torch.tensor(std).view(-1, 1, 1) + torch.tensor(mean).view(-1, 1, 1)
    else:
        low, high = picture.min(), picture.max()
        picture = (picture - low) / (high - low).clamp(min=1e-12)
    picture = picture if len(picture) == 3 else picture[:1]
    data = (picture.nan_to_num(nan=0.0).clamp(0, 1) * 255).round().byte().permute(1, 2, 0).squeeze(2).contiguous()
    made = Image.fromarray(data.numpy())
    made.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    if max(x.shape[-2:]) > SIDE:
        made.convert("RGB").save(file, "JPEG", quality=80)
        return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    made.save(file, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
