"""Insert squeeze-and-excitation blocks into an existing network without changing its output."""

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.optim import Optimizer

from senet.calls import by_name
from senet.dataflow.example import observe
from senet.errors import SpecError
from senet.nn import SqueezeExcite
from senet.spec import SESpec, Slot
from senet.surgery.insertion.choose import At
from senet.surgery.insertion.hooks import attach, detach
from senet.surgery.insertion.optimizer import Groups
from senet.surgery.insertion.plan import plan
from senet.surgery.insertion.refuse import see_changes
from senet.surgery.insertion.report import Insertion, PlannedBlock
from senet.surgery.insertion.watch import WatchedBlock, watch

__all__ = ["insert"]


@torch.inference_mode(False)  # parameters created in inference mode cannot be trained
@by_name
def insert(
    model: nn.Module,
    spec: SESpec | str | Sequence[SESpec | str] | None = None,
    *,
    at: At = "auto",
    slot: Slot | None = None,
    ratios: Mapping[str, int] | None = None,
    min_channels: int = 1,
    preserve: bool = True,
    allow_existing: bool = False,
    shape: Sequence[int] | None = None,
    optimizer: Optimizer | None = None,
) -> Insertion:
    """Insert blocks into a convolutional network, in place, with a bitwise identical output.

    Every residual branch gets a block at its end, before the addition; networks without residual units get one
    after every unit that ends in a concatenation, or after every convolution. The network's own names and weights do
    not change, so its checkpoints load as before. A block is a child of the module it follows, applied by a forward
    hook.

    Args:
        model: any network that takes one tensor of images.
        spec: the design, as an `SESpec` or as a word of the command line (`"standard:reduction=8"`); None stands for
            `SESpec()`. Several ratios in `reduction` apply to the stages, or to the blocks of a stage in the order
            in which they run.
        at: `auto` for all units; a pattern or a list of patterns of unit names (`layer3.*`), or of module names where
            no unit matches (`decoder.blocks.*`: the output of these modules is gated, of modules in modules that of
            the outermost); or a function of name and module.
        slot: place in the unit; None uses the slot of the spec.
        ratios: ratios of single units by patterns of their names, which override the spec; the first match applies.
        min_channels: smallest number of channels of a map that gets a block.
        preserve: whether blocks start as the identity: the last layer of the excitation is zero and the gate is
            exactly 1 at 0 (sigmoid becomes 2 * sigmoid). False keeps the gate and torch's initial weights.
        allow_existing: whether units that already have a block, of senet or another library, get another one.
        shape: shape of the input to run, `(n, c, h, w)`; None tries the network's own metadata, then common sizes.
        optimizer: optimizer of the network; the new weights join the parameter groups of the layers they follow.

    Returns:
        The blocks with names, widths, map sizes, parameters and multiply-adds; the skipped units, with reasons.

    Raises:
        SpecError: if the network has no units for blocks, or the design or the optimizer does not fit it; the
            network is then unchanged.

    Example:
        >>> model = create_model("resnet8")
        >>> x = torch.rand(1, 3, 32, 32)
        >>> before = model.eval()(x)
        >>> len(insert(model, SESpec(reduction=4)))
        3
        >>> torch.equal(model(x), before)
        True
    """
    planned = plan(
        model,
        spec,
        at=at,
        slot=slot,
        ratios=ratios,
        min_channels=min_channels,
        preserve=preserve,
        allow_existing=allow_existing,
        shape=shape,
    )
    groups = None if optimizer is None else Groups(model, optimizer, planned.blocks)
    done: list[PlannedBlock] = []
    try:
        for block in planned:
            _put(model, block, preserve=preserve)
            done.append(block)
        _ensure_that_each_runs(model, planned)
    except BaseException:
        for block in reversed(done):
            detach(model.get_submodule(block.host), block.name.rpartition(".")[2])
        raise
    if groups is not None:
        groups.add(model)
    watch(model, (WatchedBlock(block.name, block.side, block.channels_last) for block in planned))
    see_changes()
    _warn_of_narrow(planned)
    return planned


def _put(model: nn.Module, planned: PlannedBlock, *, preserve: bool) -> None:
    host = model.get_submodule(planned.host)
    like = _nearest_weight(model, planned.host)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="reduction = ")  # one warning for all blocks, at the end
        block = SqueezeExcite(
            planned.channels, planned.spec, dims=len(planned.resolution), device=like.device, dtype=like.dtype
        )
    if preserve:
        block.start_as_identity()
    block.train(host.training)
    attach(host, planned.name.rpartition(".")[2], block, side=planned.side, last=planned.channels_last)


def _nearest_weight(model: nn.Module, name: str) -> torch.Tensor:
    """Return a weight of the host, or of the nearest enclosing module, whose dtype and device a block takes."""
    while True:
        weights = (parameter for parameter in model.get_submodule(name).parameters() if parameter.is_floating_point())
        if (weight := next(weights, None)) is not None:
            return weight
        if not name:
            return torch.empty(0)
        name = name.rpartition(".")[0]


def _ensure_that_each_runs(model: nn.Module, planned: Insertion) -> None:
    times = observe(model, planned.shape).times
    for block in planned:
        if times[block.name] != 1:
            raise SpecError(
                f"{block.name} ran {times[block.name]} times in {type(model).__name__}, not once: {block.host} does "
                f"not call each child exactly once; choose other modules with at=NAMES. The network is unchanged."
            )


def _warn_of_narrow(planned: Insertion) -> None:
    """Warn of ratios that leave one hidden unit: in blocks with a ratio above their channels, or in every block."""
    if not all(block.spec.has_ratio for block in planned):
        return
    narrow = [block for block in planned if block.spec.ratio(1) > block.channels]
    if not narrow and all(min(block.widths) == 1 and block.channels > block.spec.ratio(1) for block in planned):
        narrow = list(planned)
    if narrow:
        one = narrow[0]
        wide = (
            "is wider than the map" if one.spec.ratio(1) > one.channels else "leaves a hidden layer of 1 unit in each"
        )
        warnings.warn(
            f"reduction = {one.spec.reduction} {wide} of {len(narrow)} of {len(planned)} blocks, e.g. "
            f"{'-'.join(map(str, one.widths))} at {one.name}: choose a smaller ratio, or min_channels.",
            stacklevel=4,
        )
