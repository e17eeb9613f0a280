"""The type checker of the tests: beartype, with ints where floats are asked for, as mypy and PEP 484 have it."""

from typing import Any

from beartype import BeartypeConf, beartype
from beartype.roar import BeartypeDecorHintNonpepException, BeartypeDecorHintPep673Exception

__all__ = ["checked"]

_checked = beartype(conf=BeartypeConf(is_pep484_tower=True))


def checked(thing: Any) -> Any:
    try:
        return _checked(thing)
    except BeartypeDecorHintPep673Exception:  # jaxtyping hands over methods one by one, which Self does not survive
        return thing
    except BeartypeDecorHintNonpepException as error:
        if "pydantic" not in str(error):  # beartype cannot read TypeAdapter[Any]
            raise
        return thing
