"""Damaged and hostile files of every kind: a right record or one line, no crash, no hang, no full memory."""

import io
import json
import os
import pickle
import random
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import io as matlab
from support.images import encoded, pixels
from support.mutations import as_file, judge, mutants

from senet.data import DataSpec, load
from senet.data.cifar import read_binary_batch, read_python_batch
from senet.data.cifar_files import CIFARS
from senet.data.image_decoding import UnreadableImage, decode, quiet
from senet.data.parquet import find_shards, read_shards
from senet.data.svhn import read_split as read_mat
from senet.data.unpickle import read_pickle
from senet.errors import DataError

FEW, MANY = 100, 20_000


def shard(names: list[str] | None = None, rows: int = 12, **options: object) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    blobs = [{"bytes": encoded(image), "path": ""} for image in pixels(rows, 0, side=8)]
    table = pa.table({"image": blobs, "label": [i % 3 for i in range(rows)]})
    features = {"info": {"features": {"label": {"names": names or ["a", "b", "c"]}}}}
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(features)}), file, **options)
    return file.getvalue()


def mat(compressed: bool = True) -> bytes:
    file = io.BytesIO()
    labels = np.arange(1, 7, dtype=np.uint8)[:, None]
    matlab.savemat(file, {"X": pixels(6, 0).transpose(2, 3, 1, 0), "y": labels}, do_compression=compressed)
    return file.getvalue()


def batch(protocol: int = 2) -> bytes:
    content = {b"data": pixels(5, 0).reshape(5, -1), b"labels": [0, 1, 2, 3, 4], b"filenames": [b"a.png"] * 5}
    return pickle.dumps(content, protocol=protocol)


def picture(form: str) -> bytes:
    return encoded(pixels(1, 0, side=24)[0], form)


def read_picture(content: bytes) -> object:
    try:
        with quiet():
            return decode(content)
    except UnreadableImage as error:
        raise DataError(str(error)) from error


READERS: dict[str, tuple[Callable[[], bytes], Callable[[Path], object]]] = {
    "pickle": (batch, read_pickle),
    "pickle of protocol 5": (lambda: batch(5), read_pickle),
    "binary": (
        lambda: pixels(1, 0, side=40).tobytes()[: 3073 * 1],
        lambda path: read_binary_batch(CIFARS["cifar10"], path),
    ),
    "parquet": (shard, lambda path: read_shards([path])),
    "parquet with zstd": (lambda: shard(compression="zstd"), lambda path: read_shards([path])),
    "mat": (mat, read_mat),
    "mat without compression": (lambda: mat(compressed=False), read_mat),
    **{
        form: (lambda form=form: picture(form), lambda path: read_picture(path.read_bytes()))  # type: ignore[misc]
        for form in ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
    },
}


@pytest.mark.parametrize("kind", READERS)
def test_a_damaged_file_is_read_or_refused(kind, tmp_path):
    make, read = READERS[kind]
    verdict = judge(as_file(read, tmp_path / "file"), mutants(make(), count=FEW, seed=1))
    assert not verdict.faults, verdict


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", READERS)
def test_none_of_many_damaged_files_breaks_its_reader(kind, tmp_path):
    make, read = READERS[kind]
    verdict = judge(as_file(read, tmp_path / "file"), mutants(make(), count=MANY, seed=2))
    print(kind, verdict)
    assert not verdict.faults, verdict


def disturb(root: Path, rng: random.Random) -> None:
    """Do to a folder of images what people and tools do to it."""
    places = [root, *(path for path in root.rglob("*") if path.is_dir() and not path.is_symlink())]
    place = rng.choice(places)
    files = sorted(path for path in root.rglob("*") if path.is_file())
    name = rng.choice(
        ["cat", "val", "x.jpg", "@eaDir", ".x", "caf\udce9", "a\nb", "train-00000-of-00002.parquet", "test"]
    )
    new = place / name
    match rng.randrange(8):
        case 0 if files:
            rng.choice(files).unlink()
        case 1 if files:
            rng.choice(files).write_bytes(rng.randbytes(rng.choice((0, 50))))
        case 2 if not os.path.lexists(new):
            new.mkdir()
        case 3 if not os.path.lexists(new):
            new.symlink_to(rng.choice([new, root, root / "nowhere", place]))
        case 4 if not os.path.lexists(new):
            os.mkfifo(new)
        case 5 if files:
            rng.choice(files).rename(
                rng.choice(places) / f"{rng.randrange(99)}{rng.choice(['.jpg', '.TIF', '', '.avif'])}"
            )
        case 6 if place != root:
            place.rename(
                place.with_name(rng.choice(["other", "VAL", "#recycle", "\udcff", "test"]) + str(rng.randrange(9)))
            )
        case _:
            (place / f"{rng.randrange(99)}.txt").write_text("notes")


def disturbed(root: Path) -> Callable[[bytes], object]:
    def read(seed: bytes) -> object:
        rng = random.Random(seed)
        here = root / str(os.getpid()) / seed.decode()
        for split in ("train", "val"):
            for name in ("cat", "dog"):
                (here / split / name).mkdir(parents=True)
                for i in range(3):
                    (here / split / name / f"{i}.png").write_bytes(encoded(pixels(1, i + len(name), side=8)[0]))
        for _ in range(rng.choice((1, 2, 4))):
            disturb(here, rng)
        return load(DataSpec(name="folder"), root=here, on_bad_image=rng.choice(("error", "skip")))

    return read


@pytest.mark.parametrize("count", [40, pytest.param(5_000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])])
def test_a_disturbed_folder_is_read_or_refused(count, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    load(DataSpec())  # what is imported late is imported before the children are made
    verdict = judge(disturbed(tmp_path), [str(i).encode() for i in range(count)])
    assert not verdict.faults, verdict
    assert verdict.outcomes["read"] > count // 10


def nested_key() -> bytes:
    """A tuple of two of a tuple of two ..., 26 deep, as a key: its hash takes 2^26 steps in C."""
    return b"\x80\x02}(" + b")" + b"".join(b"q%c0h%ch%c\x86" % (i, i, i) for i in range(26)) + b"K\x01u."


def bombs() -> dict[str, tuple[bytes, Callable[[Path], object]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    def parquet(columns: dict[str, object], note: str | None = None, **options: object) -> bytes:
        file = io.BytesIO()
        table = pa.table(columns)
        if note is not None:
            table = table.replace_schema_metadata({"huggingface": note})
        pq.write_table(table, file, **options)
        return file.getvalue()

    def shards(path: Path) -> object:
        return read_shards([path])

    def savemat(**content: object) -> bytes:
        file = io.BytesIO()
        matlab.savemat(file, content, do_compression=True)
        return file.getvalue()

    one = encoded(pixels(1, 0, side=8)[0])
    repeated = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array([bytes(2**20)]))
    x = pixels(2, 0).transpose(2, 3, 1, 0)
    rows = pixels(2, 0).reshape(2, -1)

    def labels(value: object) -> bytes:
        return pickle.dumps({"data": rows, "labels": value}, protocol=2)

    def from_pickle(path: Path) -> object:
        return read_python_batch(CIFARS["cifar10"], path)

    return {
        "nested key": (b"\x80\x02}(" + b")" + b"2\x86" * 26 + b"K\x01u.", read_pickle),
        "nested key through the memo": (nested_key(), read_pickle),
        "set of tuples": (b"\x80\x04\x8f(" + b")" + b"2\x86" * 26 + b"\x90.", read_pickle),
        "frozenset": (b"\x80\x04(" + b")" + b"2\x86" * 26 + b"\x91.", read_pickle),
        "colliding whole numbers as keys": (pickle.dumps({i * (2**61 - 1): 0 for i in range(9)}), read_pickle),
        "a bytearray of 2^40": (b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.", read_pickle),
        "labels that are truth values": (labels([True, False]), from_pickle),
        "labels with fractions": (labels([0.5, 1.0]), from_pickle),
        "labels in an array of fractions": (labels(np.array([0.0, 1.0])), from_pickle),
        "labels of 70 bits": (labels([2**70, 0]), from_pickle),
        "labels of labels": (labels([[0], [1, 2]]), from_pickle),
        "one picture of a megabyte 3000 times": (
            parquet({"image": repeated, "label": [0] * 3000}, store_schema=False, compression="zstd"),
            shards,
        ),
        "64 pictures of equal bytes": (
            parquet(
                {"image": [bytes([i]) * 2**20 for i in range(64)], "label": [0] * 64},
                use_dictionary=False,
                compression="zstd",
            ),
            shards,
        ),
        "a label without a class": (
            parquet(
                {"image": [one] * 3, "label": [0, 1, 3]},
                '{"info": {"features": {"label": {"names": ["a", "b", "c"]}}}}',
            ),
            shards,
        ),
        "truth values": (parquet({"image": [one], "label": [True]}), shards),
        "fractions": (parquet({"image": [one], "label": [0.5]}), shards),
        "texts": (parquet({"image": [one], "label": ["cat"]}), shards),
        "a label of 2^63": (parquet({"image": [one], "label": pa.array([2**63], pa.uint64())}), shards),
        "pictures as lists": (parquet({"image": [[1, 2]], "label": [0]}), shards),
        "names in one text": (
            parquet({"image": [one], "label": [0]}, '{"info": {"features": {"label": {"names": "ab"}}}}'),
            shards,
        ),
        "a name twice": (
            parquet({"image": [one], "label": [0]}, '{"info": {"features": {"label": {"names": ["a", "a"]}}}}'),
            shards,
        ),
        "a name that is not UTF-8": (
            parquet({"image": [one], "label": [0]}, '{"info": {"features": {"label": {"names": ["\\ud800"]}}}}'),
            shards,
        ),
        "no picture bytes": (parquet({"image": [{"path": "x"}], "label": [0]}), shards),
        "a matrix of zeros": (savemat(X=np.zeros((32, 32, 3, 8_000), np.uint8), y=np.ones((8_000, 1))), read_mat),
        "complex labels": (savemat(X=x, y=np.array([1 + 2j, 2])), read_mat),
        "labels of a half": (savemat(X=x, y=np.array([1.5, 2.0])), read_mat),
        "labels that are true": (savemat(X=x, y=np.array([True, True])), read_mat),
        "labels in cells": (savemat(X=x, y=np.array([1, "a"], dtype=object)), read_mat),
    }


def test_small_files_that_claim_much_and_labels_that_are_no_numbers_of_classes_are_refused(tmp_path):
    pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    made = bombs()

    def read(name: bytes) -> object:
        content, reader = made[name.decode()]
        return as_file(reader, tmp_path / "file")(content)

    verdict = judge(read, [name.encode() for name in made], memory_mib=150)
    assert not verdict.faults, verdict
    assert verdict.outcomes == {"DataError": len(made)}, [name for name in made if not refused(read, name)]


def refused(read: Callable[[bytes], object], name: str) -> bool:
    return judge(read, [name.encode()]).outcomes == {"DataError": 1}


def test_a_pickle_with_a_memo_of_two_thousand_million_places_takes_no_memory(tmp_path):
    verdict = judge(as_file(read_pickle, tmp_path / "x"), [b"\x80\x02}r\xff\xff\xff\x7f."], memory_mib=50)
    assert verdict.outcomes == {"read": 1}, verdict


def test_metadata_nested_a_hundred_thousand_times_is_no_list_of_names(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa

    table = pa.table({"image": [encoded(pixels(1, 0)[0])], "label": [0]})
    pq.write_table(table.replace_schema_metadata({"huggingface": "[" * 100_000}), tmp_path / "x.parquet")
    assert read_shards([tmp_path / "x.parquet"])[1] is None


@pytest.mark.parametrize("count", [2, 10**5, 10**11])
def test_a_name_that_promises_many_shards_is_told_the_first_missing_one(tmp_path, count):
    (tmp_path / f"train-00000-of-{count:05d}.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=rf"train shard 00001 of {count:05d} is missing \({count - 1} of"):
        find_shards(tmp_path)


@pytest.mark.parametrize("label", [10**7, 10**12, 10**5])
def test_labels_without_names_may_not_ask_for_a_giant_network(tmp_path, write_shard, label):
    blobs = [encoded(image) for image in pixels(3, 0)]
    for split in ("train", "test"):
        write_shard(tmp_path / f"{split}.parquet", blobs, [0, 1, label], column="image")
    with pytest.raises(DataError, match=rf"label {label} implies more than 100,000 classes"):
        load(DataSpec(name="folder"), root=tmp_path)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    os.chdir(path.parent)  # the address of a socket has 107 characters at most
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)


def dead_link(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")


def looping_link(path: Path) -> None:
    path.symlink_to(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [fifo, unix_socket, dead_link, looping_link, device])
def test_what_is_no_file_among_pictures_is_an_unreadable_image(tree, monkeypatch, make):
    monkeypatch.chdir(tree)
    make(tree / "train" / "cat" / "x.jpg")
    with pytest.raises(DataError, match=r"^1 unreadable image: train/cat/x\.jpg \((not a regular|broken link)"):
        load(DataSpec(name="folder", size=96), root=tree)
    skipped = load(DataSpec(name="folder", size=96), root=tree, on_bad_image="skip")
    assert len(skipped.train) == 16


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [fifo, dead_link, looping_link, device])
@pytest.mark.parametrize("name", ["train.parquet", "train-00000-of-00001.parquet"])
def test_what_is_no_file_among_shards_is_refused(tmp_path, make, name):
    make(tmp_path / name)
    (tmp_path / "test.parquet").write_bytes(shard())
    with pytest.raises(DataError, match=r"not a regular file|cannot be read"):
        load(DataSpec(name="folder"), root=tmp_path)


def test_a_sparse_file_of_nine_gigabytes_is_not_read(cifar10_binary, tree):
    with (cifar10_binary / "cifar-10-batches-bin" / "data_batch_1.bin").open("r+b") as file:
        file.truncate(3073 * 3_000_000)
    with pytest.raises(DataError, match=r"has 9,219,000,000 bytes; files of up to"):
        load(DataSpec(name="cifar10"), root=cifar10_binary)
    with (tree / "val" / "dog" / "0.jpg").open("r+b") as file:
        file.truncate(9 * 2**30)
    with pytest.raises(DataError, match=r"val/dog/0\.jpg \(more than 1024 MiB\)"):
        load(DataSpec(name="folder", size=96), root=tree)


def as_it_claims(content: bytes) -> bytes:
    """Make the footer of a Parquet file claim next to nothing: its numbers keep their length."""
    import pyarrow.parquet as pq

    forged, group = bytearray(content), pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0)
    footer = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    for number in (group.total_byte_size, group.column(0).total_uncompressed_size):
        digits, rest = [], number << 1  # zigzag, seven bits a byte
        while rest:
            digits.append(rest & 127 | 128)
            rest >>= 7
        written = bytes([*digits[:-1], digits[-1] & 127])
        while (at := forged.find(written, footer)) >= 0:
            forged[at : at + len(written)] = b"\x82" + b"\x80" * (len(written) - 2) + b"\0"
    return bytes(forged)


@pytest.mark.parametrize(("packed", "group"), [("zstd", 200), pytest.param("gzip", 40, marks=pytest.mark.slow)])
def test_a_parquet_file_that_claims_less_than_it_inflates_to_is_refused_before_all_of_it_is_there(
    packed, group, tmp_path
):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa

    file = io.BytesIO()
    table = pa.table({"image": [bytes([i]) * 2**20 for i in range(200)], "label": [0] * 200})
    options = {"use_dictionary": False, "write_statistics": False, "row_group_size": group}
    pq.write_table(table, file, compression=packed, **options)
    content = as_it_claims(file.getvalue())
    assert pq.ParquetFile(io.BytesIO(content)).metadata.row_group(0).total_byte_size == 1
    verdict = judge(as_file(lambda path: read_shards([path]), tmp_path / "x"), [content], memory_mib=250)
    assert verdict.outcomes == {"DataError": 1}, verdict


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("image", "label", "fine_label"), "label and fine_label"),
        (("img", "image", "label"), "img and image"),
        (("image", "label", "labels"), "label and labels"),
    ],
)
def test_two_columns_that_could_be_meant_are_refused(columns, said, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    import pyarrow as pa

    one = encoded(pixels(1, 0)[0])
    pq.write_table(pa.table({name: [one if "im" in name else 0] for name in columns}), tmp_path / "x.parquet")
    with pytest.raises(DataError, match=f"has the columns {said}; keep one of them"):
        read_shards([tmp_path / "x.parquet"])


@pytest.mark.parametrize("other", ["valid.parquet", "unsupervised-00000-of-00001.parquet", "extra.parquet"])
def test_a_parquet_file_of_no_known_split_is_named(other, tmp_path, write_shard):
    blobs = [encoded(image) for image in pixels(4, 0)]
    for name in ("train.parquet", "test.parquet", other):
        write_shard(tmp_path / name, blobs, [0, 1, 0, 1], column="image")
    notes = load(DataSpec(name="folder"), root=tmp_path).notes
    assert f"{tmp_path.name}: {other} is not used, it does not belong to a known split" in notes
    (tmp_path / "test.parquet").unlink()
    with pytest.raises(DataError, match=f"only train shards; {other} does not belong to a known split"):
        load(DataSpec(name="folder"), root=tmp_path)
