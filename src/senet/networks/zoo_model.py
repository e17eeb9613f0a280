"""The public `create_model`: a network of the zoo with fresh weights, or with weights of a file or the Hub."""

from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from senet import models
from senet.calls import by_name
from senet.errors import CheckpointError, SpecError
from senet.known_names import Origins
from senet.models import Network
from senet.networks.feature_maps import FeatureMaps
from senet.nn import Gates
from senet.spec import SESpec, designs

if TYPE_CHECKING:
    from senet.weights.config import Config

__all__ = ["create_model"]

Design = SESpec | Sequence[SESpec | str] | Gates | str | bool | None


@overload
def create_model(
    name: str,
    *,
    se: Design = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, object] | None = None,
    weights: str | Path | None = None,
    origin: Origins = "senet",
    pretrained: bool = False,
    drop_rate: float | None = None,
    features_only: Literal[False] = False,
    out_indices: None = None,
) -> Network: ...


@overload
def create_model(
    name: str,
    *,
    se: Design = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, object] | None = None,
    weights: str | Path | None = None,
    origin: Origins = "senet",
    pretrained: bool = False,
    drop_rate: float | None = None,
    features_only: Literal[True],
    out_indices: Sequence[int] | None = None,
) -> FeatureMaps: ...


@by_name
def create_model(
    name: str,
    *,
    se: Design = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, object] | None = None,
    weights: str | Path | None = None,
    origin: Origins = "senet",
    pretrained: bool = False,
    drop_rate: float | None = None,
    features_only: bool = False,
    out_indices: Sequence[int] | None = None,
) -> Network | FeatureMaps:
    """Build a network of the zoo, with fresh weights from torch's global generator or weights from a file.

    Args:
        name: a name of `list_models()`.
        se: one spec, several, text as on the command line (`"standard:reduction=8"`), True for the default spec, a
            function `Site -> blocks`, or None for the plain network.
        num_classes: outputs; 0 returns the features; None means the network's default.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks whose classifier depends on it (cnn3, vgg16_bn); others
            ignore it.
        options: further arguments of the family, e.g. `{"shortcut": "B"}` for `resnet20`.
        weights: a file (`.safetensors`, or one of `torch.save`), a folder with one, or `hf:owner/name` on the Hugging
            Face Hub; None keeps fresh weights. Loading is strict.
        origin: library whose tensor names and conventions the weights have, a name of `senet.weights.ORIGINS`.
        pretrained: timm's argument; True is an error that names the ways to trained weights, as senet has none.
        drop_rate: probability of dropping a feature before the classifier; None is that of the family.
            `save_pretrained` does not write it.
        features_only: return the maps of the stem and the stages instead of logits, as timm does.
        out_indices: with `features_only` the numbers of the maps, see `senet.networks.feature_maps.FeatureMaps`.

    Returns:
        The network, or with `features_only` its maps; `feature_info` has their channels and reductions.

    Raises:
        SpecError: if the name, an option, a spec, the origin, a rate or an index is not valid.
        CheckpointError: if the weights cannot be found, are hostile, or belong to another network.

    Example:
        >>> sum(p.numel() for p in create_model("kth_resnet52", se=SESpec(reduction=(8, 2, 16))).parameters())
        774220
        >>> create_model("resnet18", features_only=True, out_indices=(1, -1)).feature_info.channels()
        [64, 512]
    """
    if pretrained:
        raise SpecError(
            "pretrained = True: senet has no trained weights of its own; pass weights=FILE of another library with its "
            "origin, e.g. origin='timm', or use timm's network: senet.insert(timm.create_model(NAME, pretrained=True))."
        )
    if out_indices is not None and not features_only:
        raise SpecError(f"out_indices = {out_indices!r} goes with features_only=True; pass both, or neither.")
    if not isinstance(features_only, bool):
        raise SpecError(f"features_only = {features_only!r} is not possible; use True or False.")
    if drop_rate is not None and not (isinstance(drop_rate, Real) and 0 <= drop_rate <= 1):
        raise SpecError(f"drop_rate = {drop_rate!r} is not possible; use a number from 0 to 1.")
    if not isinstance(weights, str | Path | None):
        raise SpecError(f"weights = {weights!r} is not a path; pass a file, a folder, or 'hf:owner/name'.")
    model = models.create_model(
        name, se=designs(se), num_classes=num_classes, in_chans=in_chans, image_size=image_size, options=options
    )
    if weights is not None:
        _load(model, weights, origin)
    if drop_rate is not None:
        model.drop.p = drop_rate
    if features_only:
        side = image_size or models.image_size(name)
        return FeatureMaps(model, out_indices=out_indices, side=side, in_chans=in_chans)
    return model


def _load(model: Network, weights: str | Path, origin: Origins) -> None:
    from senet.weights import load_weights
    from senet.weights.config import read_config
    from senet.weights.prefix import without_prefix
    from senet.weights.safe import read_weights
    from senet.weights.source import CONFIG, beside, locate

    file = locate(weights)
    described = beside(weights, CONFIG) if origin == "senet" else None
    config = read_config(described) if described else None
    if config and (difference := _difference(config, model)):  # names and shapes may match nevertheless
        raise CheckpointError(f"{weights} belongs to another network: {difference}; from_pretrained builds that one.")
    tensors = read_weights(file)
    load_weights(model, without_prefix(tensors, model.state_dict()) if origin == "senet" else tensors, origin=origin)


def _difference(config: "Config", model: Network) -> str:
    """Describe the first difference between a network and the description of a folder; empty if the layers agree."""
    import torch

    from senet.weights.difference import layers_differ

    if config.model not in models.ZOO:
        return f"it is {config.model[:80]}"
    if config.insert or config.removed:
        return "blocks were inserted or folded"
    try:
        with torch.device("meta"):
            twin = models.create_model(
                config.model,
                se=config.se or None,
                num_classes=config.num_classes,
                in_chans=config.in_chans,
                image_size=config.image_size,
                options=config.options,
            )
    except SpecError as error:
        raise CheckpointError(f"the description next to the weights is not valid: {error}") from error
    return layers_differ(model, twin)
