"""A network in training: its weights, its optimiser, the average of its weights, and what one step does to them.

Letters in shapes: n images, c channels, h and w sizes.
"""

import inspect
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from senet.errors import UsageError
from senet.experiments.recipe import Recipe
from senet.fast import accelerate
from senet.fast.convolution.worth import described
from senet.training.cuda_graph import Record, Recorded, refuse_unrecordable
from senet.training.frozen import freeze
from senet.training.optimizers import make_optimizer, restore_optimizer
from senet.training.process_group import Group
from senet.weights.numbers import check_values, load_checked, load_values

__all__ = ["Learner", "Objective"]

Objective = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""Of a network, images and labels: adds the gradients of a batch, returns its loss."""


class Learner:
    """A network in training.

    Processes of a group hold equal weights at all times. Norms see the images of their own process and part; their
    running statistics are averaged over the processes at every step.

    Args:
        model: on its device; is trained in place.
        recipe: the training.
        fresh: names of the parameters that are new in the network, see `senet.training.optimizers`.
        group: the processes that share every batch.
        fused: run norms and blocks as one where that pays off (`senet.accelerate`).
        graph: record a step on the GPU and replay it.
        record: what records it, see `senet.training.cuda_graph`; None is a CUDA graph.
        objective: adds the gradients of a batch and returns its loss; None is the cross-entropy of the recipe.

    Attributes:
        lr: learning rate of the last step.
        fused: backend of the fused norms, blocks and convolutions; empty if there are none.
        trains: whether any parameter is trained; a frozen network without new ones stays as it is.

    Raises:
        UsageError: if the step cannot be recorded.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        *,
        fresh: Collection[str] = (),
        group: Group | None = None,
        fused: bool = True,
        graph: bool = False,
        record: Record | None = None,
        objective: Objective | None = None,
    ) -> None:
        self.recipe, self.group = recipe, group or Group()
        self.device = next(model.parameters()).device
        self.format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(memory_format=self.format).train()
        if recipe.freeze:
            freeze(self.model, fresh)
        done = accelerate(self.model) if fused and not recipe.freeze else None
        self.fused = f"{done.backend}{described() if done.convolutions else ''}" if done and done.backend else ""
        self.trains = any(parameter.requires_grad for parameter in self.model.parameters())
        self.optimizer = make_optimizer(self.model, recipe.optim, fresh=fresh)
        self.averaged = {k: v.clone() for k, v in self.model.state_dict().items()} if recipe.ema else {}
        self._statistics = [buffer for buffer in self.model.buffers() if buffer.is_floating_point()]
        self._net = self._shared() if self.group.size > 1 and self.trains else self.model
        self.lr = recipe.optim.lr
        self._rates = [
            torch.tensor(group["lr"], device=self.device) if self.device.type == "cuda" or record else None
            for group in self.optimizer.param_groups
        ]
        self._objective = objective
        self._whole: Callable[[Tensor, Tensor], Tensor] = partial(self._take, total=recipe.batch_size)
        if graph or record:
            if record is None:
                refuse_unrecordable(self.model, self.device, processes=self.group.size)
            self._whole = Recorded(self._whole, record=record)

    @property
    def weights(self) -> Mapping[str, Tensor]:
        """What is tested and kept: the averaged weights where there are any."""
        return self.averaged or self.model.state_dict()

    def step(
        self, x: Float[Tensor, "n c h w"], y: Int64[Tensor, " n"], *, lr: float, total: int, seed: int
    ) -> Float64[Tensor, ""]:
        """Take one optimiser step.

        Args:
            x: the images of this process.
            y: their labels.
            lr: learning rate.
            total: images of the batch in all processes.
            seed: of dropout and other noise of the network.

        Returns:
            Loss, summed over the images of all processes [nats].

        Raises:
            UsageError: if the memory does not suffice.
        """
        torch.manual_seed(seed)
        self._set_lr(lr)
        with self._enough_memory(total):
            whole = total == self.recipe.batch_size
            loss = self._whole(x, y) if whole else self._take(x, y, total=total)
        return self.group.total(loss)

    @contextmanager
    def tested(self) -> Iterator[nn.Module]:
        """Yield the network with the weights to test, and restore its own afterwards."""
        if not self.averaged:
            yield self.model
            return
        trained = {k: v.clone() for k, v in self.model.state_dict().items()}
        load_values(self.model, self.averaged)
        try:
            yield self.model
        finally:
            load_values(self.model, trained)

    def is_finite(self) -> bool:
        """Return whether all weights and statistics are finite."""
        values = (*self.model.state_dict().values(), *self.averaged.values())
        return all(bool(value.isfinite().all()) for value in values)

    def state(self) -> dict[str, Any]:
        """Return the state that a checkpoint needs besides the weights of `model`."""
        optimizer = self.optimizer.state_dict()
        groups = [{**group, "lr": self.lr} for group in optimizer["param_groups"]]
        return {"optimizer": {**optimizer, "param_groups": groups}, "averaged": self.averaged}

    def restore(self, weights: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Restore the state that belongs to these weights of `model`.

        Raises:
            ValueError, LookupError, TypeError, RuntimeError: if they are not of this network and optimiser.
        """
        load_checked(self.model, weights)
        saved = state["optimizer"]
        restore_optimizer(self.optimizer, saved["state"], self.recipe.optim)
        self._set_lr(float(saved["param_groups"][0]["lr"]))
        check_values(state["averaged"], self.averaged)
        for name, value in self.averaged.items():
            if state["averaged"][name].shape != value.shape:
                raise ValueError(f"the average of {name} has another shape")
            value.copy_(state["averaged"][name])

    def _set_lr(self, lr: float) -> None:
        self.lr = lr
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            if rate is not None:  # a recorded step reads it on the device
                rate.fill_(lr * group["scale"])
            group["lr"] = lr * group["scale"] if rate is None else rate

    def _take(self, x: Tensor, y: Tensor, *, total: int) -> Tensor:
        """Take a step with the current learning rate and seed; return the loss of this process."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._backward(x, y, total) if self._objective is None else self._objective(self._net, x, y)
        if self.recipe.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.group.average(self._statistics)
        if self.recipe.ema:
            self._average()
        return loss

    def _shared(self) -> DistributedDataParallel:
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # since torch 2.15
        # buckets that are rebuilt after the first step would add three or more gradients in another order after a
        # resume; a search for unused parameters keeps them as they are
        options: dict[str, Any] = {buffers: False, "find_unused_parameters": True}
        return DistributedDataParallel(self.model, **options)

    def _backward(self, x: Tensor, y: Tensor, total: int) -> Tensor:
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.device)
        xs, ys = x.tensor_split(self.recipe.accumulate), y.tensor_split(self.recipe.accumulate)
        for number, (part, labels) in enumerate(zip(xs, ys, strict=True), 1):
            with self._alone(number < len(xs)):
                with torch.autocast(self.device.type, torch.bfloat16, enabled=self.recipe.amp == "bf16"):
                    logits = self._net(part.contiguous(memory_format=self.format))
                precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
                loss = F.cross_entropy(precise, labels, label_smoothing=self.recipe.label_smoothing, reduction="sum")
                if self.trains:
                    # DDP averages gradients over processes; times their number it is the sum over all images
                    (loss * (self.group.size / total)).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach().double()
        return loss_sum

    def _alone(self, more: bool) -> AbstractContextManager[object]:
        """Leave the gradients of other processes for the last part."""
        return self._net.no_sync() if more and isinstance(self._net, DistributedDataParallel) else nullcontext()

    @torch.no_grad()
    def _average(self) -> None:
        for name, value in self.model.state_dict().items():
            if value.is_floating_point():
                self.averaged[name].lerp_(value, 1 - self.recipe.ema)
            else:
                self.averaged[name].copy_(value)

    @contextmanager
    def _enough_memory(self, total: int) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            raise UsageError(
                f"{total} images do not fit into the memory of {self.device} at once; set "
                f"recipe.accumulate={2 * self.recipe.accumulate} or lower recipe.batch_size."
            ) from error
