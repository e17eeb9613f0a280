"""Creation and loading of networks by name, builder or folder, with or without blocks, with their weights."""

from senet.networks.create import create, made_of
from senet.networks.names import LIBRARIES, Named, is_network, named, own_builder
from senet.networks.pretrained import from_pretrained, origin_of, preprocessing_of, save_pretrained, side_of

__all__ = [
    "LIBRARIES",
    "Named",
    "create",
    "from_pretrained",
    "is_network",
    "made_of",
    "named",
    "origin_of",
    "own_builder",
    "preprocessing_of",
    "save_pretrained",
    "side_of",
]
