"""The macro space with fewer choices, and the run file for medical images."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.contracts import Budget
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import ObjectiveError, SpaceError
from uninas_evo.problems.stages import StagesProblem
from uninas_evo.report.folder import pick
from uninas_evo.report.record import read_run
from uninas_evo.spaces.stages.space import StagesSpace, load

ONLY: dict[str, list[Any]] = {"kind": ["inverted"], "stages": [3, 4, 5], "squeeze": [0.0, 0.25], "width": [16, 24, 32]}
RUN = Path(__file__).parents[3] / "runs" / "medical.toml"


@given(seed=st.integers(0, 2**32))
def test_no_operator_leaves_what_is_left(seed: int) -> None:
    """Samples, steps, added and removed stages and crosses have the values that `only` names; texts come back."""
    space, rng = StagesSpace(only=ONLY, budget=Budget(max_params=2e6)), random.Random(seed)
    genome = space.sample(rng)
    for _ in range(15):
        genome = space.mutate(genome, rng) or genome
        genome = space.crossover(genome, space.sample(rng), rng) or genome
        assert genome["stages"] in ONLY["stages"]
        for name, value in genome.items():
            assert value in ONLY.get(name.rpartition("_")[0], [value])
    assert {name for name in genome if name.startswith("heads")} == set()
    assert space.decode(space.encode(genome)) == genome
    whole, again = load(space.encode(genome))
    assert whole.cost(again) == space.cost(genome)


def test_a_space_that_nothing_is_taken_from_is_the_same() -> None:
    """`only` with all values changes nothing."""
    one, other = StagesSpace(), StagesSpace(only={"kind": ["conv", "bottleneck", "inverted", "transformer"]})
    assert one.sample(random.Random(3)) == other.sample(random.Random(3))


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ({"kind": ["dense"]}, "kind has conv, bottleneck"),
        ({"kinds": ["conv"]}, "did you mean 'kind'"),
        ({"kind": []}, "leaves some"),
    ],
)
def test_mistakes_are_told(only: dict[str, list[Any]], message: str) -> None:
    """What there is, and what was given."""
    with pytest.raises(SpaceError, match=message):
        StagesSpace(only=only)


def test_what_is_too_slow_is_dropped_before_it_is_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value beyond `drop` fails the genome, and no other scorer is asked."""
    from uninas_evo.scoring.training import TrainScorer

    monkeypatch.setattr(TrainScorer, "score", lambda self, subject, device: pytest.fail("trained"))
    problem = StagesProblem(
        StagesSpace(only=ONLY),
        ["train"],
        proxies={"train": {"data": "digits"}, "latency_ms": {"repeats": 1}},
        constraints=[{"name": "latency_ms", "drop": 1e-6}],
    )
    with pytest.raises(ObjectiveError, match=r"dropped: latency_ms is .*, beyond 1e-06"):
        problem.evaluate(problem.space.sample(random.Random(0)), "cpu")


@pytest.mark.slow
def test_a_medical_classifier_is_found(tmp_path: Path) -> None:
    """The run file takes a MedMNIST file: candidates are trained, the front has some, and one is picked below 10 MB."""
    rng, labels = np.random.default_rng(0), (np.arange(240)[:, None] % 2).astype(np.uint8)
    images = rng.integers(0, 90, (240, 28, 28), dtype=np.uint8)
    images[labels[:, 0] == 1, 8:20, 8:20] += 120
    parts = {"train": slice(160), "val": slice(160, 200), "test": slice(200, 240)}
    arrays = {f"{part}_images": images[at] for part, at in parts.items()}
    arrays |= {f"{part}_labels": labels[at] for part, at in parts.items()}
    np.savez(tmp_path / "medical.npz", **arrays)  # type: ignore[arg-type]
    settings = [
        "evaluations=6",
        "strategy.population=4",
        "problem.proxies.train.epochs=2",
        "problem.constraints=[]",
        "problem.budget.max_flops=4e6",
    ]
    changes = [*settings, f"problem.proxies.train.data={tmp_path / 'medical.npz'}"]
    words = ["run", str(RUN), "--out", str(tmp_path / "run"), *(word for one in changes for word in ("--set", one))]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert len(read_run(tmp_path / "run").numbers) == 6
    assert pick(tmp_path / "run", by="train", max_size_mb=10).cost["size_mb"] <= 10
    assert read_journal(tmp_path / "run")[0].run["problem"]["budget"] == {"max_size_mb": 15, "max_flops": 4e6}
