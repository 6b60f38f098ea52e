"""Trained networks as files: safetensors beside the genome, ONNX and `torch.export` programs, and back."""

from __future__ import annotations

import io
import json
import math
import tempfile
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from uninas_evo.contracts import Shape, Space
from uninas_evo.errors import GenomeError, TrainingError
from uninas_evo.files import write_atomically
from uninas_evo.spaces.choices import ChoiceSpace
from uninas_evo.spaces.load import build, load_space
from uninas_evo.spaces.uninas.network.onnx import export_onnx
from uninas_evo.training.extras import need
from uninas_evo.training.lowered import MOBILE, run_onnx, write_fp16, write_int8
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.tasks import task_class
from uninas_evo.training.tasks.backbone import Backbone, Headed

WEIGHTS = "weights.safetensors"
GENOME = "genome.txt"
PREPARATION = "preparation.json"
FORMATS = {
    "onnx": "network.onnx",
    "torch": "network.pt2",
    "onnx-fp16": "network-fp16.onnx",
    "onnx-int8": "network-int8.onnx",
    "executorch": "network.pte",
    "litert": "network.tflite",
}
"""File names of the exported forms."""
USUAL = ("onnx", "torch")
"""The forms that are written unless others are asked for."""
TOLERANCE = 1e-4
"""Largest difference of a logit between an exported network and ours, relative to the logits' size."""
TOLERANCES = {"onnx-fp16": 2e-2, "onnx-int8": math.inf}
"""Those of forms with other numbers: half precision has 11 bits; what 8 bits cost is told by the accuracy."""


Outputs = Tensor | tuple[Tensor, ...]
"""Logits, or the maps of a backbone."""


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
    network: nn.Module,
    folder: str | Path,
    space: Space[Any],
    genome: Any,
    protocol: Protocol | None = None,
    classes: Sequence[str] = (),
    *,
    prepared: Preparation | None = None,
) -> None:
    """Writes `genome.txt` and `weights.safetensors`, which holds the genome and the `Preparation` of images too.

    Args:
        network: what was trained, with its task's head.
        folder: where they go.
        space: where its genome lies.
        genome: what it was built from.
        protocol: how it was trained, which tells the preparation of its images.
        classes: the names of its outputs.
        prepared: that preparation, where no protocol tells it.

    Raises:
        MissingExtraError: safetensors is not installed.
        TrainingError: the disk is full.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = space.encode(genome)
    notes = {"genome": text}
    if protocol is not None:
        size = image_of(network) if isinstance(network, Headed) else space.image_of(genome)
        prepared = Preparation(size, protocol.mean, protocol.std, protocol.crop_mode, protocol.crop_pct, tuple(classes))
    if prepared is not None:
        notes["images"] = json.dumps(asdict(prepared))
    if isinstance(network, Headed):
        notes["head"] = network.protocol.model_dump_json()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    content = _sorted_notes(need("safetensors.torch").save(tensors, notes))
    write_atomically(folder / GENOME, lambda file: file.write(text.encode()), TrainingError)
    write_atomically(folder / WEIGHTS, lambda file: file.write(content), TrainingError)


def _sorted_notes(content: bytes) -> bytes:
    """A safetensors file with its notes in the order of their names: the library's order changes from call to call."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def load(path: str | Path, space: Space[Any] | None = None) -> Any:
    """The trained network of a training folder or a `.safetensors` file, in evaluation mode on the CPU.

    Of a detection or segmentation it is the whole network, backbone and head.

    Its attribute `preparation` is the `Preparation` of its images, None where the file tells none, and `genome_text`
    the text of its genome.

    Args:
        path: the folder or the file.
        space: builds the network; needed where the genome's text does not tell its space, as of a space of one's own.

    Raises:
        TrainingError: there are no weights, they are damaged or of another network, or need their space.
        MissingExtraError: safetensors is not installed.
    """
    file = Path(path)
    file = file / WEIGHTS if file.is_dir() else file
    if not file.is_file():
        raise TrainingError(
            f"there are no trained weights at {file}: name the folder of a training that has ended, or its "
            f"{WEIGHTS}; train one by: uninas-evo train GENOME --data PATH"
        )
    damaged = (GenomeError, RuntimeError, OSError, ValueError, TypeError, need("safetensors").SafetensorError)
    try:
        with need("safetensors").safe_open(str(file), "pt") as content:
            notes = content.metadata() or {}
            tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - it is no mapping
    except damaged as error:
        raise _unreadable(file, error) from error
    text = notes.get("genome", "")
    if space is None and text.startswith(ChoiceSpace.form):
        raise TrainingError(
            f"{file} is of a space of one's own, whose functions it does not hold: name the space's run file with "
            "--space, or give the space itself to uninas_evo.load"
        )
    try:
        network: Any = build(text) if space is None else space.build(space.decode(text))
        prepared = _read_preparation(notes.get("images"))
        if "head" in notes:
            protocol = Protocol.model_validate_json(notes["head"])
            classes = prepared.classes if prepared else ()
            network = task_class(protocol.task).assembled(network, len(classes), protocol, seed=0)
        network.load_state_dict(tensors)
    except damaged as error:
        raise _unreadable(file, error) from error
    setattr(network, "preparation", prepared)  # noqa: B010 - torch's modules type their attributes as tensors
    setattr(network, "genome_text", text)  # noqa: B010
    return network.eval()


def _unreadable(file: Path, error: Exception) -> TrainingError:
    return TrainingError(
        f"{file} holds no weights of a uninas-evo network: {str(error)[:200]}; export the network again"
    )


def _read_preparation(text: str | None) -> Preparation | None:
    """What a note says; weights of version 0.1 tell less."""
    if text is None:
        return None
    notes = json.loads(text)
    lists = {name: tuple(value) for name, value in notes.items() if isinstance(value, list)}
    return Preparation(**({"size": (), "crop_mode": "center", "classes": ()} | notes | lists))


def export(
    source: str | Path | nn.Module,
    folder: str | Path,
    forms: Iterable[str] = USUAL,
    *,
    maps: bool = False,
    calibration: Tensor | None = None,
) -> list[Path]:
    """Writes a network in other forms, each checked against ours on random images.

    Args:
        source: a network, or what `load` takes.
        folder: where the files go.
        forms: "onnx" (checked with onnxruntime) and "torch" (a `torch.export` program) take batches of any size N:
            (N, C, H, W) to logits (N, K), of a segmentation (N, K, H, W); so do "onnx-fp16" and "onnx-int8", in other
            numbers. "executorch" and "litert" take one image.
        maps: the backbone alone, whose outputs are its stage maps; in the usual forms only.
        calibration: images (N, C, H, W), prepared as for the network, whose activations "onnx-int8" is scaled to.

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
        if maps and form not in USUAL:
            raise TrainingError(f"--maps are written in the forms {' and '.join(USUAL)}, got {form}; leave it out")
        path = folder / (FORMATS[form].replace("network", "backbone") if maps else FORMATS[form])
        outputs = _write(form, network, path, calibration)
        _compare(form, outputs, network)
        _tell(form, path, network)
        written.append(path)
    return written


def _write(form: str, network: Any, path: Path, calibration: Tensor | None) -> Outputs:
    """Writes a form, and gives what it computes of the probe."""
    if form == "onnx":
        return _write_onnx(network, path)
    if form == "torch":
        return _write_program(network, path)
    probe = _probe(network).numpy()
    if form in MOBILE:
        return torch.from_numpy(MOBILE[form](network, path, image_of(network))(probe))
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / FORMATS["onnx"]
        export_onnx(network, whole, image_of(network))
        if form == "onnx-fp16":
            write_fp16(whole, path)
        elif calibration is None:
            raise TrainingError("onnx-int8 is scaled to images of the data, got none; give them with --data PATH")
        else:
            write_int8(whole, path, calibration)
    return torch.from_numpy(run_onnx(path)(probe))


class _Maps(nn.Module):
    """A backbone for images (N, C, H, W) of the size that a network was trained with: a tuple of its maps."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.backbone = network.backbone if isinstance(network, Headed) else Backbone(network)
        self.image = image_of(network)
        self.preparation: Any = getattr(network, "preparation", None)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """The maps, finest first."""
        return tuple(self.backbone(images))


def image_of(network: Any) -> Shape:
    """(C, H, W) of the images that a network is exported for."""
    if isinstance(network, _Maps):
        return network.image
    if isinstance(network, Headed):
        return (3, network.protocol.image_size, network.protocol.image_size)
    if (prepared := getattr(network, "preparation", None)) and prepared.size:
        channels, height, width = prepared.size
        return (channels, height, width)
    if hasattr(network, "genome"):
        space, genome = load_space(network.genome.text)
        return space.image_of(genome)
    raise TrainingError(
        f"an exported network is checked on images of its size, and {type(network).__name__} tells none: set its "
        "attribute preparation (uninas_evo.training.formats.Preparation), or train it and export its folder"
    )


def _tell(form: str, path: Path, network: Any) -> None:
    """Puts the preparation of images and the genome into an ONNX file's metadata, the former beside a program."""
    prepared: Preparation | None = getattr(network, "preparation", None)
    content = {} if prepared is None else asdict(prepared)
    if form.startswith("onnx"):
        # what `load` gives knows its text, what was built in Python its genome
        text = getattr(network, "genome_text", None) or getattr(getattr(network, "genome", None), "text", None)
        note(path, **content, **({} if text is None else {"genome": text}))
    elif content:
        write_atomically(
            path.with_name(PREPARATION), lambda file: file.write(json.dumps(content, indent=1).encode()), TrainingError
        )


def note(path: Path, **notes: Any) -> None:
    """Adds notes to an ONNX file's metadata, as JSON."""
    onnx = need("onnx")
    model = onnx.load(str(path))
    known = {entry.key: entry.value for entry in model.metadata_props}
    onnx.helper.set_model_props(model, known | {name: json.dumps(value) for name, value in notes.items()})
    write_atomically(path, lambda file: file.write(model.SerializeToString()), TrainingError)


def _probe(network: Any) -> Tensor:
    """Three random images (3, C, H, W): another batch than the one the export has seen."""
    return torch.randn(3, *image_of(network), generator=torch.Generator().manual_seed(0))


def _write_onnx(network: Any, path: Path) -> Outputs:
    names = [f"map{stride}" for stride in network.backbone.strides] if isinstance(network, _Maps) else ["logits"]
    export_onnx(network, path, image_of(network), names)
    session = need("onnxruntime").InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return tuple(torch.from_numpy(one) for one in session.run(None, {"image": _probe(network).numpy()}))


def _write_program(network: Any, path: Path) -> Outputs:
    batch = torch.export.Dim("batch")
    plain = deepcopy(network).to(memory_format=torch.contiguous_format)
    program = torch.export.export(plain, (torch.zeros(2, *image_of(network)),), dynamic_shapes=({0: batch},))
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
    allowed = TOLERANCES.get(form, TOLERANCE)
    if not difference <= allowed:
        raise TrainingError(
            f"the {form} network gives other outputs than ours: they must agree to {allowed:g}, the difference is "
            f"{difference:.2g}; another version of the exporting package may help"
        )
