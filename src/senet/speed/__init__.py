"""Benchmarks of time and memory: networks with SE blocks against the plain network, in paired measurements."""

from senet.speed.measure import Bench, Block, Line, bench

__all__ = ["Bench", "Block", "Line", "bench"]
