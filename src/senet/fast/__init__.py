"""Squeeze-and-excitation in the memory passes of the plain network."""

from senet.fast.accelerate import Accelerated, accelerate, decelerate

__all__ = ["Accelerated", "accelerate", "decelerate"]
