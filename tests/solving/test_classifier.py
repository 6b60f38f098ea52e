"""The estimator: scikit-learn's manners, and that it gives `solve` the data and predicts with what that leaves."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

from uninas_evo import ImageClassifier, search
from uninas_evo.errors import DataError
from uninas_evo.solving import Solution, classifier
from uninas_evo.spaces.uninas import Skeleton, preset
from uninas_evo.training import load_protocol, read_splits
from uninas_evo.training.genomes import train_genome

NAMES = np.array(["ankle", "boot", "coat"])


def images(count: int = 60) -> tuple[Any, Any]:
    """Noise, brighter in the rows of the class."""
    rng, labels = np.random.default_rng(0), np.arange(count) % 3
    pixels = rng.integers(0, 120, (count, 16, 16), dtype=np.uint8)
    for number, label in enumerate(labels):
        pixels[number, 5 * label : 5 * label + 5] += 120
    return pixels, NAMES[labels]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What `solve` was called with; in its place a small network is trained for some epochs."""
    made: list[dict[str, Any]] = []

    def quick(data: Path, hours: float, **options: Any) -> Solution:
        made.append({"data": data, "hours": hours, **options})
        splits, out = read_splits(data, 0.2), Path(options["out"])
        skeleton = Skeleton(image_size=16, classes=len(splits.classes), stem=(8, 8), channels=(16,), depths=(1,))
        genome = preset("resnet", skeleton)
        settings = load_protocol(options["protocol"]).replace(epochs=6, batch_size=8)
        train_genome(genome, splits, settings, out / "trained", seed=options["seed"])
        search(
            {"start": genome.text, "objective": "params"}, "random", evaluations=2, out=out / "search", quiet=True,
            pool={"devices": "in-process"}, after={"rescore": 0, "plot": False},
        )  # fmt: skip
        facts = dict.fromkeys(Solution.__dataclass_fields__, 0.0) | {"network": str(out / "trained")}
        return Solution(**facts)  # type: ignore[arg-type]

    monkeypatch.setattr(classifier, "solve", quick)
    return made


def test_parameters_are_those_of_scikit_learn() -> None:
    """`get_params` gives what was given, `set_params` changes it, `clone` is unfitted and equal, unknown ones raise."""
    mine = ImageClassifier(hours=0.5, max_params=1e5, patience=3)
    assert mine.get_params()["patience"] == 3
    assert mine.set_params(hours=2.0).hours == 2.0
    assert clone(mine).get_params() == mine.get_params()
    with pytest.raises(ValueError, match="Invalid parameter"):
        mine.set_params(epochs=1)
    with pytest.raises(NotFittedError, match="call fit first"):
        mine.predict(images()[0])
    assert "hours=2.0" in repr(mine)


@pytest.mark.parametrize(
    "check",
    [
        estimator_checks.check_do_not_raise_errors_in_init_or_set_params,
        estimator_checks.check_estimator_cloneable,
        estimator_checks.check_estimator_repr,
        estimator_checks.check_get_params_invariance,
        estimator_checks.check_mixin_order,
        estimator_checks.check_no_attributes_set_in_init,
        estimator_checks.check_parameters_default_constructible,
        estimator_checks.check_set_params,
    ],
    ids=lambda check: check.__name__,
)
def test_the_checks_of_scikit_learn(check: Any) -> None:
    """Those of parameters and copies, which need no fit: others fit tables of floats, and these are images."""
    check("ImageClassifier", ImageClassifier())


def test_fitted_on_arrays(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    """Labels of any kind come back, probabilities sum to 1, and everything is passed on; what was fitted pickles."""
    x, y = images()
    mine = ImageClassifier(hours=0.5, max_params=5e4, patience=2, seed=1, out=tmp_path).fit(x, y)
    (call,) = calls
    assert (call["hours"], call["max_params"], call["seed"]) == (0.5, 5e4, 1)
    assert load_protocol(call["protocol"]).patience == 2
    with np.load(call["data"]) as data:
        assert (len(data["x_train"]), len(data["x_test"])) == (54, 6)
        assert np.bincount(data["y_test"]).tolist() == [2, 2, 2]
    assert mine.classes_.tolist() == NAMES.tolist()
    chances = mine.predict_proba(x)
    assert chances.shape == (60, 3)
    assert np.allclose(chances.sum(1), 1)
    assert mine.score(x, y) > 0.8
    assert mine.predict(x[:0]).shape == (0,)
    assert len(mine.search_.genomes) == 2
    assert len(repr(mine.search_)) < 100
    again = pickle.loads(pickle.dumps(mine))  # noqa: S301 - our own
    assert np.array_equal(again.predict_proba(x), chances)
    (exported,) = mine.export(tmp_path / "exported", ["torch"])
    assert exported.is_file()


def test_fitted_on_a_data_set_and_a_folder(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    """A data set has its own labels, and a folder too, whose names are the classes."""
    x, y = images()
    mine = ImageClassifier().fit([(image, label) for image, label in zip(x, y, strict=True)])
    assert set(mine.predict([(image, 0) for image in x[:9]])) <= set(NAMES)
    again = pickle.loads(pickle.dumps(mine))  # noqa: S301 - our own
    assert again.predict(x).tolist() == mine.predict(x).tolist()
    kept = Path(calls[0]["data"])
    assert mine.set_params(out=tmp_path).fit(str(kept)).classes_.tolist() == ["0", "1", "2"]
    assert calls[1]["data"] == kept


def test_images_in_a_folder(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    """A folder's images are predicted in the order of their paths, as the same pixels are in an array; so is one."""
    x, y = images()
    mine = ImageClassifier(out=tmp_path / "out").fit(x, y)
    for number, pixels in enumerate(x[:9]):
        path = tmp_path / "photos" / f"{number // 3}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    (tmp_path / "photos" / "notes.txt").write_text("no image")
    assert np.array_equal(mine.predict_proba(tmp_path / "photos"), mine.predict_proba(x[:9]))
    assert mine.predict(str(path)).tolist() == mine.predict(x[8:9]).tolist()
    for nothing in (tmp_path / "out" / "nowhere", tmp_path / "photos" / "notes.txt"):
        with pytest.raises(DataError, match=nothing.name):
            mine.predict(nothing)


def test_a_protocol_of_ones_own_has_patience(calls: list[dict[str, Any]], tmp_path: Path) -> None:
    """Whatever its path is called."""
    own = tmp_path / 'my "own" \\ way.toml'
    own.write_text('base = "small"\nepochs = 9\n')
    ImageClassifier(protocol=own, patience=2, out=tmp_path).fit(*images())
    found = load_protocol(calls[0]["protocol"])
    assert (found.epochs, found.patience) == (9, 2)


def test_cross_validation_and_pipelines(calls: list[dict[str, Any]]) -> None:
    """Each fold is fitted anew, behind other steps too."""
    x, y = images()
    steps = make_pipeline(FunctionTransformer(np.fliplr), ImageClassifier())
    scores = cross_val_score(steps, x, y, cv=2)
    assert len(calls) == 2
    assert scores.min() > 1 / 3


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        (np.zeros((4, 8, 8)), [0, 1, 0, 1], "of uint8, got shape"),
        (np.zeros((4, 64), np.uint8), [0, 1, 0, 1], "of uint8, got shape"),
        (np.zeros((4, 8, 8), np.uint8), [0, 1], "a label for each of the 4 images"),
        (np.zeros((4, 8, 8), np.uint8), None, "a label for each of the 4 images"),
        ("folder", [0, 1], "labels of its own"),
        ([(np.zeros((8, 8), np.uint8), 0), (np.zeros((9, 8), np.uint8), 1)], None, "of one size"),
    ],
)
def test_wrong_data_is_told(x: Any, y: Any, told: str) -> None:
    """Before anything is searched."""
    with pytest.raises(DataError, match=told):
        ImageClassifier().fit(x, y)
