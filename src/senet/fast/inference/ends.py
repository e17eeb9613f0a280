"""Native tails of residual units (`excite.cpp`): a block's weights, gate, sum and ReLU in one call.

Between two convolutions all data of the interpreter has left the processor caches, and every torch function costs 3 to
30 us (docs/log.md). So everything that a call needs except the addresses of its maps is prepared once, and reused as
long as a key of sizes, dtypes and addresses stays the same.

Letters in shapes: n images, c and d channels, h and w sizes.
"""

import ctypes
from collections.abc import Callable
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.compiler import is_compiling

from senet.errors import BackendError
from senet.fast.conv_norm import Pointwise
from senet.fast.inference.chain import FUNCTIONS, Chain, Layer
from senet.fast.kernels.compiled import load
from senet.fast.kernels.selfcheck import LAYOUTS, apart, is_sound
from senet.fast.listeners import QUIET, is_plain, modes

__all__ = ["End", "library"]

SOURCE = Path(__file__).with_name("excite.cpp")
BF16 = {torch.float32: 0, torch.bfloat16: 1}  # supported dtypes of maps and layers
PLACES = {name: place for place, name in enumerate(FUNCTIONS)}
ABSENT = (0, 0, 0, 0)  # stands for an absent map


@cache
def library() -> Callable[..., None] | None:
    """Load the library, compiling it if it is not in the cache; None if it cannot be compiled or is not correct."""
    try:
        run: Any = load(SOURCE).senet_end
    except (BackendError, AttributeError):  # torch operators compute the same, more slowly
        return None
    run.argtypes, run.restype = (ctypes.c_void_p,) * 6, None
    return run if is_sound("the ends of units", SOURCE, lambda: fault(run)) else None


def fault(run: Callable[..., None]) -> str:
    """Return a description of the first test case with a wrong result; empty if all are correct."""
    random = torch.Generator().manual_seed(0)
    for (n, d, h, w), dtype in product(((2, 5, 3, 7), (3, 33, 9, 5)), BF16):
        given = [torch.randn(out, inner, generator=random).to(dtype) for out, inner in ((3, 7), (d, 3))]
        for (memory, layout), name in product(LAYOUTS.items(), FUNCTIONS):
            chain = Chain(
                [Layer(Pointwise(given[0], None), name), Layer(Pointwise(given[1], given[1][:, 0].clone()), name)]
            )
            maps = [torch.randn(n, c, *size, generator=random) for c, size in ((d, (h, w)), (d, (h, w)), (7, (3, 5)))]
            u, r, m = (x.to(dtype).contiguous(memory_format=layout) for x in maps)
            s = torch.rand(n, d, 1, 1, generator=random)
            for weights, shortcut, averaged in ((None, r, None), (s, None, None), (s, r, None), (None, r, m)):
                excite = None if averaged is None else chain
                y = torch.empty_like(u)
                words = _prepared(u, weights, shortcut, averaged, excite, True, torch.get_num_threads())
                assert words is not None
                run(words, *(None if x is None else x.data_ptr() for x in (u, weights, shortcut, averaged, y)))
                gate = chain.float()(m.float().mean((2, 3)))[..., None, None] if excite else weights
                wanted = torch.relu((u.float() if gate is None else gate * u.float()) + (0 if shortcut is None else r))
                if why := apart(y, wanted.to(dtype), dtype):
                    return f"{n}x{d}x{h}x{w}, {dtype}, {memory}, {name if excite else 'no excitation'}: {why}"
    return ""


class Plan(NamedTuple):
    """Prepared arguments of a native call.

    Attributes:
        key: everything that the plan depends on.
        words: arguments in the layout of excite.cpp; None if torch operators must run.
        held: tensors whose addresses are in `words`, kept alive so that the addresses are not reused.
    """

    key: object
    words: Any
    held: tuple[Tensor, ...]


class End:
    """The native tail of one unit, with a plan for the most recent shapes; copies start without a plan.

    Args:
        rectify: whether the unit ends with a ReLU.
        own: whether the result may overwrite its map.
    """

    def __init__(self, *, rectify: bool, own: bool) -> None:
        self.rectify = rectify
        self.own = own
        self.plan = Plan(None, None, ())  # replaced atomically: several threads may run a network

    def __reduce__(self) -> tuple[Callable[..., "End"], tuple[bool, bool]]:
        return _end, (self.rectify, self.own)

    def finish(
        self,
        u: Float[Tensor, "n d *t"],
        s: Float[Tensor, "n d *w"] | None,
        r: Float[Tensor, "n d *t"] | None,
        h: Float[Tensor, "n c *s"] | None,
        chain: Chain | None,
    ) -> Float[Tensor, "n d *t"] | None:
        """Compute `relu(s · u + r)` in one pass; None if torch operators must run.

        Args:
            u: output of the branch.
            s: its channel weights; None is 1, or computed from `h`.
            r: output of the shortcut; None is 0.
            h: the map whose average determines the weights; may be `u`.
            chain: maps that average to the weights.
        """
        words = self._words(u, s, r, h, chain)
        if words is None:
            return None
        y = u if self.own else torch.empty_like(u)
        at = [None if x is None else x.data_ptr() for x in (u, s, r, h, y)]
        library()(words, *at)  # type: ignore[misc]  # there are words, so there is a library
        return y

    def _words(self, u: Tensor, s: Tensor | None, r: Tensor | None, h: Tensor | None, chain: Chain | None) -> Any:
        if is_compiling() or type(u) is not Tensor:
            return None
        now = QUIET.modes or modes()
        if now is None or (chain is not None and not is_plain(chain)):
            return None
        key: list[object] = [now]
        for x in (u, s, r, h):
            key += (None,) if x is None else (x.dtype, x.is_cpu, x.shape, x.stride())
        matrices = () if chain is None else chain._parameters.values()
        for x in matrices:
            key += (None,) if x is None else (x.data_ptr(), x.shape, x.stride())  # a slice may have the same address
        if now.grad and any(x is not None and x.requires_grad for x in (u, s, r, h, *matrices)):
            return None
        plan = self.plan
        if plan.key != key:
            words = None if library() is None else _prepared(u, s, r, h, chain, self.rectify, now.threads)
            self.plan = plan = Plan(key, words, tuple(x.detach() for x in matrices if x is not None))
        return plan.words


def _end(rectify: bool, own: bool) -> End:
    return End(rectify=rectify, own=own)


def _prepared(
    u: Tensor, s: Tensor | None, r: Tensor | None, h: Tensor | None, chain: Chain | None, rectify: bool, threads: int
) -> Any:
    """Return the arguments of a native call except the addresses of its maps; None if the call is not supported."""
    layers = [] if chain is None else chain.layers()
    parameters = [x for weight, bias, _ in layers for x in (weight, bias) if x is not None]
    given = [x for x in (u, s, r, h, *parameters) if x is not None]
    if not all(type(x) in (Tensor, nn.Parameter) and x.is_cpu and x.dtype in BF16 for x in given):
        return None
    if any(_layout(x) is None or x.shape[0] != u.shape[0] for x in (u, r, h) if x is not None):
        return None
    if r is not None and (r.shape != u.shape or r.stride() != u.stride() or r.dtype != u.dtype):
        return None
    if s is not None and (s.shape != (*u.shape[:2], 1, 1) or s.dtype != torch.float32 or not s.is_contiguous()):
        return None
    if any(x.dtype != parameters[0].dtype or not x.is_contiguous() for x in parameters):
        return None
    kind = BF16[parameters[0].dtype] if parameters else 0
    words = [u.shape[0], threads, int(rectify), *_map(u), *_map(h), len(layers), kind]
    outputs = 0 if h is None else h.shape[1]
    for weight, bias, function in layers:
        if weight.ndim != 2 or weight.shape[1] != outputs or (bias is not None and bias.shape != weight.shape[:1]):
            return None
        outputs, inputs = weight.shape
        words += (weight.data_ptr(), 0 if bias is None else bias.data_ptr(), inputs, outputs, PLACES[function])
    if h is not None and outputs != u.shape[1]:
        return None
    return (ctypes.c_int64 * len(words))(*words)


def _layout(x: Tensor) -> int | None:
    """Return 1 for a map in channels last, 0 for a contiguous one, None for anything else."""
    if x.ndim != 4 or 0 in x.shape:
        return None
    if x.is_contiguous(memory_format=torch.channels_last):
        return 1
    return 0 if x.is_contiguous() else None


def _map(x: Tensor | None) -> tuple[int, ...]:
    return ABSENT if x is None else (x.shape[1], x.shape[2] * x.shape[3], int(_layout(x) or 0), BF16[x.dtype])
