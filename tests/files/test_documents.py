"""One reader of JSON and TOML: plain files only, and one kind of error."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from senet.files.documents import DocumentError, parse_json, parse_toml, read_bytes, read_text


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


@pytest.mark.parametrize(
    "make",
    [os.mkfifo, Path.mkdir, bind, lambda path: path.symlink_to("/etc/hostname"), lambda path: path.symlink_to(path)],
)
def test_only_plain_files_are_read_and_none_is_waited_for(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(tmp_path / "x")
    with pytest.raises(OSError, match="not a regular file"):
        read_bytes(tmp_path / "x")


def test_text_is_utf8(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("größe".encode())
    assert read_text(tmp_path / "x") == "größe"
    (tmp_path / "x").write_bytes(b"\xef\xbb\xbf" + "größe".encode())  # as Notepad writes it
    assert read_text(tmp_path / "x") == "größe"
    (tmp_path / "x").write_bytes(b"caf\xe9")
    with pytest.raises(DocumentError, match=r"it is not UTF-8 .* at byte 3.; save it as UTF-8"):
        read_text(tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        read_text(tmp_path / "y")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"a":' * 100_000, "nested too deeply"),
        ("9" * 5000, "too many digits"),
        (f'{{"a": [{"1" * 4301}]}}', "too many digits"),
        ("NaN", "NaN is not a finite number"),
        ("[-Infinity]", "-Infinity is not a finite number"),
        ("1e400", "1e400 is not a finite number"),
        ("{", "line 1 column 2"),
        ("", "line 1 column 1"),
    ],
    ids=lambda text: text[:20],
)
def test_json_that_python_stumbles_over_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse_json(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 10_000, "nested too deeply"),
        ("a = " + "{b = " * 10_000, "nested too deeply"),
        ("a = " + "9" * 5000, "too many digits"),
        ("a = ", "Invalid value"),
        ("a = 1\na = 2", "overwrite"),
    ],
    ids=lambda text: text[:20],
)
def test_toml_that_python_stumbles_over_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        parse_toml(text)


def test_what_is_right_is_read() -> None:
    assert parse_json('{"a": [1, 2.5, null, "ü"]}') == {"a": [1, 2.5, None, "ü"]}
    assert parse_toml("a = [1, inf]") == {"a": [1, float("inf")]}
