"""Work on networks that exist already, ours or foreign ones."""

from senet.surgery.find import Found, find

__all__ = ["Found", "find"]
