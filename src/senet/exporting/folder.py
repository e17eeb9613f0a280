"""A folder with everything about an exported network: weights, description, card and ONNX file; and its upload."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from senet.errors import CheckpointError, StorageError, UsageError, not_installed, reason_of
from senet.experiments.result import Result
from senet.exporting.card import with_export
from senet.exporting.checked_export import export
from senet.exporting.exported import Exported
from senet.exporting.large_weights import replacing
from senet.exporting.preparation import prepared
from senet.files.atomic import staged_folder, write_text
from senet.files.documents import read_text
from senet.networks import save_pretrained
from senet.networks.pretrained import described_network
from senet.surgery.folding.batches import Batches
from senet.surgery.folding.removal import Watch
from senet.weights.card import refuse_others
from senet.weights.config import Preprocessing
from senet.weights.front_matter import check_licence
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
    result: Result | None = None,
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
        folder: created if necessary; if the export fails, it stays as it was.
        origin: arguments of `save_pretrained` that tell where the network comes from.
        preprocessing: of its images; None uses that of `origin`.
        licence: licence of the weights for the card, an identifier of the Hub such as `apache-2.0`.
        result: result of its training, for the card; left out where the network is folded.
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
    check_licence(licence)
    refuse_others(folder)
    report = None if comparison is None else _report(comparison)
    made = {**origin, **({} if preprocessing is None else {"preprocessing": preprocessing})}
    with replacing(folder / FILE), staged_folder(folder) as place:
        network, folded, notes = prepared(model, fold=fold, images=images, test=test, watch=watch)
        described_network(network, **made)  # raises before minutes of measuring, not after
        exported = export(
            network,
            place / FILE,
            origin=made,
            images=images,
            test=test,
            preprocessing=preprocessing,
            watch=watch,
            **options,
        )
        exported = replace(exported, path=folder / FILE, folded=folded, notes=(*notes, *exported.notes))
        save_pretrained(network, place, **made, result=result if fold is None else None, licence=licence)
        text = with_export(read_text(place / CARD), exported, file=FILE, comparison=report)
        write_text(place / CARD, text)
    return exported


def upload(repository: str, write: Callable[[Path], Exported]) -> Exported:
    """Write a folder and upload it to the Hugging Face Hub.

    Args:
        repository: `hf:owner/name`; created, private, if it does not exist.
        write: writes the folder.

    Raises:
        UsageError: if huggingface-hub is not installed, the name is not `hf:owner/name`, or there is no token.
        StorageError: if the Hub cannot be reached or refuses.
    """
    name = repository.removeprefix(HUB)
    if name.count("/") != 1:
        raise UsageError(f"{repository} is not a repository of the Hub; write hf:OWNER/NAME.")
    try:
        import huggingface_hub
    except ModuleNotFoundError as error:
        raise not_installed(repository, "huggingface-hub", extra="hub") from error
    if huggingface_hub.get_token() is None:
        raise UsageError(
            f"{repository} needs a token that may write to the Hub; run `hf auth login` or set HF_TOKEN, or write a "
            "folder with --to FOLDER and upload it later."
        )
    with tempfile.TemporaryDirectory() as place:
        exported = write(Path(place))
        try:
            with hub_calls():
                huggingface_hub.create_repo(name, private=True, exist_ok=True)
                huggingface_hub.upload_folder(repo_id=name, folder_path=place)
        except Exception as error:  # no network, no token, a name that is taken, ...
            reason = reason_of(error)
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
