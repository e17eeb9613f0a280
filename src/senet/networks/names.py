"""What a network is called, and which library, builder or folder the name stands for; nothing is built."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path

from senet.errors import CheckpointError, SpecError, not_installed, unknown
from senet.models import list_models
from senet.weights.source import CONFIG, HUB

__all__ = ["LIBRARIES", "RUN", "Named", "named"]

LIBRARIES: Mapping[str, str] = {"timm": "timm", "torchvision": "data"}
"""The libraries of others, in the order in which they are asked, each with the extra that installs it."""
RUN = "run.json"


@dataclass(frozen=True)
class Named:
    """What a name stands for.

    Attributes:
        library: `senet`, `timm`, `torchvision`, `builder`, or `folder` (also of a run, and of the Hub).
        name: without the library; `FILE.py:FUNCTION` or `package.module:FUNCTION` of a builder; the path of a folder.
    """

    library: str
    name: str

    @property
    def is_foreign(self) -> bool:
        """Return whether it is a network of another library."""
        return self.library in LIBRARIES

    def __str__(self) -> str:
        """Write it so that `named` reads it back."""
        return f"{self.library}:{self.name}" if self.is_foreign else self.name


def named(name: str) -> Named:
    """Find out what a name stands for.

    Args:
        name: a name of `list_models()`, of timm or of torchvision, looked for in this order; `senet:NAME`, `timm:NAME`
            and `torchvision:NAME` say which; weights of the library may follow behind a dot, `timm:resnet50.a1_in1k`,
            which says the preprocessing and fetches nothing. `FILE.py:FUNCTION` or `package.module:FUNCTION` for a
            builder of your own. A folder that `save_pretrained` wrote or a finished run, or `hf:owner/name`.

    Raises:
        SpecError: if it is not known, or is that of a network that does not classify images.
        UsageError: if the library of the name is not installed.
        CheckpointError: if it is another folder.
    """
    if name.startswith(HUB) or any((Path(name) / file).is_file() for file in (CONFIG, RUN)):
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
            f"torchvision:{short} does not classify images, and only networks that do are taken here: it detects, "
            "segments, takes films, computes flow or is quantized. In Python, senet.insert and senet.fold take its "
            "backbone."
        )
    if Path(name).is_dir():
        raise CheckpointError(
            f"{name} is a folder without {CONFIG} and {RUN}; give one that save_pretrained wrote, a run, or a name."
        )
    raise _unknown(name, library, short)


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
    """Return the names of the weights that a library has for a network."""
    if library == "timm":
        import timm

        return [one.partition(".")[2] for one in timm.list_pretrained(f"{network}.*")]
    from torchvision import models

    return list(models.get_model_weights(network).__members__)


def _all_of_torchvision() -> Collection[str]:
    """Return the names of all networks of torchvision; none if it is not installed."""
    try:
        from torchvision import models
    except (ImportError, RuntimeError):
        return ()
    return set(models.list_models())


def _names(library: str, *, asked: bool) -> Collection[str]:
    """Return the networks of a library; none if it is not installed and was not asked for."""
    if library == "senet":
        return list_models()
    try:
        if library == "timm":
            import timm

            return set(timm.list_models())
        from torchvision import models

        return set(models.list_models(module=models))  # those that classify
    except (ImportError, RuntimeError):  # RuntimeError: a build of torchvision that does not fit torch's
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
        hint = f" With blocks it is {plain} with --se standard."
    elif behind and behind.partition(".")[0] in known:
        hint = f" On its own it is called {behind}."
    if library:
        where = (
            "`senet models` lists ours" if library == "senet" else "choose a name of its list_models() that classifies"
        )
        return SpecError(f"{library} has no network {short!r}; {where}.{hint}")
    return SpecError(
        f"MODEL = {name!r} is known neither here nor to timm or torchvision, as far as they are installed; "
        f"`senet models` lists ours.{hint}"
    )
