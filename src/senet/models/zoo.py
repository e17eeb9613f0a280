"""The zoo: a table of networks by name, and the functions that list and build them."""

import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import partial

import torch

from senet.errors import SenetError, SpecError, reason_of, shown, unknown
from senet.models.arguments import builds_on_host, check_arguments, ensure_memory, is_large
from senet.models.bn_inception import BNInception
from senet.models.cnn3 import CNN3
from senet.models.inception_resnet_v2 import InceptionResNetV2
from senet.models.kth import KTHResNet
from senet.models.mobilenet_v1 import MobileNetV1
from senet.models.network import Network
from senet.models.preact_resnet import PreActResNet
from senet.models.resnet import ResNet
from senet.models.resnet_cifar import CifarResNet
from senet.models.senet154 import SENet154
from senet.models.shake_resnet import ShakeResNet
from senet.models.shake_resnext import ShakeResNeXt
from senet.models.shufflenet_v1 import ShuffleNetV1
from senet.models.vgg import VGG
from senet.models.wide_resnet import WideResNet
from senet.nn import Gates
from senet.nn.block import RatioWarning
from senet.spec import SESpec

__all__ = ["ZOO", "create_model", "image_size", "list_models"]

resnet_v15 = partial(ResNet, stride_in="3x3", stem_kind="torch")
resnext_32x4d = partial(ResNet, cardinality=32, group_width=4, stride_in="3x3")

ZOO: Mapping[str, Callable[..., Network]] = {
    "cnn3": CNN3,
    "cnn3.gate": partial(CNN3, keep_conv2=True),
    "resnet18": partial(ResNet, depths=(2, 2, 2, 2), unit="basic", stem_kind="torch"),
    "resnet18.cifar": partial(ResNet, depths=(2, 2, 2, 2), unit="basic", stem_kind="cifar"),
    "resnet34": partial(ResNet, depths=(3, 4, 6, 3), unit="basic", stem_kind="torch"),
    "resnet50": partial(ResNet, depths=(3, 4, 6, 3)),
    "resnet50.v15": partial(resnet_v15, depths=(3, 4, 6, 3)),
    "resnet101": partial(ResNet, depths=(3, 4, 23, 3)),
    "resnet101.v15": partial(resnet_v15, depths=(3, 4, 23, 3)),
    "resnet152": partial(ResNet, depths=(3, 8, 36, 3)),
    "resnet152.v15": partial(resnet_v15, depths=(3, 8, 36, 3)),
    "resnext50_32x4d": partial(resnext_32x4d, depths=(3, 4, 6, 3)),
    "resnext101_32x4d": partial(resnext_32x4d, depths=(3, 4, 23, 3)),
    "senet154": SENet154,
    "vgg16_bn": VGG,
    "bn_inception": BNInception,
    "inception_resnet_v2": InceptionResNetV2,
    "inception_resnet_v2.figures": partial(InceptionResNetV2, reading="figures"),
    "mobilenet_v1": MobileNetV1,
    "shufflenet_v1": ShuffleNetV1,
    "resnet8": partial(CifarResNet, depths=(1, 1, 1)),
    "resnet20": partial(CifarResNet, depths=(3, 3, 3)),
    "resnet32": partial(CifarResNet, depths=(5, 5, 5)),
    "resnet44": partial(CifarResNet, depths=(7, 7, 7)),
    "resnet56": partial(CifarResNet, depths=(9, 9, 9)),
    "resnet110": partial(CifarResNet, depths=(18, 18, 18)),
    "preact_resnet110": PreActResNet,
    "preact_resnet164": partial(PreActResNet, unit="bottleneck"),
    "wrn16_8": partial(WideResNet, depth=16, width=8),
    "wrn28_10": partial(WideResNet, depth=28, width=10),
    "shake26_2x96d": ShakeResNet,
    "shake29_2x4x64d": ShakeResNeXt,
    "kth_resnet52": KTHResNet,
    "kth_resnet52.paper": partial(KTHResNet, stem_se=False, shortcut_bn=True),
}

SMALL = (CNN3, CifarResNet, PreActResNet, WideResNet, ShakeResNet, ShakeResNeXt, KTHResNet)


def list_models(pattern: str = "*") -> list[str]:
    """Return the sorted names of the networks that match a pattern with `*` and `?`.

    A name with a dot is a version of the network before the dot.

    Example:
        >>> list_models("kth*")
        ['kth_resnet52', 'kth_resnet52.paper']
    """
    return sorted(name for name in ZOO if fnmatch(name, pattern))


def _unknown(name: object) -> SenetError:
    """Return the error for an unknown name; for names such as `seresnet50` it suggests the network with `--se`."""
    error = unknown("model", name, ZOO, listed_by="senet models")
    given = str(name)[:100].lower().replace("-", "_")
    if given in ZOO:
        return SpecError(f"model = {shown(name)} is not known. Did you mean {given!r}?")
    plain = given.removeprefix("legacy_").removeprefix("se").removeprefix("_")
    if plain in ZOO:
        return SpecError(f"model = {shown(name)} is not known; use {plain!r} with blocks, e.g. --se standard.")
    return error


def image_size(name: str) -> int:
    """Return the side of the images that a network was designed for [pixels]; other sizes work too.

    Example:
        >>> [image_size(name) for name in ("resnet20", "resnet50", "inception_resnet_v2")]
        [32, 224, 299]
    """
    if not isinstance(name, str) or name not in ZOO:
        raise _unknown(name)
    family = ZOO[name]
    kind = family.func if isinstance(family, partial) else family
    if kind is InceptionResNetV2:
        return 299
    return 32 if kind in SMALL or name.endswith(".cifar") else 224


def create_model(
    name: str,
    *,
    se: SESpec | Sequence[SESpec] | Gates | None = None,
    num_classes: int | None = None,
    in_chans: int = 3,
    image_size: int | None = None,
    options: Mapping[str, object] | None = None,
) -> Network:
    """Build a network of the zoo with fresh weights from torch's global generator.

    Args:
        name: a name of `list_models()`.
        se: one spec, several, a function `Site -> blocks`, or None for the plain network.
        num_classes: outputs; 0 returns the features; None means the network's default.
        in_chans: channels of the input.
        image_size: side of the input [pixels], for networks whose classifier depends on it (cnn3, vgg16_bn); others
            ignore it.
        options: further arguments of the family, e.g. `{"shortcut": "B"}` for `resnet20`.

    Raises:
        SpecError: if the name, an option or a spec is not valid, a number is out of its range, or the network does
            not fit into memory.

    Example:
        >>> sum(p.numel() for p in create_model("kth_resnet52", se=SESpec(reduction=(8, 2, 16))).parameters())
        774220
    """
    if not isinstance(name, str) or name not in ZOO:
        raise _unknown(name)
    family = ZOO[name]
    known = inspect.signature(family).parameters
    own = ("se", "num_classes", "in_chans")
    if not isinstance(options, Mapping | None):
        raise SpecError(f"options = {options!r:.80} is not a mapping; write it like {{'shortcut': 'B'}}.")
    for option in options or {}:
        if option not in known or option in own:
            raise unknown(f"{name} options", option, set(known) - set(own))
    arguments: dict[str, object] = {"in_chans": in_chans, "num_classes": num_classes, "image_size": image_size}
    arguments = {**arguments, **(options or {})}
    try:
        check_arguments(arguments, defaults={p.name: p.default for p in known.values()})
        arguments = {key: value for key, value in arguments.items() if value is not None and key in known}
        if is_large(arguments):
            twin = _on_meta(family, arguments, None if callable(se) else se)
            if builds_on_host():
                ensure_memory(twin, name=name)
        with _one_warning_of_ratios():
            return family(se=se, **arguments)
    except SpecError as error:
        error.add_note(f"while building {name}")
        raise


@contextmanager
def _one_warning_of_ratios() -> Iterator[None]:
    """Merge the `RatioWarning`s of all blocks of a network into one."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    ratios = [one for one in caught if issubclass(one.category, RatioWarning)]
    for one in caught:
        if one not in ratios:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    if ratios:
        more = f" This concerns {len(ratios)} blocks." if len(ratios) > 1 else ""
        warnings.warn(f"{ratios[0].message}{more}", RatioWarning, stacklevel=5)


def _on_meta(family: Callable[..., Network], arguments: Mapping[str, object], se: object) -> Network:
    """Build a network on the meta device; turn torch's exceptions into a SpecError."""
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the real build warns
            return family(se=se, **arguments)
    except SpecError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError, ArithmeticError) as error:
        said = ", ".join(f"{key} = {value!r:.40}" for key, value in arguments.items())
        reason = reason_of(error)
        raise SpecError(f"cannot build a network with {said}: {reason}; choose other values.") from error
