"""The squeeze-and-excitation block and its parts, the residual unit with its slots, and block placement."""

from senet.nn.block import SqueezeExcite
from senet.nn.chain import chain
from senet.nn.placement import Gates, Site, no_gates, place
from senet.nn.residual import Residual

__all__ = ["Gates", "Residual", "Site", "SqueezeExcite", "chain", "no_gates", "place"]
