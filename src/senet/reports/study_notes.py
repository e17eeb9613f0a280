"""What stands below a study's table: the verdicts, what the intervals cover, and what to distrust."""

import math
from collections.abc import Sequence

from senet.experiments.agreement import LEAST_SEEDS, Agreement, agreement
from senet.experiments.cautions import cautions
from senet.experiments.metrics import METRICS
from senet.experiments.result import NETWORK_NOTE
from senet.experiments.statistics import Difference
from senet.experiments.study import Study
from senet.experiments.summary import Line
from senet.experiments.verdict import EQUAL, Verdict
from senet.text import counted

__all__ = ["footnotes", "intervals_hold", "verdict_heading", "verdicts"]


def verdict_heading(study: Study) -> str:
    """Return what stands above the verdicts."""
    return f"Verdict, where a difference of {study.margin:g} points matters (--margin)"


def verdicts(study: Study, lines: Sequence[Line]) -> list[str]:
    """Return a sentence for every design: the verdict, and what the data allow; those that share a reason share one."""
    sentences: dict[str, list[str]] = {}
    for line in lines:
        if line.n and line.difference is not None and line.verdict is not None:
            sentences.setdefault(_verdict(study, line.difference, line.verdict), []).append(line.row.label)
    return [f"{', '.join(labels)}: {sentence}" for sentence, labels in sentences.items()]


def _verdict(study: Study, found: Difference, verdict: Verdict) -> str:
    text = str(verdict)
    if verdict.word == EQUAL:
        text = f"equal within the margin of {study.margin:g} points"
        text += f", and {'better' if found.mean > 0 else 'worse'} by less than that" * found.decided
    if verdict.why:
        return text
    allowed = f"the data allow {found.low:+.2f} to {found.high:+.2f}"
    if verdict.decided:
        return f"{text} ({allowed})"
    if found.n == 2:
        return f"{text}; two seeds are too few for a verdict, {allowed}"
    return f"{text}; it cannot be distinguished from the baseline, {allowed}"


def footnotes(study: Study, lines: Sequence[Line]) -> list[str]:
    """Return what a reader of the table must know."""
    notes = [*_images(lines), *study.notes]
    about = {note for line in lines for result in line.results.values() for note in result.notes}
    notes += sorted(note for note in about if note.startswith(NETWORK_NOTE))
    notes += _starts(lines)
    notes += [f"caution: {caution}" for caution in cautions(study, lines)]
    if not any(line.results for line in lines) and any(line.n for line in lines):
        notes.append(
            "accuracy: mean ± standard deviation over seeds, as the training function returned it; difference: in "
            "points of accuracy, each seed against the baseline of the same seed"
        )
    elif len(study.seeds) > 1:
        notes.append(
            "top-1: mean ± standard deviation over seeds, last epoch; difference: in points of accuracy, each seed "
            "against the baseline of the same seed (same start of the shared layers, same order, same augmentation)"
        )
    if held := intervals_hold(study, lines):
        notes.append(held)
    if any(line.row.quoted for line in lines):
        notes.append("quoted: the paper takes this number from the network's own publication; it is not ranked")
    if len(study.rows) > 2 and (found := agreement(study, lines)) is not None:
        notes.append(_agreement(found))
    if any(line.results for line in lines):
        notes.append("the column s/run is wall time under the load of the machine; it does not compare speed")
    return notes


def _starts(lines: Sequence[Line]) -> list[str]:
    """Return the accuracy of the weights before the training."""
    every = {result.start_accuracy for line in lines for result in line.results.values()}
    found = [start for start in every if start is not None]
    if not found:
        return []
    said = f"{min(found):.2f} %" if len(found) == 1 else f"{min(found):.2f} to {max(found):.2f} %"
    return [f"before the training, the weights classified {said} of the test images correctly"]


def intervals_hold(study: Study, lines: Sequence[Line]) -> str:
    """Return what the intervals of a table hold; empty where it has none."""
    found = [line.difference for line in lines if line.difference is not None and line.difference.n > 1]
    if not found:
        return ""
    parts = ["95 % intervals cover the spread over seeds and the choice of the test images"]
    if all(d.images is None for d in found):
        parts = ["95 % intervals cover the spread over seeds alone: other test images would give other differences"]
    elif all(d.images is not None and d.images.paired for d in found):
        fewer = [f"{d.images.seeds} of {d.n}" for d in found if d.images is not None and d.images.seeds < d.n]
        parts.append(", paired image by image")
        parts += [f" (by the {fewer[0]} seeds whose results record the images)"] if fewer else []
    else:
        parts.append(" (bounded from the counts alone, hence wide)")
    parts.append(f"; {_spread(found)}")
    if any(d.corrected for d in found):
        number = round(max(d.comparisons / d.share for d in found))
        how = "Dunnett" if all(d.dunnett for d in found) else "Bonferroni"
        parts.append(f"; corrected for {number} comparisons ({how})")
    if study.looks:
        parts.append(
            f"; checked after {', '.join(map(str, study.looks))} seeds: intervals and p are corrected "
            "for all of these looks"
        )
    if study.pilot:
        parts.append(
            f"; the spread of the first {study.pilot} seeds planned the number of seeds: intervals and p are corrected "
            "for that"
        )
    parts.append("; visible: the smallest true difference that would show with a chance of 80 %")
    return "".join(parts)


def _spread(found: Sequence[Difference]) -> str:
    if all(d.spread.common for d in found) and len(found) > 1:
        return f"one spread for all rows, {counted(found[0].spread.df, 'degree')} of freedom"
    if len(found) > 1:
        return "every row has its own spread: they are not equal"
    return f"Student's t, {counted(found[0].spread.df, 'degree')} of freedom"


def _images(lines: Sequence[Line]) -> list[str]:
    """Describe on how many images the networks were trained and tested, and for how long."""
    parts = dict.fromkeys(
        f"{counted(len(result.curve), 'epoch')} of {counted(result.train_images, 'training image')}, tested on "
        f"{counted(result.total, 'image')} of {counted(len(result.classes), 'class')}"
        for line in lines
        for result in line.results.values()
    )
    return [f"each network was trained for {' or '.join(parts)}"] if parts else []


def _agreement(found: Agreement) -> str:
    order = f"agreement with the paper's order by {METRICS[found.metric].heading.removesuffix(' [%]')}, Kendall's tau-b"
    if found.rows < 3:
        return f"{order}: n/a with {found.rows} rows that have results; it needs 3"
    if math.isnan(found.tau):
        return f"{order}: n/a, all rows are equal"
    if math.isnan(found.low):
        seeds = "one seed" if found.seeds == 1 else f"{found.seeds} seeds"
        return f"{order}: {found.tau:+.2f} over {found.rows} rows; {seeds}: no interval, which needs {LEAST_SEEDS}"
    return (
        f"{order}: {found.tau:+.2f} [{found.low:+.2f}, {found.high:+.2f}] over {found.rows} rows; 95 % bootstrap over "
        f"our {found.seeds} seeds, without the spread of the paper's single runs"
    )
