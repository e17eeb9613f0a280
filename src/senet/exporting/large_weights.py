"""Weights that are too large for one ONNX file: the file of their own beside it, and what remains of an older one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from senet.files.atomic import storage_error

__all__ = ["EXTERNAL_ABOVE", "name_beside", "replacing"]

EXTERNAL_ABOVE = 1_900_000_000
"""Bytes of weights above which they lie in a file of their own: protobuf ends at 2 GiB."""


def name_beside(path: Path, digest: str) -> str:
    """Return the name of the file of the weights of an ONNX file.

    It holds the hash of the weights, so that an older ONNX file of the same name keeps its own weights until it is
    replaced.

    Args:
        path: the ONNX file.
        digest: hash of the weights.
    """
    return f"{path.name}-{digest[:12]}.data"


@contextmanager
def replacing(path: Path) -> Iterator[None]:
    """Remove the weights of the file that was there before, if the context wrote a new one.

    Raises:
        StorageError: if they cannot be removed.
    """
    before = {file: file.stat().st_mtime_ns for file in _beside(path)}
    yield
    for file in _beside(path):
        try:
            if file.stat().st_mtime_ns == before.get(file):
                file.unlink(missing_ok=True)
        except FileNotFoundError:  # another export has removed it
            continue
        except OSError as error:
            raise storage_error(file, error) from error


def _beside(path: Path) -> list[Path]:
    if not path.parent.is_dir():
        return []
    start = f"{path.name}-"
    return [file for file in path.parent.iterdir() if file.name.startswith(start) and file.suffix == ".data"]
