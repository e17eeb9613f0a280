"""Results as people read them: the same text in a terminal and in a notebook."""

from html import escape

__all__ = ["Printed"]


class Printed:
    """A result whose text is its representation too, so that a notebook or a prompt shows the text.

    A class inherits from it and defines `__str__`; a dataclass adds `repr=False`.
    """

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"
