"""The greedy search of the KTH report: constant ratios first, then the best ratio stage by stage, or block by block."""

from collections.abc import Callable, Mapping, Sequence

from senet.search.space import Space
from senet.search.strategy import Batch, Design, Score, Strategy

__all__ = ["greedy"]


def greedy(space: Space, *, merit: Callable[[Score], tuple[float, ...]]) -> Strategy:
    """Choose one dimension after the other.

    The plain network is trained first, for reference, then the constant ratios; the best of these is the start. From
    the first stage (or block) to the last, its candidates are tried with all else fixed, and the best is kept. Beyond
    the report, variants and slots follow, if the space has several. Of equal designs the current one is kept, then the
    earlier candidate.

    Source:
        Holm, Lindqvist, Persson, Investigating the Role of the Reduction Ratio in Squeeze-and-Excitation Networks,
        section 5: candidate sets differ from phase to phase there, so they are data here.
    """
    known: dict[Design, Score] = {}
    choices = space.choices
    variant = choices.variant[0]

    def best(designs: Sequence[Design], incumbent: Design) -> Design:
        ranked = [design for design in (incumbent, *designs) if design in known]
        return max(ranked, key=lambda design: merit(known[design]), default=incumbent)

    def ask(phase: str, designs: Sequence[Design]) -> Strategy:
        told: Mapping[Design, Score] = yield Batch(phase=phase, designs=tuple(dict.fromkeys(designs)))
        known.update(told)
        return None

    if space.plain:
        yield from ask("plain", [()])
    starts = [space.constant(r) for r in choices.constant]
    yield from ask("constant", starts)
    chosen = best(starts, starts[0])
    for number, place in enumerate(choices.dimensions):
        ratios = space.ratios(chosen)
        tried = [space.design((*ratios[:number], r, *ratios[number + 1 :])) for r in place.ratios]
        yield from ask(str(place), [*tried, chosen])
        chosen = best(tried, chosen)
    ratios = space.ratios(chosen)
    if len(choices.variant) > 1:
        tried = [space.design(ratios, variant=other) for other in choices.variant]
        yield from ask("variant", tried)
        chosen = best(tried, chosen)
        variant = str(chosen[0].variant)
    if len(choices.slot) > 1:
        tried = [space.design(ratios, variant=variant, slot=other) for other in choices.slot]
        yield from ask("slot", tried)
        chosen = best(tried, chosen)
    return chosen if chosen in known else None
