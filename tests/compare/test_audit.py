"""The audit: agreement with a table, resumed where it was interrupted, and the two commands."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.compare import audit
from uninas_evo.compare.audit import agreements, ranking, read_accuracies, score_networks
from uninas_evo.contracts import Budget, Choose, Cost, Decision, Space
from uninas_evo.errors import DataError, ProxyError
from uninas_evo.pool.open import PoolOptions
from uninas_evo.problems.nasbench201 import read_table
from uninas_evo.proxies import Inputs
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
    accuracies = {str(i): float(rng.uniform(50, 90)) for i in range(12)}
    drawn = []
    monkeypatch.setattr(
        audit, "bootstrapped", lambda measure, count, **_: drawn.append(measure(np.array([3, 3, 7, 1, 5, 9])))
    )
    agreements(scores, accuracies, ["te"])
    texts = ["3", "3", "7", "1", "5", "9"]
    columns = {"te_regions": [scores[t]["te_regions"] for t in texts], "te_ntk": [-scores[t]["te_ntk"] for t in texts]}
    expected = kendall(np.array(rank_aggregate(columns)), np.array([accuracies[t] for t in texts]))
    assert drawn[0] == pytest.approx(expected)
    whole = np.array(ranking(scores, "te")[0])[[3, 3, 7, 1, 5, 9]]
    assert kendall(whole, np.array([accuracies[t] for t in texts])) != pytest.approx(expected)


def test_a_table_of_any_space_is_read(tmp_path: Path) -> None:
    """Genomes are put into their canonical text; a row that is none, or a missing column, is named."""
    table = tmp_path / "table.csv"
    table.write_text("genome,accuracy\n03,71.5\n4,80\n")
    assert read_accuracies(table, "accuracy", SPACE) == {"3": 71.5, "4": 80.0}
    for column, content in (("other", "genome,accuracy\n3,1\n"), ("accuracy", "genome,accuracy\nx,1\n")):
        table.write_text(content)
        with pytest.raises(DataError, match="must be a CSV with a column 'genome'"):
            read_accuracies(table, column, SPACE)


def test_intervals_hold_their_estimate() -> None:
    """A bootstrap interval surrounds the estimate and shrinks with more networks."""
    rng = np.random.default_rng(0)

    def interval(count: int) -> tuple[float, float, float]:
        noisy = {str(i): {"params": i + count / 4 * rng.normal()} for i in range(count)}
        (row,) = agreements(noisy, {str(i): 100 * i / count for i in range(count)}, ["params"], draws=200)
        return row.kendall.low, row.kendall.value, row.kendall.high

    few, many = interval(20), interval(300)
    assert few[0] < few[1] < few[2]
    assert many[2] - many[0] < few[2] - few[0]


@pytest.mark.slow
def test_audit_command(tmp_path: Path, nasbench201_table: Path) -> None:
    """`audit` prints and writes the agreement with real accuracies: size ranks the cells as published."""
    command = ["audit", "--table", str(nasbench201_table), "--out", str(tmp_path), "--networks", "150"]
    result = CliRunner().invoke(app, [*command, "--proxies", "params,layers"])
    assert result.exit_code == 0, result.output
    assert "Kendall" in result.output
    rows = {row["proxy"]: row for row in json.loads((tmp_path / "audit.json").read_text())}
    assert rows["params"]["networks"] == 150
    assert 0.5 < rows["params"]["kendall"]["value"] < 0.7  # published: 0.623 over all 9,445 whole cells
    assert (tmp_path / "scatter.png").read_bytes().startswith(b"\x89PNG")


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
