"""Once-for-All as a use: trained once, picked under a bound with its weights."""

from __future__ import annotations

import json
import random

import pytest
import torch
from typer.testing import CliRunner

import uninas_evo
from uninas_evo.cli import app
from uninas_evo.config.runfile import load_run_file
from uninas_evo.engine.events import AskEvent, ResultEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import SpaceError
from uninas_evo.problems.shared_weights import SharedWeightsProblem
from uninas_evo.sharing.scorer import SCORE_BATCH, SupernetScorer
from uninas_evo.sharing.specialized import specialize
from uninas_evo.spaces.nasbench201.space import NASBench201Space


@pytest.fixture(scope="module")
def run(squares, tmp_path_factory):
    """A small Once-for-All run, trained by progressive shrinking, and its run file."""
    place = tmp_path_factory.mktemp("ofa")
    (place / "run.toml").write_text(
        f"""evaluations = 4
pool = {{ devices = "in-process", threads = 1 }}
after = {{ rescore = 0 }}
[problem]
name = "ofa"
classes = 3
width = 0.2
resolutions = [32]
objectives = ["supernet", "params"]
[problem.supernet]
data = {json.dumps(str(squares))}
learner = "progressive"
steps = 6
batch_size = 8
recalibrate = 24
[strategy]
name = "random"
"""
    )
    from uninas_evo.api import run_file

    run_file(load_run_file(place / "run.toml"), place / "run", quiet=True)
    return place / "run"


def test_a_picked_network_has_its_weights(run, tmp_path):
    """Under a bound the command gives a trained network: that of the genome, with the accuracy that was recorded."""
    events = read_journal(run)[1]
    genomes = {one.number: one.genome for one in events if isinstance(one, AskEvent)}
    scored = {genomes[one.number]: one.values for one in events if isinstance(one, ResultEvent)}
    bound = sorted(values["params"] for values in scored.values())[1]
    arguments = ["pick", str(run), "--max-params", str(bound), "--weights", str(tmp_path / "small"), "--trust"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    network = uninas_evo.load(tmp_path / "small")
    text = (tmp_path / "small/genome.txt").read_text()
    assert text == (run / "picked.txt").read_text()
    assert sum(p.numel() for p in network.parameters()) == scored[text]["params"] <= bound
    problem: SharedWeightsProblem = load_run_file(run / "run.toml").problem()
    problem.make_ready(run, "cpu", lambda _: None)
    data = problem.own[0].training.data.validation
    images, labels = data.batch(torch.arange(min(SCORE_BATCH, len(data))), "cpu")
    assert float((network(images).argmax(1) == labels).double().mean()) == pytest.approx(scored[text]["supernet"])
    assert network.preparation.size == (3, 32, 32)
    assert network.preparation.mean == (0.5, 0.5, 0.5)
    assert len(network.preparation.classes) == 3


def test_runs_without_such_weights_are_told(squares, tmp_path):
    """Of another run, and of a smaller search network: one message and no traceback."""
    uninas_evo.search({"name": "darts", "objectives": ["params"]}, "random", evaluations=1, out=tmp_path / "plain",
                      pool={"devices": "in-process", "threads": 1}, quiet=True, after={"rescore": 0})  # fmt: skip
    result = CliRunner().invoke(app, ["pick", str(tmp_path / "plain"), "--weights", str(tmp_path / "x"), "--trust"])
    assert result.exit_code == 2
    assert "trained no shared weights" in " ".join(result.output.split())
    space = NASBench201Space(3)
    space.image = (3, 8, 8)
    scorer = SupernetScorer(data=str(squares), steps=2, batch_size=8, network={"channels": 4, "cells": 1})
    scorer.make_ready(space, 0, None, "cpu", lambda _: None)
    with pytest.raises(SpaceError, match=r"those of a search network.*uninas-evo train"):
        specialize(scorer, space, space.sample(random.Random(0)), tmp_path / "x")
