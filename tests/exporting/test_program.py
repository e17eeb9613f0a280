"""`.pt2` files: tested like any network, by users who say that they trust them, and read without running them."""

from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest
import torch
from exports import ORIGIN, SPEC, Done

import senet
from senet.errors import CheckpointError, SpecError
from senet.weights.exported_file import read_exported

Call = Callable[..., tuple[int, str, str]]


@pytest.mark.slow
def test_eval_tests_a_program_like_the_folder_that_it_is_of(call: Call, done: Done, tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    classes = {digit: str(digit) for digit in range(10)}
    for static in (False, True):
        path = tmp_path / "a net.pt2"
        senet.export(done.model, path, shape=(3, 1, 8, 8), static=static, classes=classes, origin=ORIGIN)
        assert read_exported(path)["network"]["model"] == "resnet8"
        network, x = senet.from_pretrained(path, builder=torch.export.load), torch.randn(7, 1, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(network(x), done.model(x), rtol=1e-5, atol=1e-5)
        with pytest.raises(SpecError, match=r"takes images of shape \(.*, 1, 8, 8\), not \(1, 1, 9, 9\)"):
            network(torch.randn(1, 1, 9, 9))
    senet.save_pretrained(done.model, tmp_path / "net", name="resnet8", se=SPEC, in_chans=1, image_size=8)
    answers = []
    for words in ([str(tmp_path / "net")], [str(path), "--builder", "torch.export:load"]):
        code, out, err = call("eval", *words, "--data", "digits", "--device", "cpu")
        assert code == 0, err
        answers.append(out.partition(": ")[2].partition(", loss")[0])
    assert answers[0] == answers[1]


def test_a_program_is_not_run_unasked_and_a_damaged_one_is_one_line(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    for content, sentence in (
        (b"no zip", "is damaged: it is not a program of torch.export"),
        (None, "was not written by"),
    ):
        if content is None:
            with ZipFile(path, "w") as archive:
                archive.writestr("net/extra/other", "{}")
        else:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match=sentence):
            read_exported(path)
    with pytest.raises(CheckpointError, match=r"may contain any code; .*builder=torch.export.load \(--builder torch"):
        senet.from_pretrained(path)
    with pytest.raises(CheckpointError, match=r"net\.pt2 cannot be loaded as a program: .*; export it again"):
        senet.from_pretrained(path, builder=torch.export.load)
    code, _, err = call("eval", str(path), "--data", "digits")
    assert (code, err.count("\n")) == (4, 1)
