"""The objective "train": a function of genome and seed alone, whatever was trained before and wherever."""

from __future__ import annotations

import pickle
import random
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from uninas_evo.engine import Journal, Loop, PoolOptions, canonical, open_pool
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.scoring.training import NO_LIMIT, TrainFitness
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.strategies.aging import AgingEvolution

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32,), depths=(1,))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 120, (90, 16, 16), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 5 * label : 5 * label + 5] += 120
    broken = np.zeros((3, 16, 16), np.uint8)
    np.savez(folder / "data.npz", x_train=images, y_train=labels, x_test=broken, y_test=np.arange(3))
    (folder / "p.toml").write_text('base = "small"\nbatch_size = 16\nval_fraction = 0.33\n')
    return {"data": str(folder / "data.npz"), "protocol": str(folder / "p.toml"), "epochs": 3}


@pytest.fixture
def start() -> Genome:
    return preset("resnet", SKELETON)


def neighbors(start: Genome, count: int) -> list[Genome]:
    space, rng = UninasSpace(start), random.Random(0)
    found = [start]
    while len(found) < count:
        found.append(space.mutate(found[-1], rng) or start)
    return found


def test_values_do_not_depend_on_what_came_before(start: Genome, settings: dict[str, object]) -> None:
    """Two workers that train in opposite orders give the same values, pruned or not."""
    genomes = neighbors(start, 3)
    for peers in (0, 2):
        one = TrainFitness(start, peers=peers, **settings)  # type: ignore[arg-type]
        two = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own object, as the pool sends it
        forward = [one(g) for g in genomes]
        assert [two(g) for g in reversed(genomes)] == forward[::-1]
        assert all(0 <= v["train"] <= 1 for v in forward)
        assert all(v["train_epochs"] == 3 for v in forward) or peers


def test_a_candidate_below_its_peers_is_pruned(
    start: Genome, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops at the first epoch below the median of the peers, never at the last, and keeps its accuracy."""
    fitness = TrainFitness(start, peers=1, **settings)  # type: ignore[arg-type]

    def trained(bar: list[float]) -> list[float]:
        return fitness._train(start, 0, "cpu", bar, NO_LIMIT).accuracies

    whole = trained([])
    assert len(whole) == 3
    assert trained([0.0, 1.1]) == whole[:2]
    assert trained([1.1, 0.0]) == whole[:1]
    curves = iter([[0.2, 0.5, 0.6], [0.4, 0.3, 0.2], [0.3]])
    trio = TrainFitness(start, peers=3, **settings)  # type: ignore[arg-type]
    monkeypatch.setattr(trio, "_train", lambda *_: SimpleNamespace(accuracies=next(curves)))
    assert trio._bar(0, "cpu") == [0.3, 0.3]


FIDELITIES = ({"epochs": 1, "images": 32}, {"epochs": 2, "images": 48})


def test_fidelities_are_schedules_of_their_own(start: Genome, settings: dict[str, object]) -> None:
    """Each has its epochs, images and seed; the last is the full one; few images are the first of the many."""
    fitness = TrainFitness(start, fidelities=FIDELITIES, **settings)  # type: ignore[arg-type]
    cheap, full = fitness(start, fidelity=0), fitness(start)
    assert (cheap["train_epochs"], full["train_epochs"]) == (1, 2)
    assert fitness(start, fidelity=1) == full
    assert len({one.seed for one in fitness.schedules}) == 2
    few, many = fitness._splits[32].train.images, fitness._splits[48].train.images
    assert {image.tobytes() for image in few} <= {image.tobytes() for image in many}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([{"images": 32}], "fidelities need epochs"),
        ([{"epochs": 2, "images": 32}, {"epochs": 1, "images": 32}], "begin with the cheapest"),
        ([{"epochs": 1, "steps": 3}], "a fidelity of training is {epochs, images}"),
        ([{"epochs": 0.5}], "whole numbers from 1 up"),
    ],
)
def test_wrong_fidelities_are_told(start: Genome, settings: dict[str, object], wrong: list, told: str) -> None:
    """A fidelity without epochs, out of order, with an unknown field, or that is no whole number is refused."""
    with pytest.raises(ObjectiveError, match=re.escape(told)):
        TrainFitness(start, fidelities=wrong, **settings)  # type: ignore[arg-type]


def test_shared_batches_change_no_number(start: Genome, settings: dict[str, object]) -> None:
    """Values are the same bit for bit with the cache, without it, and with one that holds a single epoch."""
    genomes = neighbors(start, 3)
    rows = []
    for cache_mb in (0, 100, 0.07):
        fitness = TrainFitness(start, cache_mb=cache_mb, **settings)  # type: ignore[arg-type]
        rows.append([fitness(genome) for genome in [*genomes, *genomes]])
        held = [cache.held_bytes for cache in fitness._caches.values()]
        assert all(0 < size <= cache_mb * 1e6 for size in held)
    assert rows[0] == rows[1] == rows[2]


def test_a_broken_child_stops_at_the_first_look(start: Genome, settings: dict[str, object]) -> None:
    """A loss more than `stop` above the start's ends the first epoch; the start itself always goes on."""
    fitness = TrainFitness(start, stop=0.01, fidelities=[{"epochs": 2}], **settings)  # type: ignore[arg-type]
    assert fitness(start)["train_epochs"] == 2
    limit = fitness._limit("cpu")
    fitness._limits["cpu"] = limit - 0.02
    stopped = fitness(start)
    assert stopped["train_epochs"] <= 1
    assert 0 <= stopped["train"] <= 1


def test_only_validation_images_are_read(start: Genome, settings: dict[str, object]) -> None:
    """The accuracy is that on the validation part; the test part is never opened."""
    fitness = TrainFitness(start, images=32, **settings)  # type: ignore[arg-type]
    splits = fitness._splits[32]
    assert splits.test is splits.val  # there is no test image that could be read
    assert len(splits.train) == 32
    assert fitness(start)["train"] * len(splits.val) == pytest.approx(round(fitness(start)["train"] * len(splits.val)))


def test_the_problem_needs_data(start: Genome) -> None:
    """The objective without data, or with a setting it does not have, is refused with the fix."""
    with pytest.raises(ObjectiveError, match=r"needs data to train on.*set problem\.proxies\.train\.data"):
        UninasProblem(UninasSpace(start), ["train"])
    with pytest.raises(ObjectiveError, match=r"problem\.proxies\.train has no setting 'lr'.*it has data, protocol"):
        UninasProblem(UninasSpace(start), ["train"], proxies={"train": {"data": "x", "lr": 1}})


@pytest.mark.slow
def test_evolution_on_true_accuracy(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """A search on "train" runs as any other, and two workers write the journal of one."""
    journals = []
    for workers in (1, 2):
        problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": settings | {"epochs": 1}})
        strategy = AgingEvolution(problem.space, problem.objectives, seed=0)
        journal = Journal(tmp_path / f"{workers}.jsonl")
        with open_pool(PoolOptions(devices=["cpu"] * workers), problem) as pool:
            Loop(problem, strategy, journal, evaluations=4).run(pool)
        journal.close()
        journals.append(canonical(journal.events))
    assert journals[0] == journals[1]
    results = [e for e in journals[0] if e["event"] == "result"]
    assert len(results) >= 4
    assert all(0 < e["values"]["train"] <= 1 for e in results)
