"""Damaged folders end in the network they were, or in one line: no crash, no hang, no full memory."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support.mutations import TOKENS, judge, mutants

import senet
from senet.weights.safe import read_weights

KINDS = ("config.json", "model.safetensors", "safetensors header", "torch", "old torch")
COUNT = {"config.json": 50}  # fast tests; 150 of the others


def reader(kind: str, tmp_path: Path) -> tuple[Callable[[bytes], object], bytes, tuple[bytes, ...]]:
    """Make a sound file of a kind, and what reads its damaged copies."""
    model = senet.create_model("resnet8", se="standard:reduction=4", options={"widths": (4, 4, 8)})
    senet.insert(model, senet.SESpec(reduction=2, slot="pre"))
    arguments = {"name": "resnet8", "se": "standard:reduction=4", "options": {"widths": (4, 4, 8)}}
    folder = senet.save_pretrained(model, tmp_path / "net", **arguments)
    if kind in ("config.json", "model.safetensors"):
        file = folder / kind

        def network(content: bytes) -> object:
            file.write_bytes(content)
            return senet.from_pretrained(folder)

        return network, file.read_bytes(), TOKENS if kind == "config.json" else ()
    if kind == "safetensors header":
        content = (folder / "model.safetensors").read_bytes()
        end = 8 + int.from_bytes(content[:8], "little")

        def headed(header: bytes) -> object:
            (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
            return read_weights(tmp_path / "a.safetensors")

        return headed, content[8:end], TOKENS
    buffer = io.BytesIO()
    state = {"a.weight": torch.ones(4, 3), "a.bias": torch.ones(4), "n": torch.tensor(3)}
    content = {"epoch": 3, "model": state, "optimizer": {"betas": (0.9, 0.999)}}
    torch.save(content, buffer, _use_new_zipfile_serialization=kind == "torch")

    def weights(data: bytes) -> object:
        (tmp_path / "a.pt").write_bytes(data)
        return read_weights(tmp_path / "a.pt")

    return weights, buffer.getvalue(), ()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_copy_is_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    read, content, tokens = reader(kind, tmp_path)
    read(content)
    verdict = judge(read, mutants(content, count=COUNT.get(kind, 150), seed=0, tokens=tokens))
    assert not verdict.faults, verdict


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_twenty_thousand_damaged_copies_are_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    read, content, tokens = reader(kind, tmp_path)
    verdict = judge(read, mutants(content, count=20_000 // len(KINDS), seed=1, tokens=tokens))
    assert not verdict.faults, verdict
