"""Weights from elsewhere: one file of names for each origin, loaded strictly and given back."""

from senet.weights.load import ORIGINS, Loaded, load_weights, state_dict_as

__all__ = ["ORIGINS", "Loaded", "load_weights", "state_dict_as"]
