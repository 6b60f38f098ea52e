"""ONNX files of networks, for other runtimes and for viewers such as Netron."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from uninas_evo.contracts import Shape
from uninas_evo.errors import GenomeError, MissingExtraError
from uninas_evo.files import write_atomically


def export_onnx(network: Any, path: Path, image: Shape, outputs: Sequence[str] = ("logits",)) -> None:
    """Writes a network in evaluation mode as one ONNX file: input `image` (N, C, H, W), output `logits` (N, K).

    Args:
        network: is left as it is.
        path: the file to write.
        image: (C, H, W).
        outputs: names of what it gives.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
        GenomeError: the file cannot be written.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("onnxscript", "train") from None
    weight = next(network.parameters(), None)
    device = "cpu" if weight is None else weight.device
    training = network.training
    network.eval()
    try:
        program = torch.onnx.export(
            network,
            (torch.zeros(2, *image, device=device),),
            None,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            verbose=False,
        )
    finally:
        network.train(training)
    assert program is not None  # it is None for the older exporter alone
    write_atomically(path, lambda file: file.write(program.model_proto.SerializeToString()), GenomeError)
