"""Run a twin of a network in evaluation mode, so that the network itself does not change."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from senet.dataflow.twin import UncopyableError, twin
from senet.torch_internals import version_of

__all__ = ["UncopyableError", "dry_run"]

Enter = Callable[[nn.Module, tuple[object, ...]], None]
Leave = Callable[[nn.Module, object, object], None]


@contextmanager
def dry_run(model: nn.Module, x: Tensor, enter: Enter, leave: Leave) -> Iterator[nn.Module]:
    """Yield the twin of a network, to be run on `x` in its place.

    The states of the random number generators are restored afterwards.

    Args:
        model: any network; it is neither run nor changed.
        x: its input; on the meta device nothing is computed, and the twin's parameters and buffers have no data.
        enter: called before every module that has a name, with the module of the network itself.
        leave: called after every module, before the module's own hooks.

    Raises:
        UncopyableError: if the network cannot be copied.
        RuntimeError: if a tensor of the network itself was replaced or written to.
    """
    with _untouched(model), _same_random_numbers(x):
        double = twin(model, data=not x.is_meta)
        originals = dict(model.named_modules(remove_duplicate=False))
        known: dict[nn.Module, nn.Module] = {}
        for name, module in double.named_modules(remove_duplicate=False):
            if name in originals:
                known.setdefault(module, originals[name])
        for module in known:
            module.register_forward_pre_hook(lambda inner, args: enter(known[inner], args), prepend=True)
            module.register_forward_hook(lambda inner, args, output: leave(known[inner], args, output), prepend=True)
        yield double


@contextmanager
def _same_random_numbers(x: Tensor) -> Iterator[None]:
    state = random.getstate()
    try:
        with torch.random.fork_rng(devices=[x.device] if x.is_cuda else []):
            yield
    finally:
        random.setstate(state)


@contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Check that the tensors of a model are neither replaced nor written to inside the context."""
    before = _marks(model)
    try:
        yield
    finally:
        after = _marks(model)
        changed = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        if changed:
            raise RuntimeError(
                f"{changed[0]} of {type(model).__name__} was changed while the network was only looked at: its forward "
                f"pass reaches the network itself by a way that a copy does not have; please report it."
            )


def _marks(model: nn.Module) -> dict[str, tuple[object, ...]]:
    tensors = (*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False))
    return {name: (id(tensor), *_state(tensor)) for name, tensor in tensors}


def _state(tensor: Tensor) -> tuple[object, ...]:
    if type(tensor) not in (Tensor, nn.Parameter):
        return ()  # a subclass may have no memory of its own
    return tensor.data_ptr(), None if tensor.is_inference() else version_of(tensor)
