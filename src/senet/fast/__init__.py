"""Squeeze-and-excitation in the memory passes of the plain network: for training, and for inference."""

from senet.fast.inference.optimize import Optimized, optimize
from senet.fast.inference.optimized import Report, Treated
from senet.fast.training.accelerate import Accelerated, accelerate, decelerate

__all__ = ["Accelerated", "Optimized", "Report", "Treated", "accelerate", "decelerate", "optimize"]
