"""JSON that may stand within a `script` element of an HTML page."""

import json
from typing import Any

__all__ = ["script_json"]


def script_json(value: Any) -> str:
    r"""Return a value as JSON in ASCII without `<`, so that no text in it can end or open an element.

    Example:
        >>> script_json({"name": "</script>"})
        '{"name":"\\u003c/script>"}'
    """
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
