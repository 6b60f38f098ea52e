"""`calibrated` and `predict`: a bank's accuracies tell those of networks like its own, and of no others."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

import uninas_evo
from uninas_evo import Budget, Skeleton, UninasProblem, UninasSpace, preset
from uninas_evo.errors import DataError, PredictorError
from uninas_evo.predictors.bank import write_rows
from uninas_evo.proxies.registry import PROXIES
from uninas_evo.scoring.calibrated import Calibrated, CalibratedScorer, mean_scores
from uninas_evo.scoring.subject import GenomeSubject

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(8, 16), depths=(1, 1))


def accuracy(genome: Any) -> float:
    """What the toy training of these tests reaches: convolutions help, sizes a little."""
    text = genome.text
    return 0.5 + 0.05 * text.count("conv3") - 0.03 * text.count("dw5") + 1e-6 * genome.params


@pytest.fixture(scope="module")
def genomes() -> list[Any]:
    """Networks of a walk, in no order."""
    space, rng = UninasSpace(preset("resnet", SKELETON), Budget(max_params=30_000)), random.Random(0)
    found = {}
    genome = space.start
    while len(found) < 80:
        genome = space.mutate(genome, rng) or space.start
        found[genome.text] = genome
    shuffled = list(found.values())
    rng.shuffle(shuffled)
    return shuffled


@pytest.fixture(scope="module")
def bank(genomes: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty of them with two data sets and a score."""
    path = tmp_path_factory.mktemp("bank") / "toy.csv.gz"
    rows = []
    for genome in genomes[:60]:
        score = mean_scores(lambda genome=genome: uninas_evo.build(genome), (3, 16, 16), ["zen"])
        value = accuracy(genome)
        rows.append({"genome": genome.text, "a.train_1x5": value, "b.train_1x5": 1 - value, "b.train_9x5": ""} | score)
    write_rows(rows, path)
    return path


def test_other_networks_are_ranked(genomes: list[Any], bank: Path) -> None:
    """Networks of the same walk that the bank does not hold are ranked as they train, inside their intervals."""
    model = Calibrated(uninas_evo.load_bank(bank, "a"), scores=())
    space = UninasSpace(genomes[0])
    found = model.predict([space.features(genome) for genome in genomes[60:]])
    truth = [accuracy(genome) for genome in genomes[60:]]
    assert kendalltau([one.mean for one in found], truth)[0] > 0.4
    assert np.mean([one.low <= value <= one.high for one, value in zip(found, truth, strict=True)]) > 0.7
    assert all(one.low <= one.mean <= one.high for one in found)


def test_each_data_set_is_its_own(genomes: list[Any], bank: Path) -> None:
    """`data` chooses what is predicted; without it, it is the bank's first."""
    a, b = (uninas_evo.predict(genomes[0], bank, data) for data in ("a", "b"))
    assert a.mean == pytest.approx(accuracy(genomes[0]), abs=0.1)
    assert b.mean == pytest.approx(1 - a.mean, abs=0.1)
    assert uninas_evo.predict(genomes[0].text, bank) == a
    assert a.known


@pytest.mark.parametrize("changed", [{"image_size": 32}, {"classes": 4}, {"channels": (8, 24)}, {"depths": (2, 1)}])
def test_what_the_bank_never_saw_is_not_known(bank: Path, changed: dict[str, Any]) -> None:
    """Another image size, other classes, widths or depths are none of the bank's."""
    assert uninas_evo.predict(preset("resnet", SKELETON), bank).known
    assert not uninas_evo.predict(preset("resnet", replace(SKELETON, **changed)), bank).known


def test_far_networks_are_not_known(bank: Path) -> None:
    """A network of operations that no network of the bank has, or of very many, is not known."""
    assert not uninas_evo.predict(preset("efficientnet", SKELETON), bank).known
    long = preset("resnet", SKELETON).text.replace("  2: zero", "  2: " + "conv1 " * 20 + "zero")
    assert not uninas_evo.predict(long, bank).known


def test_as_an_objective(genomes: list[Any], bank: Path) -> None:
    """The scorer gives mean and interval, and fails by name where the network is not known."""
    scorer = CalibratedScorer(bank=str(bank), data="a")
    space = UninasSpace(genomes[0])
    values = scorer.score(GenomeSubject(genomes[0], space), "cpu")
    assert values["calibrated_low"] <= values["calibrated"] <= values["calibrated_high"]
    vit = preset("efficientnet", SKELETON)
    with pytest.raises(PredictorError, match=r"not known: the bank .* has no network like this one"):
        scorer.score(GenomeSubject(vit, UninasSpace(vit)), "cpu")
    assert scorer.sources == (bank,)


def test_a_search_by_it(genomes: list[Any], bank: Path) -> None:
    """A search finds what the bank says is good, and the same journal of values again."""
    settings = {"calibrated": {"bank": str(bank), "data": "a"}}
    problem = UninasProblem(UninasSpace(genomes[0], Budget(max_params=30_000)), ["calibrated"], proxies=settings)
    results = [
        uninas_evo.search(problem, "aging", evaluations=12, pool={"devices": "in-process"}, quiet=True)
        for _ in range(2)
    ]
    best = [result.best.values["calibrated"] for result in results]
    assert best[0] == best[1] >= uninas_evo.predict(genomes[0], bank, "a").mean


def test_mistakes(genomes: list[Any], bank: Path, tmp_path: Path) -> None:
    """No such data set, column or bank, and a bank that is too small, are told."""
    with pytest.raises(DataError, match=r"trained on a, b, got data = 'c'; name one of them"):
        uninas_evo.predict(genomes[0], bank, "c")
    with pytest.raises(DataError, match=r"must have the column 'train_1x6'.*did you mean 'train_1x5'"):
        uninas_evo.predict(genomes[0], bank, "a", column="train_1x6")
    with pytest.raises(DataError, match="there is no bank at"):
        uninas_evo.predict(genomes[0], "nowhere")
    write_rows([{"genome": genomes[0].text, "train_1x5": 0.5}], tmp_path / "one.csv.gz")
    with pytest.raises(DataError, match="at least 6 networks"):
        uninas_evo.predict(genomes[0], tmp_path / "one.csv.gz")


def test_the_shipped_bank() -> None:
    """UniNAS-mini needs no download: networks lie in their bounds, accuracies are shares, all scores are there."""
    bank = uninas_evo.load_bank("uninas-mini")
    assert bank.data == ("fashion-mnist", "cifar10")
    assert len(bank) == len(set(bank.genomes)) >= 100
    assert ((bank.columns["params"] >= 20_000) & (bank.columns["params"] <= 60_000)).all()
    assert (bank.columns["flops"] <= 3e6).all()
    for data in bank.data:
        one = uninas_evo.load_bank("uninas-mini", data)
        assert one.trained == "train_4x10000"
        trained = [values for name, values in one.columns.items() if name.startswith("train_")]
        assert all(np.nanmin(values) > 0 and np.nanmax(values) < 1 for values in trained)
    for name in PROXIES:
        assert name in bank.columns or name == "layers"
    space = UninasSpace(uninas_evo.load_genome(bank.genomes[0]))
    assert [space.decode(text).params for text in bank.genomes] == bank.columns["params"].tolist()


@pytest.mark.parametrize("data", ["fashion-mnist", "cifar10"])
def test_predictions_from_the_shipped_bank(data: str) -> None:
    """A preset of the bank's skeleton is known and predicted well; ImageNet's is not known."""
    skeleton = Skeleton(image_size=24, classes=10, stem=(8, 16), channels=(24, 48), depths=(1, 1))
    bank = uninas_evo.load_bank("uninas-mini", data)
    place = bank.genomes.index(preset("resnet", skeleton).text.strip())
    found = uninas_evo.predict(preset("resnet", skeleton), data=data)
    assert found.known
    assert found.low <= bank.columns["train_4x10000"][place] <= found.high
    assert not uninas_evo.predict("resnet", data=data).known
