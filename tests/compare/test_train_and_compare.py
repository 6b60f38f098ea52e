"""Train and compare: who is compared, with what, and the numbers of the table."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from uninas_evo import search
from uninas_evo.compare import baselines, train_and_compare
from uninas_evo.compare.train_and_compare import Row, as_markdown, with_gap
from uninas_evo.compare.train_and_compare import train_and_compare as run_comparison
from uninas_evo.contracts import Budget
from uninas_evo.engine.events import AskEvent, Header, Measured, RescoreEvent, ResultEvent
from uninas_evo.engine.journal import Journal
from uninas_evo.errors import BudgetError, JournalError, TrainingError
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.sized import random_networks
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, UninasSpace, preset
from uninas_evo.training import load_protocol, read_splits
from uninas_evo.training.genomes import train_in_space
from uninas_evo.training.options import TrainOptions

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32, 64), depths=(1, 1))
MEASURED = Measured(seconds=1, device="cpu", worker=0, at=0)


def write_run(
    folder: Path,
    genomes: list[Genome],
    values: list[dict[str, float] | None],
    objectives: dict[str, str],
    **run: object,
) -> Path:
    """A run folder as a search leaves it."""
    folder.mkdir(exist_ok=True)
    journal = Journal(folder / "journal.jsonl")
    content = {"problem": {"name": "uninas"}} | run
    journal.append(Header(run=content, seed=0, objectives=objectives, versions={}, host={}, started="now"))
    for i, (genome, value) in enumerate(zip(genomes, values, strict=True)):
        journal.append(AskEvent(number=i, genome=genome.text, origin="start", costs=dict(genome.cost.items())))
        failure = None if value else "out of memory"
        journal.append(ResultEvent(number=i, values=value, failure=failure, measured=MEASURED))
    journal.close()
    return folder


@pytest.fixture
def genomes() -> list[Genome]:
    return [preset(name, SKELETON) for name in PRESETS]


def test_winners_are_the_best_that_did_not_fail(genomes: list[Genome], tmp_path: Path) -> None:
    """By the first objective in its direction; failures never win."""
    values: list[dict[str, float] | None] = [{"vkdnw": 1.0}, {"vkdnw": 3.0}, None, {"vkdnw": 2.0}]
    up = write_run(tmp_path / "up", genomes, values, {"vkdnw": "maximize"})
    assert baselines.winners(up, 2)[1] == [genomes[1], genomes[3]]
    down = write_run(tmp_path / "down", genomes, values, {"vkdnw": "minimize"})
    assert baselines.winners(down, 9)[1] == [genomes[0], genomes[3], genomes[1]]


def test_winners_are_those_that_fresh_seeds_prefer(genomes: list[Genome], tmp_path: Path) -> None:
    """Also where a strategy that estimates left the best score out of its finalists; not where a better came later."""
    run = write_run(tmp_path, genomes[:3], [{"x": 1.0}, {"x": 3.0}, {"x": 2.0}], {"x": "maximize"})
    assert baselines.winners(run, 1)[1] == [genomes[1]]
    with closing(Journal(run / "journal.jsonl")) as journal:
        for number, value in ((None, 0.5), (0, 2.0), (2, 1.8)):
            journal.append(RescoreEvent(number=number, seed=7, values={"x": value}))
    assert baselines.winners(run, 3)[1] == [genomes[0], genomes[2], genomes[1]]
    with closing(Journal(run / "journal.jsonl")) as journal:
        journal.append(
            RescoreEvent(number=1, seed=7, values={"x": 1.0}), RescoreEvent(number=0, seed=8, values={"x": 2.0})
        )
    assert baselines.winners(run, 1)[1] == [genomes[1]], "fresh scores are being made, and the best has too few"
    with closing(Journal(run / "journal.jsonl")) as journal:
        journal.append(RescoreEvent(number=1, seed=8, values={"x": 1.0}))
        assert baselines.winners(run, 1)[1] == [genomes[0]]
        journal.append(AskEvent(number=3, genome=genomes[3].text, origin="start", costs=dict(genomes[3].cost.items())))
        journal.append(ResultEvent(number=3, values={"x": 4.0}, measured=MEASURED))
    assert baselines.winners(run, 1)[1] == [genomes[3]], "it may be better than all finalists"


def test_winners_of_several_objectives_are_the_front(genomes: list[Genome], tmp_path: Path) -> None:
    """With two objectives the dominated are left out, and the knee comes first."""
    points = [(1.0, 1.0), (3.0, 9.0), (2.0, 2.0), (0.5, 1.5)]
    values: list[dict[str, float] | None] = [{"b": b, "a": a} for a, b in points]
    run = write_run(tmp_path, genomes, values, {"a": "maximize", "b": "minimize"})
    assert baselines.winners(run, 9)[1] == [genomes[2], genomes[0], genomes[1]]


def test_a_run_without_a_score_is_refused(genomes: list[Genome], tmp_path: Path) -> None:
    """Where everything failed there is no winner."""
    failed = write_run(tmp_path / "b", genomes, [None] * 4, {"x": "maximize"})
    with pytest.raises(JournalError, match="has no scored genome yet"):
        baselines.winners(failed, 1)


def test_winners_of_any_space_are_trained(tmp_path: Path, nasbench201_table: Path) -> None:
    """A run of another space hands over its own genomes; they meet random ones of their space, and no presets."""
    problem = {"name": "nasbench201", "table": str(nasbench201_table.resolve()), "dataset": "cifar10"}
    found = search(problem, "random", evaluations=3, pool={"devices": "in-process"}, out=tmp_path / "run", quiet=True)
    space, (winner,) = baselines.winners(tmp_path / "run", 1)
    assert space.encode(winner) == found.best.text  # type: ignore[union-attr]
    entrants = train_and_compare.field_of(space, [winner], TrainOptions(data="x", random=1))
    assert [entrant.label for entrant in entrants] == ["winner 1", "start", "random 1"]
    params = space.cost(winner).params
    assert 0.8 * params <= space.cost(entrants[2].genome).params <= params


@pytest.mark.parametrize("own", [False, True])
def test_the_start_is_trained_beside_its_winner(tmp_path: Path, own: bool) -> None:
    """A run tells where it began, a preset on its skeleton or a file's genome; asked not to, it is left out."""
    skeleton = Skeleton(16, 3, (8, 8), (32,), (1,))
    begun = preset("coatnet", skeleton)
    where = {"start": begun.text} if own else {"start": "coatnet", "skeleton": asdict(skeleton)}
    search(
        {"name": "uninas", "objective": "params", **where}, "random", evaluations=4, out=tmp_path / "run", quiet=True,
        pool={"devices": "in-process"},
    )  # fmt: skip
    space, best = baselines.winners(tmp_path / "run", 1)
    assert space.start == begun
    assert best != [begun]
    options = TrainOptions(data="x", presets=[], random=0)
    assert [one.label for one in train_and_compare.field_of(space, best, options)] == ["winner 1", "start"]
    without = options.model_copy(update={"start": False})
    assert [one.label for one in train_and_compare.field_of(space, best, without)] == ["winner 1"]


def test_a_network_of_any_space_is_trained(tmp_path: Path) -> None:
    """Seeds fix its weights, and the folder resumes under the genome's text."""
    space = NASBench201Space(3)
    space.image = (3, 16, 16)
    protocol = load_protocol("small").replace(epochs=1, warmup_epochs=0, batch_size=16, val_fraction=0.2)
    splits = read_splits(str(write_data(tmp_path)), protocol.val_fraction)
    results = [
        train_in_space(space, space.start, splits, protocol, tmp_path / name, seed=1) for name in ("a", "b", "a")
    ]
    assert len({(one.test_accuracy, one.val_accuracy) for one in results}) == 1
    assert space.encode(space.start) in (tmp_path / "a" / "training.json").read_text()


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("max_params", [2e5, 1e6, 3e7])
def test_scaled_presets_fill_the_budget(name: str, max_params: float) -> None:
    """A scaled preset lies inside the budget, a wider last stage does not, and all else is kept."""
    skeleton = Skeleton(image_size=32, classes=7, stem=(16, 32), channels=(32, 64, 128), depths=(1, 2, 1))
    budget = Budget(max_params=max_params)
    scaled = baselines.scaled_preset(name, skeleton, budget)
    assert 0.6 * max_params < scaled.params <= max_params
    s = scaled.skeleton
    assert (s.image_size, s.classes, s.stem, s.depths) == (32, 7, (16, 32), (1, 2, 1))
    assert all(w % 8 == 0 for w in s.channels)
    assert list(s.channels) == sorted(s.channels)
    step = 8 if name in ("resnet", "efficientnet") else 32
    assert preset(name, replace(s, channels=(*s.channels[:-1], s.channels[-1] + step))).params > max_params
    if name == "vit":
        assert all(w % 32 == 0 for w in s.channels)


def test_scaled_presets_heed_flops_and_refuse_the_impossible() -> None:
    """FLOPs bind as parameters do; a budget below the narrowest preset is refused with its numbers."""
    free = baselines.scaled_preset("resnet", SKELETON, Budget(max_params=1e6))
    bound = baselines.scaled_preset("resnet", SKELETON, Budget(max_params=1e6, max_flops=free.flops / 2))
    assert bound.flops <= free.flops / 2
    with pytest.raises(BudgetError, match=r"preset vit does not fit .* at its narrowest it has [\d,]+ params"):
        baselines.scaled_preset("vit", SKELETON, Budget(max_params=1000))


def test_random_networks_have_the_winners_size(genomes: list[Genome]) -> None:
    """Each lies between 80 % of the winner's parameters and all of them, differs, and follows from the seed."""
    winner = genomes[3]
    space = UninasSpace(winner)
    found = random_networks(space, winner, 3, seed=0)
    assert all(0.8 * winner.params <= g.params <= winner.params for g in found)
    assert len({winner, *found}) == 4
    assert random_networks(space, winner, 3, seed=0) == found
    assert random_networks(space, winner, 3, seed=1) != found


def test_gap_of_one_seed_is_binomial() -> None:
    """With one seed the interval is the normal one of two shares of N images."""
    row = with_gap(Row("b", "", {}, 1, (0.8,)), Row("a", "", {}, 1, (0.9,)), 1000)
    assert row.gap == pytest.approx(0.1)
    half_width = 1.959964 * np.sqrt((0.9 * 0.1 + 0.8 * 0.2) / 1000)
    assert (row.gap_low, row.gap_high) == pytest.approx((0.1 - half_width, 0.1 + half_width), abs=5e-4)


def test_gap_of_several_seeds_is_paired() -> None:
    """With several seeds it is Student's interval on the differences of the same seeds."""
    a, b = (0.90, 0.92, 0.91), (0.88, 0.91, 0.88)
    row = with_gap(Row("b", "", {}, 1, b), Row("a", "", {}, 1, a), 1000)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert (row.gap_low, row.gap_high) == pytest.approx((expected.low, expected.high))


def test_table_shows_every_number() -> None:
    """The Markdown table has a line a network, with accuracy, lead, interval and costs."""
    winner = Row("winner 1", "abc", {"params": 123456, "flops": 7_800_000, "latency_ms": 1.25}, 900.4, (0.9, 0.92))
    other = Row(
        "vit", "def", {"params": 100000, "flops": 9_100_000, "latency_ms": 2.5}, 500.0, (0.88, 0.9), 0.02, 0.02, 0.02
    )
    lines = as_markdown([winner, other]).splitlines()
    assert "accuracy (2 seeds)" in lines[0]
    assert lines[2] == "| winner 1 | abc | 91.00 % ± 1.41 |  | 123,456 | 7.8 M | 1.25 | 900 |"
    assert lines[3] == "| vit | def | 89.00 % ± 1.41 | +2.00 [+2.00, +2.00] | 100,000 | 9.1 M | 2.5 | 500 |"


def write_data(path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = rng.integers(0, 120, (60, 16, 16), dtype=np.uint8)
    for i, label in enumerate(labels):
        images[i, 5 * label : 5 * label + 5] += 120
    np.savez(path / "data.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    (path / "tiny.toml").write_text('base = "small"\nepochs = 2\nbatch_size = 16\nval_fraction = 0.2\n')
    return path / "data.npz"


@pytest.mark.slow
def test_all_are_trained_alike(genomes: list[Genome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Winners, presets and random networks are trained with the same seeds; a second call trains nothing again."""
    values: list[dict[str, float] | None] = [{"x": float(i)} for i in range(4)]
    run = write_run(tmp_path / "run", genomes, values, {"x": "maximize"})
    options = TrainOptions(
        data=str(write_data(tmp_path)), protocol=str(tmp_path / "tiny.toml"), presets=["resnet"], random=1, seeds=2
    )
    said: list[str] = []
    rows = run_comparison(run, options, said.append)
    assert [row.label for row in rows] == ["winner 1", "resnet", "random 1"]
    assert rows[0].id == genomes[3].id
    assert all(len(row.accuracies) == 2 and row.images_per_s > 0 for row in rows)
    assert rows[0].gap is None
    assert rows[1].gap == pytest.approx(rows[0].accuracy - rows[1].accuracy)
    assert rows[1].costs["params"] <= genomes[3].params
    assert json.loads((run / "train" / "table.json").read_text())[2]["label"] == "random 1"
    assert json.loads((run / "train" / "table.json").read_text())[0]["params"] == genomes[3].params
    assert (run / "train" / "table.md").read_text() == as_markdown(rows)
    protocols = {json.dumps(json.loads(p.read_text())["protocol"]) for p in run.glob("train/*/*/training.json")}
    assert len(protocols) == 1
    monkeypatch.setattr("uninas_evo.training.fit.Fit.epoch", None)
    again = run_comparison(run, options)
    assert [r.accuracies for r in again] == [r.accuracies for r in rows]


def test_presets_that_do_not_fit_are_left_out_with_the_reason(genomes: list[Genome]) -> None:
    """A preset above the budget is reported and the others are compared all the same."""
    said: list[str] = []
    options = TrainOptions(data="x", random=0)
    budget = Budget(max_flops=genomes[3].flops / 1e3)
    assert train_and_compare._presets(genomes[3], budget, options, said.append) == []
    assert len(said) == 4
    assert said[0].startswith("resnet is left out: preset resnet does not fit the budget")


def test_a_genome_of_another_skeleton_is_told(genomes: list[Genome], tmp_path: Path) -> None:
    """A protocol for 224 px refuses a genome for 16 px before anything is trained."""
    run = write_run(tmp_path / "run", genomes, [{"x": 1.0}] * 4, {"x": "maximize"})
    options = TrainOptions(data=str(write_data(tmp_path)), protocol="imagenet")
    with pytest.raises(TrainingError, match="made for images of 16 px and the protocol trains with 224 px"):
        run_comparison(run, options)
    options = TrainOptions(data=str(write_data(tmp_path)), presets=["resnet"])
    wrong = preset("resnet", Skeleton(16, 5, (8, 8), (32, 64), (1, 1)))
    run = write_run(tmp_path / "run2", [wrong], [{"x": 1.0}], {"x": "maximize"})
    with pytest.raises(ValueError, match="the data has 3 classes and the network 5"):
        run_comparison(run, options)
