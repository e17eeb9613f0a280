"""The page of an explanation as a file: size, policy, hashes, what is left out, errors."""

import base64
import hashlib
import json
import re
import zlib
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from explained import write_explained
from safetensors.numpy import load_file, save_file

import senet.explanation.page
from senet.errors import DataError
from senet.explanation.page import LIMIT, write
from senet.explanation.page.arrays import pack
from senet.explanation.page.content import content
from senet.explanation.page.fitting import SAMPLE, fit
from senet.explanation.page.reading import read_explained
from senet.explanation.page.tables import Key

FORBIDDEN = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|fetch\("
ROOM = Path(senet.explanation.page.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_explained(tmp_path / "one", classes=["cat", "dog"], channels=[8, 16])


def test_the_policy_names_the_hash_of_every_script_and_style(folder: Path) -> None:
    text = write(folder).read_text(encoding="utf-8")
    policy = unescape(re.search('Content-Security-Policy" content="([^"]*)"', text)[1])
    assert policy.startswith("default-src 'none';")
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        texts = re.findall(f"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)
        hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in texts]
        assert len(hashes) == 2
        assert f"{kind} " + " ".join(f"'sha256-{one}'" for one in hashes) + ";" in policy
    assert "unsafe" not in policy


def test_no_script_parses_text_as_html() -> None:
    for path in (ROOM / "assets").glob("*.js"):
        assert not re.search(FORBIDDEN, path.read_text()), path


def test_uplot_is_the_file_of_its_package() -> None:
    for sum_, name in re.findall(r"([0-9a-f]{64})  (\S+)", (ROOM / "uplot" / "README.md").read_text()):
        assert hashlib.sha256((ROOM / "uplot" / name).read_bytes()).hexdigest() == sum_


def test_every_script_is_in_the_page(folder: Path) -> None:
    text = write(folder).read_text(encoding="utf-8")
    for path in (ROOM / "assets").glob("*.js"):
        assert path.read_text() in text


@pytest.mark.parametrize("form", ["uint8", "uint16"])
def test_codes_are_within_the_error_that_is_stated(form: str) -> None:
    values = np.random.default_rng(0).normal(0, 3, (50, 7)).astype(np.float32)
    values[3, 2] = np.nan
    values[:, 5] = 1.5
    packed = pack(values, form)
    data = zlib.decompress(packed.data)
    low, high = np.frombuffer(data, "<f4", 14).reshape(2, 7).astype(float)
    codes = np.frombuffer(data, form, offset=56).reshape(50, 7)
    top = np.iinfo(form).max - 1
    read = np.where(codes > top, np.nan, low + (high - low) * codes / top)
    assert np.isnan(read[3, 2])
    assert np.nanmax(abs(read - values)) <= packed.error + 1e-7
    assert np.array_equal(read[:, 5], values[:, 5])


def test_tables_that_do_not_fit_keep_class_means_first() -> None:
    draw = np.random.default_rng(0)
    kinds = ("class_mean", "class_std", "logit_mean", "logit_std")
    tables = {Key(0, block, kind): draw.random((20, 256), np.float32) for block in range(4) for kind in kinds}
    kept = fit(tables, 50_000, least=32_000, first=[3, 1, 2, 0])
    assert sum(part.size for part in kept.values()) <= 32_000
    assert all(Key(0, block, "class_mean") in kept for block in range(4))
    assert kept[Key(0, 3, "class_mean")].channels is None  # the last block whole
    assert len(kept[Key(0, 0, "class_mean")].channels) == SAMPLE
    assert not any(key.kind == "logit_std" for key in kept)


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    folder = write_explained(tmp_path, classes=[f"class {n}" for n in range(40)], channels=[256, 256], pictures=400)
    held = json.loads(content([read_explained(folder)], 150_000, licence="").data)
    assert any("standard deviations of logits" in note for note in held["notes"])
    assert any(re.search(r"names and pictures of [\d,]+ of [\d,]+ images", note) for note in held["notes"])
    assert "stored in 8 bits" in held["precision"]


def test_a_thousand_classes_and_2048_channels_fit(tmp_path: Path) -> None:
    folder = write_explained(
        tmp_path, classes=[f"class {n}" for n in range(1000)], channels=[2048], per_class=1, ranks=1, pictures=20
    )
    path = write(folder)
    assert path.stat().st_size <= LIMIT
    held = json.loads(re.search('id="data">(.*?)</script>', path.read_text(encoding="utf-8"))[1])
    means = held["rows"][0]["blocks"][0]["arrays"]["class_mean"]
    assert (means["form"], means["shape"], means["channels"]) == ("uint8", [1000, 2048], None)
    assert held["notes"]


@pytest.mark.slow
def test_a_network_of_16_blocks_and_a_thousand_classes_fits_twice(tmp_path: Path) -> None:
    channels = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    names = [f"n{n:08d} class of a long name {n}" for n in range(1000)]
    one, two = (
        write_explained(
            tmp_path / str(seed), classes=names, channels=channels, per_class=50, ranks=8, pictures=1500, seed=seed
        )
        for seed in (0, 1)
    )
    for other in (None, two):
        assert write(one, other).stat().st_size <= LIMIT


def test_a_picture_of_two_models_is_stored_once(folder: Path, tmp_path: Path) -> None:
    other = write_explained(tmp_path / "other", classes=["cat", "dog"], channels=[8, 16])
    once, twice = write(folder).read_text(), write(folder, other).read_text()
    assert once.count("data:image/png") == twice.count("data:image/png") > 0


def test_missing_and_damaged_files_are_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"explain\.json: No such file.*senet explain"):
        write(tmp_path)
    (folder / "sums.safetensors").write_bytes(b"no")
    with pytest.raises(DataError, match=r"sums\.safetensors: it is damaged"):
        write(folder)
    (folder / "explain.json").write_text("{")
    with pytest.raises(DataError, match=r"explain\.json: it is damaged"):
        write(folder)
    for schema in ('{"schema": 2}', "[]"):
        (folder / "explain.json").write_text(schema)
        save_file({}, folder / "sums.safetensors")
        with pytest.raises(DataError, match=r"schema = .*, this senet reads 1"):
            write(folder)
    (folder / "explain.json").write_text('{"schema": 1}')
    with pytest.raises(DataError, match="is not what `senet explain` writes"):
        write(folder)


def test_tables_of_another_shape_are_refused(folder: Path) -> None:
    sums = load_file(folder / "sums.safetensors")
    save_file(sums | {"0.class_mean": np.zeros((3, 8), np.float32)}, folder / "sums.safetensors")
    with pytest.raises(DataError, match=r"0\.class_mean has shape \(3, 8\), explain\.json says \(2, 8\)"):
        write(folder)


def test_two_models_on_other_images_are_refused(folder: Path, tmp_path: Path) -> None:
    other = write_explained(tmp_path / "other", classes=["cat", "hog"], channels=[8, 16])
    with pytest.raises(DataError, match=r"data\.classes of the second explanation differs"):
        write(folder, other)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["layer1.0.se", "new.se"],
            [("layer1.0.se", True, True), ("layer2.0.se", True, False), ("new.se", False, True)],
        ),
        (["a.se", "b.se"], [("layer1.0.se", True, True), ("layer2.0.se", True, True)]),
        (["a.se"], [("layer1.0.se", True, False), ("layer2.0.se", True, False), ("a.se", False, True)]),
    ],
)
def test_blocks_of_two_models_are_paired_by_name_else_in_order(
    folder: Path, tmp_path: Path, names: list[str], expected: list[tuple[str, bool, bool]]
) -> None:
    other = write_explained(tmp_path / "other", classes=["cat", "dog"], channels=[8, 16][: len(names)], blocks=names)
    held = json.loads(content([read_explained(folder), read_explained(other)], 10**6, licence="").data)
    assert [(row["name"], *(block is not None for block in row["blocks"])) for row in held["rows"]] == expected
