"""Recognise a norm that is written as a product and a sum, such as torchvision's and timm's frozen batch norms."""

from senet.dataflow.flow import Flow, Op, Value

__all__ = ["written_norm"]

VIEWS = frozenset({"view", "reshape", "unsafe_view", "unsqueeze", "expand", "alias", "to_copy"})


def written_norm(flow: Flow, op: Op) -> tuple[Value, Value] | None:
    """Return weight and bias of the norm `x * scale(weight) + shift(weight, bias)` that ends in a sum.

    The statistics may be anything: the output is multiplied by c if weight and bias are.

    Args:
        flow: the record of a forward pass.
        op: the sum.

    Returns:
        The two tensors; None if the sum is not the end of such a norm.
    """
    own = {value.parameter: value for part in flow.inside(op.module) for value in part.reads if value.parameter}
    weight, bias = (own.get(f"{op.module}.{name}") for name in ("weight", "bias"))
    product, shift = op.reads if op.kind == "add" and len(op.reads) == 2 else (None, None)
    if weight is None or bias is None or product is None or shift is None or shift.ancestors:
        return None
    if product.op is None or product.op.kind != "mul" or product.op.module != op.module or flow.readings(product) != 1:
        return None
    scales = [value for value in product.op.reads if not value.ancestors]
    if len(scales) != 1 or any(_degree(value, (weight, bias)) != 1 for value in (*scales, shift)):
        return None
    return weight, bias


def _degree(value: Value, weights: tuple[Value, ...]) -> int | None:
    """Return n where a constant is multiplied by c to the n if the weights are multiplied by c; None if unknown."""
    if value.op is None or value in weights:
        return int(value in weights)
    parts = [_degree(part, weights) for part in value.op.reads]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts) or not value.clear:
        return None
    if value.op.kind == "mul":
        return sum(known)
    if value.op.kind in VIEWS or (value.op.kind in ("add", "sub") and len(known) == 2):
        return known[0] if len(set(known)) == 1 else None
    return None if any(known) else 0
