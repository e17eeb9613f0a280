"""Locations of weights: a file, a folder, or a repository of the Hugging Face Hub as `hf:owner/name`."""

import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from senet.errors import CheckpointError, not_installed, reason_of

__all__ = ["CONFIG", "HUB", "WEIGHTS", "beside", "hub_calls", "locate"]

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
            with hub_calls():
                return Path(huggingface_hub.hf_hub_download(name, file, revision=revision or None))
        except LocalEntryNotFoundError as error:
            reason = "the Hub cannot be reached or is disabled, and the file is not in the cache"
            raise CheckpointError(_sentence(repository, file, reason)) from error
        except EntryNotFoundError:
            continue
        except Exception as error:  # an invalid name, a private or deleted repository, a proxy's reply, ...
            reason = reason_of(error)
            raise CheckpointError(_sentence(repository, file, reason)) from error
    return None


@contextmanager
def hub_calls() -> Iterator[None]:
    """Suppress the Hub's warnings about retries, and do not retry where its address cannot be resolved.

    Then only its cache is used, and the caller reports the outcome.
    """
    from huggingface_hub import constants

    logger = logging.getLogger("huggingface_hub")
    before = logger.level, constants.HF_HUB_OFFLINE
    logger.setLevel(logging.ERROR)
    try:
        constants.HF_HUB_OFFLINE = before[1] or not _resolves(constants.ENDPOINT)
        yield
    finally:
        logger.setLevel(before[0])
        constants.HF_HUB_OFFLINE = before[1]


def _resolves(address: str) -> bool:
    """Return whether the host of an address is known here, or a proxy may know it."""
    if getproxies():
        return True
    try:
        return bool(socket.getaddrinfo(urlsplit(address).hostname, None))
    except OSError:
        return False


def _sentence(repository: str, file: str, reason: str) -> str:
    return (
        f"{HUB}{repository}: cannot get {file}: {reason}; check the name and the network connection, or use a local "
        "folder."
    )
