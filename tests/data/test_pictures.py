"""Odd, broken and hostile picture files."""

import io
import logging
import struct
import warnings
import zlib

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from senet.data import image_decoding as pictures
from senet.data.image_decoding import UnreadableImage, decode


def saved(picture: Image.Image, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def noise(height: int = 24, width: int = 30, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def huge_png(width: int, height: int) -> bytes:
    """A PNG of one colour, written by hand: Pillow would need its memory too."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    compress = zlib.compressobj(9)
    rows = b"\0" * (width // 8 + 1) * (height // 100)
    packed = b"".join(compress.compress(rows) for _ in range(100)) + compress.flush()
    size = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def test_a_png_gives_its_pixels():
    assert np.array_equal(decode(saved(Image.fromarray(noise()), "PNG")), noise())


def test_one_pixel_is_a_picture():
    assert decode(saved(Image.fromarray(noise(1, 1)), "PNG")).size == (1, 1)


def test_the_exif_orientation_is_applied():
    image = np.kron(np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8), np.ones((8, 8, 1), np.uint8))
    turns = {1: 0, 3: 2, 6: 3, 8: 1}
    for orientation, quarter_turns in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        upright = np.asarray(decode(saved(Image.fromarray(image), "PNG", exif=exif)))
        assert np.array_equal(upright, np.rot90(image, quarter_turns)), orientation


def test_cmyk_becomes_rgb():
    picture = decode(saved(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"))
    assert picture.mode == "RGB"
    assert picture.getpixel((4, 4))[0] > 200
    assert max(picture.getpixel((4, 4))[1:]) < 50


def test_sixteen_bits_keep_their_upper_eight():
    grey = (np.arange(64, dtype=np.uint16) * 1024).reshape(8, 8)
    assert np.array_equal(np.asarray(decode(saved(Image.fromarray(grey), "PNG")))[..., 0], grey >> 8)


def test_a_palette_with_transparency_gives_its_colours():
    palette = Image.fromarray(noise()).quantize(16)
    picture = decode(saved(palette, "PNG", transparency=bytes(range(16))))
    assert np.array_equal(picture, palette.convert("RGB"))


def test_alpha_is_dropped():
    assert np.array_equal(decode(saved(Image.fromarray(noise(channels=4), "RGBA"), "PNG")), noise(channels=4)[..., :3])


def test_of_an_animation_the_first_frame_counts():
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    content = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    assert decode(content).getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"<!DOCTYPE html><html>404 Not Found</html>", "a web page, not an image"),
        (b"\n <HTML>", "a web page, not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "none of JPEG, PNG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "none of JPEG, PNG"),
        (saved(Image.fromarray(noise()), "ICO"), "none of JPEG, PNG"),
        (saved(Image.fromarray(noise()[..., 0].astype(np.float32)), "TIFF"), "pixels of 32 bits have no defined range"),
        (saved(Image.fromarray(noise()), "JPEG")[:300], "(?i)truncated|broken"),
        (saved(Image.fromarray(noise()), "PNG")[:300], "(?i)truncated|broken"),
        (saved(Image.fromarray(noise(1, 120)), "PNG"), "longer than 100 times"),
        (huge_png(10_000, 6_000), "10000x6000 is more than 50 million pixels"),
        (huge_png(13_000, 13_000), "more than 50 million pixels"),
        (huge_png(20_000, 20_000), "more than 50 million pixels"),
    ],
    ids=["empty", "html", "html2", "svg", "eps", "ico", "floats", "jpeg", "png", "strip", "60MP", "169MP", "400MP"],
)
def test_what_is_no_whole_picture_says_why(content, reason, tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(content)
    with pictures.quiet():
        for item in (content, path):
            for read in (decode, pictures.check):
                with pytest.raises(UnreadableImage, match=reason) as error:
                    read(item)
                assert "\n" not in str(error.value)


def test_a_bomb_is_refused_before_it_takes_memory():
    bomb = huge_png(13_000, 13_000)
    assert len(bomb) < 50_000
    process = psutil.Process()
    before = process.memory_info().rss
    with pictures.quiet():
        for _ in range(20):
            with pytest.raises(UnreadableImage):
                decode(bomb)
    assert process.memory_info().rss - before < 50 * 2**20


@given(form=st.sampled_from(["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM"]), data=st.data())
def test_a_damaged_picture_is_decoded_or_refused(form, data):
    content = bytearray(saved(Image.fromarray(noise()), form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with pictures.quiet():
        try:
            outcome = decode(bytes(content)).mode
        except UnreadableImage as error:
            outcome = str(error)
    assert outcome
    assert "\n" not in outcome


def test_silence_ends_with_the_block():
    with pictures.quiet():
        warnings.warn("unheard", UserWarning, stacklevel=1)
    with pytest.warns(UserWarning, match="heard"):
        warnings.warn("heard", UserWarning, stacklevel=1)


@pytest.mark.parametrize("samples", [9, 8137, 59907])
def test_what_pillow_logs_of_an_odd_file_is_not_printed(samples, monkeypatch, capsys):
    monkeypatch.setattr(logging.root, "handlers", [])  # as in a program that has set up no logging
    content = bytearray(saved(Image.fromarray(noise()), "TIFF"))
    at = content.index(struct.pack("<HHI", 277, 3, 1)) + 8  # SamplesPerPixel
    content[at : at + 2] = struct.pack("<H", samples)
    with pictures.quiet(), pytest.raises(UnreadableImage):
        decode(bytes(content))
    assert capsys.readouterr().err == ""
