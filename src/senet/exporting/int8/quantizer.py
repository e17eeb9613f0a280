"""Static quantisation of an ONNX graph by onnxruntime, measured once and applied with any nodes left in float.

Activations are unsigned, so that the zero of a gate and of a ReLU is the integer 0; weights are signed, symmetric and
have a scale for each output channel.
"""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from senet.errors import SpecError
from senet.processor import processor_features
from senet.torch_internals import quiet_export

__all__ = ["Quantizer", "has_vnni"]


class Quantizer:
    """A graph with the ranges of its values.

    Args:
        path: the ONNX file in float.
        batches: images to measure the ranges of the values on.
        reduce_range: use 7 bits for weights, as products of 8 bits overflow on CPUs without VNNI; None looks at the
            CPU.

    Attributes:
        model: the graph, an `onnx.ModelProto`.
        reduce_range: whether weights have 7 bits.
    """

    def __init__(self, path: Path, batches: Iterable[Tensor], *, reduce_range: bool | None = None) -> None:
        import onnx
        from onnxruntime.quantization import CalibrationMethod
        from onnxruntime.quantization.calibrate import create_calibrator
        from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

        self.reduce_range = not has_vnni() if reduce_range is None else reduce_range
        self.operators = sorted({*QDQRegistry, *QLinearOpsRegistry})
        with quiet_export(), tempfile.TemporaryDirectory() as folder:
            try:
                self.model = onnx.shape_inference.infer_shapes(onnx.load(str(path)))
            except Exception as error:  # of protobuf's own classes, above 2 GiB
                raise SpecError(f"{path.name} is too large for int8; its weights must fit into one file.") from error
            measured = create_calibrator(
                path,
                self.operators,
                augmented_model_path=str(Path(folder, "measured.onnx")),
                calibrate_method=CalibrationMethod.MinMax,
            )
            measured.collect_data(_Reader(batches))
            self.ranges = measured.compute_data()

    def quantized(self, in_float: Sequence[str], notes: Mapping[str, str] | None = None) -> bytes:
        """Return the content of an ONNX file in which all nodes but some are quantised.

        Args:
            in_float: names of the nodes that stay in float.
            notes: texts by name, for the file.
        """
        from copy import deepcopy

        import onnx
        from onnxruntime.quantization import QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        with quiet_export():
            quantizer = QDQQuantizer(
                deepcopy(self.model),
                per_channel=True,
                reduce_range=self.reduce_range,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self.ranges,
                nodes_to_quantize=[],
                nodes_to_exclude=list(in_float),
                op_types_to_quantize=self.operators,
                extra_options={"WeightSymmetric": True, "ActivationSymmetric": False},
            )
            quantizer.quantize_model()
        onnx.helper.set_model_props(
            quantizer.model.model, {**{one.key: one.value for one in self.model.metadata_props}, **(notes or {})}
        )
        content: bytes = quantizer.model.model.SerializeToString()
        return content


class _Reader:
    """Batches in the form that onnxruntime's calibrators take."""

    def __init__(self, batches: Iterable[Tensor]) -> None:
        self.batches = iter(batches)

    def get_next(self) -> dict[str, Any] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def has_vnni() -> bool:
    """Return whether the CPU sums products of 8 bits in 32; true where it is not known, as on ARM."""
    flags = processor_features()[2]
    return not flags.startswith("flags") or "vnni" in flags
