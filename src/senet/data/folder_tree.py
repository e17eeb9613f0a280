"""List the images in a tree of class folders, and count the files that are not read."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from senet.data.labels import is_text, printable
from senet.errors import DataError
from senet.text import listed

__all__ = ["READ", "Passed", "class_folders", "is_of_a_tool", "pictures"]

READ = tuple(".jpg .jpeg .jpe .jfif .png .webp .bmp .gif .tif .tiff .ppm .pgm .pbm .pnm".split())
"""Suffixes of the images that are read; a file without a suffix is recognized by its first bytes."""

_NOT_READ = frozenset(
    """.apng .arw .avif .cr2 .cr3 .dcm .dds .dng .eps .exr .fits .hdr .heic .heif .icns .ico .j2k .jls .jp2 .jpx
    .jxl .jxr .mpo .nef .nii .npy .orf .pcx .pef .pfm .psd .raf .raw .rw2 .srw .svg .svgz .tga .wbmp .xbm .xcf
    .xpm""".split()
)
_TOOLS = frozenset(  # in lower case; names that start with a dot are hidden
    """@eadir @recycle @recently-snapshot @tmp __macosx __pycache__ lost+found #recycle #snapshot $recycle.bin recycler
    thumbs thumbnails _thumbs _thumbnails""".split()
) | {"system volume information"}
_ARCHIVES = (".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".npz", ".h5", ".tfrecord", ".lmdb")
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"P4\n", b"P5\n", b"P6\n")
_SHOWN = 5


@dataclass
class Passed:
    """Counts of the files that were skipped in a folder of images.

    Attributes:
        tools: images in hidden folders and in those of tools, by the name of the folder.
        unread: images of formats that are not read, by suffix.
        packed: archives, which may hold images, by suffix.
        strays: images beside the class folders, by their folder.
    """

    tools: Counter[str] = field(default_factory=Counter)
    unread: Counter[str] = field(default_factory=Counter)
    packed: Counter[str] = field(default_factory=Counter)
    strays: Counter[str] = field(default_factory=Counter)

    def notes(self, root: Path) -> tuple[str, ...]:
        """Describe the skipped files, one sentence for each kind."""
        kinds = (
            (self.tools, "hidden images, and images in folders of tools, were skipped"),
            (self.unread, "images in unsupported formats were skipped"),
            (self.packed, "archives are not read, unpack them"),
            (self.strays, "images beside the class folders were skipped, as they belong to no class"),
        )
        return tuple(
            f"{printable(root.name)}: {sum(counts.values())} {what}: {_listed(counts)}"
            for counts, what in kinds
            if counts
        )


def _listed(counts: Counter[str]) -> str:
    return listed([f"{printable(name)} ({number})" for name, number in counts.most_common()], _SHOWN)


def class_folders(root: Path, passed: Passed | None = None) -> list[str]:
    """List the folders in a folder that can be classes or splits, in the order of their names.

    Raises:
        DataError: if the folder cannot be read, a name is not UTF-8, or a link is broken.
    """
    found = []
    for entry in _entries(root):
        name = entry.name
        if _is_folder(entry):
            if not is_of_a_tool(name):
                _check_name(root, name)
                found.append(name)
            elif passed is not None:
                passed.tools[name] += sum(1 for _ in _within(Path(entry.path)))
        elif (
            entry.is_symlink()
            and not name.startswith(".")
            and not PurePath(name).suffix
            and not Path(entry.path).exists()
        ):
            raise DataError(f"{root}: '{printable(name)}' is a broken link; repair or delete it.")
        elif passed is not None and (suffix := PurePath(name).suffix.lower()) in _ARCHIVES:
            passed.packed[suffix] += 1
        elif passed is not None and not name.startswith("."):
            passed.strays[root.name] += _is_read(entry)
    if passed is not None:
        passed.tools += Counter()  # drops folders without images
        passed.strays += Counter()
    return sorted(found)


def pictures(folder: Path, passed: Passed) -> Iterator[Path]:
    """Yield the images of a class, also in folders below it, in the order of their names.

    Raises:
        DataError: if a folder cannot be read, or a name is not UTF-8.
    """
    yield from _walk(folder, passed, set())


def _walk(folder: Path, passed: Passed, seen: set[str]) -> Iterator[Path]:
    seen.add(os.path.realpath(folder))  # links are followed, since data are often on another disk; cycles end here
    inner = []
    for entry in _entries(folder):
        name = entry.name
        if _is_folder(entry):
            if is_of_a_tool(name):
                if number := sum(1 for _ in _within(Path(entry.path))):
                    passed.tools[name] += number
            else:
                inner.append(Path(entry.path))
        elif name.startswith("."):
            passed.tools["hidden files"] += _is_read(entry)
        elif _is_read(entry):
            _check_name(folder, name)
            yield Path(entry.path)
        elif (suffix := PurePath(name).suffix.lower()) in _ARCHIVES:
            passed.packed[suffix] += 1
        elif kind := _unread(entry):
            passed.unread[kind] += 1
    passed.tools += Counter()
    for place in sorted(inner):
        if os.path.realpath(place) not in seen:
            _check_name(folder, place.name)
            yield from _walk(place, passed, seen)


def _within(folder: Path) -> Iterator[Path]:
    """Yield the images below a folder that is skipped, without following links."""
    for place, _, files in os.walk(folder):
        yield from (Path(place, file) for file in files if file.lower().endswith(READ))


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(f"{printable(str(folder))} cannot be read: {error.strerror}; fix its permissions.") from error


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def is_of_a_tool(name: str) -> bool:
    """Return whether the name of a folder is hidden or that of a tool."""
    return name.startswith(".") or name.lower() in _TOOLS


def _is_read(entry: "os.DirEntry[str]") -> bool:
    suffix = PurePath(entry.name).suffix.lower()
    return suffix in READ or (not suffix and _starts_like_a_picture(entry))


def _unread(entry: "os.DirEntry[str]") -> str:
    """Return the suffix of an image whose format is not read; empty for other files."""
    suffix = PurePath(entry.name).suffix.lower()
    return suffix if suffix in _NOT_READ or _starts_like_a_picture(entry) else ""


def _starts_like_a_picture(entry: "os.DirEntry[str]") -> bool:
    try:
        if not entry.is_file():  # reading a pipe would block
            return False
        with Path(entry.path).open("rb") as file:
            start = file.read(12)
    except OSError:
        return False
    return start.startswith(_STARTS) or (start[:4] == b"RIFF" and start[8:] == b"WEBP") or start[4:8] == b"ftyp"


def _check_name(folder: Path, name: str) -> None:
    if not is_text(name):
        raise DataError(
            f"{printable(str(folder))}: the name '{printable(name)}' is not UTF-8; rename it, since results hold it."
        )
