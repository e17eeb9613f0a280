"""The values of a run as a command or a caller words them: options over a file, words over options, then defaults."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from senet.errors import SenetError, UsageError

if TYPE_CHECKING:
    from senet.experiments.run import Run
    from senet.experiments.setup import Setup
    from senet.experiments.study import Study

__all__ = [
    "DEFAULTS",
    "asked_values",
    "check_images",
    "check_models",
    "defaults",
    "made_run",
    "refuse_other_settings",
    "refuse_zoo_options",
    "run_of_network",
]

DEFAULTS = {  # data set: default (network, recipe, designs) of `compare` and `train`
    "digits": ("resnet8", "digits", ("standard", "standard:reduction=4", "slow_both", "bump", "eca")),
    "control": ("resnet8", "digits", ("standard",)),
    "cifar10": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "cifar100": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "svhn": ("resnet20", "sgd-cosine", ("standard", "slow_both")),
    "folder": ("resnet18", "photos", ("standard",)),
}


def defaults(data: object) -> tuple[str, str, tuple[str, ...]]:
    """Return the default network, recipe and designs of a data set; unknown names are refused when they are decoded."""
    return DEFAULTS.get(data, DEFAULTS["cifar10"]) if isinstance(data, str) else DEFAULTS["cifar10"]


def asked_values(
    words: list[str] | None,
    *,
    data: str | None,
    data_dir: Path | None = None,
    model: str | None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    recipe: str | None = None,
    se: str | None = None,
    weights: str | None = None,
    pretrained: bool = False,
    builder: str = "",
    base: Any = None,
) -> dict[str, Any]:
    """Put options and words over a base; the rest comes from the defaults of the data set.

    Args:
        words: `NAME=VALUE`, which win over options and base.
        data: name of the data set; here and below None leaves the value of the base.
        data_dir: folder of the data set; its contents tell which set it is if nothing else does. None if
            it is embedded.
        model: name of the network.
        epochs: passes over the training images.
        batch_size: images of one step.
        lr: learning rate before the schedule.
        recipe: name of a recipe.
        se: a design.
        weights: weights to start from.
        pretrained: start from the weights that a library has for its network.
        builder: the function that builds the network of the folder `model`; empty without one.
        base: values of a file, not yet checked.

    Returns:
        The argument of `decoding.run`.

    Raises:
        UsageError: if `se.NAME=VALUE` would change several designs, or weights are given twice.
        SpecError: if a word is not an assignment.
    """
    from senet import settings
    from senet.experiments import decoding

    asked = decoding.tables(base or {}, place="")
    changes = decoding.tables(decoding.assign(words or []), place="")
    asked["data"] = _asked_data(
        {**asked.get("data", {}), **({} if data is None else {"name": data})}, changes, data_dir
    )
    network, preset, _ = defaults(asked["data"]["name"])
    if model is not None or "model" not in asked:
        asked["model"] = model or network
    if builder:
        asked["model"], weights = _of_builder(asked["model"], weights, builder)
    if pretrained:
        if weights is not None:
            raise UsageError(f"--pretrained and --weights {weights} contradict each other; leave one out.")
        weights = "pretrained"
    if weights is not None:
        asked["weights"] = weights
    words_recipe = changes.get("recipe")
    if recipe is None and isinstance(words_recipe, Mapping):
        recipe = words_recipe.get("preset")
    if recipe is None and "recipe" not in asked and _starts_trained(asked, changes):
        asked["recipe"] = {"preset": "finetune", **_of_images(preset)}
    if recipe is not None or "recipe" not in asked:
        asked["recipe"] = {"preset": recipe or preset}
    flags = {"epochs": epochs, "batch_size": batch_size, "optim": None if lr is None else {"lr": lr}}
    asked["recipe"] = settings.merge(asked["recipe"], {k: v for k, v in flags.items() if v is not None})
    if se is not None:
        asked["se"] = se
    if isinstance(changes.get("se"), dict):  # `se.reduction=8` changes the design, or makes one
        old = decoding.se_designs(asked.pop("se", "standard"))
        if len(old) != 1:
            raise UsageError("se.NAME=VALUE changes one design, and there are several; write them out with --se.")
        changes["se"] = settings.merge(asdict(old[0]), changes["se"])
    return settings.merge(asked, changes)


def _starts_trained(asked: Mapping[str, Any], changes: Mapping[str, Any]) -> bool:
    """Return whether a network starts from weights: those that the user names, or its function loads."""
    from senet.networks.built_weights import weights_of
    from senet.networks.names import named
    from senet.networks.stated import source_hash

    if asked.get("weights") or changes.get("weights"):
        return True
    model = changes.get("model", asked["model"])
    return isinstance(model, str) and ":" in model and weights_of(named(model), version=source_hash(model)).loaded


def _of_builder(folder: str, weights: str | None, builder: str) -> tuple[str, str]:
    """Return the network and the weights of a folder whose network a user-supplied function builds.

    A function that a folder names is never called, so the run holds the function that the user names.
    """
    from senet.networks import is_network
    from senet.networks.pretrained import description

    if not is_network(folder):
        raise UsageError(f"--builder is for folders; pass {builder} as --model in place of {folder}.")
    if weights is not None:
        raise UsageError(f"{folder} has its own weights; leave out --weights {weights}.")
    _, config = description(folder)
    if config.insert or config.removed:
        raise UsageError(
            f"{folder} holds inserted or folded blocks, which a comparison would add to every design; use the plain "
            f"network: --model {builder} --weights FILE."
        )
    return builder, folder


def refuse_zoo_options(model: str, *, se: str | None, origin: str, inserts: bool = False) -> None:
    """Refuse the options of networks of the zoo for a network that has its own blocks and tensor names.

    Args:
        model: name of the network, or its folder.
        se: the design; None if none is asked for.
        origin: library whose tensor names the weights have.
        inserts: the command inserts the design into the network of a function, whose weights are then loaded.

    Raises:
        UsageError: if one of them is given for another network.
    """
    from senet.networks import named

    if (se is None and origin == "senet") or named(model).library == "senet":
        return
    kept = inserts and named(model).library == "builder"
    for flag, given in (("--se", se is not None and not kept), ("--origin", origin != "senet")):
        if given:
            raise UsageError(f"{flag} is only for networks of `senet models`, not for {model}; leave it out.")


def run_of_network(
    model: str, words: list[str] | None, *, data: str | None, data_dir: Path | None, se: str, weights: Path | None
) -> "tuple[Run | None, Collection[str]]":
    """Return a run that states the images of a network that exists and, for a network of the zoo, its blocks.

    Args:
        model: name of the network, or its folder.
        words: `NAME=VALUE`.
        data: name of the data set.
        data_dir: folder of the data set.
        se: the design of a network of the zoo.
        weights: weights of the network.

    Returns:
        The run and the fields of its data that the user set; None and none for the folder of a run, which has settings
        of its own.

    Raises:
        UsageError: if words, data or weights are given for the folder of a run.
    """
    from senet.experiments import decoding
    from senet.networks import named

    if (Path(model) / "run.json").exists():
        refuse_other_settings(model, words, data=data, data_dir=data_dir, weights=weights)
        return None, ()
    found = named(model)
    network, design = (found.name, se) if found.library == "senet" else ("resnet8", "plain")  # only the data counts
    asked = asked_values(words, data=data, data_dir=data_dir, model=network, se=design)
    return decoding.run(asked), asked["data"].keys()


def refuse_other_settings(
    run: str, words: list[str] | None, *, data: str | None, data_dir: Path | None, weights: Path | None
) -> None:
    """Refuse what the folder of a run defines itself; its images may lie in another folder.

    Raises:
        UsageError: if words, data or weights are given, or a folder of images for a run that needs none.
    """
    from senet.experiments.data_spec import EMBEDDED
    from senet.training.run_folder import read_run

    if words or data is not None or weights is not None:
        raise UsageError(
            f"{run} is a run and has its own weights and settings; leave out --weights, --data and NAME=VALUE."
        )
    trained = read_run(Path(run, "run.json")).data.name
    if data_dir is not None and trained in EMBEDDED:
        raise UsageError(f"{run} was trained on {trained}, which needs no folder; leave out --data-dir.")


def _of_images(preset: str) -> dict[str, Any]:
    """Return the fields of a data set's recipe that depend on its images, not on where the network starts."""
    from senet.experiments.recipe import RECIPES

    return {"augment": asdict(RECIPES[preset].augment), "channels_last": RECIPES[preset].channels_last}


def made_run(asked: dict[str, Any]) -> "Run":
    """Decode a run and fill in what its network and its weights define, see `senet.networks.stated.stated`."""
    from senet.experiments import decoding
    from senet.networks.stated import stated

    return stated(decoding.run(asked), said=asked.get("data", {}).keys())


def _asked_data(said: dict[str, Any], changes: Mapping[str, Any], data_dir: Path | None) -> dict[str, Any]:
    """Name the data set: as given, else by the contents of the folder, else the digits; identify a folder of images."""
    words = changes.get("data", {})
    named = words.get("name", said.get("name")) if isinstance(words, Mapping) else None
    if data_dir is None:
        return {**said, "name": named or "digits"}
    from senet.data.dataset_detection import identity, recognise
    from senet.experiments.data_spec import EMBEDDED

    if named in EMBEDDED:
        raise UsageError(f"--data-dir {data_dir}: {named} needs no folder; leave out --data-dir or {named}.")
    name = named or recognise(data_dir)
    known = {"folder": identity(data_dir)} if name == "folder" and data_dir.is_dir() else {}
    return {**known, **said, "name": name}


def check_models(study: "Study") -> None:
    """Build every network of a study without weights, and read those that it starts from, before the first step."""
    from senet.networks.building import build
    from senet.networks.names import named
    from senet.networks.outline import outline_of
    from senet.networks.repeatable import ensure_repeatable
    from senet.networks.starting_weights import ensure_alike, read_start

    for run in dict.fromkeys(replace(row.run, se=()) for row in study.rows if row.run.stored_weights):
        ensure_alike(read_start(run.weights), outline_of(run), source=run.weights, where=run.model)
    for row in study.rows:
        try:
            outline_of(row.run)
        except SenetError as error:
            error.add_note(f"in row {row.id!r} of {study.name}")
            raise
    for model, weights in dict.fromkeys((row.run.model, row.run.stored_weights) for row in study.rows):
        if (found := named(model)).library == "builder":
            ensure_repeatable(partial(build, found), model, weights=not weights)


def check_images(study: "Study", runs: Path, setup: "Setup") -> None:
    """Check, before the first step and any measurement, that images are large enough for the networks of a study.

    Networks of runs that have ended, and images that only the machines of a cluster have, are not checked.

    Raises:
        UsageError: if a network cannot be trained on its images.
    """
    from senet.execution.executors import load_cached
    from senet.execution.store import Store
    from senet.training.map_sizes import refuse_small_maps

    if setup.cluster:
        return
    store = Store(runs)
    left = {replace(run, seed=0): run for run in study.runs() if store.ended(run) is None}
    for run in left.values():
        refuse_small_maps(run, load_cached(run.data, setup))
