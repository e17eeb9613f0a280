"""Integration with timm: networks of the zoo in timm's registry, and blocks as timm attention layers.

timm is an optional dependency, imported inside the functions that need it.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

from senet.errors import CheckpointError, SpecError, not_installed
from senet.models import ZOO, Network, create_model
from senet.nn import Gates, SqueezeExcite
from senet.spec import SESpec, designs

__all__ = ["timm_attention", "timm_models"]

PUBLIC = tuple(__all__)


def timm_models() -> list[str]:
    """Register the networks of the zoo in timm, named `senet_` plus their name with dots as underscores.

    `timm.create_model("senet_resnet50_v15", se=SESpec(), num_classes=10, in_chans=1)` then works. Besides `se` (specs
    or text such as `"standard:reduction=8"`, for timm's command line) and timm's `drop_rate`, a network accepts the
    options of its family.

    Returns:
        The names, sorted. A second call changes nothing.

    Raises:
        UsageError: if timm is not installed.

    Example:
        >>> "senet_resnet50_v15" in timm_models()
        True
    """
    try:
        from timm.models import is_model, register_model
    except ModuleNotFoundError as error:
        raise not_installed("timm_models", "timm", extra="timm") from error
    names = {f"senet_{name.replace('.', '_')}": name for name in ZOO}
    for title, name in names.items():
        if not is_model(title):
            register_model(_named(title, partial(_create, name)))
    __all__[:] = PUBLIC  # timm appends the names that it registers, which this module does not define
    return sorted(names)


def timm_attention(spec: SESpec | None = None) -> Callable[..., SqueezeExcite]:
    """Return a factory of blocks that timm's networks accept as `attn_layer`.

    Args:
        spec: spec of the blocks; None means `SESpec()`.

    Example:
        >>> block = timm_attention(SESpec(reduction=8))(64, device=None, dtype=None)
        >>> block.widths
        (64, 8, 64)
    """

    def attention(
        channels: int, *, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> SqueezeExcite:
        return SqueezeExcite(channels, spec).to(device=device, dtype=dtype)

    return attention


def _create(
    name: str,
    *,
    pretrained: bool = False,
    pretrained_cfg: object = None,
    pretrained_cfg_overlay: object = None,
    cache_dir: object = None,
    se: SESpec | Sequence[SESpec | str] | Gates | str | bool | None = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    drop_rate: float | None = None,
    **options: object,
) -> Network:
    if pretrained or pretrained_cfg or pretrained_cfg_overlay:
        raise CheckpointError(
            f"{name} has no pretrained weights in timm; use pretrained=False, then senet.load_weights or timm's "
            "checkpoint_path."
        )
    if options.pop("features_only", False):
        raise SpecError(
            f"features_only=True: {name} does not support lists of feature maps in timm; omit it, and use "
            "num_classes=0 for pooled features, or a forward hook on a stage for its map."
        )
    model = create_model(
        name,
        se=designs(se),
        num_classes=num_classes,
        in_chans=in_chans,
        image_size=image_size,
        options=options,
    )
    if drop_rate is not None:
        model.drop = nn.Dropout(drop_rate)
    return model


def _named(title: str, create: Callable[..., Network]) -> Callable[..., Network]:
    def entry(**arguments: object) -> Network:
        return create(**arguments)

    entry.__name__ = entry.__qualname__ = title
    return entry
