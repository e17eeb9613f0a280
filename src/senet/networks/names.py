"""Names of networks: resolve one to its library, builder or folder, without building anything."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from senet.errors import CheckpointError, SpecError, not_installed, unknown
from senet.models import list_models
from senet.weights.config import is_described
from senet.weights.source import CONFIG, HUB

__all__ = ["LIBRARIES", "RUN", "Named", "is_network", "named", "own_builder"]

LIBRARIES: Mapping[str, str] = {"timm": "timm", "torchvision": "data"}
"""Supported libraries in the order of lookup, each with the extra that installs it."""
RUN = "run.json"


@dataclass(frozen=True)
class Named:
    """A resolved name.

    Attributes:
        library: `senet`, `timm`, `torchvision`, `builder`, or `folder` (including run folders and the Hub).
        name: name without the library; `FILE.py:FUNCTION` or `package.module:FUNCTION` of a builder; path of a folder.
    """

    library: str
    name: str

    @property
    def is_foreign(self) -> bool:
        """Whether the network belongs to another library."""
        return self.library in LIBRARIES

    def __str__(self) -> str:
        """Format it so that `named` can parse it."""
        return f"{self.library}:{self.name}" if self.is_foreign else self.name


def named(name: str) -> Named:
    """Resolve a name to its library, builder or folder.

    Args:
        name: a name of `list_models()`, timm or torchvision, looked up in this order; `senet:NAME`, `timm:NAME` and
            `torchvision:NAME` select the library. A dot and a weights tag may follow, e.g. `timm:resnet50.a1_in1k`;
            it selects the preprocessing and downloads nothing. `FILE.py:FUNCTION` or `package.module:FUNCTION` for a
            custom builder. A folder of `save_pretrained`, a run folder, a file of `senet insert --output`, or
            `hf:owner/name`.

    Raises:
        SpecError: if the name is not known, or its network does not classify images.
        UsageError: if the library is not installed.
        CheckpointError: if it is a folder or a file without the description of a network.
    """
    if name.startswith(HUB) or is_network(name):
        return Named("folder", name)
    library, _, short = name.rpartition(":")
    if library not in ("", "senet", *LIBRARIES):
        if library.endswith(".py") or "." in library or (library.isidentifier() and find_spec(library) is not None):
            return Named("builder", name)
        raise unknown(f"MODEL = {name!r}: library", library, ("senet", *LIBRARIES))
    for candidate in ("senet", *LIBRARIES):
        if library in ("", candidate) and _knows(candidate, short, asked=bool(library)):
            return Named(candidate, short)
    if library in ("", "torchvision") and short in _all_of_torchvision():
        raise SpecError(
            f"torchvision:{short} does not classify images (it detects, segments, takes videos, computes optical flow "
            "or is quantized); choose a classifier. In Python, senet.insert and senet.fold accept its backbone."
        )
    if Path(name).is_dir():
        raise CheckpointError(
            f"{name} is a folder without {CONFIG} or {RUN}; use a folder of save_pretrained, a run folder, or a name."
        )
    if Path(name).is_file() and not name.endswith(".py"):
        raise CheckpointError(
            f"{name} contains weights but not the name of their network; pass that name, with --weights {name}."
        )
    raise _unknown(name, library, short)


def is_network(path: str | Path) -> bool:
    """Return whether a path is a folder or a file that holds a network and its description."""
    return any((Path(path) / file).is_file() for file in (CONFIG, RUN)) or is_described(path)


def own_builder(name: str) -> str | None:
    """Return the name if it is a builder's, for folders of runs that this user has trained with it; else None."""
    return name if named(name).library == "builder" else None


def _knows(library: str, name: str, *, asked: bool) -> bool:
    names = _names(library, asked=asked)
    network, _, tag = name.partition(".")
    if name in names or not tag or network not in names:
        return name in names
    if library == "senet":
        return False
    tags = _tags(library, network)
    if tag not in tags:
        raise unknown(f"{library}:{network}: weights", tag, tags or ["none"])
    return True


def _tags(library: str, network: str) -> list[str]:
    """Return the tags of the weights that a library has for a network."""
    if library == "timm":
        import timm

        return [one.partition(".")[2] for one in timm.list_pretrained(f"{network}.*")]
    from torchvision import models

    return list(models.get_model_weights(network).__members__)


def _all_of_torchvision() -> Collection[str]:
    """Return the names of all networks of torchvision; empty if it is not installed."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError):
        return ()
    return set(models.list_models())


def _names(library: str, *, asked: bool) -> Collection[str]:
    """Return the names of the networks of a library; empty if it is not installed and not `asked` for."""
    if library == "senet":
        return list_models()
    try:
        if library == "timm":
            import timm

            return set(timm.list_models())
        from torchvision import models

        return set(models.list_models(module=models))  # classifiers only
    except (ImportError, RuntimeError):  # RuntimeError: torchvision built for another version of torch
        if asked:
            raise not_installed(f"a network of {library}", library, extra=LIBRARIES[library]) from None
        return ()


def _unknown(name: str, library: str, short: str) -> SpecError:
    known = [
        one
        for candidate in ("senet", *LIBRARIES)
        if library in ("", candidate)
        for one in _names(candidate, asked=False)
    ]
    near = get_close_matches(short.lower(), set(known), n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    plain = short.lower().replace("-", "_").removeprefix("se").removeprefix("_")
    behind = short.partition("/")[2]
    if short.lower().startswith("se") and library != "timm" and plain in list_models():
        hint = f" Did you mean {plain} with --se standard?"
    elif behind and behind.partition(".")[0] in known:
        hint = f" Did you mean {behind}?"
    if library:
        where = "`senet models` lists them" if library == "senet" else "choose a classifier from its list_models()"
        return SpecError(f"{library} has no network {short!r}; {where}.{hint}")
    return SpecError(
        f"MODEL = {name!r} is not known to senet, timm or torchvision (if installed); "
        f"`senet models` lists the networks of senet"
        f"{'; a file is given as FILE.py:FUNCTION' if name.endswith('.py') else ''}.{hint}"
    )
