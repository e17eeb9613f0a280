"""A folder is looked at once; what changed is looked at again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.images import encoded, pixels

from senet.data import DataSpec, image_checks, load

SPEC = DataSpec(name="folder", size=24)


@pytest.fixture
def looked(tree, tmp_path, monkeypatch):
    """A folder that has been read, with files that are old enough to be believed, and a list of what is read again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(image_checks, "SETTLED", -(10**18))
    again: list[str] = []
    look = image_checks.examine
    monkeypatch.setattr(image_checks, "examine", lambda item, whole: again.append(Path(item).name) or look(item, whole))
    first = load(SPEC, root=tree)
    assert len(again) == 24
    again.clear()
    return tree, first, again


def test_a_second_start_reads_no_picture_again_and_finds_the_same(looked, monkeypatch):
    tree, first, again = looked
    monkeypatch.setattr(image_checks, "decode_all", None)  # mean and deviation are recalled too
    second = load(SPEC, root=tree)
    assert not again
    assert (second.fingerprint, second.mean, second.std) == (first.fingerprint, first.mean, first.std)


def test_a_picture_replaced_by_one_of_equal_length_and_time_is_noticed(looked):
    tree, first, again = looked
    path = tree / "train" / "cat" / "1.png"
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[-3] ^= 1  # in the checksum of the last chunk, which no decoder looks at
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert path.stat().st_size == status.st_size
    assert load(SPEC, root=tree, on_bad_image="skip").fingerprint != first.fingerprint
    assert again == ["1.png"]


@pytest.mark.parametrize("change", ["new", "gone", "broken", "renamed"])
def test_only_what_changed_is_looked_at(looked, change):
    tree, first, again = looked
    path = tree / "val" / "dog" / "2.jpg"
    if change == "new":
        path.with_name("new.jpg").write_bytes(encoded(pixels(1, 5)[0], "JPEG"))
    elif change == "gone":
        path.unlink()
    elif change == "broken":
        path.write_bytes(path.read_bytes()[:80])
    else:
        path.rename(path.with_name("9.jpg"))
    data = load(SPEC, root=tree, on_bad_image="skip")
    assert data.fingerprint != first.fingerprint
    assert again == {"new": ["new.jpg"], "gone": [], "broken": ["2.jpg"], "renamed": ["9.jpg"]}[change]


def test_a_file_that_has_just_changed_is_not_believed(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load(SPEC, root=tree)
    again: list[object] = []
    look = image_checks.examine
    monkeypatch.setattr(image_checks, "examine", lambda item, whole: again.append(item) or look(item, whole))
    load(SPEC, root=tree)
    assert len(again) == 24


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": "", "value": {"train/cat/0.jpg": [1, 2]}}'])
def test_a_damaged_memory_is_no_memory(looked, tmp_path, content):
    tree, first, again = looked
    for file in (tmp_path / "cache" / "senet").glob("*.json"):
        file.write_text(content)
    assert load(SPEC, root=tree).fingerprint == first.fingerprint
    assert len(again) == 24


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_second_start_of_ten_thousand_photographs_takes_less_than_two_seconds(tmp_path):
    shots = [encoded(pixels(1, seed, side=96)[0], "JPEG") for seed in range(50)]
    for split, count in (("train", 800), ("val", 200)):
        for label in range(10):
            folder = tmp_path / "photos" / split / f"class{label}"
            folder.mkdir(parents=True)
            for i in range(count):
                (folder / f"{i}.jpg").write_bytes(shots[i % 50] + f"{split} {label} {i}".encode())
    time.sleep(2.5)
    code = (
        "import sys, time; from pathlib import Path\n"
        "from senet.data.loading import load; from senet.data import DataSpec\n"
        "begun = time.process_time(); data = load(DataSpec(name='folder'), root=Path(sys.argv[1]))\n"
        "print(time.process_time() - begun, data.fingerprint)"  # of this process: others may be busy
    )
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    command = [sys.executable, "-c", code, str(tmp_path / "photos")]
    (first, one), (second, two) = (
        subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.split() for _ in range(2)
    )
    print(f"first {first} s, second {second} s")
    assert one == two
    assert float(second) < 2
