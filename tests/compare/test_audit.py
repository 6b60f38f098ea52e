"""The audit: agreement with a table, resumed where it was interrupted, and the two commands."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from torch import nn
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.compare.audit import agreements, kendall, ndcg, ranking, score_networks, spearman
from uninas_evo.errors import ProxyError
from uninas_evo.problems.nasbench201 import read_table
from uninas_evo.proxies import Inputs
from uninas_evo.spaces.nasbench201.space import NASBench201Space

INPUTS = Inputs(batch=4, image=(3, 4, 4))
WIDTHS = [str(width) for width in range(1, 9)]
BUILT: list[str] = []


def build(text: str) -> nn.Module:
    BUILT.append(text)
    return nn.Sequential(nn.Flatten(), nn.Linear(48, int(text)), nn.ReLU(), nn.Linear(int(text), 2))


def test_scores_go_on_where_they_were(tmp_path: Path) -> None:
    """Every score is written as it comes; a second call computes only what is missing, a torn line included."""
    journal = tmp_path / "folder" / "scores.jsonl"
    first = score_networks(WIDTHS[:3], build, ["params"], INPUTS, journal)
    with journal.open("a") as file:
        file.write('{"architecture": "4", "pro')
    BUILT.clear()
    second = score_networks(WIDTHS[:4], build, ["params"], INPUTS, journal)
    assert BUILT == ["4"]
    assert {text: second[text] for text in first} == first
    assert second["4"] == {"params": 48 * 4 + 4 + 8 + 2}
    assert score_networks(WIDTHS[:4], build, ["params"], INPUTS, journal) == second


def test_several_processes_give_the_same_scores(tmp_path: Path) -> None:
    """The number of workers changes nothing."""
    one = score_networks(WIDTHS, build, ["params", "snip"], INPUTS, tmp_path / "one.jsonl")
    two = score_networks(WIDTHS, build, ["params", "snip"], INPUTS, tmp_path / "two.jsonl", workers=2)
    assert one == two


def test_other_inputs_are_refused(tmp_path: Path) -> None:
    """Scores of other inputs are never mixed."""
    score_networks(["1"], build, ["params"], INPUTS, tmp_path / "scores.jsonl")
    with pytest.raises(ProxyError, match=r"holds scores of other inputs.*name another folder"):
        score_networks(["2"], build, ["params"], Inputs(batch=5), tmp_path / "scores.jsonl")


def test_failures_rank_last(tmp_path: Path) -> None:
    """A network that a proxy cannot score is written as null and ranks below all others, whatever the goal."""
    scores = score_networks(["8", "x"], _fails, ["naswot"], INPUTS, tmp_path / "scores.jsonl")
    assert scores["x"] == {"naswot": None}
    for proxy in ("naswot", "te_ntk"):
        values, failures = ranking({"a": {proxy: 2.0}, "b": {proxy: None}, "c": {proxy: 1.0}}, proxy)
        assert (int(values.argmin()), failures) == (1, 1)
    order = {"a": {"te_ntk": 1.0}, "b": {"te_ntk": 2.0}}
    assert ranking(order, "te_ntk")[0].tolist() == [-1, -2]


def _fails(text: str) -> nn.Module:
    return build("8") if text == "8" else nn.Sequential(nn.Flatten(), nn.Linear(48, 2))


def test_agreement_of_perfect_and_reversed_scores() -> None:
    """The right order gives 1 for all measures, the reversed one −1; a constant gives 0."""
    truth = np.linspace(10, 95, 40)
    assert (kendall(truth, truth), ndcg(truth, truth)) == (1, 1)
    assert spearman(truth, truth) == pytest.approx(1)
    assert kendall(-truth, truth) == pytest.approx(-1)
    assert spearman(-truth, truth) == pytest.approx(-1)
    assert ndcg(-truth, truth) < 0.3
    assert kendall(truth * 0, truth) == spearman(truth * 0, truth) == 0


def test_ndcg_by_hand() -> None:
    """Gains 2^accuracy − 1, discounted by log2 of the place plus one, over the best order."""
    gains = [2**0.5 - 1, 2**1.0 - 1]
    expected = (gains[0] + gains[1] / np.log2(3)) / (gains[1] + gains[0] / np.log2(3))
    assert ndcg(np.array([2.0, 1.0]), np.array([50.0, 100.0]), share=1) == pytest.approx(expected)


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
