"""Export of networks to files that other programs run, always compared with the network before they are written."""

from senet.exporting.checked_export import Exported, export

__all__ = ["Exported", "export"]
