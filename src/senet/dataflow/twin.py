"""Copy a network to a twin with its own tensors, state and helper objects, which runs in its place."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from functools import partial
from threading import Thread
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import NoReturn
from weakref import ref

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset

from senet.errors import SpecError, reason_of

__all__ = ["UncopyableError", "refuse_lazy", "stand_in", "twin"]

PLAIN = (type, BuiltinFunctionType, str, bytes, int, float, complex, bool, range, torch.dtype, torch.device)
"""Types that `deepcopy` does not copy."""

OUTSIDE = (DataLoader, Dataset, Optimizer, ModuleType, Thread)
"""Types that a network may refer to, that a forward pass does not change, and that are too large to copy."""

Finish = Callable[[], None]


class UncopyableError(SpecError):
    """Raised for a network that cannot be copied to a twin."""


def twin(model: nn.Module, *, data: bool) -> nn.Module:
    """Return a copy of a network for one forward pass that must not change the network.

    Modules with their hooks, tensor attributes, containers and helper objects are copied, and so are the closures,
    defaults and global containers of functions among them. Data loaders, optimizers, and objects that cannot be
    copied, such as locks and open files, are shared.

    Args:
        model: any network; its twin shares the same tensors and modules under several names as the network does.
        data: whether parameters and buffers keep their values (zeros if they are on the meta device); if False, they
            are on the meta device.

    Returns:
        A network of the same classes and names, in evaluation mode.

    Raises:
        UncopyableError: if a layer has no shape yet, or something cannot be copied.
    """
    refuse_lazy(model)
    title = type(model).__name__
    memo: dict[int, object] = {
        id(tensor): _with_grad(_copy(tensor) if data else stand_in(tensor), tensor)
        for tensor in (*model.parameters(), *model.buffers())
    }
    try:
        finish = _prepare(model, memo)
        made = deepcopy(model, memo)
        for step in finish:
            step()
    except Exception as error:
        reason = reason_of(error)
        raise UncopyableError(
            f"{title} cannot be copied for a trial run: {reason}; take what cannot be copied out of the network."
        ) from error
    for module in made.modules():
        if isinstance(module, torch.jit.ScriptModule):
            module.training = False
        else:
            vars(module)["training"] = False  # not `model.eval()`, which a module may override to change its weights
    return made


def refuse_lazy(model: nn.Module) -> None:
    """Refuse a network with lazy layers that have not been initialized by a first batch.

    Raises:
        UncopyableError: if a parameter or buffer has no shape yet.
    """
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        if is_lazy(tensor):
            raise UncopyableError(
                f"{name} of {type(model).__name__} has no shape before its first batch; run the network on one first."
            )


def stand_in(tensor: Tensor) -> Tensor:
    """Return a tensor of the same shape and type without data."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, device="meta", requires_grad=tensor.requires_grad)


def _copy(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor, device="cpu") if tensor.is_meta else tensor.detach().clone()


def _with_grad(copy: Tensor, like: Tensor) -> Tensor:
    if isinstance(like, nn.Parameter):
        return nn.Parameter(copy.detach(), requires_grad=like.requires_grad)
    return copy.detach().requires_grad_(like.requires_grad)


def _prepare(model: nn.Module, memo: dict[int, object]) -> list[Finish]:
    """Add to a memo of `deepcopy` the copies of objects that `deepcopy` cannot copy, or would share with the network.

    Returns:
        Functions to call after the copy, which complete it.
    """
    own = set(model.modules())
    finish: list[Finish] = []
    cells: dict[int, CellType] = {}
    seen: set[int] = set()
    todo: list[object] = [model]
    while todo:
        thing = todo.pop()
        if id(thing) in memo or id(thing) in seen or thing is None or isinstance(thing, PLAIN):
            continue
        seen.add(id(thing))
        if isinstance(thing, Tensor):  # torch cannot copy tensors that are not leaves, such as normalised weights
            memo[id(thing)] = _with_grad(thing.detach().clone(), thing)
        elif isinstance(thing, OUTSIDE):
            memo[id(thing)] = thing
        elif isinstance(thing, FunctionType):
            memo[id(thing)] = _function(thing, own, memo, cells, finish)
            todo += _held(thing, own).values()
            todo += [cell.cell_contents for cell in thing.__closure__ or () if _is_filled(cell)]
            todo += [thing.__defaults__, thing.__kwdefaults__]
        elif isinstance(thing, ref):
            memo[id(thing)] = partial(_referent, thing, memo)
        else:
            todo += _parts(thing, memo)
    return finish


def _parts(thing: object, memo: dict[int, object]) -> Iterable[object]:
    """Return the objects that an object refers to; an object that cannot be copied is shared and returns none."""
    if isinstance(thing, nn.Module):
        return list(vars(thing).values())
    if isinstance(thing, MethodType):
        return [thing.__self__, thing.__func__]
    if isinstance(thing, partial):
        return [thing.func, thing.args, thing.keywords]
    if isinstance(thing, dict):
        return [*thing.keys(), *thing.values(), *getattr(thing, "__dict__", {}).values()]
    if isinstance(thing, list | tuple | set | frozenset | deque):
        return [*thing, *getattr(thing, "__dict__", {}).values()]
    if hasattr(thing, "__deepcopy__"):
        return list(getattr(thing, "__dict__", {}).values())
    try:
        reduced = thing.__reduce_ex__(4)
    except Exception:  # other classes may raise any error: locks, files, streams, generators
        memo[id(thing)] = _Unusable(thing) if isinstance(thing, Iterator) else thing
        return []
    return list(reduced[1:3]) if isinstance(reduced, tuple) else []


class _Unusable:
    """Placeholder for an iterator that cannot be copied, since a trial run would consume its next value."""

    def __init__(self, thing: object) -> None:
        self.title = type(thing).__name__

    def __iter__(self) -> NoReturn:
        raise TypeError(f"it reads from a {self.title}, which cannot be copied")

    __next__ = __iter__


def _referent(reference: "ref[object]", memo: dict[int, object]) -> object:
    thing = reference()
    return memo.get(id(thing), thing)


def _function(
    old: FunctionType, own: set[nn.Module], memo: dict[int, object], cells: dict[int, CellType], finish: list[Finish]
) -> FunctionType:
    """Return a copy of a function that has a closure, defaults, or global containers; other functions unchanged."""
    held = _held(old, own)
    if not held and not old.__closure__ and not old.__defaults__ and not old.__kwdefaults__:
        return old
    scope = dict(old.__globals__) if held else old.__globals__
    closure = tuple(cells.setdefault(id(cell), CellType()) for cell in old.__closure__ or ())
    new = FunctionType(old.__code__, scope, old.__name__, None, closure)
    new.__qualname__, new.__module__, new.__doc__ = old.__qualname__, old.__module__, old.__doc__
    vars(new).update(vars(old))

    def fill() -> None:
        for before, after in zip(old.__closure__ or (), closure, strict=True):
            if _is_filled(before):
                after.cell_contents = deepcopy(before.cell_contents, memo)
        new.__defaults__ = deepcopy(old.__defaults__, memo)
        new.__kwdefaults__ = deepcopy(old.__kwdefaults__, memo)
        for name, value in held.items():
            scope[name] = deepcopy(value, memo)

    finish.append(fill)
    return new


def _held(function: FunctionType, own: set[nn.Module]) -> dict[str, object]:
    """Return the containers, and modules of the network, that a function refers to by global names."""
    found = {name: function.__globals__.get(name) for name in _names(function.__code__)}
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, list | dict | set | deque) or (isinstance(value, nn.Module) and value in own)
    }


def _names(code: CodeType) -> set[str]:
    inner = (_names(one) for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*inner)


def _is_filled(cell: CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018  # an empty cell raises
    except ValueError:
        return False
    return True
