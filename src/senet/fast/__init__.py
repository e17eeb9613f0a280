"""Squeeze-and-excitation in the memory passes of the plain network."""

from senet.fast.inference import Optimized, optimize
from senet.fast.treated import Report, Treated

__all__ = ["Optimized", "Report", "Treated", "optimize"]
