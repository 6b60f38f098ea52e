"""Trained networks as files: safetensors beside the genome, ONNX and `torch.export` programs, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from uninas_evo.errors import GenomeError, TrainingError
from uninas_evo.files import write_atomically
from uninas_evo.spaces.uninas import load_genome
from uninas_evo.spaces.uninas.network import Network, build
from uninas_evo.spaces.uninas.network.onnx import export_onnx
from uninas_evo.training.extras import need
from uninas_evo.training.protocol import Protocol

WEIGHTS = "weights.safetensors"
GENOME = "genome.txt"
FORMATS = {"onnx": "network.onnx", "torch": "network.pt2"}
"""File names of the exported forms."""
TOLERANCE = 1e-4
"""Largest difference of a logit between an exported network and ours, relative to the logits' size."""


def save_weights(network: Network, folder: str | Path, protocol: Protocol | None = None) -> None:
    """Writes `genome.txt` and `weights.safetensors`, which holds the genome and the images' scaling too.

    Raises:
        MissingExtraError: safetensors is not installed.
        TrainingError: the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = network.genome.text
    notes = {"genome": text}
    if protocol is not None:
        notes["images"] = json.dumps({"mean": protocol.mean, "std": protocol.std, "crop_pct": protocol.crop_pct})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = need("safetensors.torch").save(tensors, notes)
    write_atomically(folder / GENOME, lambda file: file.write(text.encode()), TrainingError)
    write_atomically(folder / WEIGHTS, lambda file: file.write(content), TrainingError)


def load(path: str | Path) -> Network:
    """The trained network of a training folder or a `.safetensors` file, in evaluation mode on the CPU.

    Raises:
        TrainingError: there are no weights, or they are damaged or of another network.
        MissingExtraError: safetensors is not installed.
    """
    file = Path(path)
    file = file / WEIGHTS if file.is_dir() else file
    if not file.is_file():
        raise TrainingError(
            f"there are no trained weights at {file}: name the folder of a training that has ended, or its "
            f"{WEIGHTS}; train one by: uninas-evo train GENOME --data PATH"
        )
    try:
        with need("safetensors").safe_open(str(file), "pt") as content:
            text = (content.metadata() or {}).get("genome", "")
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - it is no mapping
        network = build(load_genome(text))
        network.load_state_dict(tensors)
    except (GenomeError, RuntimeError, OSError, need("safetensors").SafetensorError) as error:
        raise TrainingError(
            f"{file} holds no weights of a uninas-evo network: {str(error)[:200]}; export the network again"
        ) from error
    return network.eval()


def export(source: str | Path | Network, folder: str | Path, forms: Iterable[str] = tuple(FORMATS)) -> list[Path]:
    """Writes a network in other forms, each checked against ours on random images.

    Args:
        source: a network, or what `load` takes.
        folder: where the files go.
        forms: "onnx" (checked with onnxruntime) and "torch" (a `torch.export` program); both take batches of any
            size N: (N, 3, H, W) to logits (N, K).

    Returns:
        The files written.

    Raises:
        TrainingError: there is no such form, or its outputs are not ours.
        MissingExtraError: a package that a form needs is not installed.
    """
    network = (source if isinstance(source, Network) else load(source)).eval()
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for form in forms:
        if form not in FORMATS:
            raise TrainingError(f"there is no form {form!r} to export to; use one of {', '.join(FORMATS)}")
        path = folder / FORMATS[form]
        outputs = _write_onnx(network, path) if form == "onnx" else _write_program(network, path)
        _compare(form, outputs, network)
        written.append(path)
    return written


def _probe(network: Network) -> Tensor:
    """Three random images (3, 3, H, W): another batch than the one the export has seen."""
    size = network.genome.skeleton.image_size
    return torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(0))


def _write_onnx(network: Network, path: Path) -> Tensor:
    export_onnx(network, path)
    session = need("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"image": _probe(network).numpy()})[0])


def _write_program(network: Network, path: Path) -> Tensor:
    size = network.genome.skeleton.image_size
    batch = torch.export.Dim("batch")
    plain = deepcopy(network).to(memory_format=torch.contiguous_format)
    program = torch.export.export(plain, (torch.zeros(2, 3, size, size),), dynamic_shapes=({0: batch},))
    torch.export.save(program, path)
    outputs: Any = torch.export.load(path).module()(_probe(network))
    return outputs  # type: ignore[no-any-return]


def _compare(form: str, outputs: Tensor, network: Network) -> None:
    with torch.no_grad():
        ours: Tensor = network(_probe(network))
    difference = float((outputs.detach() - ours).abs().max() / ours.abs().max().clamp(min=1))
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"the {form} network gives other outputs than ours: they must agree to {TOLERANCE:g}, the difference is "
            f"{difference:.2g}; another version of the exporting package may help"
        )
