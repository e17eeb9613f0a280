"""Units of other libraries: modules whose forward method calls norms, additions and ReLUs that can be fused.

torch.fx traces the forward method with its layers as leaves (`senet.fast.training.unit_plan`). The plan runs instead of
the method only while everything that determined it is the same: attributes, classes of the layers, no hooks. Otherwise,
and for tracers and torch.compile, the method itself runs.
"""

from typing import Any

import torch
from torch import Tensor, nn

from senet.fast.listeners import is_plain
from senet.fast.training.norms import end_of, fit, is_relu, live_backend
from senet.fast.training.rectified import norm_relu
from senet.fast.training.tail import fused_tail
from senet.fast.training.unit_plan import Call, Group, Plan, state_of
from senet.fast.training.variant import Variant

__all__ = ["FusedUnit"]


class FusedUnit(Variant):
    """A module whose norms run as one operation with the additions and ReLUs after them."""

    fused_plan: Plan | None = None

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run the plan if it still describes the module."""
        if not torch.compiler.is_compiling() and len(args) == 1 and not kwargs and type(args[0]) is Tensor:
            plan, backend = self.fused_plan, live_backend(self)
            if backend and plan is not None and _holds(plan, self):
                return _run(plan, self, args[0], backend)
        return super().forward(*args, **kwargs)


def _holds(plan: Plan, unit: FusedUnit) -> bool:
    """Return whether everything that determined a plan is as it was."""
    inner = all(is_plain(unit.get_submodule(path)) for path in plan.bypassed)
    return inner and type(unit) is unit.own and state_of(unit, plan.paths) == plan.state


def _run(plan: Plan, unit: nn.Module, x: Tensor, backend: str) -> Any:
    values: list[Any] = [None] * plan.values
    values[0] = x
    for step, done in zip(plan.steps, plan.done, strict=True):
        if isinstance(step, Group):
            _group(step, unit, values, backend)
        else:
            _call(step, unit, values)
        for place in done:  # as a local variable that gets another value
            values[place] = None
    return values[plan.output]


def _call(step: Call, unit: nn.Module, values: list[Any]) -> None:
    function = unit.get_submodule(step.function) if isinstance(step.function, str) else step.function
    values[step.output] = function(*[values[place] for place in step.inputs], **dict(step.options))


def _group(step: Group, unit: nn.Module, values: list[Any], backend: str) -> None:
    """Run norm, addition and ReLU as one operation, or one by one if the passes do not support the maps."""
    norm, act = unit.get_submodule(step.norm), unit.get_submodule(step.act) if step.act else None
    u, r = values[step.u], None if step.r is None else values[step.r]
    end = end_of(norm)
    assert isinstance(norm, nn.BatchNorm2d)
    alike = r is None or (type(r) is Tensor and r.shape == u.shape and r.dtype == u.dtype)
    if end is None or end.relu or not alike or not (act is None or is_relu(act)):
        fits = False
    else:
        fits = fit(u, norm, backend, gated=end.excite is not None)
    if not fits or end is None:
        for call in step.calls:
            _call(call, unit, values)
    elif r is None and end.excite is None:
        values[step.output] = norm_relu(u, norm=norm, excite=None, backend=backend)
    else:
        values[step.output] = fused_tail(u, r, norm=norm, excite=end.excite, backend=backend)
