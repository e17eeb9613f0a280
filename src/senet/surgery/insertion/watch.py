"""Repair or report blocks whose host was replaced after the insertion.

Conversions such as `SyncBatchNorm.convert_sync_batchnorm` make new norms without the hooks of the old ones. A hook of
the network therefore checks before every forward pass, with a few dictionary lookups, that each inserted block still
runs: a block that is a child of the new host gets its hook again, a block that is gone causes a warning. The check is
skipped inside torch.compile.
"""

import warnings
from collections.abc import Iterable, Sequence
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary, ref

import torch
from torch import nn

from senet.surgery.insertion.hooks import attached, register_hook

__all__ = ["WatchedBlock", "forget", "repair", "watch"]

SHOWN = 4  # names in a warning


class WatchedBlock(NamedTuple):
    """The position of an attached block.

    Attributes:
        name: path of the block in the watched network.
        side: whether it gates the `output` of its host or its `input`.
        last: whether channels are the last axis of the map.
    """

    name: str
    side: str
    last: bool


class _Seen(NamedTuple):
    """The modules and hooks when the blocks last ran; weak references, since a part may refer to its network.

    Attributes:
        children: parent, name and child for every step from the network down to each block.
        hooks: host of each block and the key of the hook that applies it, by the name of the block.
    """

    children: list[tuple["ref[nn.Module]", str, "ref[nn.Module]"]]
    hooks: dict[str, tuple["ref[nn.Module]", int]]

    def still(self) -> bool:
        """Return whether no module was replaced and no hook was removed."""
        for parent, name, module in self.children:
            there, wanted = parent(), module()
            if there is None or wanted is None or there._modules.get(name) is not wanted:
                return False
        for host, key in self.hooks.values():
            there = host()
            if there is None or not (key in there._forward_hooks or key in there._forward_pre_hooks):
                return False
        return True


_seen: WeakKeyDictionary[nn.Module, _Seen] = WeakKeyDictionary()


def watch(model: nn.Module, blocks: Iterable[WatchedBlock]) -> None:
    """Check from now on, before every forward pass of a network, that these blocks are attached to their hosts."""
    _set(model, [*_watched(model), *blocks])


def forget(model: nn.Module, names: Iterable[str]) -> None:
    """Stop watching blocks that were removed; `model` is the watched network or contains it."""
    gone = set(names)
    for path, root in _roots(model):
        prefix = f"{path}." if path else ""
        _set(root, [one for one in _watched(root) if prefix + one.name not in gone])


def repair(model: nn.Module) -> None:
    """Register lost hooks of blocks again, and warn of blocks that are gone."""
    for _, root in _roots(model):
        _repair(root)


def _look(root: nn.Module, args: object, *, blocks: Sequence[WatchedBlock]) -> None:
    """Check the blocks of a watched network, and repair them (a forward pre-hook)."""
    if torch.compiler.is_dynamo_compiling():
        return
    seen = _seen.get(root)
    if seen is None or not seen.still():
        _repair(root)


def _repair(root: nn.Module) -> None:
    seen = _seen.get(root)
    kept: list[WatchedBlock] = []
    gone: list[WatchedBlock] = []
    for one in _watched(root):
        host, child = _host(root, one.name)
        if host is None or host._modules.get(child) is None:
            before = seen.hooks.get(one.name) if seen is not None else None
            if host is None or before is None or before[0]() is not host:  # else it was removed on purpose
                gone.append(one)
            continue
        if child not in attached(host):
            register_hook(host, child, side=one.side, last=one.last)
        kept.append(one)
    if gone:
        present = {f"{name}.{child}".lstrip(".") for name, part in root.named_modules() for child in attached(part)}
        present -= {one.name for one in kept}
        for one in list(gone):
            moved = next((name for name in sorted(present) if _is_within(one.name, name)), None)
            if moved is not None:
                kept.append(one._replace(name=moved))
                present.remove(moved)
                gone.remove(one)
    _set(root, kept)
    if gone:
        _warn(root, gone)


def _warn(root: nn.Module, gone: Sequence[WatchedBlock]) -> None:
    names = ", ".join(one.name for one in gone[:SHOWN]) + (", ..." if len(gone) > SHOWN else "")
    path = gone[0].name.rpartition(".")[0]
    host, _ = _host(root, gone[0].name)
    now = f"{path} is a {type(host).__name__} now" if host is not None else f"{path} is gone"
    warnings.warn(
        f"{len(gone)} inserted blocks of {type(root).__name__} no longer run: {names}; the modules that held them "
        f"were replaced after the insertion ({now}). Convert and replace modules first, and insert afterwards.",
        stacklevel=2,
    )


def _is_within(old: str, new: str) -> bool:
    """Return whether `new` is the path `old` with additional steps, such as those of a wrapper around a part."""
    steps = iter(new.split("."))
    return all(part in steps for part in old.split("."))


def _host(root: nn.Module, name: str) -> tuple[nn.Module | None, str]:
    """Return the host of a block (None if its path does not exist), and the block's name in it."""
    *path, child = name.split(".")
    module: nn.Module | None = root
    for part in path:
        module = None if module is None else module._modules.get(part)
    return module, child


def _is_look(hook: object) -> bool:
    return isinstance(hook, partial) and hook.func is _look


def _roots(model: nn.Module) -> list[tuple[str, nn.Module]]:
    return [pair for pair in model.named_modules() if any(map(_is_look, pair[1]._forward_pre_hooks.values()))]


def _watched(root: nn.Module) -> list[WatchedBlock]:
    hooks = (hook for hook in root._forward_pre_hooks.values() if _is_look(hook))
    return [one for hook in hooks if isinstance(hook, partial) for one in hook.keywords["blocks"]]


def _set(root: nn.Module, blocks: Sequence[WatchedBlock]) -> None:
    """Set the watched blocks of a network; without blocks the hook is removed."""
    hooks = root._forward_pre_hooks
    for key in [key for key, hook in hooks.items() if _is_look(hook)]:
        del hooks[key]
    _seen.pop(root, None)
    if not blocks:
        return
    root.register_forward_pre_hook(partial(_look, blocks=tuple(blocks)))
    children: dict[tuple[int, str], tuple[ref[nn.Module], str, ref[nn.Module]]] = {}
    keys: dict[str, tuple[ref[nn.Module], int]] = {}
    for one in blocks:
        host = module = root
        for part in one.name.split("."):
            host, module = module, module.get_submodule(part)
            children[id(host), part] = (ref(host), part, ref(module))
        keys[one.name] = (ref(host), attached(host)[part])
    _seen[root] = _Seen(list(children.values()), keys)
