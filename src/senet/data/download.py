"""Download the published archives by torchvision, which checks their MD5."""

from pathlib import Path

from senet.data.dataset_paths import need
from senet.errors import DataError, reason_of

__all__ = ["fetch", "fetch_archive"]


def fetch(title: str, url: str, *, md5: str, into: Path) -> None:
    """Download a file.

    Raises:
        DataError: if the file cannot be downloaded or is not the published one.
        UsageError: if torchvision is not installed.
    """
    _run("download_url", title, url, md5=md5, into=into)


def fetch_archive(title: str, url: str, *, md5: str, into: Path) -> None:
    """Download an archive, check its digest, and unpack it; the arguments are those of `fetch`."""
    _run("download_and_extract_archive", title, url, md5=md5, into=into)


def _run(action: str, title: str, url: str, *, md5: str, into: Path) -> None:
    tools = need("torchvision.datasets.utils", package="torchvision", purpose="downloading")
    call = {"download_url": tools.download_url, "download_and_extract_archive": tools.download_and_extract_archive}
    try:
        into.mkdir(parents=True, exist_ok=True)
        call[action](url, str(into), filename=url.rpartition("/")[2], md5=md5)
    except (OSError, RuntimeError, ValueError) as error:  # no network, no disk, another MD5
        reason = reason_of(error)
        raise DataError(
            f"{title} could not be downloaded from {url} into {into} ({reason}). Fetch it elsewhere and copy it there."
        ) from error
