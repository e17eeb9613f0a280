"""Bring new parameters into the groups of an optimizer that exists."""

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from senet.errors import SpecError
from senet.surgery.insertion.report import PlannedBlock

__all__ = ["Groups", "forget"]


class Groups:
    """Where the parameters of planned blocks belong: known before the network changes.

    A weight joins the group of the last weight before it in its unit, a bias that of the last bias or norm: groups
    that share out learning rates by depth, or weight decay by kind, go on doing so. Groups stay in number and order,
    so that learning-rate schedules do, too.

    Args:
        model: the network before the insertion.
        optimizer: its optimizer.
        blocks: what will be inserted.

    Raises:
        SpecError: if several groups exist and none holds a parameter near a block.
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
            if not wide and len(optimizer.param_groups) > 1:
                raise SpecError(
                    f"optimizer holds no weight before {block.name}: {block.host} is frozen or missing there; insert "
                    f"without optimizer= and add the block's parameters to a group yourself."
                )
            weights = wide[-1] if wide else 0
            self.chosen[block.name] = (weights, flat[-1] if flat else weights)

    def add(self, model: nn.Module) -> None:
        """Add the parameters of the blocks, which are in the network now."""
        for name, (weights, biases) in self.chosen.items():
            for key, parameter in model.get_submodule(name).named_parameters():
                group = self.optimizer.param_groups[biases if key.endswith("bias") else weights]
                group["params"].append(parameter)
                if "param_names" in group:
                    group["param_names"].append(f"{name}.{key}")


def forget(optimizer: Optimizer, block: nn.Module) -> None:
    """Take the parameters of a block out of an optimizer, with what it remembers of them."""
    gone = set(block.parameters())
    for group in optimizer.param_groups:
        kept = [number for number, parameter in enumerate(group["params"]) if parameter not in gone]
        for key in ("params", "param_names"):
            if key in group:
                group[key] = [group[key][number] for number in kept]
    for parameter in gone:
        optimizer.state.pop(parameter, None)


def _near(named: list[tuple[str, nn.Parameter]], host: str) -> list[tuple[str, nn.Parameter]]:
    """Give the parameters up to the host, in the order of the network, from the innermost module that has some."""
    ends = [number for number, (name, _) in enumerate(named) if name.startswith(f"{host}.")]
    if not ends:
        parent = host.rpartition(".")[0]
        return _near(named, parent) if parent else named
    return named[: ends[-1] + 1]
