"""Which files of a folder of images are read, and what is said about the others."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from support.images import encoded, pixels

from senet.data import DataSpec, load
from senet.errors import DataError, SpecError

SPEC = DataSpec(name="folder", size=24)


def save(path: Path, form: str, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(pixels(1, seed, side=24)[0], form))


OF_TOOLS = [
    ".ipynb_checkpoints", ".@__thumb", "@eaDir", "__MACOSX", "#recycle", "lost+found", "$RECYCLE.BIN", ".thumbnails",
    "Thumbnails", "@Recycle", ".AppleDouble", "System Volume Information", "#snapshot",
]  # fmt: skip
PLACES = ["train/cat", "train/cat/deeper", "val/dog", "train", "."]


@pytest.mark.parametrize(
    ("name", "place"),
    [  # each name in one place, one with a dot and one without in all of them
        *((name, PLACES[i % len(PLACES)]) for i, name in enumerate(OF_TOOLS)),
        *((name, place) for i, name in enumerate(OF_TOOLS[1:3], 1) for place in PLACES if place != PLACES[i]),
    ],
)
def test_folders_of_tools_are_no_data_wherever_they_are_and_their_pictures_are_counted(tree, name, place):
    before = load(SPEC, root=tree)
    save(tree / place / "cat" / "x.txt", "PNG", 0) if place == "." else (tree / place).mkdir(exist_ok=True)
    shutil.rmtree(tree / "cat", ignore_errors=True)
    for i in range(2):
        save(tree / place / name / "below" / f"{i}.jpg", "JPEG", 50 + i)
    data = load(SPEC, root=tree)
    assert data.fingerprint == before.fingerprint
    assert data.classes == ("cat", "dog")
    assert any(f"2 hidden images, and images in folders of tools, were skipped: {name} (2)" in n for n in data.notes)


def test_a_folder_of_a_tool_without_pictures_needs_no_word(tree):
    (tree / "train" / "cat" / ".git").mkdir()
    (tree / "train" / "cat" / ".DS_Store").write_bytes(b"x")
    assert not load(SPEC, root=tree).notes


def test_hidden_copies_that_macs_leave_are_counted(tree):
    for i in range(3):
        save(tree / "val" / "cat" / f"._{i}.jpg", "JPEG", i)
    data = load(SPEC, root=tree)
    assert len(data.test) == 8
    assert any("hidden files (3)" in note for note in data.notes)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("x.ppm", "PPM"), ("x.tif", "TIFF"), ("x.TIFF", "TIFF"), ("x.gif", "GIF"), ("x.jfif", "JPEG"), ("x.BMP", "BMP"),
        ("x.webp", "WEBP"), ("x.JPG", "JPEG"), ("x.jpe", "JPEG"), ("x", "JPEG"), ("ILSVRC_1", "PNG"), ("x.pnm", "PPM"),
    ],
)  # fmt: skip
def test_pictures_of_every_kind_that_is_read_safely_are_read(tree, name, form):
    save(tree / "train" / "cat" / name, form, 7)
    data = load(SPEC, root=tree)
    assert f"train/cat/{name}" in data.train.names
    assert not data.notes


@pytest.mark.parametrize("suffix", [".pgm", ".pbm"])
def test_grey_and_black_and_white_pictures_of_netpbm_are_read(tree, suffix):
    mode = "L" if suffix == ".pgm" else "1"
    Image.fromarray(pixels(1, 3, side=24)[0, 0]).convert(mode).save(tree / "val" / "dog" / f"x{suffix}")
    assert len(load(SPEC, root=tree).test) == 9


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.avif", b"", ".avif (1)"),
        ("x.HEIC", b"", ".heic (1)"),
        ("x.svg", b"<svg/>", ".svg (1)"),
        ("x.dcm", b"", ".dcm (1)"),
        ("x.jpg_large", encoded(pixels(1, 0)[0], "JPEG"), ".jpg_large (1)"),
        ("x.bak", encoded(pixels(1, 0)[0], "PNG"), ".bak (1)"),
    ],
)
def test_what_people_take_for_a_picture_and_is_not_read_is_counted_by_suffix(tree, name, content, said):
    before = load(SPEC, root=tree)
    (tree / "train" / "dog" / name).write_bytes(content)
    data = load(SPEC, root=tree)
    assert data.fingerprint == before.fingerprint
    assert any(f"1 images in unsupported formats were skipped: {said}" in note for note in data.notes)


@pytest.mark.parametrize("name", ["labels.csv", "README", "x.txt", "Thumbs.db", "boxes.xml", "x.json"])
def test_files_that_are_no_pictures_need_no_word(tree, name):
    (tree / "train" / "dog" / name).write_bytes(b"text, which is not a picture")
    assert not load(SPEC, root=tree).notes


@pytest.mark.parametrize("name", ["caf\udce9", "\udcff", "gr\udcfc\udcdfe"])
@pytest.mark.parametrize("level", ["class", "picture", "folder in a class", "class without split"])
def test_a_name_that_is_not_utf8_is_refused_when_the_folder_is_read_and_shown_escaped(tree, name, level):
    root = tree
    if level == "class":
        for split in ("train", "val"):
            (tree / split / "cat").rename(tree / split / name)
    elif level == "picture":
        save(tree / "train" / "cat" / f"{name}.jpg", "JPEG", 3)
    elif level == "folder in a class":
        save(tree / "val" / "cat" / name / "x.jpg", "JPEG", 3)
    else:
        root = tree / "train"
        (root / "cat").rename(root / name)
    with pytest.raises(DataError, match=r"the name '.*\\x[0-9a-f]{2}.*' is not UTF-8; rename it") as error:
        load(SPEC, root=root)
    assert str(error.value).isprintable()


@pytest.mark.parametrize("target", ["nowhere", "bird"])
def test_a_class_that_is_a_link_to_nothing_or_to_itself_is_refused(tree, target):
    (tree / "train" / "bird").symlink_to(tree / "train" / target)
    with pytest.raises(DataError, match="'bird' is a broken link"):
        load(SPEC, root=tree)


@pytest.mark.parametrize("inner", ["unknown", "0", "images/all"])
def test_a_test_folder_without_the_classes_leaves_a_labelled_val_the_test_set(tree, inner):
    for i in range(3):
        save(tree / "test" / inner / f"{i}.jpg", "JPEG", i)
    data = load(SPEC, root=tree)
    assert data.test.names[0].startswith("val/")
    assert any("test is not used, val is the test set (its folders are not the classes" in note for note in data.notes)


def test_a_split_can_be_named_and_one_that_is_not_there_is_refused(tree):
    shutil.copytree(tree / "val", tree / "test")
    named = DataSpec(name="folder", size=24, split="val")
    assert load(SPEC, root=tree).test.names[0].startswith("test/")
    assert load(named, root=tree).test.names[0].startswith("val/")
    with pytest.raises(SpecError, match=r"data\.split = 'validation' is not in .*; choose one of: test, val"):
        load(DataSpec(name="folder", split="validation"), root=tree)
    for wrong in (("folder", "tset"), ("cifar10", "val")):
        with pytest.raises(SpecError, match=r"data\.split"):
            DataSpec(name=wrong[0], split=wrong[1])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("more.zip", "1 archives are not read, unpack them: .zip (1)"),
        ("train/horse.tar", "1 archives are not read, unpack them: .tar (1)"),
        ("train/cat/more.7z", "1 archives are not read, unpack them: .7z (1)"),
        ("stray.png", "1 images beside the class folders were skipped, as they belong to no class: tree (1)"),
        ("train/stray.jpg", "1 images beside the class folders were skipped, as they belong to no class: train (1)"),
        ("val/STRAY.JPEG", "1 images beside the class folders were skipped, as they belong to no class: val (1)"),
        ("train_aug/cat/0.png", "train_aug beside the splits is not used"),
        ("test_images/0.png", "test_images beside the splits is not used"),
        ("unlabelled/0.png", "unlabelled beside the splits is not used"),
    ],
)
def test_what_lies_beside_the_classes_and_is_not_used_is_said(tree, name, said):
    before = load(SPEC, root=tree)
    save(tree / name, "PNG", 3)
    data = load(SPEC, root=tree)
    assert data.fingerprint == before.fingerprint
    assert [note for note in data.notes if note not in before.notes] == [f"tree: {said}"]


@pytest.mark.parametrize("pair", [("Bird", "bird"), ("bird", "bird "), ("bird 1", "bird1"), ("ﬁsh", "fish")])
def test_classes_that_look_alike_are_kept_and_said(tree, pair):
    for split in ("train", "val"):
        for i, name in enumerate(pair):
            save(tree / split / name / "0.png", "PNG", i)
    data = load(SPEC, root=tree)
    assert len(data.classes) == 4
    first, second = sorted(pair)
    assert f"two classes look alike and are kept apart: {first!r} and {second!r}" in data.notes


@pytest.mark.parametrize("name", ["caf\u00e9", "\u00c5ngstr\u00f6m", "\ud55c\uad6d"])
def test_one_name_in_two_encodings_of_unicode_is_no_two_classes(tree, name):
    other = unicodedata.normalize("NFD", name)
    save(tree / "train" / name / "0.png", "PNG", 0)
    save(tree / "val" / other / "0.png", "PNG", 0)
    with pytest.raises(DataError, match="another Unicode normalization than"):
        load(SPEC, root=tree)
    save(tree / "train" / other / "0.png", "PNG", 0)
    with pytest.raises(DataError, match="are one name in two Unicode normalizations; merge them"):
        load(SPEC, root=tree)


def test_splits_one_folder_deeper_are_pointed_at_and_not_taken_for_classes(tree, tmp_path):
    with pytest.raises(DataError, match=r"the splits are one folder deeper; pass .*/tree\."):
        load(SPEC, root=tmp_path)
    shutil.copytree(tree, tmp_path / "masks")
    with pytest.raises(DataError, match="the splits are one folder deeper; pass"):
        load(SPEC, root=tmp_path)


def test_class_folders_of_the_same_folders_may_be_folds_and_that_is_said(tree):
    shutil.move(tree / "train", tree / "fold1")
    shutil.move(tree / "val", tree / "fold2")
    assert any("consists of the same folders, cat, dog; if these" in note for note in load(SPEC, root=tree).notes)
