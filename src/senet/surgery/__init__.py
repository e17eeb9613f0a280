"""Find, insert, remove and fold blocks in existing networks, those of senet and those of other libraries."""

from senet.surgery.finding.find import Found, find
from senet.surgery.folding.constants import ChannelScale
from senet.surgery.folding.fold import fold, skeleton
from senet.surgery.folding.folded import Folded
from senet.surgery.insertion.insert import insert
from senet.surgery.insertion.plan import plan
from senet.surgery.insertion.remove import remove
from senet.surgery.insertion.report import Insertion, PlannedBlock

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
