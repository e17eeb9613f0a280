"""The model card (`README.md`) of saved weights: architecture, training and accuracy, as far as they are known."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from senet.errors import StorageError
from senet.experiments.result import Result
from senet.files.atomic import not_ours, write_json, write_text
from senet.files.documents import DocumentError, parse_json, read_text
from senet.tables import Table
from senet.text import Markdown, code_span, markdown
from senet.weights.config import Config
from senet.weights.front_matter import MARK, front_matter
from senet.weights.source import CONFIG, WEIGHTS

__all__ = ["card", "refuse_others", "refuse_weights", "write_description"]

CARD = "README.md"
MARKS = {CARD: MARK, CONFIG: '"format": "senet-'}
"""Markers of files that senet writes."""
LONGEST_MARKED = 1000  # characters; the marker is near the beginning
USE = """## Use

```python
import senet
{imported}
model = senet.from_pretrained("FOLDER"{builder})  # or "hf:OWNER/NAME"; in evaluation mode
```
"""
LIBRARIES = ("senet", "timm", "torchvision")


def write_description(
    folder: Path,
    config: Config,
    *,
    params: int,
    result: Result | None,
    licence: str | None = None,
    keep_others: bool = False,
) -> None:
    """Write `config.json` and the model card `README.md` into a folder of weights.

    Raises:
        SpecError: if a design or an option cannot be serialized, or the licence is not an identifier of the Hub; then
            nothing is written.
        StorageError: if a file cannot be written.
    """
    values, text = config.as_json(), card(config, params=params, result=result, licence=licence)
    if not keep_others or _is_ours(folder / CARD):
        write_text(folder / CARD, text)
    if not keep_others or _is_ours(folder / CONFIG):
        write_json(folder / CONFIG, values)


def refuse_others(folder: Path) -> None:
    """Raise an error if a network that is written into a folder would replace what it must not.

    Raises:
        StorageError: if the folder is that of a run, or holds weights, a card or a description that senet did not
            write.
    """
    if (folder / "run.json").exists():
        raise StorageError(f"{folder} is a run, and its trained weights would be lost; choose another folder.")
    refuse_weights(folder)
    for name in MARKS:
        if not _is_ours(folder / name):
            raise not_ours(folder / name)


def refuse_weights(folder: Path) -> None:
    """Raise an error if a folder holds weights without a description by senet: they would be replaced.

    Raises:
        StorageError: if it does.
    """
    weights, described = folder / WEIGHTS[0], folder / CONFIG
    if weights.exists() and not ((described.exists() and _is_ours(described)) or _is_of_a_fold(folder)):
        raise not_ours(weights)


def _is_of_a_fold(folder: Path) -> bool:
    """Return whether `senet fold` has written the weights of a folder, of a network that it could not describe."""
    try:
        return parse_json(read_text(folder / "fold.json")).get("dry_run") is False
    except (OSError, DocumentError, AttributeError):
        return False


def _is_ours(path: Path) -> bool:
    """Return whether a file does not exist, or contains the marker of files that senet writes."""
    try:
        return MARKS[path.name] in read_text(path)[:LONGEST_MARKED]
    except FileNotFoundError:
        return True
    except (OSError, DocumentError):
        return False


def card(config: Config, *, params: int, result: Result | None, licence: str | None = None) -> str:
    """Return the model card of a network in Markdown."""
    inserted = dict.fromkeys(str(one.spec) for one in config.insert if one.spec is not None)
    design = " + ".join([*map(str, config.se), *(f"{spec}, inserted" for spec in inserted)]) or (
        "those of the network itself" if ":" in config.model else "none, the plain network"
    )
    facts = {
        "network": code_span(config.model),
        "options": code_span(json.dumps(dict(config.options))) if config.options else "none",
        "SE blocks": markdown(design),
        "blocks inserted": len(config.insert) or "none",
        "blocks folded away": len(config.removed) or "none",
        "classes": "the network's default" if config.num_classes is None else config.num_classes,
        "input": f"{config.in_chans} channels" + (f", {config.image_size} pixels" if config.image_size else ""),
        "parameters": f"{params:,}",
    }
    if seen := config.preprocessing:
        facts["preprocessing"] = (
            f"{seen.size} pixels, crop {seen.crop:g}, {markdown(seen.interpolation)}; mean {seen.mean}, std {seen.std}"
        )
    training = _training(result) if result else "No training is recorded for these weights.\n"
    title = f"# {markdown(config.model)}, SE: {markdown(design)}\n"
    return "\n".join(
        [
            front_matter(config.model, licence=licence, result=result) + title,
            _table(facts),
            _use(config.model),
            "## Training\n\n" + training,
        ]
    )


def _use(model: str) -> str:
    """Return how to load the network; one that the user's own function builds needs that function."""
    place, _, function = model.rpartition(":")
    module = place.removesuffix(".py").replace("/", ".")
    if not place or place in LIBRARIES or not all(part.isidentifier() for part in (*module.split("."), function)):
        return USE.format(imported="", builder="")
    return USE.format(imported=f"from {module} import {function}\n", builder=f", builder={function}")


def _training(result: Result) -> str:
    last = result.last
    numbers = {
        "top-1": f"{result.accuracy:.2f} %, {last.correct:,} of {result.total:,} test images",
        "top-5": f"{result.accuracy5:.2f} %, {last.correct5:,} of {result.total:,}",
        "test loss": f"{last.test_loss:.4f}",
        "epochs": len(result.curve),
        "training images": f"{result.train_images:,}",
        "time": f"{result.seconds:,.0f} s on {markdown(result.environment.device or 'an unknown device')}",
        "run": f"`{result.run.id}`, seed {result.run.seed}",
        "made with": markdown(
            f"senet {result.environment.senet} {result.environment.commit}, torch {result.environment.torch}"
        ),
    }
    lines = "\n".join(f"{name} = {value!r}" for name, value in _flat(result.as_dict()["run"]))
    return (
        f"Data: {code_span(result.run.data.title)}. The numbers are from the last epoch, not from the best one.\n\n"
        f"{_table(numbers)}\nAll settings of the run:\n\n```text\n{lines}\n```\n"
    )


def _table(rows: Mapping[str, object]) -> str:
    """Return facts as a table without headings; the texts of their values are escaped already."""
    cells = [(name, Markdown(value) if isinstance(value, str) else value) for name, value in rows.items()]
    return Table(("", " "), cells, words={" "}).markdown()


def _flat(values: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
