"""Work on networks that exist already, ours or foreign ones."""

from senet.surgery.find import Found, find
from senet.surgery.insert import insert
from senet.surgery.plan import Insertion, PlannedBlock, plan
from senet.surgery.remove import remove

__all__ = ["Found", "Insertion", "PlannedBlock", "find", "insert", "plan", "remove"]
