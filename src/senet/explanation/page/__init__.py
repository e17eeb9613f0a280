"""The page of an explanation: one HTML file that opens from disk, makes no request and is at most 5 MB.

`assets/` holds its HTML, style and scripts, `uplot/` the one library in it (uPlot, MIT licence, unchanged).
"""

from senet.explanation.page.document import LIMIT, write
from senet.explanation.page.tables import Explained

__all__ = ["LIMIT", "Explained", "write"]
