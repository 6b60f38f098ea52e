"""Which decisions mattered: choices by shares of the variance, graphs by permuted features, and where it is shown."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_network import own
from typer.testing import CliRunner

import uninas_evo
from uninas_evo import Real, SearchProblem, search
from uninas_evo.cli import app
from uninas_evo.errors import ObjectiveError
from uninas_evo.report.common import in_common
from uninas_evo.report.importance import FEWEST, MOST, facts_of, importance
from uninas_evo.report.runpage import report
from uninas_evo.spaces.joint import FixedSpace, JointSpace
from uninas_evo.spaces.stages.space import StagesSpace
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset

NETWORK = preset("coatnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))


def sampled(space: Any, count: int) -> tuple[list[str], list[Any]]:
    rng = random.Random(0)
    genomes = [space.sample(rng) for _ in range(count)]
    return [space.encode(one) for one in genomes], genomes


def test_the_choice_that_decides_comes_first() -> None:
    """Of a space of one's own, whose texts no other space reads: a number that makes the value has nearly all of it."""
    texts, genomes = sampled(own(), 60)
    found = importance(texts, np.array([np.log(one["width"]) for one in genomes]))
    assert next(iter(found.shares)) == "width"
    assert found.shares["width"] > 0.8
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.evaluations == 60
    assert found.explained is None
    assert "inner" in found.shares  # although it does not count in every genome


def test_choices_of_layers_and_settings_are_told_apart() -> None:
    """Networks of choices are rated with the settings of their training beside them, which have a prefix."""
    space = JointSpace(StagesSpace((32,)), {"lr": Real(1e-4, 1e-1, log=True)})
    texts, genomes = sampled(space, 50)
    values = np.array([abs(np.log10(one.training["lr"]) + 2) for one in genomes])
    found = importance(texts, values)
    assert next(iter(found.shares)) == "training.lr"
    assert {"stages", "kind_1"} < facts_of(texts[0]).keys()


def test_graphs_are_rated_by_their_features() -> None:
    """A forest finds the feature that makes the value, says how much it explains, and that it is little for noise."""
    space, rng, genomes = UninasSpace(NETWORK), random.Random(0), [NETWORK]
    while len(genomes) < 60:
        genomes.append(space.mutate(rng.choice(genomes), rng) or NETWORK)
    texts = [space.encode(one) for one in genomes]
    found = importance(texts, np.array([float(np.log(one.params)) for one in genomes]))
    assert next(iter(found.shares)) == "log params"
    assert found.explained is not None
    assert found.explained > 0.5
    noise = importance(texts, np.random.default_rng(0).normal(size=60))
    assert noise.explained is not None
    assert noise.explained < 0.2


def test_too_little_says_nothing() -> None:
    """Few evaluations, failures, and values that are all alike are refused; many are thinned out evenly."""
    texts, genomes = sampled(own(), MOST + 50)
    values = np.array([float(one["width"]) for one in genomes])
    few = values.copy()
    few[FEWEST - 1 :] = np.nan
    with pytest.raises(ObjectiveError, match=f"needs {FEWEST} evaluations that compare, and there are {FEWEST - 1}"):
        importance(texts, few)
    with pytest.raises(ObjectiveError, match="that differ"):
        importance(texts, np.ones(len(texts)))
    assert importance(texts, values).evaluations == MOST


def test_what_the_best_have_in_common() -> None:
    """The answer that most of the best gave, how many did, and how many of all; by goal; of choices alone."""
    texts, genomes = sampled(own(), 60)
    values = np.array([float(one["kind"] == "bottleneck") for one in genomes])
    most = {one.decision: one for one in in_common(texts, values, "maximize")}
    least = {one.decision: one for one in in_common(texts, values, "minimize")}
    assert (most["kind"].answer, most["kind"].best) == ("bottleneck", 5)
    assert (least["kind"].answer, least["kind"].best) == ("plain", 5)
    assert most["kind"].everywhere == pytest.approx(values.mean())
    assert (least["inner"].answer, least["inner"].best) == ("not decided", 5)
    assert "drop" not in most  # numbers that all differ
    assert in_common(texts[:5], values[:5], "maximize") == []
    space, rng = UninasSpace(NETWORK), random.Random(0)
    graphs = [space.encode(space.mutate(NETWORK, rng) or NETWORK) for _ in range(10)]
    assert in_common(graphs, np.arange(10.0), "maximize") == []


def rate(genome: Any, device: str) -> float:
    """Stands for a training."""
    return -abs(np.log10(genome.training["lr"]) + 2)


def test_pages_figures_and_results_show_it(tmp_path: Path) -> None:
    """The same shares from Python and from the folder, on the page of an ended run and as a file."""
    space = FixedSpace(UninasSpace(NETWORK), NETWORK)
    table = {"lr": Real(1e-4, 1e-1, log=True), "weight_decay": Real(0.0, 0.1)}
    problem = SearchProblem(space, [rate], training=table)
    more: dict[str, Any] = {"pool": {"devices": "in-process"}, "after": {"rescore": 0, "plot": False}, "quiet": True}
    result = search(problem, "random", evaluations=30, out=tmp_path / "run", **more)
    found = uninas_evo.importance(result)
    assert next(iter(found.shares)) == "training.lr"
    assert uninas_evo.importance(tmp_path / "run").shares == found.shares
    with pytest.raises(ObjectiveError, match="there is no 'rat': use rate"):
        uninas_evo.importance(tmp_path / "run", "rat")
    page = report(tmp_path / "run").read_text()
    assert "Which decisions mattered" in page
    assert "over 30 evaluations" in page
    done = CliRunner().invoke(app, ["plot", str(tmp_path / "run"), "--importance"])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "run" / "importance-rate.svg").is_file()
    short = search(problem, "random", evaluations=5, out=tmp_path / "short", **more)
    assert "Which decisions" not in report(tmp_path / "short").read_text()
    assert len(short.evaluations) == 5
    refused = CliRunner().invoke(app, ["plot", str(tmp_path / "short"), "--importance"])
    assert refused.exit_code == 2
    assert "importance needs 20 evaluations" in refused.output
