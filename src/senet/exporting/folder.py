"""A folder with everything about an exported network: weights, description, card and ONNX file; and its upload."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import CheckpointError, StorageError, UsageError, not_installed
from senet.exporting.card import with_export
from senet.exporting.checked_export import export
from senet.exporting.exported import Exported
from senet.exporting.preparation import prepared
from senet.files.atomic import ensure_writable, write_text
from senet.files.documents import read_text
from senet.networks import save_pretrained
from senet.surgery.folding.batches import Batches
from senet.surgery.folding.removal import Watch
from senet.weights.config import Preprocessing
from senet.weights.source import HUB, hub_calls

__all__ = ["FILE", "export_folder", "upload"]

FILE = "model.onnx"
CARD = "README.md"


def export_folder(
    model: nn.Module,
    folder: Path,
    *,
    origin: Mapping[str, Any],
    preprocessing: Preprocessing | None = None,
    licence: str | None = None,
    comparison: Path | None = None,
    fold: float | None = None,
    images: Batches | None = None,
    test: Batches | None = None,
    watch: Watch | None = None,
    **options: Any,
) -> Exported:
    """Write `model.safetensors`, `config.json`, `model.onnx` and a card `README.md` with the checks of the file.

    Args:
        model: the network; it is not changed.
        folder: created if necessary.
        origin: arguments of `save_pretrained` that tell where the network comes from.
        preprocessing: of its images; None uses that of `origin`.
        licence: licence of the weights for the card, an identifier of the Hub such as `apache-2.0`.
        comparison: folder that `senet compare` wrote, whose report justifies the blocks; None without one.
        fold: as for `export`.
        images: as for `export`.
        test: as for `export`.
        watch: as for `export`.
        options: further arguments of `export`.

    Raises:
        CheckpointError: if the comparison has no report.
        SenetError: as `save_pretrained` and `export` do.
    """
    report = None if comparison is None else _report(comparison)
    ensure_writable(folder)
    network, folded, notes = prepared(model, fold=fold, images=images, test=test, watch=watch)
    made = {**origin, **({} if preprocessing is None else {"preprocessing": preprocessing})}
    exported = export(
        network,
        folder / FILE,
        origin=made,
        images=images,
        test=test,
        preprocessing=preprocessing,
        watch=watch,
        **options,
    )
    exported = replace(exported, folded=folded, notes=(*notes, *exported.notes))
    save_pretrained(network, folder, **made)
    text = with_export(read_text(folder / CARD), exported, file=FILE, licence=licence, comparison=report)
    write_text(folder / CARD, text)
    return exported


def upload(repository: str, write: Callable[[Path], Exported]) -> Exported:
    """Write a folder and upload it to the Hugging Face Hub.

    Args:
        repository: `hf:owner/name`; created, private, if it does not exist.
        write: writes the folder.

    Raises:
        UsageError: if huggingface-hub is not installed, or the name is not `hf:owner/name`.
        StorageError: if the Hub cannot be reached or refuses.
    """
    name = repository.removeprefix(HUB)
    if name.count("/") != 1:
        raise UsageError(f"{repository} is not a repository of the Hub; write hf:OWNER/NAME.")
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise not_installed(repository, "huggingface-hub", extra="hub") from error
    with tempfile.TemporaryDirectory() as place:
        exported = write(Path(place))
        try:
            with hub_calls():
                huggingface_hub.create_repo(name, private=True, exist_ok=True)
                huggingface_hub.upload_folder(repo_id=name, folder_path=place)
        except Exception as error:  # no network, no token, a name that is taken, ...
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
            raise StorageError(
                f"{repository}: cannot upload: {reason}; check the name, the network connection and `hf auth login`, "
                "or write a folder with --to FOLDER and upload it later."
            ) from error
    return replace(exported, path=Path(repository))


def _report(comparison: Path) -> str:
    try:
        return read_text(comparison / "report.md")
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"{comparison} has no report.md that can be read; pass the folder that `senet compare -o` wrote."
        ) from error
