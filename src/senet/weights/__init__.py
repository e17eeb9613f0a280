"""Weights of other libraries: one table of tensor names per origin, strict loading, and export."""

from senet.weights.load import ORIGINS, Loaded, load_weights, state_dict_as

__all__ = ["ORIGINS", "Loaded", "load_weights", "state_dict_as"]
