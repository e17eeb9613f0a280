"""The description of a network in an exported file: an ONNX file, or a program of torch.export."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from senet.errors import CheckpointError, not_installed
from senet.files.documents import DocumentError, parse_json

__all__ = ["DESCRIPTION", "FORMAT", "PROGRAM", "SUFFIXES", "is_exported", "read_exported"]

PROGRAM = ".pt2"
SUFFIXES = (".onnx", PROGRAM)
DESCRIPTION = "senet"
"""Name of the text in the file."""
FORMAT = "senet-export-1"
LONGEST = 2**24  # [bytes]


def is_exported(path: str | Path) -> bool:
    """Return whether a path is an ONNX file or a program."""
    return Path(path).suffix in SUFFIXES and Path(path).is_file()


def read_exported(path: str | Path) -> Mapping[str, Any]:
    """Return what `senet.export` has written into a file. Nothing in the file is run.

    Args:
        path: the file.

    Raises:
        CheckpointError: if it is damaged, or other programs wrote it.
        UsageError: if onnx is not installed.
    """
    path = Path(path)
    facts = path.stat()
    return _read(path.absolute(), facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=8)
def _read(path: Path, modified: int, size: int) -> Mapping[str, Any]:
    text = _of_program(path) if path.suffix == PROGRAM else _of_onnx(path)
    if not text or len(text) > LONGEST:
        raise CheckpointError(
            f"{path} was not written by senet.export, so its images are not known; export it by senet."
        )
    try:
        found = parse_json(text)
    except DocumentError as error:
        raise CheckpointError(f"{path}: its description is damaged ({error}); export it again.") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise CheckpointError(f"{path} is of another version; this version of senet reads {FORMAT}.")
    return found


def _of_onnx(path: Path) -> str:
    try:
        import onnx
    except ImportError as error:
        raise not_installed(f"reading {path.name}", "onnx", extra="export") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # of protobuf's own classes
        raise CheckpointError(f"{path} is damaged: it is not an ONNX file; export it again.") from error
    return next((entry.value for entry in model.metadata_props if entry.key == DESCRIPTION), "")


def _of_program(path: Path) -> str:
    try:
        with ZipFile(path) as archive:
            name = next((one for one in archive.namelist() if one.endswith(f"/extra/{DESCRIPTION}")), "")
            if not name or archive.getinfo(name).file_size > LONGEST:
                return ""
            return archive.read(name).decode("utf-8")
    except (OSError, ValueError, BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged: it is not a program of torch.export; export it again.") from error
