"""Locations of weights: a file, a folder, or a repository of the Hugging Face Hub as `hf:owner/name`."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from senet.errors import CheckpointError, not_installed

__all__ = ["CONFIG", "HUB", "WEIGHTS", "beside", "locate"]

HUB = "hf:"
CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""File names in a folder or a repository, in order of preference; `safe` reads the pickle."""


def locate(source: str | Path, names: Sequence[str] = WEIGHTS) -> Path:
    """Return the path of a weights file, downloading it from the Hub if necessary.

    Args:
        source: path of a file, path of a folder, or `hf:owner/name`, with `@revision` for a branch, tag or commit.
        names: file names to look for in a folder or a repository; the first one that exists counts.

    Raises:
        CheckpointError: if the file or folder does not exist, or the Hub does not provide it.
        UsageError: if huggingface-hub is not installed.
    """
    text = str(source)
    if text.startswith(HUB):
        found = _from_hub(text.removeprefix(HUB), names)
    elif (path := Path(source).expanduser()).is_file():
        return path
    elif path.is_dir():
        found = next((path / name for name in names if (path / name).is_file()), None)
    else:
        hint = f"; write {HUB}{text} for a repository of the Hub" if text.count("/") == 1 else ""
        raise CheckpointError(f"{path} does not exist; pass the path of a weights file or its folder{hint}.")
    if found is None:
        raise CheckpointError(f"{source} has no {' or '.join(names)}; pass the path of the file itself.")
    return found


def beside(source: str | Path, name: str) -> Path | None:
    """Return a file next to the weights, in the same folder or repository; None if it does not exist.

    Args:
        source: as for `locate`; for a single file, its folder is searched only if it is called `model.safetensors`.
        name: name of the other file.
    """
    text = str(source)
    if text.startswith(HUB):
        return _from_hub(text.removeprefix(HUB), (name,))
    path = Path(source).expanduser()
    folder = path.parent if path.name == WEIGHTS[0] else path
    return folder / name if (folder / name).is_file() else None


def _from_hub(repository: str, names: Sequence[str]) -> Path | None:
    try:
        import huggingface_hub
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ModuleNotFoundError as error:
        raise not_installed(f"{HUB}{repository}", "huggingface-hub", extra="hub") from error
    name, _, revision = repository.partition("@")
    for file in names:
        try:
            with _quiet(logging.getLogger("huggingface_hub")):
                return Path(huggingface_hub.hf_hub_download(name, file, revision=revision or None))
        except LocalEntryNotFoundError as error:
            reason = "the Hub cannot be reached or is disabled, and the file is not in the cache"
            raise CheckpointError(_sentence(repository, file, reason)) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # an invalid name, a private or deleted repository, a proxy's reply, ...
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
            raise CheckpointError(_sentence(repository, file, reason)) from error
    return None


@contextmanager
def _quiet(logger: logging.Logger) -> Iterator[None]:
    """Suppress a library's warnings about retries; the caller reports the outcome."""
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _sentence(repository: str, file: str, reason: str) -> str:
    return (
        f"{HUB}{repository}: cannot get {file}: {reason}; check the name and the network connection, or use a local "
        "folder."
    )
