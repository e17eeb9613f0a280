"""The version of this package."""

from importlib.metadata import PackageNotFoundError, version

__all__ = ["__version__"]

try:
    __version__ = version("senet")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0+source"
