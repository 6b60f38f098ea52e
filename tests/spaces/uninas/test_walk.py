"""The walk through the space: what is recorded, its bound on memory, its files."""

import csv
import json
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.contracts import Budget
from uninas_evo.report.walkplots import write
from uninas_evo.spaces.uninas import Skeleton, StepRule, UninasSpace, load_genome, preset, walk_nodes
from uninas_evo.spaces.uninas import walk as walks
from uninas_evo.spaces.uninas.walk import NAMES, summary, walk

SMALL = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(32, 96), depths=(1, 2))


def space(**rule) -> UninasSpace:
    start = preset("coatnet", SMALL)
    return UninasSpace(start, Budget(max_params=2 * start.params, max_flops=2 * start.flops), StepRule(**rule))


def test_records_are_those_of_the_genomes() -> None:
    """First and last record agree with the genomes themselves, counts add up to the nodes, the budget holds."""
    walked = walk(space(), 3000, seed=1)
    for row, genome in ((0, walked.space.start), (-1, walked.end)):
        assert (walked.params[row], walked.flops[row], walked.nodes[row]) == (genome.params, genome.flops, len(genome))
        for stage, chains in enumerate((genome.chains[:2], genome.chains[2:])):
            counted = Counter(node.operation.name for chain in chains for node, _ in walk_nodes(chain))
            assert dict(zip(NAMES, walked.counts[row, stage].tolist(), strict=True)) == {n: counted[n] for n in NAMES}
    assert (walked.counts.sum(axis=(1, 2)) == walked.nodes).all()
    assert walked.at.tolist() == list(range(3001))
    assert walked.params.max() <= walked.space.budget.max_params
    assert walked.flops.max() <= walked.space.budget.max_flops
    assert walked.shares.sum(axis=1) == pytest.approx(100)
    moved = (np.diff(walked.params) != 0) | (np.diff(walked.flops) != 0) | (np.diff(walked.nodes) != 0)
    assert moved.sum() <= walked.accepted <= 3000


def test_the_record_is_thinned_but_not_the_walk(monkeypatch) -> None:
    """A bound on the records changes what is kept, never where the walk goes; the same seed walks the same way."""
    full = walk(space(), 2500, seed=2)
    monkeypatch.setattr(walks, "RECORDS", 100)
    thin = walk(space(), 2500, seed=2)
    assert thin.end == full.end
    assert thin.accepted == full.accepted
    assert thin.at.tolist() == list(range(0, 2501, 25))
    assert np.array_equal(thin.counts, full.counts[::25])
    assert walk(space(), 2500, seed=3).end != full.end


def test_the_limit_on_nodes_keeps_blocks_small() -> None:
    """With the limit no block outgrows it; without it blocks do."""
    assert summary(walk(space(max_nodes=24), 4000, 0))["largest_block"] <= 24
    assert summary(walk(space(max_nodes=10**6), 4000, 0))["largest_block"] > 48


def test_command_writes_table_genome_and_figures(tmp_path) -> None:
    """`walk` prints the summary on stdout; its table has a row for each record."""
    out = tmp_path / "walk"
    arguments = ["--start", "resnet", "--steps", "400", "--max-params", "40e6", "--eliminate", "0.5"]
    result = CliRunner().invoke(app, ["walk", *arguments, "--out", str(out)])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["steps"] == 400
    assert told["eliminate"] == 0.5
    with (out / "walk.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 401
    end = load_genome(out / "end.txt")
    assert int(rows[-1]["params"]) == end.params
    assert int(rows[0]["4.conv3"]) == 4
    for name in ("size", "shares", "nodes"):
        assert (out / f"walk-{name}.png").stat().st_size > 5000
        assert (out / f"walk-{name}.svg").stat().st_size > 5000


def test_a_start_outside_its_budget_is_told(tmp_path) -> None:
    result = CliRunner().invoke(app, ["walk", "--max-params", "1000", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "the start network must lie inside the budget" in result.output


def test_a_run_file_says_where_to_walk(tmp_path) -> None:
    """Its space, seed and number of evaluations are walked; options override them."""
    file = tmp_path / "walk.toml"
    file.write_text(
        "seed = 3\nevaluations = 300\n[problem]\nstart = 'resnet'\n"
        "skeleton = {image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}\n"
        "[problem.step]\neliminate = 0.5\n"
    )
    result = CliRunner().invoke(app, ["walk", str(file), "--steps", "200", "--out", str(tmp_path / "walk")])
    assert result.exit_code == 0, result.output
    skeleton = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1))
    expected = walk(UninasSpace(preset("resnet", skeleton), rule=StepRule(eliminate=0.5)), 200, seed=3)
    assert load_genome(tmp_path / "walk" / "end.txt") == expected.end


def test_only_the_uninas_space_is_walked(tmp_path) -> None:
    file = tmp_path / "walk.toml"
    file.write_text("time_limit_s = 1\n")
    result = CliRunner().invoke(app, ["walk", str(file), "--out", str(tmp_path / "walk")])
    assert result.exit_code == 2
    assert "give --steps" in result.output


def test_a_walk_of_one_step(tmp_path) -> None:
    """The shortest walk has two records and can be drawn."""
    assert len(write(walk(space(), 1, 0), tmp_path)) == 5
