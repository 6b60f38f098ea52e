"""Trained networks as files: safetensors beside the genome, ONNX and `torch.export` programs, and back."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Shape
from uninas_evo.errors import GenomeError, TrainingError
from uninas_evo.files import write_atomically
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.uninas.network.onnx import export_onnx
from uninas_evo.training.extras import need
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.backbone import Backbone, Headed

WEIGHTS = "weights.safetensors"
GENOME = "genome.txt"
PREPARATION = "preparation.json"
FORMATS = {"onnx": "network.onnx", "torch": "network.pt2"}
"""File names of the exported forms."""
TOLERANCE = 1e-4
"""Largest difference of a logit between an exported network and ours, relative to the logits' size."""


@dataclass(frozen=True)
class Preparation:
    """What a trained network takes and gives.

    Attributes:
        size: (C, H, W) of its images; detectors and segmentation networks take others too.
        mean: what is taken off pixels from 0 to 1, for each channel or for all.
        std: what they are divided by then.
        crop_mode: how images of other proportions were brought to it.
        crop_pct: the share of each side that evaluation looks at.
        classes: the names of its outputs, in their order.
    """

    size: tuple[int, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_mode: str
    crop_pct: float
    classes: tuple[str, ...]


def save_weights(
    network: Any,
    folder: str | Path,
    protocol: Protocol | None = None,
    classes: Sequence[str] = (),
    *,
    text: str = "",
    prepared: Preparation | None = None,
) -> None:
    """Writes `genome.txt` and `weights.safetensors`, which holds the genome and the `Preparation` of images too.

    Args:
        network: whose weights are written.
        folder: where.
        protocol: what it was trained by, which tells the preparation.
        classes: the names of its outputs.
        text: of the genome, where the network does not know it.
        prepared: the preparation, where no protocol tells it.

    Raises:
        MissingExtraError: safetensors is not installed.
        TrainingError: the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = text or network.genome.text
    notes = {"genome": text}
    prepared = prepared if protocol is None else _preparation(network, protocol, classes)
    if prepared is not None:
        notes["images"] = json.dumps(asdict(prepared))
    if isinstance(network, Headed):
        notes["head"] = network.protocol.model_dump_json()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = _sorted_notes(need("safetensors.torch").save(tensors, notes))
    write_atomically(folder / GENOME, lambda file: file.write(text.encode()), TrainingError)
    write_atomically(folder / WEIGHTS, lambda file: file.write(content), TrainingError)


def _preparation(network: Any, protocol: Protocol, classes: Sequence[str]) -> Preparation:
    return Preparation(
        _image(network), protocol.mean, protocol.std, protocol.crop_mode, protocol.crop_pct, tuple(classes)
    )


def _sorted_notes(content: bytes) -> bytes:
    """A safetensors file with its notes in the order of their names: the library's order changes from call to call."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def load(path: str | Path) -> Any:
    """The trained network of a training folder or a `.safetensors` file, in evaluation mode on the CPU.

    Of a detection or segmentation it is the whole network, backbone and head.

    Its attribute `preparation` is the `Preparation` of its images, None where the file tells none.

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
            notes = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - it is no mapping
        space, genome = load_space(notes.get("genome", ""))
        network = space.build(genome)
        if not hasattr(network, "genome"):
            setattr(network, "genome", genome)  # noqa: B010 - torch's modules type their attributes as tensors
        prepared = _read_preparation(notes.get("images"))
        if "head" in notes:
            protocol = Protocol.model_validate_json(notes["head"])
            classes = prepared.classes if prepared else ()
            network = task_class(protocol.task).assembled(network, len(classes), protocol, seed=0)
        network.load_state_dict(tensors)
    except (GenomeError, RuntimeError, OSError, ValueError, TypeError, need("safetensors").SafetensorError) as error:
        raise TrainingError(
            f"{file} holds no weights of a uninas-evo network: {str(error)[:200]}; export the network again"
        ) from error
    setattr(network, "preparation", prepared)  # noqa: B010 - torch's modules type their attributes as tensors
    return network.eval()


def _read_preparation(text: str | None) -> Preparation | None:
    """What a note says; weights of version 0.1 tell less."""
    if text is None:
        return None
    notes = json.loads(text)
    lists = {name: tuple(value) for name, value in notes.items() if isinstance(value, list)}
    return Preparation(**({"size": (), "crop_mode": "center", "classes": ()} | notes | lists))


def export(
    source: str | Path | nn.Module, folder: str | Path, forms: Iterable[str] = tuple(FORMATS), *, maps: bool = False
) -> list[Path]:
    """Writes a network in other forms, each checked against ours on random images.

    Args:
        source: a network, or what `load` takes.
        folder: where the files go.
        forms: "onnx" (checked with onnxruntime) and "torch" (a `torch.export` program); both take batches of any
            size N: (N, C, H, W) to logits (N, K), of a segmentation (N, K, H, W).
        maps: the backbone alone, whose outputs are its stage maps.

    Returns:
        The files written.

    Raises:
        TrainingError: there is no such form, its outputs are not ours, or it is a detector with its heads: how many
            boxes it gives depends on the image.
        MissingExtraError: a package that a form needs is not installed.
    """
    network = (source if isinstance(source, nn.Module) else load(source)).eval()
    if maps:
        network = _Maps(network).eval()
    elif isinstance(network, Headed) and network.protocol.task == "detection":
        raise TrainingError(
            "a detector is not exported: how many boxes it gives depends on the image, and exported networks have "
            "outputs of fixed shape; export its backbone with --maps, or load it with uninas_evo.load"
        )
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for form in forms:
        if form not in FORMATS:
            raise TrainingError(f"there is no form {form!r} to export to; use one of {', '.join(FORMATS)}")
        path = folder / (FORMATS[form].replace("network", "backbone") if maps else FORMATS[form])
        outputs = _write_onnx(network, path) if form == "onnx" else _write_program(network, path)
        _compare(form, outputs, network)
        if prepared := getattr(network, "preparation", None):
            _tell(form, path, prepared)
        written.append(path)
    return written


class _Maps(nn.Module):
    """A backbone for images (N, C, H, W) of the size that a network was trained with: a tuple of its maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = network.backbone if isinstance(network, Headed) else Backbone(network)
        self.image = _image(network)
        self.preparation: Any = getattr(network, "preparation", None)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps, finest first."""
        return tuple(self.backbone(images))


def _image(network: Any) -> Shape:
    """(C, H, W) of the images that a network is exported for."""
    if isinstance(network, _Maps):
        return network.image
    if isinstance(network, Headed):
        return (3, network.protocol.image_size, network.protocol.image_size)
    space, genome = load_space(network.genome.text)
    return space.image_of(genome)


def _tell(form: str, path: Path, prepared: Preparation) -> None:
    """Puts the preparation of images into an ONNX file's metadata, or beside a program."""
    content = asdict(prepared)
    if form != "onnx":
        write_atomically(
            path.with_name(PREPARATION), lambda file: file.write(json.dumps(content, indent=1).encode()), TrainingError
        )
        return
    onnx = need("onnx")
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {name: json.dumps(value) for name, value in content.items()})
    write_atomically(path, lambda file: file.write(model.SerializeToString()), TrainingError)


def _probe(network: Any) -> Tensor:
    """Three random images (3, C, H, W): another batch than the one the export has seen."""
    return torch.randn(3, *_image(network), generator=torch.Generator().manual_seed(0))


Outputs = Tensor | tuple[Tensor, ...]


def _write_onnx(network: Any, path: Path) -> Outputs:
    names = [f"map{stride}" for stride in network.backbone.strides] if isinstance(network, _Maps) else ["logits"]
    export_onnx(network, path, _image(network), names)
    session = need("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return tuple(torch.from_numpy(one) for one in session.run(None, {"image": _probe(network).numpy()}))


def _write_program(network: Any, path: Path) -> Outputs:
    batch = torch.export.Dim("batch")
    plain = deepcopy(network).to(memory_format=torch.contiguous_format)
    program = torch.export.export(plain, (torch.zeros(2, *_image(network)),), dynamic_shapes=({0: batch},))
    content = io.BytesIO()
    torch.export.save(program, content)
    write_atomically(path, lambda file: file.write(content.getbuffer()), TrainingError)
    outputs: Any = torch.export.load(path).module()(_probe(network))
    return outputs  # type: ignore[no-any-return]


def _compare(form: str, outputs: Outputs, network: Any) -> None:
    with torch.no_grad():
        ours: Outputs = network(_probe(network))
    for one, own in zip(_each(outputs), _each(ours), strict=True):
        _compare_one(form, one, own)


def _each(outputs: Outputs) -> tuple[Tensor, ...]:
    return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)


def _compare_one(form: str, outputs: Tensor, ours: Tensor) -> None:
    difference = float((outputs.detach() - ours).abs().max() / ours.abs().max().clamp(min=1))
    if not difference <= TOLERANCE:
        raise TrainingError(
            f"the {form} network gives other outputs than ours: they must agree to {TOLERANCE:g}, the difference is "
            f"{difference:.2g}; another version of the exporting package may help"
        )
