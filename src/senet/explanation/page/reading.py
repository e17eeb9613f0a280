"""Read the two files of an explanation: `explain.json` and `sums.safetensors`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from senet.errors import DataError
from senet.files.documents import DocumentError, parse_json, read_bytes, read_text

__all__ = ["SCHEMA", "Explained", "read_explained"]

SCHEMA = 1
"""Version of `explain.json` that this code reads."""


@dataclass(frozen=True)
class Explained:
    """An explanation as it lies on disk."""

    document: dict[str, Any]
    sums: dict[str, np.ndarray]
    """Means and standard deviations by class, such as `3.class_mean`; float32."""


def read_explained(folder: Path) -> Explained:
    """Read an explanation from its folder.

    Raises:
        DataError: if a file is missing or damaged, or another version of senet wrote it.
    """
    path = folder / "explain.json"
    try:
        document = parse_json(read_text(path))
        sums = load(read_bytes(folder / "sums.safetensors"))
    except OSError as error:
        raise DataError(f"{error.filename}: {error.strerror}; make it with `senet explain`.") from None
    except DocumentError as error:
        raise DataError(f"{path}: it is damaged: {error}; make it again with `senet explain`.") from None
    except (SafetensorError, ValueError) as error:
        place = folder / "sums.safetensors"
        raise DataError(f"{place}: it is damaged: {error}; make it again with `senet explain`.") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise DataError(f"{path}: schema = {schema!r}, this senet reads {SCHEMA}; make it again with `senet explain`.")
    return Explained(document, sums)
