"""Squeeze-and-excitation in the memory passes of the plain network."""

from senet.fast.inference import Optimized, Report, Treated, optimize

__all__ = ["Optimized", "Report", "Treated", "optimize"]
