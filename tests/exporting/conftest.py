"""One export for all tests that look at a good one: an export takes seconds."""

import pytest
import torch
from exports import ORIGIN, Done, network

import senet


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """A checked export, in a folder whose name has a space."""
    for library in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(library)
    folder = tmp_path_factory.mktemp("a folder")
    model = network()
    classes = {digit: str(digit) for digit in range(10)}
    images = [torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(3))]
    report = senet.export(model, folder / "my net.onnx", images=images, classes=classes, origin=ORIGIN)
    return Done(model, report)
