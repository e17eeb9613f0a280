"""Networks with their weights in a folder that says what they are, here or on the Hugging Face Hub."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save

from senet.errors import CheckpointError, SpecError
from senet.files.atomic import ensure_writable, write_bytes, write_json, write_text
from senet.lab.result import Result
from senet.models import Network
from senet.spec import SESpec
from senet.weights.card import card
from senet.weights.config import Config, read_config
from senet.weights.load import load_weights
from senet.weights.safe import read_weights
from senet.weights.source import CONFIG, WEIGHTS, locate

__all__ = ["from_pretrained", "save_pretrained"]


def save_pretrained(
    model: Network,
    folder: str | Path,
    *,
    name: str,
    se: SESpec | Sequence[SESpec] | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, Any] | None = None,
    result: Result | None = None,
) -> Path:
    """Write a network so that it can be built and loaded again from the folder alone.

    The arguments are those that the network was built with. They are checked by building it again without memory:
    every layer must be the same, so that pool, stride and gates come back too, which weights alone cannot tell.

    Args:
        model: a network of the zoo.
        folder: made if it is not there; gets `model.safetensors`, `config.json` and the card `README.md`.
        name: a name of `list_models()`.
        se: its designs of blocks; None is the plain network.
        in_chans: channels of its input.
        image_size: side of its input [pixels], for networks whose classifier depends on it.
        options: further arguments of its family.
        result: its training, for the card.

    Returns:
        The folder.

    Raises:
        SpecError: if the arguments build another network, or a design cannot be written down.
        StorageError: if the folder cannot be written.
    """
    specs = () if se is None else (se,) if isinstance(se, SESpec) else tuple(se)
    config = Config(
        model=name,
        se=specs,
        num_classes=model.num_classes,
        in_chans=in_chans,
        image_size=image_size,
        options=dict(options or {}),
    )
    values = config.as_json()
    if difference := config.difference(model):
        raise SpecError(
            f"name, se and options build another network: {difference}; give the arguments that made this one."
        )
    if result is not None and (result.run.model, result.run.se) != (name, specs):
        raise SpecError(f"result is of {result.run.model} {result.run.design}, not of this network; leave it out.")
    folder = Path(folder)
    ensure_writable(folder)
    weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    params = sum(parameter.numel() for parameter in model.parameters())
    write_bytes(folder / WEIGHTS[0], save(weights, metadata={"format": "pt"}))
    write_json(folder / CONFIG, values)
    write_text(folder / "README.md", card(config, num_classes=model.num_classes, params=params, result=result))
    return folder


def from_pretrained(source: str | Path) -> Network:
    """Build and load the network of a folder that `save_pretrained` wrote; it comes in evaluation mode.

    Args:
        source: path of the folder, or `hf:owner/name` (with `@revision`) for a repository of the Hub.

    Raises:
        CheckpointError: if the folder is none of ours, is damaged, or is not to be had.
        UsageError: if huggingface-hub is needed and not installed.
    """
    config_file = locate(source, (CONFIG,))
    config = read_config(config_file)
    if config is None:
        raise CheckpointError(
            f"{config_file} does not say which network this is; use create_model(name, weights=..., origin=...)."
        )
    try:
        model = config.build()
    except SpecError as error:
        raise CheckpointError(f"{config_file}: {error}") from error
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    load_weights(model, read_weights(locate(source), expected=shapes))
    model.eval()
    return model
