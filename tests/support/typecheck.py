"""The type checker of the tests: beartype, with ints where floats are asked for, as mypy and PEP 484 have it.

A checked call costs some 30 us, which was 40 % of the time of the fast tests. So these check the functions whose
signatures name shapes, of which mypy knows nothing; with `SENET_TESTS=all` (`make slow`) every function is checked.
"""

import os
from functools import partial
from typing import Any, Literal, get_origin

import jaxtyping
from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintNonpepException, BeartypeDecorHintPep673Exception

__all__ = ["check_signatures", "checked"]

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
_jaxtyped = jaxtyping.jaxtyped


def checked(thing: Any) -> Any:
    hints = getattr(thing, "__annotations__", {})
    hints |= {name: str for name, hint in hints.items() if get_origin(hint) is Literal}  # wrong names are our errors
    try:
        return _checked(thing)
    except BeartypeDecorHintPep673Exception:  # jaxtyping hands over methods one by one, which Self does not survive
        return thing
    except BeartypeDecorHintNonpepException as error:
        if "pydantic" not in str(error):  # beartype cannot read TypeAdapter[Any]
            raise
        return thing


def _jaxtyped_where_shapes_are(thing: Any = None, **options: Any) -> Any:
    if thing is None:
        return partial(_jaxtyped_where_shapes_are, **options)
    function = getattr(thing, "fget", None) or getattr(thing, "__func__", thing)  # of a property or a class method
    annotations = getattr(function, "__annotations__", {})
    return _jaxtyped(thing, **options) if "jaxtyping." in repr(annotations) else thing


def check_signatures(package: str) -> None:
    """Check types and shapes in the calls of a package that is not yet imported."""
    if os.environ.get("SENET_TESTS") != "all":
        jaxtyping.jaxtyped = _jaxtyped_where_shapes_are  # what the hook puts above every function
    jaxtyping.install_import_hook(package, "typecheck.checked")
