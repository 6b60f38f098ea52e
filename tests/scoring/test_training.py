"""The objective "train": a function of genome and seed alone, whatever was trained before and wherever."""

from __future__ import annotations

import math
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from uninas_evo import search
from uninas_evo.contracts import Ancestor, Space
from uninas_evo.engine import Journal, Loop, PoolOptions, canonical, open_pool
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import ObjectiveError
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.scoring.subject import GenomeSubject
from uninas_evo.scoring.training import Curve, TrainScorer, fold_of
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.strategies.aging import AgingEvolution
from uninas_evo.strategies.ladder import Ladder

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


def ready(space: Space[Any], **settings: object) -> TrainScorer:
    scorer = TrainScorer(**settings)  # type: ignore[arg-type]
    scorer.make_ready(space, 0, None, "cpu", lambda _: None)
    return scorer


def trained(scorer: TrainScorer, space: Space[Any], genome: Any) -> Mapping[str, float]:
    return scorer.score(GenomeSubject(genome, space), "cpu")


def test_values_do_not_depend_on_what_came_before(start: Genome, settings: dict[str, object]) -> None:
    """Two workers that train in opposite orders give the same values, pruned or not."""
    genomes, space = neighbors(start, 3), UninasSpace(start)
    for peers in (0, 2):
        one = ready(space, peers=peers, **settings)
        two = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own object, as the pool sends it
        forward = [trained(one, space, g) for g in genomes]
        assert [trained(two, space, g) for g in reversed(genomes)] == forward[::-1]
        assert all(0 <= v["train"] <= 1 for v in forward)
        assert all(v["train_epochs"] == 3 for v in forward) or peers


def test_a_candidate_below_its_peers_is_pruned(
    start: Genome, settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops at the first epoch below the median of the peers, never at the last, and keeps its accuracy."""
    space = UninasSpace(start)
    scorer, subject = ready(space, **settings), GenomeSubject(start, space)

    def reached(bar: list[float]) -> list[float]:
        return scorer._train(subject, 0, "cpu", bar, math.inf)[0].accuracies

    whole = reached([])
    assert len(whole) == 3
    assert reached([0.0, 1.1]) == whole[:2]
    assert reached([1.1, 0.0]) == whole[:1]
    curves = iter([[0.2, 0.5, 0.6], [0.4, 0.3, 0.2], [0.3]])
    monkeypatch.setattr(TrainScorer, "_train", lambda *_: (SimpleNamespace(accuracies=next(curves)), None))
    assert ready(space, peers=3, **settings).bars == [[0.3, 0.3]]


def test_peers_are_trained_before_the_workers_start(
    start: Genome, settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a run, outside every limit of a candidate; a run folder keeps the bar, and fresh seeds do not move it."""
    problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": settings | {"peers": 1}})
    trainings: list[int] = []
    whole = TrainScorer._train

    def counted(self: TrainScorer, subject: Any, *further: Any) -> Curve:
        trainings.append(subject.seed)
        return whole(self, subject, *further)

    monkeypatch.setattr(TrainScorer, "_train", counted)
    problem.make_ready(tmp_path, "cpu", lambda _: None)
    assert trainings == [0]
    problem.evaluate(start, "cpu")
    problem.with_seed(5).evaluate(start, "cpu")
    assert trainings == [0, 0, 5]
    again = UninasProblem(UninasSpace(start), ["train"], proxies={"train": settings | {"peers": 1}})
    again.make_ready(tmp_path, "cpu", lambda _: None)
    assert trainings == [0, 0, 5]
    assert again.scorers[-1].bars == problem.scorers[-1].bars  # type: ignore[attr-defined]


def test_any_space_is_trained(settings: dict[str, object], tmp_path: Path) -> None:
    """A cell of NAS-Bench-201 is trained as a genome of the UniNAS space is."""
    space = NASBench201Space()
    rng, labels = np.random.default_rng(0), np.arange(90) % 10
    images = {name: rng.integers(0, 255, (90, 32, 32), dtype=np.uint8) for name in ("x_train", "x_test")}
    np.savez(tmp_path / "data.npz", **images, y_train=labels, y_test=labels)
    one = ready(space, **(settings | {"data": str(tmp_path / "data.npz"), "epochs": 1, "images": 60}))
    assert 0 <= trained(one, space, space.start)["train"] <= 1


FIDELITIES = [{"epochs": 1, "images": 32}, {"epochs": 2, "images": 48}]


def test_fidelities_are_schedules_of_their_own(start: Genome, settings: dict[str, object]) -> None:
    """Each has its epochs, images and seed; the last is the full one; few images are the first of the many."""
    problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": settings | {"fidelities": FIDELITIES}})
    assert [one["images"] for one in problem.fidelities] == [32, 48]
    cheap, full = problem.evaluate(start, "cpu", fidelity=0), problem.evaluate(start, "cpu")
    assert (cheap["train_epochs"], full["train_epochs"]) == (1, 2)
    assert problem.evaluate(start, "cpu", fidelity=1) == full
    scorer = problem.scorers[-1]
    assert isinstance(scorer, TrainScorer)
    assert len({one.seed(0) for one in scorer.schedules}) == 2
    few, many = scorer._splits[32].train.images, scorer._splits[48].train.images
    assert {image.tobytes() for image in few} <= {image.tobytes() for image in many}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ([{"images": 32}], "Field required"),
        ([{"epochs": 2, "images": 32}, {"epochs": 1, "images": 32}], "begin with the cheapest"),
        ([{"epochs": 1, "steps": 3}], "Extra inputs are not permitted"),
        ([{"epochs": 0.5}], "valid integer"),
    ],
)
def test_wrong_fidelities_are_told(start: Genome, settings: dict[str, object], wrong: list[Any], told: str) -> None:
    """A fidelity without epochs, out of order, with an unknown field, or that is no whole number is refused."""
    with pytest.raises(ValueError, match=told):
        TrainScorer(**(settings | {"fidelities": wrong}))


def test_shared_batches_change_no_number(start: Genome, settings: dict[str, object]) -> None:
    """Values are the same bit for bit with the cache, without it, and with one that holds a single epoch."""
    genomes, space = neighbors(start, 3), UninasSpace(start)
    rows = []
    for cache_mb in (0, 100, 0.05):
        scorer = ready(space, cache_mb=cache_mb, **settings)
        rows.append([trained(scorer, space, genome) for genome in [*genomes, *genomes]])
        assert 0 <= getattr(scorer._reader, "held_bytes", 0) <= cache_mb * 1e6
        assert bool(getattr(scorer._reader, "held_bytes", 0)) == bool(cache_mb)
    assert rows[0] == rows[1] == rows[2]


def test_a_broken_child_stops_at_the_first_look(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """A loss more than `stop` above the start's ends the first epoch; the start itself always goes on."""
    space = UninasSpace(start)
    scorer = TrainScorer(**(settings | {"stop": 0.01, "fidelities": [{"epochs": 2}]}))
    scorer.make_ready(space, 0, tmp_path, "cpu", lambda _: None)
    assert trained(scorer, space, start)["train_epochs"] == 2
    again = TrainScorer(**(settings | {"stop": 0.01, "fidelities": [{"epochs": 2}]}))
    again._train = None  # type: ignore[assignment]  # what the folder keeps is not measured again
    again.make_ready(space, 0, tmp_path, "cpu", lambda _: None)
    assert again.limit == scorer.limit
    scorer.limit = (scorer.limit or 0) - 0.02
    stopped = trained(scorer, space, start)
    assert stopped["train_epochs"] <= 1
    assert 0 <= stopped["train"] <= 1


def test_only_validation_images_are_read(start: Genome, settings: dict[str, object]) -> None:
    """The accuracy is that on the validation part; the test part is never opened."""
    space = UninasSpace(start)
    scorer = ready(space, images=32, **settings)
    splits = scorer._splits[32]
    assert len(splits.train) == 32
    assert splits.test is splits.val
    accuracy = trained(scorer, space, start)["train"]
    assert accuracy * len(splits.val) == pytest.approx(round(accuracy * len(splits.val)))


def test_the_problem_needs_data(start: Genome) -> None:
    """The objective without data, or with a setting it does not have, is refused with the fix."""
    with pytest.raises(ObjectiveError, match=r"needs data to train on.*set problem\.proxies\.train\.data"):
        UninasProblem(UninasSpace(start), ["train"])
    with pytest.raises(
        ObjectiveError, match=r"problem\.proxies\.train has no setting 'lr'.*it has data, task, protocol"
    ):
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


def test_early_loss_is_the_mean_of_the_first_steps(start: Genome, settings: dict[str, object]) -> None:
    """It is what a training tells at its first look, and the training ends there; less is better."""
    from uninas_evo.scoring.early import EarlyLossScorer

    space, told = UninasSpace(start), []
    whole = ready(space, **settings)
    look = Curve.look
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Curve, "look", lambda self, line: (told.append(dict(line)), look(self, line))[1])
        trained(whole, space, start)
        first = told[0]
        told.clear()
        early = EarlyLossScorer(**settings)
        assert trained(early, space, start) == {"early_loss": first["loss"]}
    assert len(told) == 1
    assert early.objectives[0].goal == "minimize"


def test_images_of_several_sizes_share_one_bounded_cache(settings: dict[str, object]) -> None:
    """Where the search changes the image, each candidate is trained at its own size, and values stay their own."""
    start = preset("resnet", Skeleton(16, 3, (8, 8), (16,), (1,)))
    space = UninasSpace(start, vary=("image",))
    genomes = [start, *(space.variations()["skeleton"](start, random.Random(seed)) for seed in range(3))]
    assert len({genome.skeleton.image for genome in genomes}) > 1
    shared, alone = ready(space, cache_mb=0.2, **settings), ready(space, cache_mb=0, **settings)
    for genome in [*genomes, *genomes]:
        assert trained(shared, space, genome) == trained(alone, space, genome)
    assert 0 < getattr(shared._reader, "held_bytes", 0) <= 0.2e6


def test_a_folder_called_as_a_protocol_is_no_source(
    settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The data is part of the run's identity, and a protocol's own file; a folder of its name is none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small").mkdir()
    scorer = TrainScorer(**settings | {"protocol": "small"})
    assert scorer.sources == (Path(str(settings["data"])),)


def test_a_teacher_is_a_source(settings: dict[str, object], tmp_path: Path) -> None:
    """A search under a teacher is only resumed while the teacher's folder stays what it was."""
    (tmp_path / "teacher").mkdir()
    (tmp_path / "taught.toml").write_text(f'base = "small"\nteacher = "{tmp_path / "teacher"}"\n')
    scorer = TrainScorer(**settings | {"protocol": str(tmp_path / "taught.toml")})
    assert scorer.sources[:2] == (tmp_path / "taught.toml", tmp_path / "teacher")


def family(start: Genome) -> tuple[UninasSpace, list[GenomeSubject]]:
    """A start at the cheap fidelity, its child, and a grandchild, each starting from the weights before."""
    space = UninasSpace(start)
    genomes = neighbors(start, 3)
    lineage = [Ancestor(genome, 0) for genome in genomes]
    return space, [GenomeSubject(one, space, 0, 0, tuple(lineage[:i])) for i, one in enumerate(genomes)]


def test_inherited_weights_are_a_cache(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """Values are the same with weights kept, lost in between, damaged, and in a worker that knows no ancestor."""
    space, subjects = family(start)
    settings = settings | {"fidelities": [{"epochs": 1}, {"epochs": 2}]}
    scorer = TrainScorer(**settings)
    scorer.make_ready(space, 0, tmp_path, "cpu", lambda _: None)
    values = [scorer.score(one, "cpu") for one in subjects]
    assert values[1] != scorer.score(GenomeSubject(subjects[1].genome, space, 0, 0), "cpu")
    files = list((tmp_path / "weights").iterdir())
    assert len(files) >= 3
    for damage in (lambda path: path.unlink(), lambda path: path.write_bytes(b"x")):
        for file in (tmp_path / "weights").iterdir():
            damage(file)
        assert scorer.score(subjects[2], "cpu") == values[2]
    assert ready(space, **settings, weights_mb=0).score(subjects[2], "cpu") == values[2]


def test_kept_weights_are_bounded(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """The longest unused files go first; the newest one stays."""
    space, subjects = family(start)
    scorer = TrainScorer(**settings | {"fidelities": [{"epochs": 1}]}, weights_mb=0.0001)
    scorer.make_ready(space, 0, tmp_path, "cpu", lambda _: None)
    for one in subjects:
        scorer.score(one, "cpu")
    assert len(list((tmp_path / "weights").iterdir())) == 1


def test_folds_hold_every_image_out_once(start: Genome, settings: dict[str, object]) -> None:
    """The value is the mean over the folds; each fold has its share of every class, and no validation image."""
    labels = np.arange(91) % 3
    folds = fold_of(labels, 4)
    for fold in range(4):
        counts = np.bincount(labels[folds == fold], minlength=3)
        assert counts.max() - counts.min() <= 1
    space = UninasSpace(start)
    scorer = ready(space, **settings | {"folds": 3, "epochs": 1})
    value = trained(scorer, space, start)["train"]
    singles = [trained(one, space, start)["train"] for one in scorer._of_folds]
    assert value == pytest.approx(np.mean(singles))
    assert sum(len(one._splits[0].val) for one in scorer._of_folds) == len(scorer._splits[0].train)
    with pytest.raises(ValueError, match="peers and stop must be 0"):
        TrainScorer(**settings | {"folds": 3, "peers": 2})


def test_without_a_lineage_nothing_is_kept(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """Runs whose candidates inherit nothing have no folder of weights."""
    scorer = TrainScorer(**settings | {"epochs": 1})
    scorer.make_ready(UninasSpace(start), 0, tmp_path, "cpu", lambda _: None)
    trained(scorer, UninasSpace(start), start)
    assert not (tmp_path / "weights").exists()


@pytest.mark.slow
def test_a_ladder_of_heirs_writes_one_journal(start: Genome, settings: dict[str, object], tmp_path: Path) -> None:
    """One worker, two, and one whose kept weights are emptied while it runs write the same journal."""
    journals = []
    for name, workers in (("one", 1), ("two", 2), ("emptied", 1)):
        train = settings | {"fidelities": [{"epochs": 1}, {"epochs": 2}], "weights_mb": 0 if name == "emptied" else 100}
        problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": train})
        strategy = Ladder(problem.space, problem.objectives, seed=0, fidelities=2, inherit=True, starts=4, best=3)
        folder = tmp_path / name
        folder.mkdir()
        problem.make_ready(folder, "cpu", lambda _: None)
        journal = Journal(folder / "journal.jsonl")
        with open_pool(PoolOptions(devices=["cpu"] * workers), problem) as pool:
            Loop(problem, strategy, journal, evaluations=14).run(pool)
        journal.close()
        journals.append(canonical(journal.events))
    assert journals[0] == journals[1] == journals[2]
    asks = [event for event in journals[0] if event["event"] == "ask"]
    assert sum(event["inherits"] is not None for event in asks) >= 5
    assert all(event["inherits"] is None for event in asks if event["origin"] in ("start", "promote"))


@pytest.mark.slow
def test_weights_are_gone_when_the_search_ends(
    start: Genome, settings: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing of abandoned candidates stays in the run folder, and what they took is printed."""
    train = settings | {"fidelities": [{"epochs": 1}, {"epochs": 1}]}
    problem = UninasProblem(UninasSpace(start), ["train"], proxies={"train": train})
    strategy = Ladder(problem.space, problem.objectives, seed=0, fidelities=2, inherit=True, starts=3, best=3)
    search(problem, strategy, evaluations=7, out=tmp_path / "run", debug=True, after={"rescore": 0})
    assert not (tmp_path / "run" / "weights").exists()
    told = capsys.readouterr()
    assert "MB of weights that candidates started from" in told.out + told.err


@pytest.mark.slow
def test_a_kill_inside_a_training_changes_nothing(settings: dict[str, object], tmp_path: Path) -> None:
    """A ladder of heirs, killed inside its trainings and resumed, writes the journal of one that never was."""
    script = Path(__file__).parents[1] / "killed_training.py"

    def part(folder: str, look: int) -> int:
        words = [str(tmp_path / folder), str(settings["data"]), str(settings["protocol"]), str(look)]
        return subprocess.run([sys.executable, str(script), *words], check=False).returncode

    assert part("whole", 0) == 0
    assert [part("killed", look) for look in (3, 6)] == [-signal.SIGKILL] * 2
    assert part("killed", 0) == 0
    one, other = (canonical(read_journal(tmp_path / name)[1]) for name in ("killed", "whole"))
    assert one == other
    assert not (tmp_path / "killed" / "weights").exists()
