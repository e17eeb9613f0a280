"""Class folders mean outputs by their order, by their numbers, or by a file."""

import json
from pathlib import Path

import pytest

from senet.errors import DataError
from senet.networks.class_map import outputs_of, read_class_map

WANTED = {"tench": 0, "church": 497, "truck": 569}
FILES = {
    "names.json": json.dumps(WANTED),
    "outputs.json": json.dumps({str(number): name for name, number in WANTED.items()}),
    "keras.json": json.dumps(
        {"0": ["n01440764", "tench"], "497": ["n03028079", "church"], "569": ["n03417042", "truck"]}
    ),
    "names.csv": "tench,0\nchurch,497\ntruck,569\n",
    "outputs.csv": "output,name\n0,tench\n497,church\n569,truck\n",
    "more.csv": 'id,name,output\nn01440764,tench,0\nn03028079,"church",497\nn03417042,truck,569\n',
    "names.tsv": "tench\t0\nchurch\t497\ntruck\t569\n",
    "bom.csv": "\ufefftench,0\nchurch,497\ntruck,569\n",
}


@pytest.mark.parametrize("name", FILES)
def test_files_of_many_forms_say_the_same(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(FILES[name], encoding="utf-8")
    known = read_class_map(path)
    assert outputs_of(["church", "tench", "truck"], 1000, known) == (497, 0, 569)
    if "n01440764" in known:
        assert outputs_of(["n03417042", "n01440764"], 1000, known) == (569, 0)


@pytest.mark.parametrize(
    ("text", "classes"),
    [
        ("cat\ndog\nemu\n", ["dog", "emu"]),
        ("n01440764 tench, Tinca tinca\nn01443537 goldfish\n\nn01484850 shark\n", ["n01443537", "n01484850"]),
        ("cat\nhot dog\nsea lion\n", ["hot dog", "sea lion"]),
    ],
)
def test_one_name_a_line_is_in_the_order_of_the_outputs(text: str, classes: list[str], tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_text(text, encoding="utf-8")
    assert outputs_of(classes, 3, read_class_map(tmp_path / "names.txt")) == (1, 2)
    (tmp_path / "names.json").write_text(json.dumps(["cat", "dog"]), encoding="utf-8")
    assert read_class_map(tmp_path / "names.json") == {"cat": 0, "dog": 1}


BROKEN = {
    "a.json": ("{", "is not JSON"),
    "b.json": ('{"cat": "dog"}', "'cat': 'dog' has no output"),
    "c.json": ('{"cat": true}', "has no output"),
    "d.json": ('"cat"', "contains no classes"),
    "e.csv": ("cat,1\ncat,2\n", "'cat' has two outputs, 1 and 2"),
    "f.csv": ("cat,1\ndog\n", "'dog' lacks a name or an output"),
    "g.csv": ("name,output\n", "contains no classes"),
    "h.txt": ("", "contains no classes"),
    "i.txt": ("cat\ndog\ncat\n", "'cat' has two outputs, 0 and 2"),
    "j.json": ("[" * 100_000, "is not JSON"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_files_that_are_no_map_are_one_sentence(name: str, tmp_path: Path) -> None:
    text, message = BROKEN[name]
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_class_map(tmp_path / name)


def test_files_that_cannot_be_read_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the file does not exist"):
        read_class_map(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_class_map(tmp_path)
    (tmp_path / "latin.csv").write_bytes(b"caf\xe9,1\n")
    with pytest.raises(DataError, match="cannot be read"):
        read_class_map(tmp_path / "latin.csv")


def test_without_a_file_order_or_numbers_say_it() -> None:
    assert outputs_of(["cat", "dog"], 2, None) == (0, 1)
    assert outputs_of(["0", "217", "9"], 1000, None) == (0, 217, 9)
    assert outputs_of(["0", "1", "10"], 3, None) == (0, 1, 2)  # as many classes as outputs: in the order of training
    for classes in (["cat", "dog"], ["0", "1000"], ["1", "01"], ["n01440764", "n01443537"], ["-1", "2"], ["²", "3"]):
        said = outputs_of(classes, 1000, None)
        assert isinstance(said, str)
        assert "--class-map FILE" in said
    assert "WordNet ids" in str(outputs_of(["n01440764", "n01443537"], 1000, None))


def test_a_map_that_does_not_fit_names_the_class() -> None:
    with pytest.raises(DataError, match=r"lacks 'emu', 'fox' of 3 class folders; it has names like 'cat'"):
        outputs_of(["cat", "emu", "fox"], 10, {"cat": 1})
    with pytest.raises(DataError, match=r"maps 'cat' to output 10, but the network has outputs 0 to 9"):
        outputs_of(["cat"], 10, {"cat": 10})
