"""Add new parameters to the groups of an existing optimizer, and remove them again."""

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from senet.errors import SpecError
from senet.surgery.insertion.report import PlannedBlock

__all__ = ["Groups", "forget"]


class Groups:
    """The parameter group of each planned block, determined before the network changes.

    A weight joins the group of the last weight before it in its unit, a bias that of the last bias or norm, so that
    groups by depth (learning rates) or by kind (weight decay) keep their meaning. The number and order of the groups
    do not change, so learning-rate schedules remain valid.

    Args:
        model: the network before the insertion.
        optimizer: its optimizer.
        blocks: the blocks that will be inserted.

    Raises:
        SpecError: if there are several groups and none of them holds a weight before a block.
    """

    def __init__(self, model: nn.Module, optimizer: Optimizer, blocks: Sequence[PlannedBlock]) -> None:
        self.optimizer = optimizer
        group_of = {
            parameter: number for number, group in enumerate(optimizer.param_groups) for parameter in group["params"]
        }
        named = list(model.named_parameters())
        self.chosen: dict[str, tuple[int, int]] = {}
        for block in blocks:
            near = _near(named, block.host)
            wide = [group_of[p] for _, p in near if p in group_of and p.ndim > 1]
            flat = [group_of[p] for _, p in near if p in group_of and p.ndim <= 1]
            if not wide and (len(optimizer.param_groups) > 1 or not any(p in group_of for _, p in named)):
                raise SpecError(
                    f"optimizer holds no weight before {block.name}: {block.host} is frozen or missing there; insert "
                    f"without optimizer= and add the block's parameters to a group yourself."
                )
            weights = wide[-1] if wide else 0
            self.chosen[block.name] = (weights, flat[-1] if flat else weights)

    def add(self, model: nn.Module) -> None:
        """Add the parameters of the blocks to their groups, once the network has the blocks."""
        for name, (weights, biases) in self.chosen.items():
            for key, parameter in model.get_submodule(name).named_parameters():
                group = self.optimizer.param_groups[biases if key.endswith("bias") else weights]
                group["params"].append(parameter)
                if "param_names" in group:
                    group["param_names"].append(f"{name}.{key}")


def forget(optimizer: Optimizer, block: nn.Module) -> None:
    """Remove the parameters of a block and their state from an optimizer."""
    gone = set(block.parameters())
    for group in optimizer.param_groups:
        kept = [number for number, parameter in enumerate(group["params"]) if parameter not in gone]
        for key in ("params", "param_names"):
            if key in group:
                group[key] = [group[key][number] for number in kept]
    for parameter in gone:
        optimizer.state.pop(parameter, None)


def _near(named: list[tuple[str, nn.Parameter]], host: str) -> list[tuple[str, nn.Parameter]]:
    """Return the named parameters up to the end of the host, or of the innermost enclosing module that has some."""
    ends = [number for number, (name, _) in enumerate(named) if name.startswith(f"{host}.")]
    if not ends:
        parent = host.rpartition(".")[0]
        return _near(named, parent) if parent else named
    return named[: ends[-1] + 1]
