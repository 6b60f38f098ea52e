"""Settings of the training as decisions: which there are, that they are used, and run files that name them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_network import build

from uninas_evo import Real, SearchProblem, Whole, choices, search
from uninas_evo.config.runfile import load_run_file
from uninas_evo.errors import ObjectiveError, RunFileError, SpaceError
from uninas_evo.problems.settings import DECIDABLE, check_training
from uninas_evo.scoring.training import TrainScorer
from uninas_evo.spaces.joint import FixedSpace, Joint
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.training.genomes import train_in_space
from uninas_evo.training.protocol import Protocol, load_protocol
from uninas_evo.training.readers import read_splits

NETWORK = preset("resnet", Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(16,), depths=(1,)))
TABLE = {"lr": Real(1e-4, 1e-1, log=True), "optimizer": ["adamw", "sgd"], "batch_size": [16, 32]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 90 images of three classes, told apart by a bright band."""
    rng, labels = np.random.default_rng(0), np.arange(90) % 3
    images = rng.integers(0, 120, (90, 16, 16), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 5 * label : 5 * label + 5] += 120
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, x_train=images, y_train=labels, x_test=images[:6], y_test=labels[:6])
    return str(path)


def problem(data: str, **more: Any) -> SearchProblem:
    settings = {"train": {"data": data, "epochs": 1, **more}}
    return SearchProblem(FixedSpace(UninasSpace(NETWORK), NETWORK), ["train"], proxies=settings, training=TABLE)


def protocols(scorer: Any, monkeypatch: pytest.MonkeyPatch) -> list[Protocol]:
    """The protocols of all trainings from now on."""
    from uninas_evo.training import fit

    seen: list[Protocol] = []
    whole = fit.Fit.__init__

    def watched(self: Any, network: Any, splits: Any, protocol: Protocol, *more: Any, **named: Any) -> None:
        seen.append(protocol)
        whole(self, network, splits, protocol, *more, **named)

    monkeypatch.setattr(fit.Fit, "__init__", watched)
    return seen


def test_a_candidate_is_trained_by_its_own_settings(data: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The settings replace the protocol's and leave the rest, in the search and when the winner is trained."""
    mine = problem(data)
    seen = protocols(mine.scorers[-1], monkeypatch)
    genome = mine.space.compose(lambda decision: decision.options[-1])
    assert 0 <= mine.evaluate(genome, "cpu")["train"] <= 1
    (used,) = seen
    assert (used.lr, used.optimizer, used.batch_size, used.epochs) == (0.1, "sgd", 32, 1)
    small = load_protocol("small").replace(epochs=1)
    assert used.replace(lr=small.lr, optimizer=small.optimizer, batch_size=small.batch_size) == small
    train_in_space(mine.space, genome, read_splits(data, 0.3), small, tmp_path / "winner")
    assert seen[-1].lr == 0.1


def test_walks_begin_at_the_protocol(data: str) -> None:
    """The start has the protocol's values where they can be chosen."""
    start = problem(data).space.start
    small = load_protocol("small")
    assert start.training["optimizer"] == small.optimizer
    assert start.training["lr"] == pytest.approx(small.lr, rel=1e-3)
    assert start.training["batch_size"] == 32


def test_candidates_that_differ_in_augmentation_share_no_batches(data: str) -> None:
    """A value does not depend on what was trained before, whatever the settings change about images."""
    space = FixedSpace(UninasSpace(NETWORK), NETWORK)
    table = {"hflip": [0.0, 1.0], "augment": Whole(0, 9)}
    settings = {"train": {"data": data, "epochs": 1}}
    genomes = [{"hflip": h, "augment": a} for h, a in ((0.0, 0), (1.0, 0), (0.0, 9))]

    def values(order: list[int]) -> dict[int, float]:
        one = SearchProblem(space, ["early_loss"], proxies={"early_loss": settings["train"]}, training=table)
        joint = [Joint(NETWORK, one.space.settings.started(each)) for each in genomes]  # type: ignore[attr-defined]
        return {index: one.evaluate(joint[index], "cpu")["early_loss"] for index in order}

    assert values([0, 1, 2]) == values([2, 1, 0])
    assert len(set(values([0, 1, 2]).values())) == 3


@pytest.mark.parametrize("strategy", ["evolution", "bayesian", "ppo", "aging"])
def test_strategies_search_settings_beside_choices(data: str, strategy: str) -> None:
    """Numbers of settings are searched over their whole range, with the architecture."""
    space = choices(
        {"kind": ["plain"], "bias": [False, True], "width": [8, 16], "drop": [0.0]},
        build,
        image=(3, 16, 16),
        classes=10,
    )

    def rate(genome: Joint, device: str) -> float:
        return -abs(genome.training["lr"] - 0.01) + genome.network["width"]

    mine = SearchProblem(space, [rate], training=TABLE)
    found = search(mine, strategy, evaluations=20, pool={"devices": "in-process"}, after={"rescore": 0}, quiet=True)
    assert found.best.genome.network["width"] == 16
    rates = {one.genome.training["lr"] for one in found.evaluations}
    assert len(rates) > 5 or strategy == "ppo"


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"epochs": [1, 2]}, "may decide"),
        ({"optimiser": ["sgd"]}, "did you mean 'optimizer'"),
        ({"optimizer": ["sgd", "adam"]}, "'optimizer' of a training should be 'adamw' or 'sgd', got 'adam'"),
        ({"lr": Real(0.0, 1.0)}, "'lr' of a training should be greater than 0, got 0.0"),
        ({"batch_size": Real(16, 64)}, "whole numbers"),
        ({"augment": Whole(0, 30)}, "less than or equal to 9, got 30"),
    ],
)
def test_wrong_settings_are_told(table: Any, told: str) -> None:
    """Names, values and ranges are the protocol's."""
    with pytest.raises(SpaceError, match=told):
        check_training(table)


def test_decidable_settings_are_the_protocols() -> None:
    """Each is a setting of one value."""
    assert set(DECIDABLE) < Protocol.model_fields.keys()


def test_an_objective_must_look_at_the_settings() -> None:
    """A training-free score would be the same for all of them."""
    with pytest.raises(ObjectiveError, match="no objective trains"):
        SearchProblem(FixedSpace(UninasSpace(NETWORK), NETWORK), ["synflow"], training=TABLE)


def test_run_files(data: str, tmp_path: Path) -> None:
    """The network is taken in as text; mistakes name their field."""
    (tmp_path / "net.txt").write_text(NETWORK.text)
    lines = [
        "evaluations = 2", "[problem]", 'name = "training"', 'network = "net.txt"',
        "[problem.training]", "lr = {low = 1e-4, high = 1e-1, log = true}",
        "[problem.proxies.train]", f'data = "{data}"',
    ]  # fmt: skip
    (tmp_path / "run.toml").write_text("\n".join(lines))
    run = load_run_file(tmp_path / "run.toml")
    made: Any = run.problem()
    assert made.space.start.network == NETWORK
    assert isinstance(made.scorers[-1], TrainScorer)
    assert run.resolved()["problem"]["network"] == NETWORK.text
    for wrong, told in (("lr = 3", "problem.training"), ("epochs = [1]", "may decide"), ("", "nothing is decided")):
        (tmp_path / "run.toml").write_text("\n".join([*lines[:5], wrong, *lines[6:]]))
        with pytest.raises(RunFileError, match=told):
            load_run_file(tmp_path / "run.toml")
