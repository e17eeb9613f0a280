"""The files of a fold: report, figure, curve and JSON, and the folded network itself."""

import warnings
from pathlib import Path

from senet.errors import SpecError
from senet.files.atomic import write_json, write_text
from senet.files.documents import finite
from senet.networks import save_pretrained
from senet.reports.canvas import no_figures
from senet.reports.fold_report import again, as_csv, as_markdown, draw
from senet.surgery import Folded
from senet.training.opened_network import OpenedNetwork
from senet.weights.writing import write_weights

__all__ = ["write_fold"]


def write_fold(opened: OpenedNetwork, folded: Folded, folder: Path, *, command: str) -> tuple[Path, ...]:
    """Write the report of a fold, and the network unless it was a dry run."""
    names, notes = ["curve.csv", "fold.json", "report.md"], opened.notes
    write_text(folder / "curve.csv", as_csv(folded))
    write_json(folder / "fold.json", {"network": opened.title, "command": command, **finite(folded.as_dict())})
    figure = len(folded.steps) > 1 and no_figures() is None
    if figure:
        draw(folded, folder / "figure.png", title=opened.title)
        names.append("figure.png")
    if not folded.dry_run:
        names.append("model.safetensors")
        try:
            save_pretrained(opened.model, folder, **opened.origin)
            names += ["README.md", "config.json"]
        except SpecError as error:  # a network that cannot be described is still worth its weights
            write_weights(folder / "model.safetensors", opened.model.state_dict())
            notes += (f"no config.json was written, load the weights in Python as shown below: {error}",)
            warnings.warn(f"{folder}: {notes[-1]}", stacklevel=2)
    loading = "" if folded.dry_run else again(folded, opened.title, folder)
    text = as_markdown(folded, title=opened.title, command=command, notes=notes, figure=figure, loading=loading)
    write_text(folder / "report.md", text)
    return tuple(folder / name for name in sorted(names))
