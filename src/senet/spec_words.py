"""Parse and format designs in words: `slow_both:reduction=8-2,bias=false` (input), `slow_both r=8-2 no-bias` (both).

Ratios of stages are joined by dashes and those of the blocks of a stage by dots; a dash or a dot at the end means that
there is one stage, or one block: `8-`, `8.-2`.
"""

from collections.abc import Mapping, Sequence

from senet.errors import SpecError, unknown

__all__ = ["EXAMPLES", "ratio_word", "read_words"]

SHORT = {"r": "reduction"}
EXAMPLES: Mapping[str, str] = {
    "variant": "slow_both",
    "reduction": "standard:reduction=16-8-4-4",
    "squeeze": "standard:squeeze=avg-max",
    "gate": "standard:gate=unit_tanh",
    "activation": "standard:activation=silu",
    "bias": "standard:bias=false",
    "slot": "standard:slot=pre",
    "stages": "standard:stages=1-3",
    "slow_rule": "slow_both:slow_rule=midpoint",
    "rounding": "standard:rounding=timm",
    "norm": "gc:norm=rms",
}
"""A design in words for each field of a spec."""
BOOLEANS = {"true": True, "false": False}


def read_words(text: str, *, fields: Sequence[str]) -> dict[str, object]:
    """Parse the fields of one design; `SESpec` checks their values.

    Args:
        text: `variant:name=value,...` or `variant name=value ...`.
        fields: the allowed names.

    Returns:
        The values by field.

    Raises:
        SpecError: if a part is not an assignment, or a name is unknown or repeated.

    Example:
        >>> read_words("slow_both r=8-2-16 no-bias", fields=("variant", "reduction", "bias"))
        {'variant': 'slow_both', 'reduction': (8, 2, 16), 'bias': False}
    """
    variant, colon, rest = text.strip().partition(":") if ":" in text else text.strip().partition(" ")
    read: dict[str, object] = {"variant": variant}
    for word in filter(None, map(str.strip, rest.split(",") if colon == ":" else rest.split())):
        name, equals, value = ("bias", "=", "false") if word == "no-bias" else word.partition("=")
        name = SHORT.get(name, name)
        if not equals:
            raise SpecError(f"{word!r} is not an assignment; write {variant}:reduction=8,bias=false.")
        if name not in fields:
            raise SpecError(str(unknown("", name, fields)).replace(f" = {name!r}", name, 1))
        if name in read:
            raise SpecError(f"{name} is there twice; keep one.")
        read[name] = _value(name, value)
    return read


def ratio_word(ratios: int | Sequence[int | Sequence[int]]) -> str:
    """Return ratios as one word.

    Example:
        >>> [ratio_word(ratios) for ratios in (8, (8,), (8, 2), ((8, 4), 2), ((8,), 2))]
        ['8', '8-', '8-2', '8.4-2', '8.-2']
    """
    if isinstance(ratios, int):
        return str(ratios)
    stages = [str(r) if isinstance(r, int) else f"{r[0]}." if len(r) == 1 else ".".join(map(str, r)) for r in ratios]
    alone = len(stages) == 1 and "." not in stages[0]
    return "-".join(stages) + "-" * alone


def _value(name: str, text: str) -> object:
    if name == "bias":
        return BOOLEANS.get(text.lower(), text)
    if name == "stages":
        return tuple(map(_number, text.replace(",", "-").split("-")))
    if name == "squeeze" and "-" in text:
        return tuple(text.strip("\"'").split("-"))
    if name == "reduction":
        many = any(mark in text.lstrip("-") for mark in "-.")
        return tuple(map(_stage, text.removesuffix("-").split("-"))) if many else _number(text)
    return text.strip("\"'")


def _stage(text: str) -> object:
    return tuple(map(_number, text.removesuffix(".").split("."))) if "." in text else _number(text)


def _number(text: str) -> object:
    """Return the whole number that a text holds, or else the text itself, which `SESpec` then refuses."""
    return int(text) if text.lstrip("-").isdecimal() and text.isascii() and len(text) < 20 else text
