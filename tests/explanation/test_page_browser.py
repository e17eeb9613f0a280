"""The page of an explanation in a headless Chromium, one for the module: what a reader chooses, sees and copies."""

import csv
import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

import numpy as np
import pytest
from browser import Browser, chromium
from explained import write_explained, write_page
from safetensors.numpy import load_file, save_file

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CHANNELS = [16, 32, 64, 128]
BLOCKS = ["layer1.0.se", "layer2.0.se", "layer3.0.se", "layer3.1.se"]
HOSTILE = [
    "</script><img src=x onerror=window.hit=1>",
    "<!--<script>",
    "\"'><svg onload=window.hit=1>",
    "{{policy}} ${window.hit=1} `x`",
    "javascript:window.hit=1",
    "\u202egnp.tac\u202c \u0000\u2028",
    "=HYPERLINK(1)",
    "long " * 200,
    "constructor",
    "__proto__",
    "שלום",
]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("explained") / "one"
    write_page(write_explained(path, classes=CLASSES, channels=CHANNELS, blocks=BLOCKS))
    return path


@pytest.fixture(scope="module")
def folders(folder: Path) -> tuple[Path, Path]:
    """Two models: the first's page shows both."""
    both, other = folder.parent / "both", folder.parent / "other"
    write_explained(both, classes=CLASSES, channels=CHANNELS, blocks=BLOCKS)
    write_explained(other, classes=CLASSES, channels=CHANNELS, blocks=BLOCKS, seed=1, name="resnet20 r=4")
    write_page(both, other)
    return both, other


@pytest.fixture
def page(browser: Browser, folder: Path) -> Iterator[Browser]:
    """The page of one model at 1,280 pixels; a test fails if the console shows an error or it requests another file."""
    yield from opened(browser, folder / "explain.html")


@pytest.fixture
def page_of_two(browser: Browser, folders: tuple[Path, Path]) -> Iterator[Browser]:
    yield from opened(browser, folders[0] / "explain.html")


def opened(browser: Browser, path: Path) -> Iterator[Browser]:
    browser.size(1280, 900)
    browser.console()
    browser.requests()
    browser.show(path)
    yield browser
    assert browser.console() == []
    allowed = ("data:", "blob:", path.resolve().as_uri())
    assert [url for url in browser.requests() if not url.startswith(allowed)] == []


def document(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "explain.json").read_text())


def state(browser: Browser) -> dict[str, str]:
    return {key: value[0] for key, value in parse_qs(browser.run("return location.hash.slice(1)")).items()}


def copied(browser: Browser, figure: str) -> list[list[str]]:
    """Return the rows that a figure's button puts into the clipboard."""
    browser.run("window.text = null; navigator.clipboard.writeText = async (text) => { window.text = text; }")
    browser.run("document.querySelector(arguments[0]).click()", figure)
    return list(csv.reader(io.StringIO(browser.wait("return window.text"))))


def select(browser: Browser, selector: str, value: str) -> None:
    script = "const [box, value] = [document.querySelector(arguments[0]), arguments[1]];"
    browser.run(script + "box.value = value; box.dispatchEvent(new Event('change'))", selector, value)


def press(browser: Browser, selector: str, keys: str) -> None:
    browser.find(selector).send_keys(keys)


def keys(name: str) -> str:
    from selenium.webdriver.common.keys import Keys

    return str(getattr(Keys, name))


def click_in(browser: Browser, selector: str, x: float, y: float) -> None:
    """Click at a place of an element, in shares of its width and height."""
    script = """
        const node = document.querySelector(arguments[0]);
        node.scrollIntoView({ block: "center" });
        const box = node.getBoundingClientRect();
        const [clientX, clientY] = [box.left + arguments[1] * box.width, box.top + arguments[2] * box.height];
        const at = { clientX, clientY, bubbles: true };
        for (const type of ["mousemove", "mousedown", "mouseup", "click"]) node.dispatchEvent(new MouseEvent(type, at));
    """
    browser.run(script, selector, x, y)


def test_a_block_is_chosen_by_click_and_by_arrow_keys(page: Browser) -> None:
    page.find_all("#strip [role=option]")[0].click()
    assert page.text("#block-name") == "layer1.0.se"
    assert state(page)["block"] == "layer1.0.se"
    press(page, "#strip", keys("ARROW_DOWN") * 2)
    assert page.text("#block-name") == "layer3.0.se"
    assert page.run("return document.querySelector('[aria-selected=true]').id") == "row-2"
    press(page, "#strip", keys("HOME"))
    press(page, "body", "]")
    assert page.text("#block-name") == "layer2.0.se"
    assert page.text("#diagnosis") == "Nothing stands out."
    press(page, "#strip", keys("END"))
    assert "defect all gates 0.50: 8 of 8 hidden units never fire" in page.text("#diagnosis")


def test_the_strip_shows_the_number_of_the_chosen_statistic(page: Browser, folder: Path) -> None:
    select(page, "#strip-controls select", "varies")
    shown = [item.text for item in page.find_all("#strip .value")]
    assert shown == [f"{block['statistics']['varies']:.3f}" for block in document(folder)["blocks"]]
    assert "the number by which" in page.text("#strip-about")


def test_classes_are_filtered_by_typing_and_ticked(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#classes=0")
    press(page, "body", "/")
    press(page, "#class-search", "AUTO")
    assert [item.text.split()[0] for item in page.find_all("#class-list li")] == ["automobile"]
    press(page, "#class-search", keys("ENTER"))
    assert [chip.text for chip in page.find_all("#chips .name")] == ["airplane", "automobile"]
    assert state(page)["classes"] == "0.1"
    press(page, "#class-search", keys("BACKSPACE") * 4)
    page.run("for (const box of document.querySelectorAll('#class-list input')) if (!box.checked) box.click()")
    assert len(page.find_all("#chips li")) == 8
    assert "At most 8 classes" in page.text("#message")
    assert page.run("return document.querySelectorAll('#class-list input:checked').length") == 8
    page.run("document.querySelector('#chips button').click()")
    assert page.run("return document.querySelectorAll('#class-list input:checked').length") == 7


def test_the_address_restores_the_view(page: Browser, folder: Path) -> None:
    address = (
        "#block=layer2.0.se&classes=2.7&channel=5&values=logits&band=0&sort=spread&sample=0&change=shuffle&theme=dark"
    )
    page.open(folder / "explain.html", address)
    assert page.text("#block-name") == "layer2.0.se"
    assert [chip.text for chip in page.find_all("#chips .name")] == ["bird", "horse"]
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    assert page.find("#channel-number").get_property("value") == "5"
    first = copied(page, "#curves [data-do=csv]")
    page.open(folder / "explain.html", page.run("return location.hash"))
    assert copied(page, "#curves [data-do=csv]") == first
    page.run("location.hash = '#block=layer1.0.se'")
    assert page.wait("return document.querySelector('#block-name').textContent === 'layer1.0.se'")


def test_an_address_that_says_nonsense_shows_the_standard_view(page: Browser, folder: Path) -> None:
    standard = page.text("#block-name")
    nonsense = "#block=%3Cimg%3E&classes=99.-1&channel=1e99&sort=constructor&sample=7&show=d&theme=%22&by=y"
    nonsense += "&values=x&statistic=__proto__"
    page.show(folder / "explain.html", nonsense)
    assert page.text("#block-name") == standard
    assert len(page.find_all("#chips li")) == 4


def test_curves_copy_the_very_numbers_of_the_file(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer3.1.se&classes=3.8&sample=0&sort=channel")
    heads, *rows = copied(page, "#curves [data-do=csv]")
    sums = load_file(folder / "sums.safetensors")
    assert heads == ["channel", "mean over all", "cat", "ship", "sd within cat", "sd within ship"]
    table = np.array(rows, dtype=np.float64)
    assert table[:, 0].tolist() == list(range(128))
    exact = np.stack(
        [sums["3.class_mean"][3], sums["3.class_mean"][8], sums["3.class_std"][3], sums["3.class_std"][8]], 1
    )
    assert np.array_equal(table[:, 2:].astype(np.float32), exact)
    np.testing.assert_allclose(table[:, 1], sums["3.class_mean"].astype(np.float64).mean(0), atol=1e-12)
    assert all(len(cell) <= 12 for row in rows for cell in row[2:4])  # the shortest digits that say the same


def test_the_heatmap_copies_all_classes_and_channels_in_its_order(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer1.0.se&sort=mean&rows=similar")
    heads, *rows = copied(page, "#heatmap [data-do=csv]")
    columns = [int(head.removeprefix("channel ")) for head in heads[1:]]
    gates = load_file(folder / "sums.safetensors")["0.class_mean"]
    assert sorted(row[0] for row in rows) == sorted(CLASSES)
    assert columns == sorted(range(16), key=lambda channel: (-gates[:, channel].astype(np.float64).mean(), channel))
    for row in rows:
        assert np.array_equal(np.array(row[1:], dtype=np.float32), gates[CLASSES.index(row[0]), columns])


def test_a_click_on_a_curve_or_cell_chooses_the_channel_and_shows_its_images(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer1.0.se&sort=channel&sample=0")
    width = page.run("return document.querySelector('#heatmap canvas').getBoundingClientRect().width")
    click_in(page, "#heatmap canvas", (130 + (width - 130) * 11.5 / 16) / width, 0.5)
    assert state(page)["channel"] == "11"
    click_in(page, "#curves .u-over", 4 / 15, 0.5)
    assert state(page)["channel"] == "4"
    block = document(folder)["blocks"][0]
    for end, section in zip(("open", "shut"), page.find_all("#channel-body .ends"), strict=True):
        gates = [item.text for item in section.find_elements("css selector", "strong")]
        assert [float(gate) for gate in gates] == pytest.approx(block["extremes"][end]["value"][4], rel=5e-3)
        labels = [item.text for item in section.find_elements("css selector", ".card > .name")]
        assert labels == [CLASSES[image % 10] for image in block["extremes"][end]["image"][4]]
    rows = copied(page, "#channel-csv")[1:]
    assert [int(row[4]) for row in rows] == block["extremes"]["open"]["image"][4] + block["extremes"]["shut"]["image"][
        4
    ]
    assert np.array_equal(
        np.array([row[7] for row in rows[:4]], np.float32), np.array(block["extremes"]["open"]["value"][4], np.float32)
    )
    assert page.run("return [...document.querySelectorAll('.card img')].every((image) => image.naturalWidth > 0)")


@pytest.mark.slow
def test_arrow_keys_move_the_channel_along_the_order_that_is_drawn(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer1.0.se&sort=mean&sample=0")
    order = [int(row[0]) for row in copied(page, "#curves [data-do=csv]")[1:]]
    page.run("location.hash = arguments[0]", f"#block=layer1.0.se&sort=mean&sample=0&channel={order[2]}")
    page.wait(f"return document.querySelector('#channel-number').value === '{order[2]}'")
    press(page, "#curves .stage", keys("ARROW_RIGHT"))
    assert page.find("#channel-number").get_property("value") == str(order[3])
    press(page, "#heatmap .stage", keys("ARROW_LEFT"))
    assert page.find("#channel-number").get_property("value") == str(order[2])
    press(page, "body", ",")
    assert page.find("#channel-number").get_property("value") == str(order[1])


def test_importance_and_statistics_copy_the_very_numbers_of_the_file(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer2.0.se&change=class_mean&measure=top1")
    blocks = document(folder)["blocks"]
    rows = copied(page, "#importance [data-do=csv]")[1:]
    assert [[float(cell) for cell in row[4:7]] for row in rows] == [
        block["importance"]["class_mean"]["top1"] for block in blocks
    ]
    assert [row[0] for row in rows] == BLOCKS
    found = dict(copied(page, "#statistics-csv")[1:])
    assert float(found["class share"]) == blocks[1]["statistics"]["class_share"]
    assert float(found["context: 9 neighbours"]) == 0.5
    assert "context: all channels" not in found  # null in the file
    counts = [int(float(row[2])) for row in copied(page, "#histogram [data-do=csv]")[1:]]
    assert counts == blocks[1]["histogram"]["counts"]


def test_two_models_and_their_difference(page_of_two: Browser, folders: tuple[Path, Path]) -> None:
    a, b = (load_file(folder / "sums.safetensors")["1.class_mean"].astype(np.float64) for folder in folders)
    for show, expected in (("a", a), ("b", b), ("d", b - a)):
        page_of_two.show(
            folders[0] / "explain.html", f"#block=layer2.0.se&classes=4&sample=0&sort=channel&band=0&show={show}"
        )
        assert page_of_two.find("#models input:checked").get_property("value") == show
        table = np.array(copied(page_of_two, "#curves [data-do=csv]")[1:], dtype=np.float64)
        np.testing.assert_allclose(table[:, 2], expected[4], atol=1e-7)
    first, second = ([block["statistics"]["class_share"] for block in document(folder)["blocks"]] for folder in folders)
    shown = [float(item.text.replace("\u2212", "-")) for item in page_of_two.find_all("#strip .value")]
    assert shown == pytest.approx([two - one for one, two in zip(first, second, strict=True)], abs=5.1e-4)
    found = {row[0]: row[1:] for row in copied(page_of_two, "#statistics-csv")[1:]}
    assert [float(cell) for cell in found["class share"]] == [first[1], second[1], second[1] - first[1]]
    assert len(page_of_two.find_all("#channel-body .model")) == 2
    page_of_two.find("#models input[value=a]").click()
    assert len(page_of_two.find_all("#channel-body .model")) == 1


@pytest.mark.slow
def test_curves_by_a_condition_show_its_groups(page: Browser, folder: Path) -> None:
    page.show(folder / "explain.html", "#block=layer3.0.se&by=condition.brightness&sample=0&sort=channel")
    heads, *rows = copied(page, "#curves [data-do=csv]")
    assert heads[2:] == ["dark", "dim", "light", "bright"]
    expected = load_file(folder / "sums.safetensors")["2.condition.brightness.mean"].T
    assert np.array_equal(np.array(rows)[:, 2:].astype(np.float32), expected)
    assert not page.find("#class-picker").is_displayed()


@pytest.mark.slow
def test_pictures_are_saved_as_png(page: Browser, tmp_path: Path) -> None:
    page.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for figure in ("curves", "heatmap", "importance"):
        page.run("document.querySelector(arguments[0]).click()", f"#{figure} [data-do=png]")
        page.wait("return document.querySelector('#message').textContent.startsWith('Saved')")
        page.run("document.querySelector('#message').textContent = ''")
    names = ["senet-curves-layer3.1.se.png", "senet-heatmap-layer3.1.se.png", "senet-importance-constant-loss.png"]
    browser_wait_for_files(page, [tmp_path / name for name in names])
    for name in names:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def browser_wait_for_files(browser: Browser, files: list[Path]) -> None:
    from selenium.webdriver.support.wait import WebDriverWait

    WebDriverWait(browser.driver, 20, poll_frequency=0.05).until(lambda _: all(file.is_file() for file in files))


def test_names_that_are_code_are_shown_as_text(browser: Browser, tmp_path: Path) -> None:
    write_explained(tmp_path / "b", classes=HOSTILE, channels=[8, 8], blocks=HOSTILE[:2], seed=2, name=HOSTILE[1])
    folder = write_explained(
        tmp_path / "a",
        classes=HOSTILE,
        channels=[8, 8],
        blocks=HOSTILE[:2],
        name=HOSTILE[0],
        files=HOSTILE[0] + "{}" + HOSTILE[7],
    )
    held = document(folder)
    held["blocks"][0]["conditions"] = {HOSTILE[2]: {"share": 0.1, "p": 0.1, "groups": HOSTILE[:4], "counts": [1] * 4}}
    held["blocks"][0]["diagnosis"] = [{"code": "x", "text": HOSTILE[0], "severity": HOSTILE[2]}]
    held["images"][0]["thumbnail"] = "javascript:window.hit=1"
    held["images"][1]["thumbnail"] = "https://example.com/x.png"
    (folder / "explain.json").write_text(json.dumps(held))
    sums = load_file(folder / "sums.safetensors")
    sums[f"0.condition.{HOSTILE[2]}.mean"] = sums.pop("0.condition.brightness.mean")
    save_file(sums, folder / "sums.safetensors")
    path = write_page(folder, tmp_path / "b")
    for page in opened(browser, path):
        for show in "ad":
            page.show(path, f"#show={show}&by=" + quote("condition." + HOSTILE[2]))
            page.run("for (const node of document.querySelectorAll('details')) node.open = true")
            page.run("for (const place of [1, 0]) document.querySelectorAll('#strip [role=option]')[place].click()")
        page.run("for (const node of document.querySelectorAll('.tools:not([hidden]) [data-do=csv]')) node.click()")
        assert page.run("return window.hit") is None
        assert page.run("return document.querySelectorAll('script').length") == 4
        assert (
            page.run(
                "return document.querySelectorAll('img:not([src^=\"data:image/png\"]), iframe, object, embed').length"
            )
            == 0
        )
        assert HOSTILE[0] in page.text("#title")
        names = [item.get_property("textContent") for item in page.find_all("#class-list .name")]
        assert names[:3] == HOSTILE[:3]
        page.show(path)
        assert names[5] == "\\u202egnp.tac\\u202c \\x00\\u2028"
        assert copied(page, "#heatmap [data-do=csv]")[7][0] == "'=HYPERLINK(1)"


@pytest.mark.slow
def test_images_without_labels_are_one_curve(browser: Browser, tmp_path: Path) -> None:
    folder = write_explained(tmp_path / "a", classes=["all"], channels=[4], blocks=["se"])
    held = document(folder)
    held["data"] |= {"classes": [], "images_per_class": [], "chance": None, "top1": None}
    held["images"] = [image | {"label": None} for image in held["images"]]
    held["blocks"][0]["statistics"] |= {"class_share": None, "class_share_p": None, "class_share_interval": None}
    (folder / "explain.json").write_text(json.dumps(held))
    for page in opened(browser, write_page(folder)):
        assert copied(page, "#curves [data-do=csv]")[0] == [
            "channel",
            "mean over all",
            "all images",
            "sd within all images",
        ]
        assert "20 images, no labels" in page.text("#facts")
        assert page.text("#channel-body .card .name") == "no label"


@pytest.mark.slow
def test_absent_parts_are_said_in_words(browser: Browser, tmp_path: Path) -> None:
    folder = write_explained(tmp_path / "a", classes=["one"], channels=[1], blocks=["se"], pictures=0)
    held = document(folder)
    held["data"] |= {"held_out": None, "top1": None, "sample": None}
    held["blocks"][0] |= {
        "importance": {},
        "gate_curve": None,
        "histogram": None,
        "squeeze_curve": None,
        "extremes": None,
    }
    held["blocks"][0] |= {"conditions": {}, "stage": None, "macs": None, "time_percent": None}
    (folder / "explain.json").write_text(json.dumps(held | {"images": []}))
    save_file({}, folder / "sums.safetensors")
    for page in opened(browser, write_page(folder)):
        assert [
            page.find(f"#{name} .stage").text[:12] for name in ("curves", "histogram", "gate-curve", "importance")
        ] == [
            "This page ho",
            "There is no ",
            "There is no ",
            "No intervent",
        ]
        assert "not known" in page.text("#facts")


@pytest.mark.slow
@pytest.mark.parametrize("hash", ["#theme=light", "#theme=dark&show=d"])
def test_axe_finds_nothing_serious(page_of_two: Browser, folders: tuple[Path, Path], axe: str, hash: str) -> None:
    page_of_two.show(folders[0] / "explain.html", hash)
    page_of_two.run(
        "for (const name of ['#class-picker', '#importance']) document.querySelector(`${name} details`).open = true"
    )
    page_of_two.run(axe)
    found = page_of_two.driver.execute_async_script("axe.run().then((found) => arguments[0](found.violations))")
    serious = {one["id"]: one["nodes"][0]["html"] for one in found if one["impact"] in ("serious", "critical")}
    assert serious == {}


@pytest.fixture(scope="module")
def axe(pytestconfig: pytest.Config) -> str:
    """The source of axe-core, fetched once by npm; never part of the repository (MPL)."""
    folder = pytestconfig.cache.mkdir("axe-core")
    if not (folder / "package" / "axe.min.js").is_file():
        try:
            packed = subprocess.run(
                ["npm", "pack", "--silent", "axe-core@4.14.1"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            subprocess.run(
                ["tar", "xzf", packed.stdout.strip(), "package/axe.min.js"], cwd=folder, timeout=60, check=True
            )
        except (OSError, subprocess.SubprocessError):
            pytest.skip("axe-core cannot be fetched: no npm, or no network")
    return (folder / "package" / "axe.min.js").read_text()


@pytest.mark.parametrize("width", [360, pytest.param(1280, marks=pytest.mark.slow)])
def test_nothing_is_wider_than_the_window(page_of_two: Browser, folders: tuple[Path, Path], width: int) -> None:
    page_of_two.size(width, 800)
    page_of_two.show(folders[0] / "explain.html", "#show=d")
    assert page_of_two.run("return document.documentElement.scrollWidth") <= width


def test_the_keys_are_listed_and_the_theme_switches(page: Browser) -> None:
    press(page, "body", "?")
    assert page.find("#help").is_displayed()
    page.find("#help").send_keys(keys("ESCAPE"))
    assert not page.find("#help").is_displayed()
    before = page.run("return getComputedStyle(document.body).backgroundColor")
    press(page, "body", "t")
    assert page.run("return getComputedStyle(document.body).backgroundColor") != before
    press(page, "body", "/")
    assert page.run("return document.activeElement.id") == "class-search"
