"""Testing what exists: a finished run, or a network with weights from elsewhere."""

from pathlib import Path

from senet.data.loading import load
from senet.errors import CheckpointError, DataError
from senet.execution.setup import Setup
from senet.lab.evaluate import Evaluation, evaluate
from senet.lab.folder import read_run as folder_run
from senet.lab.run import Run
from senet.lab.train import build
from senet.weights import load_weights
from senet.weights.safe import read_weights

__all__ = ["evaluate_run", "evaluate_weights", "finished", "read_run"]


def read_run(folder: Path) -> Run:
    """Read what the folder of a run says about it.

    Raises:
        DataError: if the folder is no run.
        CheckpointError: if the file is damaged.
    """
    path = folder / "run.json"
    if not path.exists():
        raise DataError(f"{path} does not exist; give the folder of a run, e.g. runs/0123456789ab.")
    return folder_run(path)


def evaluate_run(folder: Path, setup: Setup) -> Evaluation:
    """Test the weights in the folder of a finished run.

    Raises:
        DataError: if the folder is no run.
        CheckpointError: if the run is not finished, or its files are damaged.
    """
    run, weights = finished(folder)
    return evaluate_weights(run, weights, setup)


def finished(folder: Path) -> tuple[Run, Path]:
    """Read what a finished run is, and say where its weights are.

    Raises:
        DataError: if the folder is no run.
        CheckpointError: if the run is not finished, or its files are damaged.
    """
    run, weights = read_run(folder), folder / "model.safetensors"
    if not weights.exists():
        raise CheckpointError(
            f"{folder} is not finished: it has no model.safetensors; run `senet train -o {folder}` again."
        )
    return run, weights


def evaluate_weights(run: Run, weights: Path, setup: Setup, *, origin: str = "senet") -> Evaluation:
    """Test a network with the weights of a file.

    Args:
        run: network, blocks and data.
        weights: `.safetensors` or what `torch.save` wrote.
        setup: device and paths.
        origin: whose names the weights have.
    """
    data = load(run.data, root=setup.data_dir, on_bad_image=setup.on_bad_image, download=setup.download)
    model = build(run, data)
    load_weights(model, read_weights(weights), origin=origin)
    return evaluate(
        model.to(setup.device),
        data.test.to(setup.device),
        num_classes=data.num_classes,
        device=setup.device,
        workers=setup.workers,
    )
