"""An estimator as scikit-learn has them: `solve` for arrays, data sets and folders, with prediction."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError

from uninas_evo.config.runfile import to_toml
from uninas_evo.errors import DataError, UninasEvoError
from uninas_evo.report.record import RunRecord, read_run
from uninas_evo.solving.solution import Solution
from uninas_evo.solving.solve import solve

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

TEST_SHARE = 0.1
"""Of arrays and data sets, so much of each class is the test part that the solution's accuracy is told of."""
BATCH = 256
"""Images a batch of predictions."""


class UnfittedError(UninasEvoError, NotFittedError):  # type: ignore[misc]
    """The estimator has no network yet."""


class ImageClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Finds and trains a network for images within a clock.

        classifier = ImageClassifier(hours=0.5, max_params=100e3).fit(images, labels)
        print(classifier.predict(images[:10]), classifier.solution_.sentence)

    Args:
        hours: of the clock of each `fit`.
        max_params: most parameters; a million by default.
        max_flops: most FLOPs of an image; as many as the time trains by default.
        patience: epochs without a better validation accuracy after which a final training ends; 0 for none.
        protocol: of all trainings, by name or path.
        vary: parts of the skeleton that are searched too.
        baseline: a pretrained network that is fine-tuned for as long as the winner, such as `timm:resnet18`, whose
            accuracy `solution_` tells; none by default.
        seed: of all draws.
        devices: one for each worker; every GPU, or every CPU core, by default.
        out: folder for everything, in which a killed `fit` goes on; one that is gone with the estimator by default.
        quiet: shows nothing.

    Attributes:
        classes_: the labels (K,), in the order of the network's outputs.
        network_: the trained network, (N, C, H, W) to (N, K).
        solution_: what was found and what that is worth.
        search_: every network that was scored.
    """

    def __init__(
        self,
        hours: float = 1.0,
        *,
        max_params: float | None = None,
        max_flops: float | None = None,
        patience: int = 0,
        protocol: str | Path = "small",
        vary: Sequence[str] = (),
        baseline: str | None = None,
        seed: int = 0,
        devices: Sequence[str] | None = None,
        out: str | Path | None = None,
        quiet: bool = True,
    ) -> None:
        self.hours = hours
        self.max_params = max_params
        self.max_flops = max_flops
        self.patience = patience
        self.protocol = protocol
        self.vary = vary
        self.baseline = baseline
        self.seed = seed
        self.devices = devices
        self.out = out
        self.quiet = quiet

    def fit(self, x: Any, y: Any = None) -> Self:
        """Searches and trains.

        Args:
            x: images, an array (N, H, W) or (N, H, W, C) of uint8; or a data set of images and labels as torchvision
                has them; or a folder or file as `uninas-evo train --data` takes it.
            y: labels (N,) of an array, numbers or texts; None for a data set or a folder, which have their own.

        Raises:
            DataError: the data is wrong, or `y` is missing or given where there are labels.
            TrainingError: there is too little time or memory, or the folder holds another task.
        """
        from uninas_evo.training.formats import load

        if self.out is None:
            self._kept = tempfile.TemporaryDirectory(prefix="uninas-evo-")
        folder = Path(self._kept.name if self.out is None else self.out)
        self.solution_: Solution = solve(
            self._data(folder, x, y),
            self.hours,
            max_params=self.max_params,
            max_flops=self.max_flops,
            out=folder / "solved",
            protocol=self._protocol(folder),
            vary=tuple(self.vary),
            baseline=self.baseline,
            seed=self.seed,
            devices=self.devices,
            quiet=self.quiet,
        )
        self.network_ = load(self.solution_.network)
        self.search_: RunRecord = read_run(folder / "solved" / "search")
        if not hasattr(self, "_labels"):
            self._labels = np.array(self.network_.preparation.classes)
        self.classes_ = self._labels
        return self

    def predict(self, x: Any) -> Any:
        """The most probable label (N,) of each image.

        Args:
            x: images as `fit` takes them, without labels or with ones that are not looked at; or an image's path, or
                a folder's, whose images are taken in the order of their paths, those of folders inside it too.

        Raises:
            UnfittedError: nothing was fitted.
            DataError: the images are wrong.
        """
        chances = self.predict_proba(x)
        return self.classes_[chances.argmax(1)]

    def predict_proba(self, x: Any) -> FloatArray:
        """The probability (N, K) of each label, in the order of `classes_`; `x` is that of `predict`.

        Raises:
            UnfittedError: nothing was fitted.
            DataError: the images are wrong.
        """
        import torch

        from uninas_evo.training.batches import Normalize
        from uninas_evo.training.folders import images_at
        from uninas_evo.training.images import ImageSet
        from uninas_evo.training.protocol import load_protocol
        from uninas_evo.training.transforms import eval_transform

        if not hasattr(self, "network_"):
            raise UnfittedError("the classifier has no network yet; call fit first")
        how = self.network_.preparation
        protocol = load_protocol(self.protocol).replace(
            mean=how.mean, std=how.std, crop_mode=how.crop_mode, crop_pct=how.crop_pct
        )
        prepare = eval_transform(protocol, how.size)
        normalize = Normalize(how.mean, how.std, torch.device("cpu"), False, how.size[0])
        images = images_at(Path(x)) if isinstance(x, str | Path) else _images(x)
        read = ImageSet(images, np.zeros(len(images), np.int64)).read
        found = [np.empty((0, len(self.classes_)))]
        with torch.inference_mode():
            for first in range(0, len(images), BATCH):
                rows = range(first, min(first + BATCH, len(images)))
                pixels = torch.from_numpy(np.stack([prepare(read(row)) for row in rows]))
                found.append(self.network_(normalize(pixels)).double().softmax(1).numpy())
        return np.concatenate(found)

    def export(self, folder: str | Path, forms: Iterable[str] = ("onnx", "torch")) -> list[Path]:
        """Writes the network in other forms; see `uninas_evo.training.formats.export`.

        Raises:
            UnfittedError: nothing was fitted.
        """
        from uninas_evo.training.formats import export

        if not hasattr(self, "network_"):
            raise UnfittedError("the classifier has no network yet; call fit first")
        return export(self.network_, folder, forms)

    def __getstate__(self) -> dict[str, Any]:
        """A folder that is gone with the estimator stays behind; the network goes along."""
        state: dict[str, Any] = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_kept"}

    def _data(self, folder: Path, x: Any, y: Any) -> Path:
        """Where `solve` finds the data: arrays and data sets are written into the folder."""
        self.__dict__.pop("_labels", None)
        if isinstance(x, str | Path):
            if y is not None:
                raise DataError("a folder has labels of its own, and y is given, too; leave it out")
            return Path(x)
        if y is None:
            y = [x[index][1] for index in range(len(x))] if not isinstance(x, np.ndarray) else None
        images = _images(x)
        labels = np.asarray(y)
        if y is None or labels.shape != (len(images),):
            raise DataError(f"y must have a label for each of the {len(images)} images, got {labels.shape}; give (N,)")
        self._labels, numbers = np.unique(labels, return_inverse=True)
        test = _held_out(numbers)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "data.npz"
        parts = {"x_train": images[~test], "y_train": numbers[~test], "x_test": images[test], "y_test": numbers[test]}
        np.savez(path, **parts)
        return path

    def _protocol(self, folder: Path) -> str:
        """The protocol with the estimator's patience: a file in the folder where it has one."""
        if not self.patience:
            return str(self.protocol)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "patient.toml"
        path.write_text(to_toml({"base": str(self.protocol), "patience": int(self.patience)}), encoding="utf-8")
        return str(path)


def _images(x: Any) -> Any:
    """Pixels (N, H, W) or (N, H, W, C) of an array, or of a data set of pairs or of images alone.

    Raises:
        DataError: they are of several sizes, or no bytes.
    """
    if not isinstance(x, np.ndarray):
        items = (x[index] for index in range(len(x)))
        pixels = [np.asarray(one[0] if isinstance(one, tuple | list) else one) for one in items]
        if len({one.shape for one in pixels}) > 1:
            raise DataError("the images of a data set must be of one size; resize them, or give a folder of images")
        x = np.array(pixels)
    if x.dtype != np.uint8 or x.ndim not in (3, 4):
        raise DataError(
            f"images are an array (N, H, W) or (N, H, W, C) of uint8, got shape {x.shape} of {x.dtype}; convert them, "
            "such as by (255 * x).astype('uint8')"
        )
    return x


def _held_out(numbers: Any) -> Any:
    """Which images (N,) are the test part: the last ones of each class, in the order of the data, at least one."""
    test = np.zeros(len(numbers), bool)
    for number in np.unique(numbers):
        own = np.flatnonzero(numbers == number)
        test[own[-max(1, round(TEST_SHARE * len(own))) :]] = True
    return test
