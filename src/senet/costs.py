"""What a network costs: parameters, multiply-adds, what is counted beside them, and the part inside its SE blocks.

A copy of the network runs once on tensors that have shapes and no data (torch's meta device), and on zeros where it
asks for values: no weight is touched.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode  # the way of torch.utils.flop_counter, there is no other
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.flop_counter import flop_registry

from senet.calls import by_name
from senet.cost_table import block_lines, count_lines
from senet.dataflow.rehearsal import UnrehearsableError, rehearse
from senet.errors import SpecError, unknown
from senet.nn.pointwise import CONVS, LAYERS
from senet.printed import Printed
from senet.surgery.finding.find import Found, find

__all__ = ["CONVENTIONS", "BlockCost", "Cost", "Counts", "cost"]

aten = torch.ops.aten
WINDOWS = {aten.avg_pool2d: 2, aten.max_pool2d_with_indices: 2, aten.avg_pool3d: 3, aten.max_pool3d_with_indices: 3}
ADAPTIVE = {
    aten._adaptive_avg_pool2d,
    aten._adaptive_avg_pool3d,
    aten.adaptive_max_pool2d,
    aten.adaptive_max_pool3d,
}
REDUCTIONS = {aten.mean, aten.amax, aten.max}
SUMS = {aten.add, aten.add_}
PRODUCTS = {aten.mul, aten.mul_}


@dataclass(frozen=True, kw_only=True)
class Counts:
    """Numbers of one image through a network, or through the part of it that is SE blocks.

    Attributes:
        params: parameters, each once, trainable or not [1].
        macs: multiply-adds of convolutions, linear maps, matrix products and attention [MAC]. Biases, norms and
            activations count zero.
        pool: elements that enter an average or a maximum over space: the whole input of a global or adaptive pool,
            outputs x window of a pool with windows [1].
        scale: elements of products of a map with a gate: with numbers that are computed from the image and repeat
            over the map, and in an SE block with any gate of the size of its map [1].
        add: elements of sums of two maps of equal shape, as at the end of a residual unit [1].
        activation_bytes: what stock eager autograd keeps for the backward pass besides parameters and buffers, each
            storage once, with the parameters that require gradients now [bytes]. The input counts; dropout masks do
            not, as the network runs in evaluation mode. A map counts where it is kept first: inside a block it is
            the block that makes training keep it.
    """

    params: int
    macs: int
    pool: int
    scale: int
    add: int
    activation_bytes: int


@dataclass(frozen=True, kw_only=True)
class BlockCost(Counts):
    """Numbers of one SE block.

    Attributes:
        name: path of the block in the network; of an inline block, of the module in whose forward pass it runs. Of
            that one the layers alone are counted.
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
    """Numbers of a network, the part of them inside its SE blocks, and every block; it prints as a table.

    Attributes:
        se: the part inside the blocks.
        blocks: the blocks, in the order of the module tree.
    """

    se: Counts
    blocks: tuple[BlockCost, ...]

    def __str__(self) -> str:
        blocks = ["", *block_lines([vars(block) for block in self.blocks])] if self.blocks else []
        return "\n".join([*count_lines(vars(self), vars(self.se)), *blocks])

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
        """What the blocks add to the parameters of the rest, the paper's "about 10%" [%]."""
        return _percent(self.se.params, self.params - self.se.params)

    @property
    def added_macs_percent(self) -> float:
        """What the blocks add to the multiply-adds of the rest [%]."""
        return _percent(self.se.macs, self.macs - self.se.macs)

    def giga(self, convention: str = "macs") -> float:
        """Give billions of operations of one image under a convention.

        Args:
            convention: a name of `CONVENTIONS`. `macs` is that of most tools. The paper's own prints are `macs+add`
                for plain networks and nearest to `macs+add+gap` with blocks.

        Raises:
            SpecError: if the name is not known.

        Source:
            Hu et al., arXiv:1709.01507, Table 2, as PAPERS section 2.2 resolves it.
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
"""What to count as operations: `gap` and `scale` are those of the SE blocks, one for every element they gate."""


@by_name
def cost(model: nn.Module, *, shape: tuple[int, ...] = (1, 3, 224, 224)) -> Cost:
    """Count the parameters and multiply-adds of a model, and the share of its SE blocks.

    A multiply-add counts once; pools, gates, residual sums and the memory of training stand beside it. Blocks of
    other libraries count as `senet.surgery.find` recognises them. A copy runs, so forward hooks of yours see nothing.
    It runs on shapes alone; one that asks for values, as detectors do, runs on images of zeros, and what follows from
    values, as the boxes that a detector proposes, is counted as it comes out on these.

    Args:
        model: any network; it is not changed.
        shape: input as `(n, c, h, w)` [images, channels, pixels, pixels], or with one or three sizes. Everything is
            counted for n images and divided by n.

    Returns:
        Totals, the part inside SE blocks, and every block.

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
        raise SpecError(f"shape = {shape} is no input; give whole numbers above 0 as (n, c, h, w).")
    found = find(model)
    modules = {one: [model.get_submodule(name) for name in one.modules] for one in found}
    meter = _measured(model, {module: one for one, parts in modules.items() for module in parts}, shape)
    blocks = tuple(_block_cost(one, nn.ModuleList(modules[one]), meter, shape[0]) for one in found)
    inside = Counter[str]()
    for one in found:
        inside.update(meter.counts[one])
    total = inside + meter.counts[None]
    se = _counts(nn.ModuleList(module for parts in modules.values() for module in parts), inside, shape[0])
    return Cost(**vars(_counts(model, total, shape[0])), se=se, blocks=blocks)


def _block_cost(found: Found, module: nn.Module, meter: "_Meter", images: int) -> BlockCost:
    size = () if found.parts else meter.sizes.get(found, ())
    channels_first = size[1:2] == (found.channels,)
    return BlockCost(
        **vars(_counts(module, meter.counts[found], images)),
        name=found.name,
        channels=found.channels,
        widths=found.widths,
        resolution=size[2:] if channels_first else size[1:-1],
    )


def _counts(module: nn.Module, counts: Counter[str], images: int) -> Counts:
    params = sum(parameter.numel() for parameter in module.parameters())
    names = ("macs", "pool", "scale", "add", "activation_bytes")
    return Counts(params=params, **{name: counts[name] // images for name in names})


def _percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def _measured(model: nn.Module, blocks: Mapping[nn.Module, Found], shape: tuple[int, ...]) -> "_Meter":
    """Run a network on shapes alone, and on zeros where it asks for values."""
    own = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    failed: Exception | None = None
    for device in dict.fromkeys((torch.device("meta"), own)):
        meter = _Meter(blocks)
        try:
            _run(model, meter, shape, device)
        except UnrehearsableError:
            raise
        except Exception as error:  # whatever a foreign network raises
            failed = error
            if _is_misfit(_first(model)[1], shape):  # no values would help
                break
        else:
            return meter
    assert failed is not None
    raise _misfit(model, shape, failed) from failed


@torch.inference_mode(False)
def _run(model: nn.Module, meter: "_Meter", shape: tuple[int, ...], device: torch.device) -> None:
    dtypes = (p.dtype for p in model.parameters() if p.is_floating_point())
    x = torch.zeros(shape, device=device, dtype=next(dtypes, torch.float32))
    meter.follow(x)
    keeping = torch.autograd.graph.saved_tensors_hooks(meter.keep, _never_unpacked)
    rehearse(model, x, contexts=(torch.enable_grad(), keeping, meter), enter=meter.enter, leave=meter.leave)


def _never_unpacked(kept: object) -> Tensor:
    raise AssertionError("cost runs no backward pass")


def _misfit(model: nn.Module, shape: tuple[int, ...], error: Exception) -> SpecError:
    title = type(model).__name__
    name, first = _first(model)
    if _is_misfit(first, shape):
        sizes = ", ".join("dhw"[-len(first.kernel_size) :])
        return SpecError(
            f"shape = {shape} does not fit {title}: {name or 'it'} takes (n, {first.in_channels}, {sizes}); "
            f"give {first.in_channels} channels and {len(first.kernel_size)} sizes, or build it for this input."
        )
    reason = str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
    return SpecError(f"shape = {shape} does not run through {title}: {reason}; give the shape it was built for.")


def _first(model: nn.Module) -> tuple[str, nn.Module | None]:
    """Return the first layer with weights, and its name."""
    return next(((name, module) for name, module in model.named_modules() if isinstance(module, LAYERS)), ("", None))


def _is_misfit(first: nn.Module | None, shape: tuple[int, ...]) -> TypeGuard[nn.Conv1d | nn.Conv2d | nn.Conv3d]:
    """Return whether a network begins with a convolution that takes other channels, or another number of sizes."""
    return isinstance(first, CONVS) and (shape[1] != first.in_channels or len(shape) != 2 + len(first.kernel_size))


class _Meter(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class has no types
    """Count what reaches aten, and follow the image: a weight that is added or multiplied is no map and no gate.

    Args:
        blocks: the SE blocks by module; what runs inside one counts for it, the rest for None.
    """

    def __init__(self, blocks: Mapping[nn.Module, Found]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.blocks = blocks
        self.counts: defaultdict[Found | None, Counter[str]] = defaultdict(Counter)
        self.sizes: dict[Found, tuple[int, ...]] = {}
        self.open: list[Found] = []
        self.images: dict[int, torch.UntypedStorage] = {}  # storages that depend on the input, alive so ids stay theirs
        self.kept: set[int] = set()

    def follow(self, *tensors: Tensor) -> None:
        for tensor in tensors:
            storage = tensor.untyped_storage()
            self.images[id(storage)] = storage

    def depends(self, value: object) -> TypeGuard[Tensor]:
        return isinstance(value, Tensor) and id(value.untyped_storage()) in self.images

    def enter(self, module: nn.Module, args: tuple[object, ...]) -> None:
        if (block := self.blocks.get(module)) is not None:
            self.open.append(block)
            if args and isinstance(args[0], Tensor):
                self.sizes[block] = tuple(args[0].shape)

    def leave(self, module: nn.Module, args: object, output: object) -> None:
        if module in self.blocks:
            self.open.pop()

    def count(self, what: str, amount: int) -> None:
        self.counts[self.open[-1] if self.open else None][what] += amount

    def keep(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if id(storage) in self.images and id(storage) not in self.kept:
            self.kept.add(id(storage))
            self.count("activation_bytes", storage.nbytes())

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor.is_meta for tensor in tensors):  # constants that are neither parameters nor buffers come along
            args, kwargs = tree_map_only(Tensor, _without_data, (args, kwargs))
        result = func(*args, **kwargs)
        if (formula := flop_registry.get(func._overloadpacket)) is not None:
            self.count("macs", formula(*args, **kwargs, out_val=result) // 2)
        if any(map(self.depends, tensors)):
            outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
            if func is aten.native_batch_norm.default and not args[5]:
                del outputs[1:]  # statistics, which evaluation takes from the buffers
            self.follow(*outputs, *(tensors[:1] if func._schema.is_mutable else ()))
            if outputs and args:
                self.count_beside(func._overloadpacket, args, outputs[0])
        return result

    def count_beside(self, op: object, args: Sequence[object], out: Tensor) -> None:
        self.count("pool", _pooled(op, args, out))
        if op in SUMS or op in PRODUCTS:
            left, right = args[:2]
            if self.depends(left) and self.depends(right):
                if op in SUMS:
                    self.count("add", out.numel() if left.shape == right.shape else 0)
                elif _repeats(left, out) or _repeats(right, out) or self.fills_block(out):
                    self.count("scale", out.numel())

    def fills_block(self, out: Tensor) -> bool:
        return bool(self.open) and out.numel() == prod(self.sizes.get(self.open[-1], ()))


def _without_data(tensor: Tensor) -> Tensor:
    return tensor.to("meta")


def _repeats(part: Tensor, out: Tensor) -> bool:
    """Return whether a factor is broadcast over the product, by its shape or by `expand`."""
    expanded = any(size > 1 and step == 0 for size, step in zip(part.shape, part.stride(), strict=True))
    return part.numel() < out.numel() or expanded


def _pooled(op: object, args: Sequence[object], out: Tensor) -> int:
    """Count the elements that enter averages and maxima over space."""
    x = args[0]
    if not isinstance(x, Tensor):
        return 0
    if op in WINDOWS:
        window = args[1]
        assert isinstance(window, Sequence)
        return out.numel() * (prod(window) if len(window) > 1 else window[0] ** WINDOWS[op])
    if op in ADAPTIVE:
        return x.numel()
    if op in REDUCTIONS and len(args) > 1 and x.ndim > 2:
        dims = args[1] if isinstance(args[1], Sequence) else [args[1]]
        over = {dim % x.ndim for dim in dims if isinstance(dim, int)}
        whole = over and 0 not in over and (min(over) > 1 or len(over) == x.ndim - 2)
        return x.numel() if whole else 0
    return 0
