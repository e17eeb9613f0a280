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
from explained import read_explained, write_explained, write_page

import senet.explanation.page
from senet.explanation.page import LIMIT
from senet.explanation.page.arrays import pack
from senet.explanation.page.content import content
from senet.explanation.page.fitting import SAMPLE, fit
from senet.explanation.page.tables import Key

FORBIDDEN = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|fetch\("
ROOM = Path(senet.explanation.page.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_explained(tmp_path / "one", classes=["cat", "dog"], channels=[8, 16])


def test_the_policy_names_the_hash_of_every_script_and_style(folder: Path) -> None:
    text = write_page(folder).read_text(encoding="utf-8")
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
    text = write_page(folder).read_text(encoding="utf-8")
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
    path = write_page(folder)
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
        assert write_page(one, other).stat().st_size <= LIMIT


def test_a_picture_of_two_models_is_stored_once(folder: Path, tmp_path: Path) -> None:
    other = write_explained(tmp_path / "other", classes=["cat", "dog"], channels=[8, 16])
    once, twice = write_page(folder).read_text(), write_page(folder, other).read_text()
    assert once.count("data:image/png") == twice.count("data:image/png") > 0


def test_blocks_of_two_models_are_paired_as_the_first_explanation_says(folder: Path, tmp_path: Path) -> None:
    names = ["new.se", "layer1.0.se"]
    other = write_explained(tmp_path / "other", classes=["cat", "dog"], channels=[8, 16], blocks=names)
    both = [read_explained(folder), read_explained(other)]
    for pairs, expected in (
        ([], [("layer1.0.se", True, False), ("layer2.0.se", True, False), ("new.se", False, True),
              ("layer1.0.se (2)", False, True)]),
        ([("layer1.0.se", "new.se")], [("layer1.0.se", True, True), ("layer2.0.se", True, False),
                                       ("layer1.0.se (2)", False, True)]),
        ([("layer1.0.se", "layer1.0.se")], [("layer1.0.se", True, True), ("layer2.0.se", True, False),
                                            ("new.se", False, True)]),
    ):  # fmt: skip
        both[0].document["other"] = {"differences": {"blocks": [{"a": a, "b": b} for a, b in pairs]}}
        held = json.loads(content(both, 10**6, licence="").data)
        assert [(row["name"], *(block is not None for block in row["blocks"])) for row in held["rows"]] == expected
