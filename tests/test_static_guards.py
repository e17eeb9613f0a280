"""No file of senet may execute what it reads: checked on the syntax of every file in `src`.

The calls that could: `torch.load` that obeys pickles, pickle itself and what is built on it, `yaml.load`, `eval`,
`exec`, `np.load` of objects, archives unpacked without a filter. One exception: one subclass of `pickle.Unpickler`
in `senet/data` that decides in `find_class` what it lets through.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "senet"

FORBIDDEN = {
    "eval",
    "exec",
    "__import__",
    "builtins.eval",
    "builtins.exec",
    "builtins.__import__",
    "pickle.load",
    "pickle.loads",
    "pickle.Unpickler",
    "_pickle.load",
    "_pickle.loads",
    "_pickle.Unpickler",
    "pickle._load",
    "pickle._loads",
    "pickle._Unpickler",
    "marshal.load",
    "marshal.loads",
    "shelve.open",
    "dill.load",
    "dill.loads",
    "cloudpickle.load",
    "cloudpickle.loads",
    "joblib.load",
    "pandas.read_pickle",
    "yaml.load",
    "yaml.load_all",
    "yaml.full_load",
    "yaml.full_load_all",
    "yaml.unsafe_load",
    "yaml.unsafe_load_all",
    "torch.hub.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "os.system",
}
# Calls that are harmless with one argument: how it must be given.
MUST_SAY = {
    "torch.load": ("weights_only", True),
    "torch.hub.load_state_dict_from_url": ("weights_only", True),
    "torch.utils.model_zoo.load_url": ("weights_only", True),
    "shutil.unpack_archive": ("filter", "data"),
}
MAY_NOT_SAY = {"numpy.load": "allow_pickle", "numpy.lib.format.read_array": "allow_pickle"}
METHODS_MUST_SAY = {"extractall": ("filter", "data")}  # whatever the object is called


def origins(tree: ast.AST) -> dict[str, str]:
    """Return what each imported name stands for."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                found[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return found


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, names)}.{node.attr}"
    return "?"


def says(call: ast.Call, keyword: str, value: object) -> bool:
    return any(k.arg == keyword and isinstance(k.value, ast.Constant) and k.value.value == value for k in call.keywords)


def is_restricted_unpickler(node: ast.AST, names: dict[str, str]) -> bool:
    return (
        isinstance(node, ast.ClassDef)
        and any(dotted(base, names) in ("pickle.Unpickler", "pickle._Unpickler") for base in node.bases)
        and any(isinstance(part, ast.FunctionDef) and part.name == "find_class" for part in node.body)
    )


def violations(text: str, *, unpickler_allowed: bool = False) -> Iterator[str]:
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        yield f"{error.lineno}: {error.msg}"
        return
    names = origins(tree)
    restricted = [node for node in ast.walk(tree) if is_restricted_unpickler(node, names)]
    allowed = {id(base) for node in restricted[:1] for base in node.bases} if unpickler_allowed else set()
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        # A name is enough: it could be called under another one.
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node, names) in FORBIDDEN and id(node) not in allowed:
            yield f"{line}: {dotted(node, names)}"
        if isinstance(node, ast.Name | ast.Attribute) and dotted(node, names) in MUST_SAY:
            calls = (c for c in ast.walk(tree) if isinstance(c, ast.Call) and c.func is node)
            if not any(says(call, *MUST_SAY[dotted(node, names)]) for call in calls):
                yield f"{line}: {dotted(node, names)} without {'{}={!r}'.format(*MUST_SAY[dotted(node, names)])}"
        if isinstance(node, ast.Call):
            keyword = MAY_NOT_SAY.get(dotted(node.func, names))
            touched = len(node.args) > 1 or any(k.arg in (keyword, None) for k in node.keywords)
            if keyword and touched and not says(node, keyword, False):
                yield f"{line}: {dotted(node.func, names)} with {keyword}"
            method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
            if method in METHODS_MUST_SAY and not says(node, *METHODS_MUST_SAY[method]):
                yield f"{line}: {method} without {'{}={!r}'.format(*METHODS_MUST_SAY[method])}"
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            yield f"{line}: an import of everything hides what is imported"


def test_no_file_can_execute_what_it_reads() -> None:
    files = sorted(SOURCE.rglob("*.py"))
    assert len(files) > 5
    found = []
    exceptions = 0
    for file in files:
        text = file.read_text("utf-8")
        allowed = file.parent == SOURCE / "data" and exceptions == 0
        exceptions += allowed and "Unpickler" in text
        found += [f"{file.relative_to(SOURCE)}:{what}" for what in violations(text, unpickler_allowed=allowed)]
    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.load('a')",
        "import torch\ntorch.load('a', weights_only=False)",
        "import torch\ntorch.load('a', weights_only=flag)",
        "import torch\ntorch.load('a', **options)",
        "import torch as t\nt.load('a', map_location='cpu')",
        "from torch import load\nload('a')",
        "from torch import load as read\nread('a')",
        "import torch\nread = torch.load\nread('a')",
        "import torch.serialization\nf(torch.load)",
        "import torch\ntorch.hub.load('a', 'b')",
        "import torch\ntorch.hub.load_state_dict_from_url('a')",
        "import torch\ntorch.jit.load('a')",
        "import pickle\npickle.load(file)",
        "import pickle\npickle.loads(data)",
        "import pickle as p\np.Unpickler(file).load()",
        "from pickle import loads as decode\ndecode(data)",
        "from pickle import *\nloads(data)",
        "def f():\n    import pickle\n    return list(map(pickle.loads, parts))",
        "import pickle\nclass Quiet(pickle.Unpickler):\n    def find_class(self, module, name): ...",
        "import marshal\nmarshal.loads(data)",
        "import yaml\nyaml.load(text, Loader=yaml.Loader)",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "import yaml\nyaml.unsafe_load(text)",
        "eval('1')",
        "exec('1')",
        "import builtins\nbuiltins.eval('1')",
        "run = eval",
        "__import__('os')",
        "import os\nos.system('ls')",
        "import numpy as np\nnp.load('a', allow_pickle=True)",
        "import numpy as np\nnp.load('a', None, True)",
        "import numpy as np\nnp.load('a', allow_pickle=flag)",
        "from numpy import load\nload('a', **options)",
        "import tarfile\ntarfile.open('a').extractall('b')",
        "with opened as archive:\n    archive.extractall('b', filter='fully_trusted')",
        "import shutil\nshutil.unpack_archive('a')",
    ],
)
def test_the_guard_bites(text: str) -> None:
    assert list(violations(text))


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.load('a', map_location='cpu', weights_only=True)",
        "import torch as t\nt.load('a', weights_only=True)",
        "model.eval()",
        "import yaml\nyaml.safe_load(text)",
        "import json\njson.load(file)\njson.loads(text)",
        "import pickle\npickle.dumps(obj)",
        "import numpy as np\nnp.load('a')\nnp.load('a', allow_pickle=False)",
        "import tarfile\ntarfile.open('a').extractall('b', filter='data')",
        "import safetensors.torch\nsafetensors.torch.load(data)",
    ],
)
def test_the_guard_lets_the_harmless_through(text: str) -> None:
    assert list(violations(text)) == []


def test_the_guard_allows_one_unpickler_that_decides_what_it_finds() -> None:
    good = "import pickle\nclass Quiet(pickle.Unpickler):\n    def find_class(self, module, name): ...\n"
    assert list(violations(good, unpickler_allowed=True)) == []
    assert len(list(violations(good + good.replace("Quiet", "Other"), unpickler_allowed=True))) == 1
    for bad in (good.replace("find_class", "find"), good + "pickle.Unpickler(file)", good + "pickle.loads(data)"):
        assert list(violations(bad, unpickler_allowed=True))
