"""Squeeze-and-excitation in the memory passes of the plain network: for training, and for inference."""

from senet.fast.accelerate import Accelerated, accelerate, decelerate
from senet.fast.inference import Optimized, optimize
from senet.fast.treated import Report, Treated

__all__ = ["Accelerated", "Optimized", "Report", "Treated", "accelerate", "decelerate", "optimize"]
