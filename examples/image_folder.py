"""The images of the examples: a folder of yours, or scikit-learn's handwritten digits written as PNG files."""

import os
import sys
from pathlib import Path

__all__ = ["image_folder"]


def image_folder(side: int = 16) -> Path:
    """Return a folder with `train/CLASS/*.png` and `val/CLASS/*.png`.

    The first argument of the script or the variable `SENET_IMAGES` names a folder of your own. Without them 1,797 real
    digits of 8x8 pixels are written to `digits/`, resized to `side` pixels.
    """
    given = os.environ.get("SENET_IMAGES") or next((word for word in sys.argv[1:] if Path(word).is_dir()), None)
    if given:
        return Path(given)
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        folder = Path("digits", "train" if number < 1397 else "val", str(label))
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((image * 15).astype("uint8")).resize((side, side)).save(folder / f"{number:04}.png")
    return Path("digits")
