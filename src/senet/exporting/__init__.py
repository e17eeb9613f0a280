"""Export of networks to files that other programs run, always compared with the network before they are written."""

from senet.exporting.checked_export import export
from senet.exporting.exported import Exported

__all__ = ["Exported", "export"]
