"""What the statistics of a block mean, in words, with the number that says so and what to do."""

from collections.abc import Iterator, Sequence
from math import ceil, isnan, log2

from senet.explanation.values import BlockExplanation, Diagnosis

__all__ = ["diagnose"]

EXACT = 1e-5  # variation due to the rounding of float32
NEARLY = 0.01  # relative error of the output up to which a constant is worth a try
LOST = 0.02  # of a gate that leaves nothing of its channel
IDLE = 0.01  # distance from the identity
MOST = 0.9  # share of gates or units that is called most of them
BLIND = 0.02  # class share up to which a block knows no class
FOLLOWS = 0.1  # share from which a condition is named
DETECTS = 0.3  # class share from which a single class is looked for
ONE_CLASS = 0.8  # part of the largest possible share of one class in the class share
SMALL = 0.01  # change of the loss that does not matter [nats]
ROOM = 4  # times the used rank that a hidden layer may be wide before a larger ratio is named


def diagnose(block: BlockExplanation, classes: Sequence[str]) -> tuple[Diagnosis, ...]:
    """Return the sentences about a block, defects first; `classes` names the rows of its class means."""
    every = (
        *_hidden(block),
        *_saturated(block),
        *_static(block),
        *_classes(block, classes),
        *_rank(block),
        *_effects(block),
    )
    order = ("defect", "advice", "note")
    return tuple(sorted(every, key=lambda one: order.index(one.severity)))


def _hidden(block: BlockExplanation) -> Iterator[Diagnosis]:
    widths = block.hidden_widths if block.hidden_dead else ()
    dead = [round(share * width) for share, width in zip(block.hidden_dead, widths, strict=True)]
    for layer, (number, width) in enumerate(zip(dead, widths, strict=True), 1):
        where = f"fc{layer}" if len(dead) == 1 else f"hidden layer {layer}"
        if number == width and block.half > MOST:
            text = f"all gates {block.mean:.2f}: {number} of {width} hidden units never fire"
            yield Diagnosis("half_dead", f"{text}; raise the learning rate of {where}, or use leaky_relu", "defect")
        elif number == width:
            text = f"{number} of {width} hidden units never fire"
            text += ", so the gates are constant" if block.varies < EXACT else ""
            yield Diagnosis("hidden_dead", f"{text}; raise the learning rate of {where}, or use leaky_relu", "defect")
        elif number >= width / 2:
            text = f"{number} of {width} hidden units never fire; choose a larger ratio, or use leaky_relu"
            yield Diagnosis("hidden_dead", text, "advice")
    always_on = block.hidden_always_on
    if always_on and all(
        round(share * width) == width for share, width in zip(always_on, block.hidden_widths, strict=True)
    ):
        yield Diagnosis("linear", "every hidden unit fires on every image: the logits are linear in the squeeze")
    if block.half > MOST and not any(number == width for number, width in zip(dead, widths, strict=True)):
        text = f"{100 * block.half:.0f} % of the gates are in the middle of their range: the block has not learned"
        yield Diagnosis("half", text, "defect")


def _saturated(block: BlockExplanation) -> Iterator[Diagnosis]:
    if block.open > MOST:
        text = f"open: {100 * block.open:.0f} % of the gates are above 98 % of their range"
        yield Diagnosis("open", text, "advice")
    low = block.gate_range[0]
    if block.shut > MOST / 2 and block.identity >= IDLE:
        text = f"{100 * block.shut:.0f} % of the gates are "
        if abs(low) < LOST:
            yield Diagnosis("shut", f"{text}shut: these channels are lost after the block", "advice")
        else:
            yield Diagnosis("shut", f"{text}at the lower end of their range, {low:g}", "note")
    if 0 < block.stuck < 1 and block.stuck >= MOST / 2:
        number = round(block.stuck * block.channels)
        yield Diagnosis("stuck", f"the gates of {number} of {block.channels} channels hardly move", "note")


def _static(block: BlockExplanation) -> Iterator[Diagnosis]:
    if block.identity < IDLE:
        text = f"identity: the gates are within {100 * block.identity:.2g} % of 1, so the block does nothing; remove it"
        yield Diagnosis("identity", text, "advice")
    elif block.varies < EXACT:
        text = "constant to the last bit: fold it"
        if block.identity_scaled < IDLE:
            text += f"; one number, {block.mean:.3f}, can replace the gates of all channels"
        yield Diagnosis("constant", text, "advice")
    elif block.varies < NEARLY:
        text = f"nearly constant: constants change its output by {100 * block.varies:.2g} %; try to fold it"
        yield Diagnosis("nearly_constant", text, "advice")


def _classes(block: BlockExplanation, classes: Sequence[str]) -> Iterator[Diagnosis]:
    if isnan(block.class_share) or block.varies < EXACT:
        return
    other = {
        name: one
        for name, one in block.conditions.items()
        if one.share > max(FOLLOWS, 2 * block.class_share) and one.p < 0.05
    }
    best = max(other, key=lambda name: other[name].share, default=None)
    blind = _is_blind(block)
    follows = "" if best is None else f"follows {best} (share {other[best].share:.2f}, p = {other[best].p:.3g})"
    share = f"class share {block.class_share:.3f}, p = {block.class_share_p:.3g}"
    if blind:
        text = f"class-blind ({share})" + (f", but {follows}" if follows else "")
        yield Diagnosis("class_blind", text, "note")
    elif follows:
        yield Diagnosis("condition", f"{follows} more than the class ({share})", "note")
    if not blind and (found := _detected(block)) is not None:
        number, part = found
        text = f"detects class {classes[number]}: it accounts for {100 * part:.0f} % of the differences between classes"
        yield Diagnosis("detector", text, "note")


def _is_blind(block: BlockExplanation) -> bool:
    """Return whether the gates know no class; False without classes."""
    return block.class_share < BLIND or block.class_share_p > 0.05


def _detected(block: BlockExplanation) -> tuple[int, float] | None:
    """Return the class that the gates tell from all others, and its part of the differences; None if there is none."""
    means = block.class_mean
    if block.class_share < DETECTS or len(means) < 3:
        return None
    apart = (means - means.nanmean(0)).square().nansum(1)
    part = apart / apart.sum()
    row = int(part.argmax())
    largest = (len(means) - 1) / len(means)
    return (row, float(part[row])) if part[row] > ONE_CLASS * largest else None


def _rank(block: BlockExplanation) -> Iterator[Diagnosis]:
    rank, width = block.used_rank, block.rank_limit
    if block.hidden_widths and rank > 0 and width > ROOM * max(1.0, rank) and block.varies >= EXACT:
        enough = 2 ** ceil(log2(max(1.0, rank)))
        text = f"hidden width {width}, used rank {rank:.1f}: try r = {block.channels // min(enough, block.channels)}"
        yield Diagnosis("rank", text, "advice")


def _effects(block: BlockExplanation) -> Iterator[Diagnosis]:
    effects = block.importance
    if not effects:
        return
    said = {kind: f"loss {one.loss[0]:+.3f} [{one.loss[1]:+.3f}, {one.loss[2]:+.3f}]" for kind, one in effects.items()}
    identity, constant, mean = (effects.get(kind) for kind in ("identity", "constant", "class_mean"))
    if identity is not None and max(map(abs, identity.loss[1:])) < SMALL and block.identity >= IDLE:
        yield Diagnosis("useless", f"without it the network is as good: {said['identity']}; remove it", "advice")
    elif constant is not None and max(map(abs, constant.loss[1:])) < SMALL and block.varies >= NEARLY:
        yield Diagnosis("static", f"a constant does as well: {said['constant']}; fold it", "advice")
    elif constant is not None and constant.loss[1] > SMALL and mean is not None:
        if mean.loss[0] < constant.loss[0] / 2:
            text = f"class-specific: class means do what a constant cannot ({said['class_mean']} to {said['constant']})"
            yield from () if _is_blind(block) else (Diagnosis("class_specific", text),)
        else:
            text = f"image-specific: neither a constant ({said['constant']}) nor class means ({said['class_mean']}) do"
            yield Diagnosis("image_specific", text)
    elif "shuffle" in effects and effects["shuffle"].loss[1] > SMALL:
        yield Diagnosis("own_gates", f"it needs the gates of its own image: those of another cost {said['shuffle']}")
