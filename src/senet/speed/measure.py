"""Benchmark a network with SE blocks against the plain network: paired timings, reported as ratios.

Letters in shapes: n images, c channels, h and w sizes.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from senet.calls import by_name
from senet.errors import SpecError, reason_of, unknown
from senet.known_names import Dtypes, Modes
from senet.networks.names import named
from senet.nn import Residual, SqueezeExcite
from senet.printed import Printed
from senet.spec import SESpec, design_name
from senet.speed.bench_table import block_table, caption, line_table
from senet.speed.interleave import interleave
from senet.speed.traffic import bandwidth, moved_bytes, peak_bytes, saved_bytes
from senet.speed.variants import DEFAULTS, variants
from senet.tables import fitted

__all__ = ["DTYPES", "MODES", "Bench", "Block", "Line", "bench"]

MODES: tuple[str, ...] = get_args(Modes)
DTYPES: Mapping[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, kw_only=True)
class Line:
    """Measurements of one variant of the network.

    Attributes:
        name: name of the variant.
        milliseconds: median time of a step [ms].
        ratio: median of the per-round time ratios to the first variant [1].
        low: lower quartile of the per-round ratios [1].
        high: upper quartile of the per-round ratios [1].
        images_per_second: throughput at the median time [1/s].
        saved_mb: memory that the forward pass keeps for the backward pass [MB]; None for inference.
        peak_mb: peak memory [MB]; None on a CPU.
        bound: minimum memory traffic at copy bandwidth, as a share of the measured time [1].
    """

    name: str
    milliseconds: float
    ratio: float
    low: float
    high: float
    images_per_second: float
    saved_mb: float | None
    peak_mb: float | None
    bound: float


@dataclass(frozen=True, kw_only=True)
class Block:
    """Timings of one residual unit in isolation.

    Attributes:
        name: module path of the unit.
        shape: shape of its input `(n, c, h, w)`.
        milliseconds: median time of the first variant [ms].
        ratios: time ratios of the other variants to the first one, by name [1].
    """

    name: str
    shape: tuple[int, ...]
    milliseconds: float
    ratios: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, repr=False)
class Bench(Printed):
    """The result of a benchmark and its settings.

    Attributes:
        model: name of the network.
        design: its design as text.
        shape: shape of the input `(n, c, h, w)`.
        mode: `train` (forward and backward) or `infer`.
        dtype: dtype of maps; in training set by autocast.
        device: `cpu`, `cuda`.
        threads: intra-operator threads.
        rounds: timed rounds.
        copy_gb: copy bandwidth of the device [GB/s].
        lines: measurements by variant.
        blocks: timings of residual units, if requested.
    """

    model: str
    design: str
    shape: tuple[int, ...]
    mode: str
    dtype: str
    device: str
    threads: int
    rounds: int
    copy_gb: float
    lines: tuple[Line, ...]
    blocks: tuple[Block, ...] = ()

    def __str__(self) -> str:
        """Return the tables, and what was measured."""
        tables = [line_table(self), *([block_table(self)] if self.blocks else [])]
        return "\n".join([*map(str, tables), *fitted([caption(self)])])

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@by_name
def bench(
    model: str,
    *,
    se: SESpec | Sequence[SESpec] | None = None,
    shape: tuple[int, int, int, int] = (8, 3, 224, 224),
    mode: Modes = "train",
    names: Sequence[str] = (),
    timm: str | None = None,
    device: str = "cpu",
    dtype: Dtypes = "float32",
    channels_last: bool = True,
    rounds: int = 20,
    blocks: bool = False,
    options: Mapping[str, Any] | None = None,
    builder: str | None = None,
    watch: Callable[[int], None] | None = None,
) -> Bench:
    """Time a network with SE blocks against the plain network in interleaved rounds.

    Args:
        model: network, as for `senet.networks.create`: a name, `timm:NAME`, `FILE.py:FUNCTION`, a folder. Blocks are
            inserted into networks that are not of the zoo.
        se: its design; None means `SESpec()`.
        shape: shape of the input `(n, c, h, w)`.
        mode: `train` times the forward and backward pass, `infer` the forward pass.
        names: variants (`senet.speed.variants.VARIANTS`); the others are compared with the first. Empty means the
            default set: plain and with blocks, each eager and accelerated.
        timm: a timm network to time as well.
        device: `cpu`, `cuda`, `cuda:1`.
        dtype: `float32` or `bfloat16`; in training by autocast, in inference for weights and maps.
        channels_last: use the channels-last memory format for weights and maps.
        rounds: timed rounds.
        blocks: also time the residual units in isolation; only for networks of the zoo.
        options: further arguments of the family, the library or the builder, e.g. `{"num_classes": 10}`.
        builder: `FILE.py:FUNCTION` that builds the network of a folder.
        watch: called with the number of every finished round.

    Returns:
        Measurements of every variant.

    Raises:
        SpecError: if a name, mode or dtype is not known, or the network does not accept `shape`.
        UsageError: if `timm` is set and timm is not installed.
    """
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    if rounds < 1 or min(shape) < 1:
        raise SpecError(f"rounds = {rounds}, shape = {shape} are not possible; use positive whole numbers.")
    if blocks and named(model).library != "senet":
        raise SpecError(f"blocks = True times units of networks of the zoo, and {model} is none; leave it out.")
    train, spec = mode == "train", SESpec() if se is None else se
    if not isinstance(spec, SESpec) and not spec:
        raise SpecError("se = () has no blocks to time; pass a design, e.g. 'standard'.")
    layout = torch.channels_last if channels_last else torch.contiguous_format
    wanted = names or DEFAULTS[train]
    networks = variants(model, spec, wanted, train=train, shape=shape, timm=timm, options=options, builder=builder)
    kind = torch.float32 if train else DTYPES[dtype]
    for network in networks.values():
        network.to(device=device, dtype=kind, memory_format=layout)  # type: ignore[call-overload]
    x = torch.randn(shape).to(device=device, dtype=kind, memory_format=layout)
    cast = torch.autocast(device.partition(":")[0], DTYPES[dtype], enabled=train and dtype != "float32")
    try:
        steps = {name: _step(network, x, cast, train=train) for name, network in networks.items()}
        next(iter(steps.values()))()
    except Exception as error:  # the user's networks may raise any type
        said = reason_of(error)
        raise SpecError(f"shape = {shape}: {model} does not accept it ({said}).") from error
    timings = interleave(steps, rounds=rounds, device=device, watch=watch)
    speed, first = bandwidth(device), next(iter(networks))
    inevitable = moved_bytes(networks[first], x, train=train) * (DTYPES[dtype].itemsize / kind.itemsize)
    lines = []
    for name, timing in timings.items():
        with cast:
            saved = saved_bytes(networks[name], x) if train else None
        peak = peak_bytes(steps[name], device)
        low, high = timing.spread(timings[first])
        lines.append(
            Line(
                name=name,
                milliseconds=1000 * timing.median,
                ratio=timing.ratio(timings[first]),
                low=low,
                high=high,
                images_per_second=shape[0] / timing.median,
                saved_mb=None if saved is None else saved / 1e6,
                peak_mb=None if peak is None else peak / 1e6,
                bound=inevitable / speed / timing.median,
            )
        )
    specs = [spec] if isinstance(spec, SESpec) else list(spec)
    return Bench(
        model=model,
        design=design_name(specs),
        shape=shape,
        mode=mode,
        dtype=dtype,
        device=device,
        threads=torch.get_num_threads(),
        rounds=rounds,
        copy_gb=speed / 1e9,
        lines=tuple(lines),
        blocks=tuple(_blocks(networks, x, cast, train=train, rounds=rounds, device=device)) if blocks else (),
    )


def _step(network: nn.Module, x: Tensor, cast: AbstractContextManager[object], *, train: bool) -> Callable[[], object]:
    """Return a function that runs a training step without the optimiser, or one inference."""

    def forward_backward() -> None:
        network.zero_grad()
        with cast:
            y = network(x)
        y.float().sum().backward()

    def forward() -> None:
        with torch.inference_mode():
            network(x)

    return forward_backward if train else forward


def _blocks(
    networks: Mapping[str, nn.Module],
    x: Tensor,
    cast: AbstractContextManager[object],
    *,
    train: bool,
    rounds: int,
    device: str,
) -> list[Block]:
    """Time each unit with a block in isolation, on the inputs that it has in the network."""
    units: dict[str, dict[str, Callable[[], object]]] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    with_blocks = _units(next((network for name, network in networks.items() if name == "se"), nn.Identity()))
    for variant, network in networks.items():
        if "compiled" in variant or "optimized" in variant or variant.startswith("timm"):
            continue  # their units are no longer separate modules, or have other names
        with cast:
            inputs = _inputs(network, x, with_blocks)
        for name, given in inputs.items():
            shapes[name] = tuple(given.shape)
            given.requires_grad_(train)
            units.setdefault(name, {})[variant] = _step(network.get_submodule(name), given, cast, train=train)
    found = []
    for name, steps in units.items():
        timings = interleave(steps, rounds=rounds, device=device)
        first, *others = timings
        ratios = {other: timings[other].ratio(timings[first]) for other in others}
        milliseconds = 1000 * timings[first].median
        found.append(Block(name=name, shape=shapes[name], milliseconds=milliseconds, ratios=ratios))
    return found


def _inputs(network: nn.Module, x: Tensor, names: set[str]) -> dict[str, Tensor]:
    """Return the inputs of the named modules in one forward pass."""
    inputs: dict[str, Tensor] = {}

    def record(name: str, given: tuple[Tensor, ...]) -> None:
        inputs[name] = given[0].detach().clone()

    handles = [
        unit.register_forward_pre_hook(lambda _, given, name=name: record(name, given))
        for name, unit in network.named_modules()
        if name in names
    ]
    with torch.no_grad():
        network(x)
    for handle in handles:
        handle.remove()
    return inputs


def _units(network: nn.Module) -> set[str]:
    return {
        name
        for name, unit in network.named_modules()
        if isinstance(unit, Residual) and any(isinstance(part, SqueezeExcite) for part in unit.modules())
    }
