"""Genomes that score alike: one evaluation for all, costs of their own, and the same journal whatever happens."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from engine.test_loop import Shuffled, make, run
from engine_toy import Digits, Eager, ToyProblem, ToyStrategy
from hypothesis import given, settings
from hypothesis import strategies as st

import uninas_evo
from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.contracts import Objective, Result, Strategy
from uninas_evo.engine.events import AskEvent, ResultEvent, canonical
from uninas_evo.engine.journal import Journal, read_journal
from uninas_evo.engine.search import reopen
from uninas_evo.errors import JournalError
from uninas_evo.problems.uninas import UninasProblem
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, load_genome, preset

SKELETON = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(16, 16), depths=(1, 1))


class Even(ToyProblem):
    """Odd digits score as the even ones below them."""

    def standing_for(self, genome: Digits) -> Digits:
        return tuple(digit - digit % 2 for digit in genome)

    def evaluate(self, genome: Digits, device: str, **more: Any) -> dict[str, float]:
        return super().evaluate(self.standing_for(genome), device) | {"params": float(sum(genome))}


@pytest.mark.parametrize("kind", [ToyStrategy, Eager])
@settings(max_examples=15)
@given(workers=st.integers(1, 9), seed=st.integers(0, 10**6), cut=st.integers(0, 80))
def test_workers_and_kills_change_nothing(kind: type[Strategy], workers: int, seed: int, cut: int) -> None:
    """Any number of workers, cut anywhere and continued: the same canonical journal."""
    alone, many = make(kind, Even(base=4), evaluations=30), make(kind, Even(base=4), evaluations=30)
    run(alone)
    run(many, Shuffled(many.problem, workers, seed))
    assert canonical(many.journal.events) == canonical(alone.journal.events)
    part = Journal(None)
    part.events = many.journal.events[:cut]
    again = make(kind, Even(base=4), journal=part, evaluations=30)
    again.replay()
    run(again, Shuffled(again.problem, 2, seed))
    assert canonical(part.events) == canonical(alone.journal.events)


def test_one_evaluation_serves_all() -> None:
    """What stands for a genome is evaluated once, whoever asks first, and charged once; costs are each one's own."""
    told: list[Result] = []

    class Listening(Eager):
        def tell(self, results: Any) -> None:
            told.extend(results)

    loop = make(Listening, Even(base=4), evaluations=60)
    run(loop, Shuffled(loop.problem, 3, seed=0))
    asks = [event for event in loop.journal.events if isinstance(event, AskEvent)]
    results = [event for event in loop.journal.events if isinstance(event, ResultEvent)]
    assert loop.scored == len(results) == 60
    shared = [ask for ask in asks if ask.same_as is not None and ask.genome is not None]
    assert len(shared) > 10
    for ask in asks:
        first = loop.trials[ask.number if ask.same_as is None else ask.same_as]
        assert loop.problem.standing_for(loop.trials[ask.number].candidate.genome) == loop.problem.standing_for(
            first.candidate.genome
        )
    for result in told:
        genome = result.candidate.genome
        assert result.values["sum"] == sum(loop.problem.standing_for(genome))
        assert result.values["params"] == sum(genome)


def test_such_a_journal_is_read_again(tmp_path: Path) -> None:
    """An ask with a genome that shares another's result stands in the file as it was written."""
    journal = Journal(tmp_path / "journal.jsonl")
    loop = make(Eager, Even(base=4), evaluations=20)
    run(loop)
    from engine.test_journal import HEADER

    journal.append(HEADER, *loop.journal.events)
    journal.close()
    assert canonical(read_journal(tmp_path)[1]) == canonical(loop.journal.events)


def chains(first: str) -> str:
    lines = preset("efficientnet", SKELETON).text.splitlines()
    place = next(number for number, line in enumerate(lines) if line.strip().startswith("1:"))
    return "\n".join([*lines[:place], f"  1: {first}", *lines[place + 1 :]]) + "\n"


def test_proxies_score_what_stands_for_a_genome() -> None:
    """Dropout and a second norm change no score and all costs; without `canonical` each genome is scored as it is."""
    raw, plain = (
        load_genome(chains(text)) for text in ("conv1 batchnorm dropout batchnorm gelu", "conv1 batchnorm gelu")
    )
    space = UninasSpace(raw)
    problem = UninasProblem(space, ["synflow", "snip"], batch=8)
    assert problem.standing_for(raw) == plain
    a, b = problem.evaluate(raw, "cpu"), problem.evaluate(plain, "cpu")
    assert [a[name] for name in ("synflow", "snip")] == [b[name] for name in ("synflow", "snip")]
    assert a["params"] > b["params"]
    exact = UninasProblem(space, ["snip"], batch=8, canonical=False)
    assert exact.standing_for(raw) == raw
    assert exact.evaluate(raw, "cpu")["snip"] != exact.evaluate(plain, "cpu")["snip"]


@pytest.mark.parametrize("more", ["flops", Objective("x", "maximize")])
def test_what_costs_or_users_tell_is_not_shared(more: Any) -> None:
    """With costs as objectives, or functions of the user's own, every genome is an evaluation."""

    def x(genome: Any) -> float:
        return 1.0

    raw = load_genome(chains("conv1 dropout gelu"))
    problem = UninasProblem(UninasSpace(raw), ["snip", more if isinstance(more, str) else x], batch=8)
    assert problem.standing_for(raw) == raw


RUN = """
evaluations = 30
[problem]
start = "efficientnet"
objective = "naswot"
batch = 8
budget = { max_params = 20_000 }
skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [16, 16], depths = [1, 1] }
[strategy]
name = "random_walk"
[after]
rescore = 0
plot = false
[pool]
devices = "in-process"
"""


def test_the_summary_tells_what_was_saved(tmp_path: Path) -> None:
    """A search whose genomes repeat one another: as many evaluations, more candidates, and the share of both."""
    (tmp_path / "run.toml").write_text(RUN)
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "a", quiet=True)
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    asks = [event for event in read_journal(tmp_path / "a")[1] if isinstance(event, AskEvent)][: summary["candidates"]]
    different = len({ask.genome for ask in asks if ask.genome})
    assert summary["evaluations"] == 30 < different
    assert summary["saved"] == pytest.approx(1 - 30 / different, abs=1e-4)
    settings = ["problem.canonical=false"]
    run_file(load_run_file(tmp_path / "run.toml", settings), tmp_path / "b", quiet=True)
    assert json.loads((tmp_path / "b" / "summary.json").read_text())["saved"] == 0


def test_older_runs_keep_their_scores(tmp_path: Path) -> None:
    """A journal of before scores as it did, from its folder; an object that scores otherwise is refused."""
    (tmp_path / "run.toml").write_text(RUN)
    run_file(load_run_file(tmp_path / "run.toml", ["problem.canonical=false"]), tmp_path / "new", quiet=True)
    whole = canonical(read_journal(tmp_path / "new")[1])
    old = tmp_path / "old"
    run_file(load_run_file(tmp_path / "run.toml", ["problem.canonical=false", "evaluations=12"]), old, quiet=True)
    header, events = read_journal(old)
    run_content = {key: value for key, value in header.run["problem"].items() if key != "canonical"}
    from dataclasses import replace

    before = replace(header, version=2, run={**header.run, "problem": run_content})
    (old / "journal.jsonl").unlink()
    (old / "run.toml").unlink()
    journal = Journal(old / "journal.jsonl")
    journal.append(before, *events)
    journal.close()
    assert reopen(old)[0].problem().canonical is False
    resume(old, ["evaluations=30"], quiet=True)
    assert canonical(read_journal(old)[1]) == whole
    problem = UninasProblem(UninasSpace(preset("efficientnet", SKELETON)), ["naswot"], batch=8)
    with pytest.raises(JournalError, match="make the problem with canonical=False"):
        uninas_evo.search(problem, "random_walk", evaluations=40, out=old, resume=True, quiet=True)
