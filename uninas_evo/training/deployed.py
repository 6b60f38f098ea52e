"""A trained classifier on its data in every form that it is exported to: accuracy before and after."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from uninas_evo.contracts import Space
from uninas_evo.errors import TrainingError
from uninas_evo.training import checkpoint
from uninas_evo.training.batches import Normalize, ReadImages, eval_plans
from uninas_evo.training.formats import USUAL, export, image_of, load, note
from uninas_evo.training.images import ImageSet, Splits
from uninas_evo.training.lowered import Run, run_onnx
from uninas_evo.training.protocol import Protocol
from uninas_evo.training.readers import read_splits
from uninas_evo.training.transforms import eval_transform

CALIBRATION = 256
"""Training images that 8-bit activations are scaled to: beyond some hundred the extremes hardly move."""


@dataclass(frozen=True)
class Deployed:
    """A file, and what it does.

    Attributes:
        form: of `formats.FORMATS`; "trained" for the network itself.
        path: the file.
        megabytes: its size (10^6 bytes).
        accuracy: on the test images, from 0 to 1; None where the form is not tested here.
    """

    form: str
    path: Path
    megabytes: float
    accuracy: float | None


def deploy(
    source: str | Path,
    folder: str | Path,
    data: str | Path,
    forms: Sequence[str] = USUAL,
    *,
    space: Space[Any] | None = None,
    calibration: int = CALIBRATION,
    told: Callable[[Deployed], None] = lambda one: None,
) -> list[Deployed]:
    """Exports a trained classifier and tests every ONNX form on the test images of its data; its metadata tells.

    Args:
        source: the folder of a training that has ended.
        folder: where the files go.
        data: as `train` took it.
        forms: of `formats.FORMATS`.
        space: as `load` takes it.
        calibration: training images for "onnx-int8".
        told: is called with each file as it is tested, the network itself first.

    Raises:
        TrainingError: there is no such training, or it is none of a classifier.
        DataError: the data is wrong.
        MissingExtraError: a package that a form needs is not installed.
    """
    source = Path(source)
    network = load(source, space)
    protocol = _protocol(source)
    splits = read_splits(data, protocol.val_fraction)
    prepared = _Prepared(protocol, image_of(network))
    chosen = np.random.default_rng(0).permutation(len(splits.train))[:calibration]
    images = torch.cat([pixels for pixels, _ in prepared.batches(splits.train.subset(np.sort(chosen)))])
    weights = source / "weights.safetensors" if source.is_dir() else source
    found = [_deployed("trained", weights, _accuracy(_run(network), prepared, splits))]
    told(found[0])
    for form in forms:
        (path,) = export(network, folder, [form], calibration=images)
        tested = _accuracy(run_onnx(path), prepared, splits) if form.startswith("onnx") else None
        if tested is not None:
            note(path, test_accuracy=tested)
        found.append(_deployed(form, path, tested))
        told(found[-1])
    return found


def _protocol(source: Path) -> Protocol:
    """What a network was trained by.

    Raises:
        TrainingError: the folder does not tell, or it was no classification.
    """
    path = (source if source.is_dir() else source.parent) / "training.json"
    if not path.is_file():
        raise TrainingError(
            f"--data needs the protocol that a network was trained by, and there is no {path}; give the folder of a "
            "training that has ended"
        )
    protocol = Protocol.model_validate(checkpoint.load_json(path)["protocol"])
    if protocol.task != "classification":
        raise TrainingError(
            f"accuracy is of classifiers, and this is a training of {protocol.task}; leave --data and onnx-int8 out"
        )
    return protocol


def _deployed(form: str, path: Path, accuracy: float | None) -> Deployed:
    return Deployed(form, path, path.stat().st_size / 1e6, accuracy)


class _Prepared:
    """Brings images to a network as its evaluation did."""

    def __init__(self, protocol: Protocol, shape: tuple[int, int, int]) -> None:
        self.transform = eval_transform(protocol, shape)
        self.normalize = Normalize(protocol.mean, protocol.std, torch.device("cpu"), False, shape[0])

    def batches(self, images: ImageSet) -> Iterator[tuple[Tensor, Tensor]]:
        """Floats (N, C, H, W) and labels (N,)."""
        read = ReadImages(images, self.transform)
        for plan in eval_plans(len(images)):
            pixels, labels = read(plan)
            yield self.normalize(pixels), labels


def _run(network: nn.Module) -> Run:
    def run(images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(network(torch.from_numpy(images)))

    return run


def _accuracy(run: Run, prepared: _Prepared, splits: Splits) -> float:
    tested = prepared.batches(splits.test)
    correct = sum(int((run(images.numpy()).argmax(1) == labels.numpy()).sum()) for images, labels in tested)
    return correct / len(splits.test)
