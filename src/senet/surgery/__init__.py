"""Work on networks that exist already, ours or foreign ones."""

from senet.surgery.find import Found, find
from senet.surgery.fold import fold, skeleton
from senet.surgery.folded import Folded
from senet.surgery.insert import insert
from senet.surgery.insertion import Insertion, PlannedBlock
from senet.surgery.plan import plan
from senet.surgery.remove import remove
from senet.surgery.scale import ChannelScale

__all__ = [
    "ChannelScale",
    "Folded",
    "Found",
    "Insertion",
    "PlannedBlock",
    "find",
    "fold",
    "insert",
    "plan",
    "remove",
    "skeleton",
]
