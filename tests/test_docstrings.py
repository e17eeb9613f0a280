"""Every example in a docstring runs."""

import doctest
import importlib
import pkgutil
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import torch

import senet


def text(module: pkgutil.ModuleInfo) -> str:
    """Return the source of a module, which need not be imported."""
    spec = find_spec(module.name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).read_text()


def modules() -> list[str]:
    """Return the modules whose text has an example."""
    found = pkgutil.walk_packages(senet.__path__, prefix="senet.")
    apart = {"senet.__main__"}
    if find_spec("triton") is None:  # torch brings it where it is built for CUDA
        apart |= {"senet.fast.kernels.triton_kernels", "senet.fast.kernels.triton_passes"}
    if find_spec("ray") is None:  # the extra `cluster`
        apart |= {"senet.execution.cluster.executor", "senet.execution.cluster.node"}
    return [module.name for module in found if module.name not in apart and ">>> " in text(module)]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.usefixtures("unchecked")  # as users run them; a tracer's proxies are no tensors
@pytest.mark.parametrize("name", modules())
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    for test in examples(module):
        test.globs |= {"torch": torch, "nn": torch.nn, "senet": senet, "create_model": senet.create_model}
        test.globs |= {"SESpec": senet.SESpec}
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        runner.run(test, out=lambda text: pytest.fail(text))


def test_there_are_examples_to_run() -> None:
    assert sum(len(examples(importlib.import_module(name))) for name in modules()) > 20
