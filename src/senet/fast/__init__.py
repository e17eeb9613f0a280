"""Fast squeeze-and-excitation: blocks fused into the memory passes of the plain network, for training and inference."""

from senet.fast.inference.optimize import Optimized, optimize
from senet.fast.inference.optimized import Report, Treated
from senet.fast.training.accelerate import Accelerated, accelerate, decelerate

__all__ = ["Accelerated", "Optimized", "Report", "Treated", "accelerate", "decelerate", "optimize"]
