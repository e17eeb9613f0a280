"""Show results as the same text in a terminal and in a notebook."""

from html import escape

__all__ = ["Printed"]


class Printed:
    """Base class of results whose `repr` is their `str`, so that a notebook or a prompt shows the text.

    Subclasses define `__str__`; dataclasses also set `repr=False`.
    """

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
