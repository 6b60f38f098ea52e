"""ONNX files of networks, for other runtimes and for viewers such as Netron."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from uninas_evo.errors import MissingExtraError


def export_onnx(network: Any, path: Path) -> None:
    """Writes a network in evaluation mode as one ONNX file: input `image` (N, C, H, W), output `logits` (N, K).

    Args:
        network: one with a `genome` whose skeleton has an `image`; is left as it is.
        path: the file to write.

    Raises:
        MissingExtraError: onnx or onnxscript is not installed.
    """
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtraError("onnxscript", "train") from None
    image = network.genome.skeleton.image
    device = next(network.parameters()).device
    training = network.training
    network.eval()
    try:
        torch.onnx.export(
            network,
            (torch.zeros(2, *image, device=device),),
            path,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    finally:
        network.train(training)
