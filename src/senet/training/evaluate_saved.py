"""Test a network that exists: a finished run, a saved folder, or weights of another library."""

import math
from collections.abc import Collection
from pathlib import Path
from unicodedata import normalize

import torch
from torch import nn

from senet.data.dataset import Data
from senet.data.loading import load_for
from senet.errors import CheckpointError, DataError, NumericError, SpecError, reason_of
from senet.experiments.run import Run
from senet.experiments.setup import Setup
from senet.known_names import Origins
from senet.networks import Named, from_pretrained, preprocessing_of
from senet.networks.own_images import Seen, see
from senet.networks.stated import ensure_same_source
from senet.training.evaluation import Evaluation, evaluate
from senet.training.initial_network import build
from senet.training.run_folder import read_result
from senet.training.run_folder import read_run as folder_run
from senet.weights import load_weights
from senet.weights.safe import read_weights

__all__ = [
    "evaluate_folder",
    "evaluate_foreign",
    "evaluate_run",
    "evaluate_weights",
    "finished",
    "other_classes",
    "read_run",
]


def read_run(folder: Path) -> Run:
    """Read the run of a folder.

    Raises:
        DataError: if it is not the folder of a run.
        CheckpointError: if the file is damaged.
    """
    path = folder / "run.json"
    if not folder.exists():
        raise DataError(f"{folder} does not exist; name the folder of a run, e.g. runs/0123456789ab, or a file.")
    if not path.exists():
        raise DataError(f"{path} does not exist; name the folder of a run, e.g. runs/0123456789ab.")
    return folder_run(path)


def evaluate_run(folder: Path, setup: Setup, *, builder: str | None = None) -> Evaluation:
    """Test the weights in the folder of a finished run.

    Raises:
        DataError: if the folder is not a run folder.
        CheckpointError: if the run is not finished, or its files are damaged.
    """
    run, _ = finished(folder)
    ensure_same_source(run, builder)
    data = load_for(setup, run.data)
    if reason := other_classes(folder, data):
        raise DataError(f"{reason}; pass the folder with its own classes, --data-dir DIR.")
    return _measured(from_pretrained(folder, builder=builder), data, setup, what=str(folder))


def other_classes(folder: Path, data: Data) -> str:
    """Return how the classes of images differ from those that a run was trained on; empty if they do not."""
    result = read_result(folder)
    if result is None:
        return ""
    learned, given = ([normalize("NFC", name) for name in names] for names in (result.classes, data.classes))
    if learned == given:
        return ""
    if len(learned) != len(given):
        return f"{folder} was trained on {len(learned)} classes and not on {len(given)}"
    at = next(number for number, (a, b) in enumerate(zip(learned, given, strict=True)) if a != b)
    order = " in another order" if sorted(learned) == sorted(given) else ""
    return f"{folder} was trained on other classes{order}: class {at} is {learned[at]!r} there and {given[at]!r} here"


def evaluate_folder(
    folder: Path, run: Run, setup: Setup, *, builder: str | None = None, said: Collection[str] = ()
) -> Evaluation:
    """Test the network in a folder with a `config.json`.

    Args:
        folder: as `save_pretrained`, `senet insert` or `senet fold` writes it.
        run: its data are used, with the preprocessing of the folder where that names one.
        setup: device and paths.
        builder: `FILE.py:FUNCTION` that builds a network of the user's own.
        said: fields of its data that the user set, see `Preprocessing.applied`.

    Raises:
        SpecError: if the network does not take the images, or has other outputs than the data have classes.
        CheckpointError: if the folder is damaged.
    """
    seen = preprocessing_of(folder)
    model = from_pretrained(folder, builder=builder)
    wanted = run.data if seen is None else seen.applied(run.data, said=said)
    data = load_for(setup, wanted)
    try:
        with torch.no_grad():
            outputs = model(torch.zeros(1, *data.shape))
    except RuntimeError as error:
        reason = reason_of(error)
        raise SpecError(f"{folder} does not take images of {data.shape} ({reason}); set data.size=PIXELS.") from error
    if outputs.shape[1:] != (data.num_classes,):
        raise SpecError(
            f"{folder} has outputs {tuple(outputs.shape[1:])}, but the data has {data.num_classes} classes; use "
            "the network's own data, or --class-map FILE, which names the output of each class."
        )
    return _measured(model, data, setup, what=str(folder))


def finished(folder: Path) -> tuple[Run, Path]:
    """Return the run of a folder and the path of its weights.

    Raises:
        DataError: if it is not the folder of a run.
        CheckpointError: if the run is not finished, or its files are damaged.
    """
    run, weights = read_run(folder), folder / "model.safetensors"
    if not weights.exists():
        raise CheckpointError(
            f"{folder} is not finished: it has no model.safetensors; run `senet train -o {folder}` again."
        )
    return run, weights


def evaluate_weights(run: Run, weights: Path | None, setup: Setup, *, origin: Origins = "senet") -> Evaluation:
    """Test a network with the weights of a file; None keeps those that the function of the network loads itself.

    Raises:
        NumericError: if the loss is not a finite number.
    """
    data = load_for(setup, run.data)
    model = build(run, data)
    if weights is not None:
        load_weights(model, read_weights(weights), origin=origin)
    return _measured(model, data, setup, what=str(weights or run.model))


def _measured(model: nn.Module, data: Data, setup: Setup, *, what: str) -> Evaluation:
    measured = evaluate(
        model.to(setup.device),
        data.test.to(setup.device),
        num_classes=data.num_classes,
        device=setup.device,
        workers=setup.workers,
    )
    return _finite(measured, what)


def _finite(measured: Evaluation, what: str) -> Evaluation:
    if not math.isfinite(measured.loss):
        raise NumericError(
            f"{what}: the loss over the test images is {measured.loss}, so the outputs are meaningless; check the "
            "weights and the images."
        )
    return measured


def evaluate_foreign(
    name: str,
    found: Named,
    run: Run,
    weights: Path | None,
    setup: Setup,
    *,
    normalize: str = "auto",
    class_map: Path | None = None,
    builder: str | None = None,
    said: Collection[str] = (),
) -> tuple[Evaluation, Seen]:
    """Test a network of another library or a file, on all images of a folder without a split; arguments as for `see`.

    Raises:
        DataError: if the output of a class is not known.
    """
    seen = see(
        name, found, run.data, setup, weights=weights, normalize=normalize, class_map=class_map, whole=True,
        builder=builder, said=said,
    )  # fmt: skip
    if seen.unknown:
        raise DataError(f"{seen.title}: {seen.unknown}.")
    assert seen.outputs is not None
    test = seen.test.to(setup.device)
    measured = evaluate(
        seen.model, test, num_classes=seen.outputs, device=setup.device, batch_size=100, workers=setup.workers
    )
    return _finite(measured, seen.title), seen
