"""What an exported file says of itself: design, classes, preprocessing, input, hash of the weights, versions."""

import hashlib
import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from torch import nn

from senet.exporting.example import Example
from senet.surgery.folding.answers import class_of
from senet.version import __version__
from senet.weights.config import Config, Preprocessing
from senet.weights.exported_file import DESCRIPTION, FORMAT

__all__ = ["metadata_of", "weights_hash"]

LIBRARIES = ("torch", "onnx", "onnxscript", "onnxruntime")


def metadata_of(
    model: nn.Module,
    example: Example,
    *,
    config: Config | None,
    preprocessing: Preprocessing | None,
    classes: Mapping[int, str] | None,
    changes: Mapping[str, Any],
) -> dict[str, str]:
    """Return the texts that a file holds, by name.

    Args:
        model: the network.
        example: its input.
        config: its description; None if it is not known.
        preprocessing: of its images; None uses that of the description.
        classes: name of the class of every output; None if they are not known.
        changes: what was changed before the export, by the name of the option.
    """
    seen = preprocessing or (None if config is None else config.preprocessing)
    described = {
        "format": FORMAT,
        "title": class_of(model) if config is None else config.model,
        "network": None if config is None else config.as_json(),
        "preprocessing": None if seen is None else vars(seen),
        "classes": dict(classes or {}),
        "input": {"shape": list(example.shape), "dynamic": list(example.axes.values())},
        "changes": dict(changes),
        "versions": {"senet": __version__, **{name: found for name in LIBRARIES if (found := _version(name))}},
    }
    return {DESCRIPTION: json.dumps(described), "weights": weights_hash(model)}


def weights_hash(model: nn.Module) -> str:
    """Return the SHA-256 of the tensors of a network: their names, types, shapes and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""
