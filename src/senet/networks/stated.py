"""What a run says of its network when it is made: hashes of source and weights, and the network's own preprocessing.

A run holds them as values, so that its id counts them and nothing is looked up when it is trained.
"""

import hashlib
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from senet.errors import CheckpointError, SpecError
from senet.experiments.run import BUILT, Run
from senet.networks.built_weights import weights_of
from senet.networks.names import Named, named
from senet.networks.preprocessing import preprocessing_of
from senet.networks.starting_weights import own_weights
from senet.weights.config import Preprocessing
from senet.weights.source import CONFIG, HUB, beside, locate

__all__ = ["PRETRAINED", "ensure_unchanged", "source_hash", "stated"]

PRETRAINED = "pretrained"
"""Stands for the default weights that a library has for its network, until a run is made."""
DIGITS = 16  # of a hash


def stated(run: Run, *, said: Collection[str] = ()) -> Run:
    """Fill in the values that follow from the network of a run and from its weights.

    Args:
        run: as a user wrote it.
        said: fields of its data that the user set; those with other values than the defaults count too.

    Returns:
        The run with hashes of what lies in files, with weights by their name in place of `pretrained`, and with the
        preprocessing of the network: for photographs of a folder always, for other data sets where weights are given.
        Weights that the user's function loads by itself are `built`.

    Raises:
        SpecError: if the network is not known, a network of the zoo has patterns `at`, a library has no weights, or a
            function of the user's sets the seed itself.
        CheckpointError: if weights or a builder's file cannot be found.
        UsageError: if a library is not installed.
    """
    found = named(run.model)
    if run.at and found.library == "senet":
        raise SpecError(f"at = {list(run.at)} is for networks that blocks are inserted into; use stages=... in --se.")
    weights, source = own_weights(found) if run.weights == PRETRAINED else run.weights, _hash_of_model(found)
    if not weights and weights_of(found, version=source).loaded:
        weights = BUILT
    run = replace(
        run,
        model=str(found),  # one name for one network: `senet:resnet20` is `resnet20`
        weights=weights,
        model_hash=source,
        weights_hash=_hash_of_weights(weights, found, source),
    )
    if not run.weights and found.library != "folder" and (run.data.name != "folder" or not found.is_foreign):
        return run
    own = _preprocessing(found, run.stored_weights)
    return run if own is None else replace(run, data=own.applied(run.data, said=said, sized=run.data.name == "folder"))


def ensure_unchanged(run: Run) -> None:
    """Refuse a network or weights with other content than when the run was made.

    Raises:
        CheckpointError: if a file has changed, or cannot be found.
    """
    found = named(run.model)
    source = _hash_of_model(found) if run.model_hash else ""
    weights = _hash_of_weights(run.weights, found, source) if run.weights_hash else ""
    loaded = f"what {run.model} loads" if run.weights == BUILT else run.weights
    for what, before, now in ((run.model, run.model_hash, source), (loaded, run.weights_hash, weights)):
        if now != before:
            raise CheckpointError(
                f"{what} has changed since the run was made: {before} -> {now}; restore it, or make a new run."
            )


def ensure_same_source(run: Run, builder: str | None) -> None:
    """Refuse a function whose file has changed since a run was made: its network has other values with these weights.

    Args:
        run: the run whose weights are loaded.
        builder: name of the function that builds its network; None if a library does.

    Raises:
        CheckpointError: if the source has changed.
    """
    if builder is not None and run.model_hash and (now := source_hash(builder)) != run.model_hash:
        raise CheckpointError(
            f"{builder} has changed since the run was made: {run.model_hash} -> {now}; restore it, or train again."
        )


def source_hash(where: str) -> str:
    """Return a hash of the source of a function, or of the files of a folder; empty for names of libraries.

    Args:
        where: as for `senet.networks.create`.
    """
    return _hash_of_model(named(where))


def _hash_of_model(found: Named) -> str:
    if found.library == "builder":
        place = found.name.rpartition(":")[0]
        spec = None if place.endswith(".py") else find_spec(place)
        path = Path(place) if spec is None else Path(spec.origin or "")
        return _hash(path) if path.is_file() else ""  # what does not exist is refused where it is imported
    if found.library == "folder":
        described = beside(found.name, CONFIG)
        parts = [locate(found.name), *([] if described is None else [described])]
        return hashlib.sha256("".join(map(_hash, parts)).encode()).hexdigest()[:DIGITS]
    return ""


def _hash_of_weights(weights: str, found: Named, source: str) -> str:
    if weights == BUILT and found.library == "builder":
        if not (own := weights_of(found, version=source)).loaded:
            raise SpecError(f"weights = {BUILT!r}: {found} loads no weights, they depend on the seed; leave it out.")
        return own.digest[:DIGITS]
    return "" if not weights or _is_of_library(weights) else _hash(locate(weights))


def _hash(path: Path) -> str:
    facts = path.stat()
    return _hash_of_file(path.absolute(), facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=64)
def _hash_of_file(path: Path, modified: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:DIGITS]


def _is_of_library(weights: str) -> bool:
    return weights.startswith(("timm:", "torchvision:"))


def _preprocessing(found: Named, weights: str) -> Preprocessing | None:
    """Return what the weights say of their images, else the network's library or folder; None if neither does."""
    if _is_of_library(weights):
        return preprocessing_of(named(weights))[0]
    if weights and (weights.startswith(HUB) or Path(weights).is_dir()) and beside(weights, CONFIG) is not None:
        try:
            return preprocessing_of(Named("folder", weights))[0]
        except CheckpointError:  # another library's config.json
            pass
    return preprocessing_of(found)[0] if found.is_foreign or found.library == "folder" else None
