"""What a network computes from what: every operation of one real forward pass, with the blocks as one step each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

__all__ = ["Flow", "Op", "Value", "record"]


@dataclass(eq=False)
class Value:
    """The content of a tensor at one time; an operation in place gives the tensor a new one.

    Attributes:
        shape: sizes.
        maker: the operation it comes from; None for inputs, parameters and what was not seen.
        users: the operations that read it, once for every reading.
        clear: whether it is known what it holds; False after a write through another view of the same memory.
    """

    shape: tuple[int, ...]
    maker: "Op | None" = None
    users: list["Op"] = field(default_factory=list)
    clear: bool = True


@dataclass(eq=False)
class Op:
    """One operation.

    Attributes:
        kind: its name in aten without the trailing underscore of in-place forms; `block` or `end`.
        args: its arguments as they were.
        kwargs: likewise.
        inputs: the values of its tensors, in the order of the arguments.
        outputs: what it gives.
    """

    kind: str
    args: tuple[object, ...]
    kwargs: Mapping[str, object]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...] = ()


@dataclass(frozen=True)
class Flow:
    """A recorded pass.

    Attributes:
        blocks: the step of every block that ran, once for each call.
        parameters: name of every parameter by its value.
    """

    blocks: Mapping[str, tuple[Op, ...]]
    parameters: Mapping[Value, str]


def record(model: nn.Module, x: Tensor, blocks: Mapping[str, nn.Module]) -> Flow:
    """Run a network once and note what comes from what.

    Args:
        model: in evaluation mode.
        x: its input; one image is enough.
        blocks: modules that count as one operation each, by name.
    """
    recorder = _Recorder()
    names = {recorder.value(parameter): name for name, parameter in model.named_parameters()}
    handles = []
    for name, module in blocks.items():
        handles.append(module.register_forward_pre_hook(recorder.enter))
        handles.append(module.register_forward_hook(recorder.leave(name)))
    try:
        with torch.no_grad(), recorder:
            output = model(x)
        recorder.note("end", (output,), {}, ())
    finally:
        for handle in handles:
            handle.remove()
    return Flow({name: tuple(ops) for name, ops in recorder.blocks.items()}, names)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class has no types
    """Give the memory of every tensor a value, and remember who made and who read it."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.values: dict[tuple[object, ...], Value] = {}
        self.alive: list[object] = []  # no memory is freed and used again while values are told apart by their place
        self.blocks: dict[str, list[Op]] = {}
        self.inside = 0

    def value(self, tensor: Tensor) -> Value:
        key = _place(tensor)
        if key not in self.values:
            self.alive.append(tensor)
            self.values[key] = Value(tuple(tensor.shape))
        return self.values[key]

    def note(self, kind: str, args: tuple[object, ...], kwargs: Mapping[str, object], out: object) -> Op:
        inputs = tuple(self.value(leaf) for leaf in tree_leaves((args, dict(kwargs))) if isinstance(leaf, Tensor))
        op = Op(kind, args, kwargs, inputs)
        for value in inputs:
            value.users.append(op)
        outputs = [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)]
        op.outputs = tuple(Value(tuple(tensor.shape), op) for tensor in outputs)
        for tensor, value in zip(outputs, op.outputs, strict=True):
            self.values[_place(tensor)] = value
            self.alive.append(tensor)
        return op

    def written(self, tensor: Tensor) -> None:
        """Say that other views of a tensor's memory hold something else now."""
        own = _place(tensor)
        for key, value in list(self.values.items()):
            if key[0] == own[0] and key != own:
                value.clear = False
                self.values[key] = Value(value.shape, clear=False)

    def enter(self, *_: object) -> None:
        self.inside += 1

    def leave(self, name: str) -> Callable[[nn.Module, tuple[object, ...], object], None]:
        def hook(_: nn.Module, args: tuple[object, ...], output: object) -> None:
            self.inside -= 1
            if not self.inside:
                self.blocks.setdefault(name, []).append(self.note("block", args, {}, output))

        return hook

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if self.inside:
            self.alive.append(result)
            return result
        name = func._overloadpacket.__name__
        self.note(name.removesuffix("_"), args, kwargs, result)
        if func._schema.is_mutable and "batch_norm" not in name:  # whose statistics are not written in evaluation
            for tensor in tree_leaves(result):
                if isinstance(tensor, Tensor):
                    self.written(tensor)
        return result


def _place(tensor: Tensor) -> tuple[object, ...]:
    storage = tensor.untyped_storage()
    return storage._cdata, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype
