"""The audit: agreement with a table, resumed where it was interrupted, and the two commands."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.compare.audit import (
    Known,
    agreement,
    agreements,
    ceiling,
    known_networks,
    ranking,
    score_networks,
    scored,
    seconds_of,
)
from uninas_evo.contracts import Budget, Choose, Cost, Decision, Space
from uninas_evo.errors import DataError, ProxyError
from uninas_evo.pool.open import PoolOptions
from uninas_evo.predictors.bank import Bank
from uninas_evo.problems.nasbench201 import read_table
from uninas_evo.proxies import Inputs, Pictures
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.stats.ranks import kendall, rank_aggregate, spearman

INPUTS = Inputs(batch=4, image=(3, 4, 4))
WIDTHS = [str(width) for width in range(1, 9)]
HERE = PoolOptions(devices="in-process")
BUILT: list[str] = []


class Widths(Space[int]):
    """Perceptrons of one hidden layer; a negative width has no activation."""

    image, classes, budget = (3, 4, 4), 2, Budget()

    def compose(self, choose: Choose) -> int:
        return int(choose(Decision("width", tuple(WIDTHS))))

    def mutate(self, genome: int, rng: random.Random) -> int | None:
        return None

    def crossover(self, a: int, b: int, rng: random.Random) -> int | None:
        return None

    def cost(self, genome: int) -> Cost:
        return Cost()

    def build(self, genome: int) -> nn.Module:
        BUILT.append(str(genome))
        if genome < 0:
            return nn.Sequential(nn.Flatten(), nn.Linear(48, 2))
        return nn.Sequential(nn.Flatten(), nn.Linear(48, genome), nn.ReLU(), nn.Linear(genome, 2))

    def encode(self, genome: int) -> str:
        return str(genome)

    def decode(self, text: str) -> int:
        return int(text)


SPACE = Widths()


def known(accuracy: list[float], **columns: list[float]) -> Known:
    """Networks 0, 1, ... of given accuracies; their sizes grow."""
    count = len(accuracy)
    table = {"params": range(1, count + 1), "flops": range(1, count + 1), "accuracy": accuracy} | columns
    arrays = {name: np.array(column, float) for name, column in table.items()}
    return Known(SPACE, Bank(tuple(map(str, range(count))), arrays), "accuracy", arrays["accuracy"])


def test_scores_go_on_where_they_were(tmp_path: Path) -> None:
    """Every score is recorded as it comes; a second call computes only what is missing, a torn line included."""
    folder = tmp_path / "folder"
    first = score_networks(SPACE, WIDTHS[:3], ["params"], INPUTS, folder, HERE)
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"event":"ask","num')
    BUILT.clear()
    second = score_networks(SPACE, WIDTHS[:4], ["params"], INPUTS, folder, HERE)
    assert BUILT == ["4"]
    assert {text: second[text] for text in first} == first
    assert second["4"] == {"params": 48 * 4 + 4 + 8 + 2}
    more = score_networks(SPACE, WIDTHS[:4], ["params", "layers"], INPUTS, folder, HERE)
    assert BUILT == ["4", "1", "2", "3", "4"]
    assert {text: values["params"] for text, values in more.items()} == {t: v["params"] for t, v in second.items()}
    assert score_networks(SPACE, WIDTHS[:4], ["params"], INPUTS, folder, HERE) == second


@pytest.mark.slow
def test_several_processes_give_the_same_scores(tmp_path: Path) -> None:
    """The number of workers changes nothing."""
    two = PoolOptions(devices=["cpu", "cpu"])
    space = NASBench201Space()
    cells = [space.encode(space.cells[index]) for index in (100, 5000, 9000)]
    inputs = Inputs(batch=4)
    one = score_networks(space, cells, ["params", "snip"], inputs, tmp_path / "one", HERE)
    assert one == score_networks(space, cells, ["params", "snip"], inputs, tmp_path / "two", two)


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    """Scores of other inputs are never mixed."""
    score_networks(SPACE, ["1"], ["params"], INPUTS, tmp_path, HERE)
    with pytest.raises(ProxyError, match=r"holds scores of other inputs.*name another folder"):
        score_networks(SPACE, ["2"], ["params"], Inputs(batch=5), tmp_path, HERE)


def test_scores_of_pictures_are_their_own(tmp_path: Path) -> None:
    """Other images, or calibrated norms, are other inputs; those of before are told as before."""
    score_networks(SPACE, ["1"], ["params"], INPUTS, tmp_path, HERE)
    header = json.loads((tmp_path / "journal.jsonl").read_text().splitlines()[0])
    assert header["run"] == {
        "audit": {"batch": 4, "image": [3, 4, 4], "seed": 0, "device": "cpu", "reinitialize": True}
    }
    pictures = Pictures(torch.zeros(9, 3, 4, 4), torch.zeros(9, dtype=torch.int64))
    for changed in (replace(INPUTS, calibrated_norms=True), replace(INPUTS, pictures=pictures)):
        with pytest.raises(ProxyError, match="holds scores of other inputs"):
            score_networks(SPACE, ["2"], ["params"], changed, tmp_path, HERE)


def test_failures_rank_last(tmp_path: Path) -> None:
    """A network that a proxy cannot score is recorded with the reason and ranks below all others, whatever the goal."""
    scores = score_networks(SPACE, ["8", "-1"], ["naswot", "params"], INPUTS, tmp_path, HERE)
    assert scores["-1"]["naswot"] is None
    assert scores["-1"]["params"] is not None
    assert "ProxyError" in (tmp_path / "journal.jsonl").read_text()
    for proxy in ("naswot", "te_ntk"):
        values, failures = ranking({"a": {proxy: 2.0}, "b": {proxy: None}, "c": {proxy: 1.0}}, proxy)
        assert (int(values.argmin()), failures) == (1, 1)
    order = {"a": {"te_ntk": 1.0}, "b": {"te_ntk": 2.0}}
    assert ranking(order, "te_ntk")[0].tolist() == [-1, -2]


def test_aggregates_are_ranked_within_each_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bootstrap resamples what an aggregate is made of: ranks over all networks would know the others."""
    rng = np.random.default_rng(1)
    scores = {str(i): {"te_regions": rng.normal(), "te_ntk": rng.normal()} for i in range(12)}
    accuracies = [float(rng.uniform(50, 90)) for _ in range(12)]
    drawn = []
    monkeypatch.setattr(
        agreement, "bootstrapped", lambda measure, count, **_: drawn.append(measure(np.array([3, 3, 7, 1, 5, 9])))
    )
    agreements(scores, known(accuracies), ["te"])
    texts = ["3", "3", "7", "1", "5", "9"]
    columns = {"te_regions": [scores[t]["te_regions"] for t in texts], "te_ntk": [-scores[t]["te_ntk"] for t in texts]}
    truth = np.array([accuracies[int(t)] for t in texts])
    expected = kendall(np.array(rank_aggregate(columns)), truth)
    assert drawn[0] == pytest.approx(expected)
    whole = np.array(ranking(scores, "te")[0])[[3, 3, 7, 1, 5, 9]]
    assert kendall(whole, truth) != pytest.approx(expected)


def test_a_table_of_any_space_is_read(tmp_path: Path) -> None:
    """Genomes get their canonical text, shares become percent; what is no genome, accuracy or column is named."""
    table = tmp_path / "table.csv"
    table.write_text("genome,accuracy\n03,0.715\n4,0.80\n5,\n")
    found = known_networks(table, space=SPACE)
    assert found.bank.genomes == ("3", "4")
    assert found.accuracy.tolist() == pytest.approx([71.5, 80.0])
    for content, column, message in (
        ("genome,accuracy\n3,1\n", "acuracy", "did you mean 'accuracy'"),
        ("genome,accuracy\n3,123\n", None, "goes from 123 to 123"),
        ("genome,origin\n3,walk\n", None, "neither a column 'accuracy' nor one of a training"),
        ("genome,accuracy\nuninas 1,1\n", None, "name its run file with --space"),
    ):
        table.write_text(content)
        with pytest.raises(DataError, match=message):
            known_networks(table, column, None if "uninas" in content else SPACE)


def test_scores_are_judged_by_the_longest_training(tmp_path: Path) -> None:
    """By most images, its first seed; shorter trainings are scores, and its repeats tell the noise."""
    table = tmp_path / "bank.csv"
    names = "genome,params,naswot,train_1x5000,train_after_1_4x10000,train_4x10000,train_4x10000_2,seconds_1x5000"
    table.write_text(f"{names},train_epochs_4x10000\n3,7,1.5,.5,.6,.7,.72,4,4\n4,8,2.5,.4,.5,.6,,2,4\n")
    found = known_networks(table, space=SPACE)
    assert (found.column, found.repeats) == ("train_4x10000", ["train_4x10000_2"])
    assert found.scores == ["params", "naswot", "train_1x5000", "train_after_1_4x10000", "flops"]
    assert found.seconds() == {"train_1x5000": 3.0}


def test_columns_are_not_computed_again(tmp_path: Path) -> None:
    """What the table holds is taken from there, what it lacks is computed, and the journal tells what that took."""
    table = tmp_path / "bank.csv"
    table.write_text("genome,accuracy,naswot,flops\n3,70,1.5,9\n4,60,,8\n")
    found = known_networks(table, space=SPACE)
    asked: list[str] = []

    def compute(missing):
        asked.extend(missing)
        return score_networks(SPACE, found.bank.genomes, missing, INPUTS, tmp_path, HERE)

    scores = scored(found, ["naswot", "layers", "flops"], compute)
    assert asked == ["layers"]
    assert scores == {
        "3": {"layers": 2.0, "naswot": 1.5, "flops": 9.0},
        "4": {"layers": 2.0, "naswot": None, "flops": 8.0},
    }
    assert seconds_of(tmp_path)["layers"] > 0
    with pytest.raises(ProxyError, match=r"there is no score 'nasswot'.*did you mean 'naswot'"):
        scored(found, ["nasswot"], compute)


def test_size_is_told_from_knowledge() -> None:
    """A score that is size alone knows nothing with size held fixed; among networks of one size it may know all."""
    rng = np.random.default_rng(0)
    params = rng.uniform(1e4, 1e5, 60)
    luck = rng.normal(size=60)
    networks = known((50 + params / 1e4 + luck).tolist(), params=params.tolist(), flops=params.tolist())
    rows = agreements(
        {str(i): {"size": params[i], "luck": luck[i]} for i in range(60)}, networks, ["size", "luck"], draws=50
    )
    size, lucky = rows
    assert size.kendall.value > 0.6
    assert size.partial.value == 0
    assert lucky.partial.value > 0.9
    assert lucky.within.value > 0.7 > lucky.kendall.value + 0.3


def test_the_ceiling_is_what_noise_leaves() -> None:
    """Two trainings agree less than a perfect score does with one of them, and both are found from repeats alone."""
    rng = np.random.default_rng(0)
    mean = rng.normal(70, 3, 400)
    first, second = (mean + rng.normal(0, 2, 400) for _ in range(2))
    second[200:] = np.nan
    found = ceiling(known(first.tolist(), accuracy_2=second.tolist()), draws=50)
    assert found is not None
    assert found.networks == 200
    assert found.deviation == pytest.approx(2, rel=0.15)
    assert found.kendall.value == pytest.approx(kendall(first[:200], second[:200]))
    assert found.reachable.low < kendall(mean, first) < found.reachable.high
    assert ceiling(known([1.0] * 5)) is None
    nothing = ceiling(known([0.0, 10.0, 20.0, 30.0, 40.0], accuracy_2=[5.0, 12.0, 18.0, 33.0, 39.0]), draws=50)
    assert nothing is not None
    assert nothing.networks == 5, "a network that learned nothing was trained, too"


def test_intervals_hold_their_estimate() -> None:
    """A bootstrap interval surrounds the estimate and shrinks with more networks."""
    rng = np.random.default_rng(0)

    def interval(count: int) -> tuple[float, float, float]:
        noisy = {str(i): {"params": i + count / 4 * rng.normal()} for i in range(count)}
        (row,) = agreements(noisy, known([100 * i / count for i in range(count)]), ["params"], draws=200)
        return row.kendall.low, row.kendall.value, row.kendall.high

    few, many = interval(20), interval(300)
    assert few[0] < few[1] < few[2]
    assert many[2] - many[0] < few[2] - few[0]


@pytest.mark.slow
def test_audit_command(tmp_path: Path, nasbench201_table: Path) -> None:
    """`audit` prints and writes the agreement with real accuracies: size ranks the cells as published."""
    command = ["audit", str(nasbench201_table), "--out", str(tmp_path), "--networks", "150"]
    result = CliRunner().invoke(app, [*command, "--proxies", "params,layers"])
    assert result.exit_code == 0, result.output
    assert "Kendall" in result.output
    rows = {row["proxy"]: row for row in json.loads((tmp_path / "audit.json").read_text())["scores"]}
    assert rows["params"]["networks"] == 150
    assert 0.5 < rows["params"]["kendall"]["value"] < 0.7  # published: 0.623 over all 9,445 whole cells
    for name in ("scatter.png", "agreement.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_published_figures_are_over_whole_cells(nasbench201_table: Path) -> None:
    """Over the 9,445 cells without dead edges, size and depth rank as published to the last digit."""
    accuracies = read_table(nasbench201_table, "cifar10")
    space = NASBench201Space()
    cells = [cell for cell in space.cells if cell.is_whole]
    truth = np.array([accuracies[cell.text] for cell in cells])
    size = np.array([space.cost(cell).params for cell in cells])
    layers = np.array([sum(op.startswith("nor_conv") for op in cell.edges) for cell in cells])
    assert len(cells) == 9445
    assert (round(kendall(size, truth), 3), round(spearman(size, truth), 3)) == (0.623, 0.799)
    assert round(kendall(layers, truth), 3) == 0.626


def test_score_command() -> None:
    """`score --json` prints one object: the score with its error, and an aggregate's parts."""
    arguments = ["score", "TEXT", "--proxy", "vkdnw", "--proxy", "te", "--batch", "16", "--json"]
    text = _tiny_text()
    result = CliRunner().invoke(app, [text if a == "TEXT" else a for a in arguments])
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)) == {"vkdnw", "vkdnw_se", "te_regions", "te_ntk"}
    plain = CliRunner().invoke(app, ["score", text, "--proxy", "params"])
    assert plain.stdout.split()[0] == "params"


def _tiny_text() -> str:
    from uninas_evo.spaces.uninas import Skeleton, preset

    skeleton = Skeleton(image_size=16, classes=4, stem=(8, 16), channels=(32,), depths=(1,))
    return preset("resnet", skeleton).text
