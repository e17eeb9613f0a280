"""Read checkpoints of earlier versions of senet, so that a stopped run can be resumed.

Such a checkpoint is a folder with `model.safetensors`, `state.pt`, and `manifest.json`: size and SHA-256 of the others.
"""

import hashlib
import io
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from senet.errors import CheckpointError
from senet.files.documents import parse_json, read_bytes

__all__ = ["read_earlier"]


def read_earlier(path: Path) -> dict[str, Any]:
    """Read a checkpoint that is a folder.

    Returns:
        `step`, `weights` and `state`.

    Raises:
        CheckpointError: if it is damaged.
    """
    try:
        manifest = parse_json(read_bytes(path / "manifest.json").decode())
        files = {name: read_bytes(path / name) for name in ("model.safetensors", "state.pt")}
        for name, data in files.items():
            if hashlib.sha256(data).hexdigest() != manifest["files"][name]["sha256"]:
                raise ValueError(f"the SHA-256 of {name} is not that of the manifest")
        if path.name != f"step-{manifest['step']:08d}":
            raise ValueError(f"its manifest says step {manifest['step']}")
        return {
            "step": manifest["step"],
            "weights": safetensors.torch.load(files["model.safetensors"]),
            "state": torch.load(io.BytesIO(files["state.pt"]), map_location="cpu", weights_only=True),
        }
    except Exception as error:
        reason = f"it lacks {error}" if isinstance(error, KeyError) else str(error).strip().partition("\n")[0]
        raise CheckpointError(f"{path}, of an earlier version of senet, is damaged: {reason}.") from error
