"""The network of a run at its start: equal seeds give equal weights wherever two designs are alike."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from senet.data.dataset import Data
from senet.errors import SpecError, shown
from senet.experiments.run import BUILT, Run
from senet.experiments.seeds import mix
from senet.models import create_model
from senet.networks.building import Builder, builder_of, options_for_training
from senet.networks.building import build as build_plain
from senet.networks.built_weights import built_weights
from senet.networks.create import Plain, made_of, plain
from senet.networks.insert_design import insert_design
from senet.networks.names import Named, named
from senet.networks.preprocessing import described_images
from senet.networks.rebuild import described
from senet.networks.starting_weights import fit, load_fitted, read_start
from senet.networks.stated import ensure_unchanged
from senet.nn import SqueezeExcite
from senet.spec import SESpec
from senet.surgery import find
from senet.surgery.insertion.plan import with_unit_gate
from senet.weights.config import Config
from senet.weights.prefix import without_prefix

__all__ = ["Initial", "block_parameters", "build", "initial", "is_trained", "started"]


@dataclass(frozen=True, eq=False)
class Initial:
    """The network of a run at its start.

    Attributes:
        model: the network.
        fresh: names of the parameters that are new in it: of its blocks, and of a classifier that replaced another.
        notes: what was changed in the network or in its weights, for the report.
        describe: returns the description of the network, for its folder.
        trained: whether weights determine all its outputs: new blocks are the identity, no classifier is new.
    """

    model: nn.Module
    fresh: frozenset[str]
    notes: tuple[str, ...]
    describe: Callable[[], Config]
    trained: bool = False


def is_trained(run: Run) -> bool:
    """Return whether a run starts from trained weights: those that it names or its function loads, or of its folder."""
    return bool(run.weights) or named(run.model).library == "folder"


def build(run: Run, data: Data) -> nn.Module:
    """Build the network of a run with its first weights, see `initial`."""
    return initial(run, data).model


def initial(run: Run, data: Data) -> Initial:
    """Build the network of a run with the weights of its seed, or with those that it starts from.

    The layers that a design shares with the plain network start from the same weights as those, so that runs of
    equal seeds are paired: they differ in the blocks, the order of images and the noise being equal. With weights to
    start from, new blocks start as the identity, and all designs have the same outputs.

    Raises:
        CheckpointError: if the weights do not fit the network, or have changed since the run was made.
        SpecError: if the network or the design does not fit the data.
    """
    ensure_unchanged(run)
    found = named(run.model)
    return _of_zoo(run, data, found) if found.library == "senet" else _of_others(run, data, found)


def started(model: str | Builder, se: tuple[SESpec, ...], *, seed: int, trained: bool = False) -> nn.Module:
    """Build the network of a user-supplied training function, with the weights of a seed.

    As in `initial`, the layers that a design shares with the plain network start from the same weights. The network
    has its own number of classes and channels.

    Args:
        model: a name as for `senet.networks.create`, or a function that returns a network.
        se: the design; empty is the plain network.
        seed: of the weights.
        trained: whether the network is built with trained weights: inserted blocks then start as the identity.

    Raises:
        SpecError: if the network or the design cannot be built.
    """
    if isinstance(model, nn.Module) or not (callable(model) or isinstance(model, str)):
        raise SpecError(f"model = {shown(model)} is not a name or a function; pass a function that builds the network.")
    found = None if callable(model) else named(model)
    torch.manual_seed(mix(seed, "weights"))
    made = model() if callable(model) else plain(model).model
    if not isinstance(made, nn.Module):
        raise SpecError(f"model returns a {type(made).__name__}; it must return a torch.nn.Module.")
    torch.manual_seed(mix(seed, "blocks"))
    if se and found is not None and found.library == "senet":
        with_blocks = create_model(found.name, se=se)
        _share(made, with_blocks)
        made = with_blocks
    elif se:
        insert_design(made, se, preserve=trained)
    return made.train()


def _share(plain: nn.Module, model: nn.Module) -> None:
    """Start the layers that a network shares with the plain one from its weights."""
    own = model.state_dict()
    shared = {k: v for k, v in plain.state_dict().items() if k in own and own[k].shape == v.shape}
    model.load_state_dict({**own, **shared})


def _of_zoo(run: Run, data: Data, found: Named) -> Initial:
    """Build a network of the zoo: its blocks are built in."""
    channels, height, _ = data.shape
    se, tensors = run.se, read_start(run.weights) if run.weights else None

    def network(se: tuple[SESpec, ...], purpose: str) -> nn.Module:
        torch.manual_seed(mix(run.seed, purpose))
        return create_model(
            found.name, se=se or None, num_classes=data.num_classes, in_chans=channels, image_size=height
        )

    def started(model: nn.Module) -> Plain:
        if tensors is None:
            return Plain(model)
        fitted = fit(tensors, model, num_classes=data.num_classes)
        load_fitted(model, fitted, source=run.weights, where=run.model)
        return Plain(model, fitted.fresh, fitted.notes)

    new = frozenset[str]()  # names of new blocks
    if not se:
        made = started(network((), "weights"))
    elif tensors is not None and _hold_blocks(tensors, model := network(se, "blocks")):
        made = started(model)
    else:
        made = started(network((), "weights"))
        se = se if tensors is None else tuple(map(with_unit_gate, se))
        model = network(se, "blocks")
        _share(made.model, model)
        if tensors is not None:
            _start_as_identity(model)
        new = block_parameters(model)
        made = Plain(model, made.fresh, made.notes)
    config = Config(
        model=run.model,
        se=se,
        num_classes=data.num_classes,
        in_chans=channels,
        image_size=height,
        preprocessing=described_images(data),
    )
    trained = tensors is not None and not made.fresh
    return Initial(made.model, made.fresh | new, made.notes, lambda: config, trained)


def _of_others(run: Run, data: Data, found: Named) -> Initial:
    """Build a network of a library, a builder or a folder: its blocks are inserted."""
    channels, height, width = data.shape
    options = options_for_training(found, in_chans=channels)
    torch.manual_seed(mix(run.seed, "weights"))
    made = plain(
        run.model,
        num_classes=data.num_classes,
        in_chans=channels,
        image_size=height,
        options=options,
        weights=run.stored_weights or None,
    )
    trained = is_trained(run)
    fresh, notes = made.fresh, made.notes
    if run.weights == BUILT:
        again = partial(
            build_plain, found, num_classes=data.num_classes, in_chans=channels, image_size=height, options=options
        )
        fresh = built_weights(again, run.model).fresh
        notes += (f"{run.model} loads its weights itself, the same for every seed; new blocks start as the identity",)
    trained_whole = trained and not fresh
    if own := len(find(made.model)):
        blocks = "a squeeze-and-excitation block" if own == 1 else f"{own} squeeze-and-excitation blocks"
        notes += (f"it has {blocks} of its own, which every design keeps, `plain` too",)
    if run.se:
        torch.manual_seed(mix(run.seed, "blocks"))
        before = {name for name, _ in made.model.named_parameters()}
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            insert_design(made.model, run.se, at=run.at, preserve=trained, shape=(1, channels, height, width))
        notes += tuple(str(one.message).rstrip(".") for one in caught)
        fresh |= {name for name, _ in made.model.named_parameters() if name not in before}
    origin = made_of(run.model, None)
    asked = Config(
        model=origin["name"],
        se=origin.get("se", ()),
        num_classes=data.num_classes,
        in_chans=channels,
        image_size=height,
        options={**origin.get("options", {}), **options},
        preprocessing=described_images(data),
    )
    builder = builder_of(found.name) if found.library == "builder" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        config = described(made.model, asked, builder=builder)
    return Initial(made.model, fresh, notes, lambda: config, trained_whole)


def block_parameters(model: nn.Module, kind: type[SqueezeExcite] = SqueezeExcite) -> frozenset[str]:
    """Return the names of the parameters of the blocks of a network, or of one kind of them."""
    inside = {id(p) for m in model.modules() if isinstance(m, kind) for p in m.parameters()}
    return frozenset(name for name, parameter in model.named_parameters() if id(parameter) in inside)


def _hold_blocks(tensors: Mapping[str, Tensor], model: nn.Module) -> bool:
    """Return whether weights have the blocks of a network of the zoo already."""
    return block_parameters(model) <= without_prefix(tensors, model.state_dict()).keys()


def _start_as_identity(model: nn.Module) -> None:
    for block in model.modules():
        if isinstance(block, SqueezeExcite):
            block.start_as_identity()
