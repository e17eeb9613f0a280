"""Images and labels of a batch that names its parts, as data sets of Hugging Face and many loaders do."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

__all__ = ["images_and_labels", "named_parts"]

IMAGES = ("image", "images", "img", "imgs", "pixel_values", "x", "input", "inputs", "data", "pixels")
LABELS = ("label", "labels", "target", "targets", "y", "class", "classes", "fine_label", "coarse_label", "label_ids")


def named_parts(batch: object) -> Mapping[str, object] | None:
    """Return the parts of a mapping, a dataclass or a named tuple by name; None if they have no names."""
    if isinstance(batch, Mapping):
        return batch
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        named = dict(zip(batch._fields, batch, strict=True))
        return named if any(name in named for name in IMAGES) else None
    if is_dataclass(batch) and not isinstance(batch, type):
        return {field.name: getattr(batch, field.name) for field in fields(batch)}
    return None


def images_and_labels(named: Mapping[str, object]) -> tuple[object, object]:
    """Return the images and the labels, each under the first of its usual names; None for what has none of them."""
    x, y = (next((named[name] for name in names if name in named), None) for names in (IMAGES, LABELS))
    return x, y
