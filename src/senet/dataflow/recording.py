"""Record the data flow of a network by running its twin once, on meta tensors if possible.

The record holds every operation that reaches aten, so control flow, functional calls and nested blocks need no tracing.
"""

from collections import Counter
from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry

from senet.dataflow.axes import channel_axis
from senet.dataflow.dry_run import dry_run
from senet.dataflow.flow import Call, Flow, Op, Value
from senet.dataflow.kept import keeping
from senet.torch_internals import TorchDispatchMode, tree_leaves, tree_map_only

__all__ = ["record"]


@torch.inference_mode(False)
def record(model: nn.Module, x: Tensor, *, axis: int = 1, keep: bool = False) -> Flow:
    """Run the twin of a network once and record its data flow.

    Args:
        model: any network that takes one tensor; it is not changed.
        x: the image; on the meta device nothing is computed.
        axis: channel axis of the image.
        keep: whether to run with gradients and record what autograd saves for the backward pass.

    Raises:
        UncopyableError: if the network cannot be copied.
    """
    x = x.clone()  # the network may write into it
    recorder = _Recorder({module: name for name, module in model.named_modules()})
    recorder.bind(x, Value(tuple(x.shape), 0, 1, axis))
    recorder.values.append(recorder.current[id(x)])
    noting = keeping(recorder.keep) if keep else nullcontext()
    with dry_run(model, x, recorder.enter, recorder.leave) as double:
        stays = double.state_dict(keep_vars=True)  # a change of a buffer that is not saved would be lost
        buffers = ((name, buffer) for name, buffer in double.named_buffers() if name in stays)
        for name, tensor in (*double.named_parameters(), *buffers):
            recorder.bind(tensor, Value(tuple(tensor.shape), parameter=name, touched=False))
        with torch.set_grad_enabled(keep), noting, recorder:
            output = double(x)
    outputs = frozenset(value for leaf in tree_leaves(output) if (value := recorder.image_value(leaf)) is not None)
    for value in outputs:
        value.clear = value.clear and not value.written
    return Flow(
        shape=tuple(x.shape),
        ops=recorder.ops,
        constants=recorder.constants,
        values=recorder.values,
        outputs=outputs,
        calls=recorder.calls,
        times=recorder.times,
        kept=recorder.kept,
    )


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class has no types
    """Map every tensor to its current value, and record the operations that compute and read the values.

    Tensors are distinguished by identity. Tensors that share memory are grouped, since a write into one of them
    changes the others.
    """

    def __init__(self, names: Mapping[nn.Module, str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names = names
        self.ops: list[Op] = []
        self.constants: list[Op] = []
        self.values: list[Value] = []
        self.calls: list[Call] = []
        self.times: Counter[str] = Counter()
        self.kept: list[tuple[tuple[Call, ...], int]] = []
        self.open: list[Call] = []
        self.current: dict[int, Value] = {}
        self.views: dict[int, tuple[object, dict[int, Tensor]]] = {}  # all stay alive, so that ids stay unique
        self.touched: set[int] = set()  # ids of memory that holds data of the image

    def bind(self, tensor: Tensor, value: Value) -> None:
        memory = _memory(tensor)
        self.current[id(tensor)] = value
        self.views.setdefault(id(memory), (memory, {}))[1][id(tensor)] = tensor
        if value.touched:
            self.touched.add(id(memory))

    def value(self, tensor: Tensor) -> Value:
        if id(tensor) not in self.current:
            self.bind(tensor, Value(tuple(tensor.shape), touched=id(_memory(tensor)) in self.touched))
        return self.current[id(tensor)]

    def image_value(self, thing: object) -> Value | None:
        value = self.current.get(id(thing)) if isinstance(thing, Tensor) else None
        return value if value is not None and value.ancestors else None

    def enter(self, module: nn.Module, args: tuple[object, ...]) -> None:
        if (name := self.names.get(module)) is not None:
            self.times[name] += 1
            self.open.append(Call(name, self.image_value(args[0]) if args else None))

    def leave(self, module: nn.Module, args: object, output: object) -> None:
        if module in self.names:
            call = self.open.pop()
            call.output = self.image_value(output)
            self.calls.append(call)

    def keep(self, memory: torch.UntypedStorage) -> None:
        if id(memory) in self.touched:
            self.kept.append((tuple(self.open), memory.nbytes()))

    def __torch_dispatch__(
        self,
        func: torch._ops.OpOverload,
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        kwargs = kwargs or {}
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if any(tensor.is_meta for tensor in tensors):  # moves constants that are neither weights nor buffers
            args, kwargs = tree_map_only(Tensor, _without_data, (args, kwargs))
        result = func(*args, **kwargs)
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        kind = func._overloadpacket.__name__.strip("_")
        if kind == "native_batch_norm" and not args[5]:
            del outputs[1:]  # batch statistics, which evaluation mode does not compute
        reads = tuple(map(self.value, tensors))
        writes = func._schema.is_mutable and "batch_norm" not in kind  # which keeps its statistics in evaluation mode
        if writes and any(value.touched for value in reads):
            self.touched.add(id(_memory(tensors[0])))
            reads[0].touched = True
        if outputs:
            formula = flop_registry.get(func._overloadpacket)
            macs = formula(*args, **kwargs, out_val=result) // 2 if formula else 0
            self.note(kind, args, kwargs, reads, outputs, macs)
        for output in outputs if writes else ():
            self.cover(output)
        return result

    def note(
        self,
        kind: str,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
        reads: tuple[Value, ...],
        outputs: list[Tensor],
        macs: int,
    ) -> None:
        inputs = tuple(dict.fromkeys(value for value in reads if value.ancestors))
        ancestors = 0
        for value in inputs:
            ancestors |= value.ancestors
        made = [Value(tuple(output.shape), touched=any(value.touched for value in reads)) for output in outputs]
        for value in made if inputs else ():
            value.index = len(self.values)
            value.ancestors = ancestors | 1 << value.index
            value.axis = channel_axis(kind, args, inputs, value.shape)
            self.values.append(value)
        ops = self.ops if inputs else self.constants
        op = Op(
            index=len(ops),
            kind=kind,
            args=args,
            kwargs=kwargs,
            calls=tuple(self.open),
            reads=reads,
            inputs=inputs,
            output=made[0],
            macs=macs,
        )
        ops.append(op)
        for value in dict.fromkeys(reads):
            value.users.append(op)
            value.clear = value.clear and not value.written
        for output, value in zip(outputs, made, strict=True):
            value.op = op
            self.bind(output, value)

    def cover(self, written: Tensor) -> None:
        """Mark the other views of the memory of a tensor as overwritten."""
        memory = _memory(written)
        for tensor in self.views[id(memory)][1].values():
            value = self.current[id(tensor)]
            if tensor is not written:
                value.written = True
            if tensor is not written and not value.ancestors:
                touched = id(memory) in self.touched
                self.current[id(tensor)] = Value(value.shape, touched=touched, clear=False)


def _memory(tensor: Tensor) -> object:
    return tensor.untyped_storage() if tensor.layout == torch.strided else tensor


def _without_data(tensor: Tensor) -> Tensor:
    return tensor.to("meta")
