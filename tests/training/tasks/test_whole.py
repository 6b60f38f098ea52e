"""Tags and numbers of images: what is read, what is refused, and that trained networks tell them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import uninas_evo
from uninas_evo.errors import DataError, TrainingError
from uninas_evo.scoring.training import fold_of
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.training.genomes import train_genome
from uninas_evo.training.images import ImageSet, Splits, from_datasets
from uninas_evo.training.protocol import Protocol, protocol_for
from uninas_evo.training.readers import read_splits
from uninas_evo.training.scores import mean_average_precision, tag_auc, tag_f1
from uninas_evo.training.tasks import task_class

CHANNELS = ("red", "green", "blue")


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Noise with a bright channel for each tag."""
    return np.random.default_rng(0).integers(0, 60, (300, 16, 16, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def tags(images: np.ndarray) -> np.ndarray:
    """What was added to which image."""
    found = np.random.default_rng(1).integers(0, 2, (300, 3))
    images += (120 * found[:, None, None]).astype(np.uint8)
    return found


def write(path: Path, images: np.ndarray, labels: np.ndarray) -> str:
    np.savez(path, x_train=images[:240], y_train=labels[:240], x_test=images[240:], y_test=labels[240:])
    return str(path)


def protocol(task: str) -> Protocol:
    return protocol_for(task, None).replace(epochs=5, batch_size=20)


def test_tags_are_learnt(tmp_path: Path, images: np.ndarray, tags: np.ndarray) -> None:
    """Each tag by itself, several of one image; the loaded network's logits say which hold."""
    data = task_class("multilabel").read(write(tmp_path / "a.npz", images, tags), protocol("multilabel"))
    genome = preset("resnet", Skeleton(16, 3, (8, 8), (16,), (1,)))
    for weights in ("equal", "balanced"):
        told = protocol("multilabel").replace(class_weights=weights)
        result = train_genome(genome, data, told, tmp_path / weights)
        assert result.metric == "map"
        assert result.value > 0.95
        assert result.tested.keys() == {"map", "f1", "auc"}


def test_numbers_are_learnt_in_their_own_unit(tmp_path: Path, images: np.ndarray, tags: np.ndarray) -> None:
    """Of very different scales; a loaded network gives them as the data has them, and resuming changes nothing."""
    numbers = np.stack([images[..., 0].mean((1, 2)) * 100 + 5000, images[..., 1].mean((1, 2)) / 1e4], axis=1)
    data = task_class("regression").read(write(tmp_path / "a.npz", images, numbers), protocol("regression"))
    genome = preset("resnet", Skeleton(16, 2, (8, 8), (16,), (1,)))
    result = train_genome(genome, data, protocol("regression"), tmp_path / "out")
    assert result.tested["r2"] > 0.8  # type: ignore[operator]
    for _ in range(2):
        network = uninas_evo.load(tmp_path / "out")
        prepared = network.preparation
        pixels = torch.from_numpy(images[240:]).permute(0, 3, 1, 2) / 255
        mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (prepared.mean, prepared.std))
        found = network((pixels - mean) / std).detach().numpy()
        explained = 1 - np.square(found - numbers[240:]).mean(0) / numbers[240:].var(0)
        assert explained.mean() == pytest.approx(result.tested["r2"], abs=1e-3)
        assert np.abs(found - numbers[240:]).mean(0)[0] == pytest.approx(result.tested["mae_0"], rel=1e-3)
        train_genome(genome, data, protocol("regression"), tmp_path / "out")


def test_numbers_are_tuned_further(tmp_path: Path, images: np.ndarray, tags: np.ndarray) -> None:
    """From weights whose outputs are in another unit: the last layer begins anew, so that the loss does near 1."""
    genome = preset("resnet", Skeleton(16, 1, (8, 8), (16,), (1,)))
    numbers = images[..., :1].mean((1, 2)) * 100 + 5000
    data = task_class("regression").read(write(tmp_path / "a.npz", images, numbers), protocol("regression"))
    train_genome(genome, data, protocol("regression"), tmp_path / "first")
    tuned = protocol("regression").replace(start_from=str(tmp_path / "first"), epochs=3)
    result = train_genome(genome, data, tuned, tmp_path / "tuned")
    first = json.loads((tmp_path / "tuned" / "metrics.jsonl").read_text().splitlines()[0])
    assert first["loss"] < 5
    assert result.value > 0.8


def test_folds_of_numbers_are_of_one_size() -> None:
    """Rows of tags and numbers have no classes: each fold is a draw of all images."""
    fold = fold_of(np.random.default_rng(0).random((30, 2)).astype(np.float32), 3)
    assert np.bincount(fold).tolist() == [10, 10, 10]


def test_scores_of_tags() -> None:
    """Perfect logits score 1, turned ones less; a tag that nothing has is left out or has no curve."""
    tags = np.array([[1, 0], [0, 0], [1, 1], [0, 1]], np.float32)
    logits = np.where(tags > 0, 2.0, -2.0)
    assert mean_average_precision(logits, tags) == tag_f1(logits, tags) == tag_auc(logits, tags) == 1
    assert mean_average_precision(-logits, tags) < 0.6  # type: ignore[operator]
    none = tags * [1, 0]
    assert mean_average_precision(logits, none.astype(np.float32)) == 1
    assert tag_auc(logits, none.astype(np.float32)) is None
    assert mean_average_precision(logits, 0 * tags) is None


@pytest.fixture
def folder(tmp_path: Path, images: np.ndarray, tags: np.ndarray) -> Path:
    """Ten images, without their label file."""
    for number in range(10):
        Image.fromarray(images[number]).save(tmp_path / f"{number}.png")
    return tmp_path


def rows(tags: np.ndarray) -> list[str]:
    return [";".join(name for name, on in zip(CHANNELS, row, strict=True) if on) for row in tags[:10]]


def test_tags_in_a_label_file(folder: Path, tags: np.ndarray) -> None:
    """As words between semicolons or bars, none for none; or a column of 0 and 1 each. Both are the same."""
    parts = ["train"] * 6 + ["test"] * 4
    lines = [f"{i}.png,{row},{part}\n" for i, (row, part) in enumerate(zip(rows(tags), parts, strict=True))]
    (folder / "labels.csv").write_text("file,tags,part\n" + "".join(lines).replace(";", " | "))
    words = read_splits(folder, 0.2, "tags")
    assert words.classes == tuple(sorted(CHANNELS))
    columns = [f"{i}.png,{part},{','.join(map(str, tags[i]))}\n" for i, part in enumerate(parts)]
    (folder / "labels.csv").write_text(f"file,part,{','.join(CHANNELS)}\n" + "".join(columns))
    apart = read_splits(folder, 0.2, "tags")
    order = [apart.classes.index(name) for name in words.classes]
    assert np.array_equal(apart.test.labels[:, order], words.test.labels)
    assert np.array_equal(apart.test.labels, tags[6:10])


def test_numbers_in_a_label_file(folder: Path) -> None:
    """One column of a label's name, or all others."""
    (folder / "labels.csv").write_text("file,target\n" + "".join(f"{i}.png,{i / 4}\n" for i in range(10)))
    assert read_splits(folder, 0.2, "numbers").classes == ("target",)
    (folder / "labels.csv").write_text("file,a,b\n" + "".join(f"{i}.png,{i},-{i}e3\n" for i in range(10)))
    found = read_splits(folder, 0.2, "numbers")
    assert found.classes == ("a", "b")
    assert np.array_equal(found.train.labels[:, 1], -1000 * found.train.labels[:, 0])
    (folder / "labels.csv").write_text("file,target\n0.png,inf\n1.png,2\n")
    with pytest.raises(DataError, match=r"line 2 of .*labels.csv has inf in the column target: it must be a number"):
        read_splits(folder, 0.2, "numbers")


def test_data_sets_of_rows(images: np.ndarray, tags: np.ndarray) -> None:
    """Items of a data set may have rows of tags or numbers."""
    pairs = [(image, row) for image, row in zip(images[:20], tags[:20], strict=True)]
    found = from_datasets(pairs, pairs, kind="tags", classes=CHANNELS)
    assert np.array_equal(found.test.labels, tags[:20])
    assert len(found.train) + len(found.val) == 20


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("tags", [[0, 2], [1, 0]], "a tag is 0 or 1"),
        ("tags", [0, 1], r"must be a row of tags an image, shape \(2, K\), got \(2,\)"),
        ("numbers", [[0.5], [np.nan]], "numbers must be finite"),
        ("numbers", [[0.5]], r"must be a row of numbers an image, shape \(2, K\), got \(1, 1\)"),
    ],
)
def test_labels_that_are_none(tmp_path: Path, kind: str, labels: list[object], message: str) -> None:
    """Each is told with its rule."""
    np.savez(
        tmp_path / "a.npz", x_train=np.zeros((2, 8, 8), np.uint8), y_train=np.asarray(labels),
        x_test=np.zeros((2, 8, 8), np.uint8), y_test=np.asarray(labels),
    )  # fmt: skip
    with pytest.raises(DataError, match=message):
        read_splits(tmp_path / "a.npz", 0.2, kind)  # type: ignore[arg-type]


def test_what_cannot_be_learnt_is_told_before_the_first_epoch(tmp_path: Path, images: np.ndarray) -> None:
    """A tag without difference, another number of outputs, folders of classes, settings of classification."""
    ones = np.ones((300, 2))
    alike = task_class("multilabel").read(write(tmp_path / "a.npz", images, ones), protocol("multilabel"))
    genome = preset("resnet", Skeleton(16, 2, (8, 8), (16,), (1,)))
    with pytest.raises(DataError, match="these tags are the same in all training images: 0, 1"):
        train_genome(genome, alike, protocol("multilabel"), tmp_path / "out")
    three = replace(alike, classes=("a", "b", "c"))
    with pytest.raises(DataError, match="the data has 3 tags and the network 2 outputs"):
        train_genome(genome, three, protocol("multilabel"), tmp_path / "out")
    with pytest.raises(DataError, match=r"there are no numbers at .*folders and IDX files tell classes alone"):
        read_splits(tmp_path, 0.2, "numbers")
    for change in ({"mixup": 0.1}, {"label_smoothing": 0.1}, {"teacher": "x"}):
        with pytest.raises(TrainingError, match="for classification, got the t"):
            protocol("multilabel").replace(**change)
    with pytest.raises(TrainingError, match="regression has none"):
        protocol("regression").replace(class_weights="balanced")
    empty = ImageSet(images[:0], ones[:0])
    with pytest.raises(DataError, match="the test part has no images"):
        train_genome(
            genome, Splits(alike.train, alike.val, empty, ("a", "b")), protocol("multilabel"), tmp_path / "out"
        )
