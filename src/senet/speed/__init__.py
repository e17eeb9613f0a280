"""What squeeze-and-excitation costs in time and memory: paired measurements against the plain twin of a network."""

from senet.speed.measure import Bench, Block, Line, bench

__all__ = ["Bench", "Block", "Line", "bench"]
