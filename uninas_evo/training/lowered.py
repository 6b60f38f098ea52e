"""Networks in the number formats and files of devices: half precision and 8-bit ONNX, ExecuTorch, LiteRT."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from uninas_evo.contracts import Shape
from uninas_evo.errors import TrainingError
from uninas_evo.files import write_atomically
from uninas_evo.training.extras import need

Run = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
"""Images (N, C, H, W) to logits (N, K)."""
BATCH = 64
"""Images of a calibration step."""


def session(model: str | Path | bytes, threads: int = 1) -> Any:
    """An ONNX Runtime session on the CPU of a file, or of what one holds.

    Raises:
        TrainingError: the file is no ONNX network.
        MissingExtraError: onnxruntime is not installed.
    """
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # warnings are about graphs that we did not write
    try:
        content = model if isinstance(model, bytes) else str(model)
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own, which share no base
        raise TrainingError(
            f"{model!s:.200} is not an ONNX network that onnxruntime runs: {str(error)[:200]}; write one by "
            "uninas-evo export DIR"
        ) from error


def run_onnx(path: Path) -> Run:
    """What an ONNX file computes."""
    opened = session(path)
    name = opened.get_inputs()[0].name
    return lambda images: np.asarray(opened.run(None, {name: images})[0])


def write_fp16(whole: Path, path: Path) -> None:
    """Writes an ONNX network with weights and sums of 16 bits; images and logits stay of 32.

    Args:
        whole: the same network of 32 bits.
        path: the file to write.
    """
    model = need("onnx").load(str(whole))
    with _quiet():
        half = need("onnxruntime.transformers.float16").convert_float_to_float16(model, keep_io_types=True)
    write_atomically(path, lambda file: file.write(half.SerializeToString()), TrainingError)


def write_int8(whole: Path, path: Path, images: Tensor) -> None:
    """Writes an ONNX network with weights and activations of 8 bits, by static quantization after training.

    A scale for each output channel of a weight, and one for each activation, from the extremes that it takes on the
    images (Jacob et al., arXiv 1712.05877; Krishnamoorthi, arXiv 1806.08342). What has no 8-bit kernel stays of 32
    bits, between conversions.

    Args:
        whole: the same network of 32 bits.
        path: the file to write.
        images: (N, C, H, W), prepared as for the network.
    """
    quantization = need("onnxruntime.quantization")
    steps = iter([{"image": part.numpy()} for part in torch.split(images, BATCH)])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def get_next(self) -> Any:
            return next(steps, None)

    with tempfile.TemporaryDirectory() as folder, _quiet():
        prepared, written = Path(folder) / "prepared.onnx", Path(folder) / "written.onnx"
        need("onnxruntime.quantization.shape_inference").quant_pre_process(
            str(whole), str(prepared), skip_symbolic_shape=True
        )
        quantization.quantize_static(
            str(prepared),
            str(written),
            Reader(),
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        content = written.read_bytes()
    write_atomically(path, lambda file: file.write(content), TrainingError)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the notes of converters."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def write_executorch(network: nn.Module, path: Path, image: Shape) -> Run:
    """Writes an ExecuTorch program for one image, with XNNPACK's kernels, and gives what it computes.

    Raises:
        MissingExtraError: executorch is not installed.
    """
    exir = need("executorch.exir", "executorch")
    xnnpack = need("executorch.backends.xnnpack.partition.xnnpack_partitioner", "executorch")
    runtime = need("executorch.runtime", "executorch")
    program = torch.export.export(_plain(network), (torch.zeros(1, *image),))
    lowered = exir.to_edge_transform_and_lower(program, partitioner=[xnnpack.XnnpackPartitioner()]).to_executorch()
    write_atomically(path, lambda file: file.write(lowered.buffer), TrainingError)
    method = runtime.Runtime.get().load_program(str(path)).load_method("forward")
    return _one_by_one(lambda one: method.execute([torch.from_numpy(one)])[0].numpy())


def write_litert(network: nn.Module, path: Path, image: Shape) -> Run:
    """Writes a LiteRT (TensorFlow Lite) file for one image, and gives what it computes.

    Raises:
        MissingExtraError: litert-torch is not installed.
    """
    converted = need("litert_torch", "litert").convert(_plain(network), (torch.zeros(1, *image),))
    converted.export(str(path))
    return _one_by_one(lambda one: np.asarray(converted(torch.from_numpy(one))))


def _plain(network: nn.Module) -> nn.Module:
    return deepcopy(network).to(memory_format=torch.contiguous_format).eval()


def _one_by_one(run: Run) -> Run:
    return lambda images: np.concatenate([run(np.ascontiguousarray(one[None])) for one in images])


MOBILE: Mapping[str, Callable[[nn.Module, Path, Shape], Run]] = {
    "executorch": write_executorch,
    "litert": write_litert,
}
"""What writes the files of other runtimes, by form."""
