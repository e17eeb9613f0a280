"""Work on networks that exist already, ours or foreign ones."""

from senet.surgery.find import Found, find
from senet.surgery.fold import fold, skeleton
from senet.surgery.folded import Folded
from senet.surgery.scale import ChannelScale

__all__ = ["ChannelScale", "Folded", "Found", "find", "fold", "skeleton"]
