"""Paired timing: candidates run in turn, A B C A B C ..., so that disturbances affect all of them equally."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

__all__ = ["Timing", "clock_of", "interleave"]


@dataclass(frozen=True)
class Timing:
    """Timings of one candidate.

    Attributes:
        seconds: time of every round [s].
    """

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """Median over the rounds [s]."""
        return statistics.median(self.seconds)

    def ratio(self, base: "Timing") -> float:
        """Return the median of the per-round time ratios to another candidate."""
        return statistics.median(self._ratios(base))

    def spread(self, base: "Timing") -> tuple[float, float]:
        """Return the lower and upper quartile of the per-round time ratios to another candidate."""
        ratios = self._ratios(base)
        if len(ratios) < 2:
            return ratios[0], ratios[0]
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, high

    def _ratios(self, base: "Timing") -> list[float]:
        return [mine / theirs for mine, theirs in zip(self.seconds, base.seconds, strict=True)]


def interleave(
    candidates: Mapping[str, Callable[[], object]],
    *,
    rounds: int,
    warmup: int = 2,
    device: str = "cpu",
    seconds: float = math.inf,
    least: int = 5,
    watch: Callable[[int], None] | None = None,
) -> dict[str, Timing]:
    """Time candidates in interleaved rounds.

    On a CPU this measures process time (`time.process_time`): with one thread, waiting for other processes does not
    count. On a GPU it measures the time between two CUDA events.

    Args:
        candidates: functions to time, by name.
        rounds: timed runs of each candidate.
        warmup: untimed runs of each candidate before the first round.
        device: `cpu`, `cuda`, `cuda:1`.
        seconds: stop after the round in which this wall time is over, the warm-up counted [s].
        least: rounds that are timed whatever they take.
        watch: called with the number of every finished round.
    """
    clock, began = clock_of(device), time.monotonic()
    for run in candidates.values():
        for _ in range(warmup):
            run()
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds):
        for name, run in candidates.items():
            times[name].append(clock(run))
        if watch is not None:
            watch(number + 1)
        if number + 1 >= least and time.monotonic() - began >= seconds:
            break
    return {name: Timing(tuple(found)) for name, found in times.items()}


def clock_of(device: str) -> Callable[[Callable[[], object]], float]:
    """Return the function that times another one on a device [s]: process time, or time between CUDA events."""
    return _cuda_seconds if device.startswith("cuda") else _cpu_seconds


def _cpu_seconds(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _cuda_seconds(run: Callable[[], object]) -> float:
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) / 1000
