"""Work on networks that exist already, ours or foreign ones."""

from senet.surgery.find import Found, find
from senet.surgery.insert import insert
from senet.surgery.insertion import Insertion, PlannedBlock
from senet.surgery.plan import plan
from senet.surgery.remove import remove

__all__ = ["Found", "Insertion", "PlannedBlock", "find", "insert", "plan", "remove"]
