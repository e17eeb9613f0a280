"""Count the parameters, multiply-adds and training memory of a network, and the share of its SE blocks.

A copy of the network runs once on torch's meta device (shapes without data), or on zeros if it needs values; the
network itself does not change.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

from torch import Tensor, nn

from senet.calls import by_name
from senet.cost_table import block_table, count_table
from senet.dataflow.dry_run import UncopyableError
from senet.dataflow.example import image, tried
from senet.dataflow.flow import Call, Flow, Op
from senet.errors import SpecError, reason_of, unknown
from senet.nn.layers import CONVS, LAYERS
from senet.printed import Printed
from senet.surgery.finding.find import Found, find

__all__ = ["CONVENTIONS", "BlockCost", "Cost", "Counts", "cost"]

WINDOWS = {"avg_pool2d": 2, "max_pool2d_with_indices": 2, "avg_pool3d": 3, "max_pool3d_with_indices": 3}
ADAPTIVE = {"adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool2d", "adaptive_max_pool3d"}
REDUCTIONS = {"mean", "sum", "amax", "max"}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Counts for one image through a network, or through its SE blocks alone.

    Attributes:
        params: parameters, each once, trainable or not [1].
        macs: multiply-adds of convolutions, linear maps, matrix products and attention [MAC]. Biases, norms and
            activations count zero.
        pool: elements that enter an average or a maximum over space: the whole input of a global or adaptive pool,
            outputs x window of a pool with windows [1].
        scale: elements of products of a map with a gate: with numbers that are computed from the image and repeat
            over the map, and in an SE block with any gate of the size of its map [1].
        add: elements of sums of two maps of equal shape, as at the end of a residual unit [1].
        activation_bytes: memory that eager autograd saves for the backward pass besides parameters and buffers, each
            storage once, for the parameters that currently require gradients [bytes]. It includes the input, and no
            dropout masks, since the network runs in evaluation mode. A map counts where it is first saved: inside a
            block if the block is the reason for saving it.
    """

    params: int
    macs: int
    pool: int
    scale: int
    add: int
    activation_bytes: int


@dataclass(frozen=True, kw_only=True)
class BlockCost(Counts):
    """Counts of one SE block.

    Attributes:
        name: path of the block in the network; for an inline block, path of the module in whose forward pass it
            runs, and only the layers of the block are counted.
        channels: channels of the map it gates.
        widths: widths of its excitation, `(channels, hidden, ..., channels)`.
        resolution: sizes of that map at the last call [pixels]; empty if the network never calls the block, and for
            an inline block.
    """

    name: str
    channels: int
    widths: tuple[int, ...]
    resolution: tuple[int, ...]


@dataclass(frozen=True, kw_only=True, repr=False)
class Cost(Printed, Counts):
    """Counts of a network, of its SE blocks together, and of every block; printed as a table.

    Attributes:
        se: the counts inside the blocks.
        blocks: the blocks, in the order of the module tree.
    """

    se: Counts
    blocks: tuple[BlockCost, ...]

    def __str__(self) -> str:
        blocks = f"\n\n{block_table([vars(block) for block in self.blocks])}" if self.blocks else ""
        return f"{count_table(vars(self), vars(self.se))}{blocks}"

    @property
    def params_percent(self) -> float:
        """Share of the blocks in the parameters [%]."""
        return _percent(self.se.params, self.params)

    @property
    def macs_percent(self) -> float:
        """Share of the blocks in the multiply-adds [%]."""
        return _percent(self.se.macs, self.macs)

    @property
    def activation_percent(self) -> float:
        """Share of the blocks in the bytes kept for the backward pass [%]."""
        return _percent(self.se.activation_bytes, self.activation_bytes)

    @property
    def added_params_percent(self) -> float:
        """Parameters of the blocks relative to those of the rest, the paper's "about 10%" [%]."""
        return _percent(self.se.params, self.params - self.se.params)

    @property
    def added_macs_percent(self) -> float:
        """Multiply-adds of the blocks relative to those of the rest [%]."""
        return _percent(self.se.macs, self.macs - self.se.macs)

    def giga(self, convention: str = "macs") -> float:
        """Return the operations for one image under a convention [10^9 operations].

        Args:
            convention: a name of `CONVENTIONS`. `macs` is that of most tools. The numbers printed in the paper are
                `macs+add` for plain networks and closest to `macs+add+gap` with blocks.

        Raises:
            SpecError: if the convention is unknown.

        Source:
            Hu et al., arXiv:1709.01507, Table 2.
        """
        if convention not in CONVENTIONS:
            raise unknown("convention", convention, CONVENTIONS)
        return CONVENTIONS[convention](self) / 1e9


CONVENTIONS: Mapping[str, Callable[[Cost], int]] = {
    "macs": lambda c: c.macs,
    "macs+add": lambda c: c.macs + c.add,
    "macs+gap": lambda c: c.macs + c.se.pool,
    "macs+gap+scale": lambda c: c.macs + c.se.pool + c.se.scale,
    "macs+add+gap": lambda c: c.macs + c.add + c.se.pool,
    "macs+add+gap+scale": lambda c: c.macs + c.add + c.se.pool + c.se.scale,
}
"""What counts as an operation: `gap` and `scale` are the pooled and the scaled elements of the SE blocks."""


@by_name
def cost(model: nn.Module, *, shape: tuple[int, ...] = (1, 3, 224, 224)) -> Cost:
    """Count the parameters and multiply-adds of a model, and the share of its SE blocks.

    A multiply-add counts once; pools, gates, residual sums and training memory are separate counts. Blocks of other
    libraries are those that `senet.surgery.find` recognises. A copy of the model runs, so your own forward hooks are
    not triggered. It runs on shapes alone; models that need values, such as detectors, run on images of zeros, and
    operations that depend on values, such as those on the boxes that a detector proposes, are counted for zeros.

    Args:
        model: any network; it is not changed.
        shape: input as `(n, c, h, w)` [images, channels, pixels, pixels], or with one or three sizes. Everything is
            counted for n images and divided by n.

    Returns:
        The totals, the counts inside SE blocks, and the counts of every block.

    Raises:
        SpecError: if the model is not a network, or does not accept `shape`.

    Source:
        Hu et al., arXiv:1709.01507, Eq. 5 and section 4.

    Example:
        >>> cost(create_model("resnet50", se=SESpec())).params
        28088024
    """
    if (
        not isinstance(shape, Sequence)
        or len(shape) < 2
        or not all(isinstance(size, int) and size > 0 for size in shape)
    ):
        raise SpecError(f"shape = {shape} is not a valid input shape; give whole numbers above 0 as (n, c, h, w).")
    found = find(model)
    known = {name: one for one in found for name in one.modules}
    flow = _recorded(model, shape)
    counts = _counted(flow, known)
    sizes = {call.name: call.input.shape for call in flow.calls if call.name in known and call.input is not None}
    layers = {one: nn.ModuleList(map(model.get_submodule, one.modules)) for one in found}
    inside, total = Counter[str](), Counter[str]()
    for one, part in counts.items():
        total.update(part)
        inside.update(part if one is not None else ())
    return Cost(
        **_numbers(model, total, shape[0]),
        se=Counts(**_numbers(nn.ModuleList(layers.values()), inside, shape[0])),
        blocks=tuple(
            BlockCost(
                **_numbers(layers[one], counts[one], shape[0]),
                name=one.name,
                channels=one.channels,
                widths=one.widths,
                resolution=() if one.parts else _resolution(one, sizes.get(one.name, ())),
            )
            for one in found
        ),
    )


def _resolution(found: Found, size: tuple[int, ...]) -> tuple[int, ...]:
    return size[2:] if size[1:2] == (found.channels,) else size[1:-1]


def _numbers(module: nn.Module, counts: Counter[str], images: int) -> dict[str, int]:
    params = sum(parameter.numel() for parameter in module.parameters())
    names = ("macs", "pool", "scale", "add", "activation_bytes")
    return {"params": params} | {name: counts[name] // images for name in names}


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _recorded(model: nn.Module, shape: tuple[int, ...]) -> Flow:
    try:
        return tried(model, image(model, shape), keep=True)
    except UncopyableError:
        raise
    except Exception as error:  # other libraries' networks may raise any error
        raise _misfit(model, shape, error) from error


def _misfit(model: nn.Module, shape: tuple[int, ...], error: Exception) -> SpecError:
    title = type(model).__name__
    name, first = _first(model)
    if _is_misfit(first, shape):
        sizes = ", ".join("dhw"[-len(first.kernel_size) :])
        return SpecError(
            f"shape = {shape} does not fit {title}: {name or 'it'} takes (n, {first.in_channels}, {sizes}); "
            f"give {first.in_channels} channels and {len(first.kernel_size)} sizes, or build it for this input."
        )
    reason = reason_of(error)
    return SpecError(f"shape = {shape} does not run through {title}: {reason}; give the shape it was built for.")


def _first(model: nn.Module) -> tuple[str, nn.Module | None]:
    """Return the first layer with weights, and its name."""
    return next(((name, module) for name, module in model.named_modules() if isinstance(module, LAYERS)), ("", None))


def _is_misfit(first: nn.Module | None, shape: tuple[int, ...]) -> TypeGuard[nn.Conv1d | nn.Conv2d | nn.Conv3d]:
    """Return whether the first layer is a convolution for other channels, or for another number of dimensions."""
    return isinstance(first, CONVS) and (shape[1] != first.in_channels or len(shape) != 2 + len(first.kernel_size))


def _counted(flow: Flow, known: Mapping[str, Found]) -> defaultdict[Found | None, Counter[str]]:
    """Return the counts by block; operations outside of blocks are counted under None."""
    counts: defaultdict[Found | None, Counter[str]] = defaultdict(Counter)
    for op in (*flow.ops, *flow.constants):
        block = _block(op.calls, known)
        count = counts[known[block.name] if block else None]
        count["macs"] += op.macs
        count["pool"] += _pooled(op)
        if op.kind in ("add", "mul") and len(op.reads) == 2 and all(value.touched for value in op.reads):
            shapes, elements = [value.shape for value in op.reads], prod(op.output.shape)
            if op.kind == "add":
                count["add"] += elements if shapes[0] == shapes[1] else 0
            elif (
                any(_repeats(part, elements) for part in op.args[:2])
                if block is None or block.input is None
                else prod(block.input.shape) == elements  # smaller products in a block are those of its norm
            ):
                count["scale"] += elements
    for calls, kept in flow.kept:
        block = _block(calls, known)
        counts[known[block.name] if block else None]["activation_bytes"] += kept
    return counts


def _block(calls: Sequence[Call], known: Mapping[str, Found]) -> Call | None:
    return next((call for call in reversed(calls) if call.name in known), None)


def _repeats(part: object, elements: int) -> bool:
    """Return whether a factor is broadcast over the product, by its shape or by `expand`."""
    assert isinstance(part, Tensor)
    expanded = any(size > 1 and step == 0 for size, step in zip(part.shape, part.stride(), strict=True))
    return part.numel() < elements or expanded


def _pooled(op: Op) -> int:
    """Return how many elements enter an average or a maximum over space in this operation."""
    if not op.args or not isinstance(op.args[0], Tensor) or not any(value.touched for value in op.reads):
        return 0
    shape, window = op.reads[0].shape, op.args[1] if len(op.args) > 1 else None
    if op.kind in WINDOWS:
        assert isinstance(window, Sequence)
        return prod(op.output.shape) * (prod(window) if len(window) > 1 else window[0] ** WINDOWS[op.kind])
    if op.kind in ADAPTIVE:
        return prod(shape)
    if op.kind in REDUCTIONS and window is not None and len(shape) > 2:
        dims = window if isinstance(window, Sequence) else [window]
        over = {dim % len(shape) for dim in dims if isinstance(dim, int)}
        whole = over and 0 not in over and (min(over) > 1 or len(over) == len(shape) - 2)
        return prod(shape) if whole else 0
    return 0
