"""The loop: order, distinct evaluations, ends, replay, worker counts."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_toy import Eager, Finite, ToyProblem, ToyStrategy
from hypothesis import given, settings
from hypothesis import strategies as st

from uninas_evo.contracts import Budget, Draft, Problem, Strategy
from uninas_evo.engine.events import AskEvent, Header, Note, ResultEvent, canonical
from uninas_evo.engine.journal import Journal
from uninas_evo.engine.loop import LOOKAHEAD, MAX_REPEATS, Loop
from uninas_evo.errors import JournalError, StrategyError
from uninas_evo.pool.contract import Activity, Done, Job, Pool
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.strategies.policy_gradient import PPO, Reinforce

TOY = [ToyStrategy, Eager]


def make(
    kind: type[Strategy] = ToyStrategy, problem: Problem | None = None, journal: Journal | None = None, **limits: Any
):
    problem = problem or ToyProblem()
    strategy = kind(problem.space, problem.objectives, seed=1)
    return Loop(problem, strategy, journal or Journal(None), **limits)


def run(loop: Loop, pool: Pool | None = None) -> Note:
    return loop.run(pool or InProcessPool(loop.problem))


class Shuffled(Pool):
    """Many workers that finish in whatever order, drawn at random."""

    def __init__(self, problem: Problem, workers: int, seed: int) -> None:
        self.inner = InProcessPool(problem)
        self.devices = ["toy"] * workers
        self.jobs: list[Job] = []
        self.most = 0
        self.rng = random.Random(seed)

    @property
    def idle(self) -> int:
        return len(self.devices) - len(self.jobs)

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        self.most = max(self.most, len(self.jobs))

    def wait(self, timeout_s: float | None = None) -> list[Done]:
        self.rng.shuffle(self.jobs)
        finished = [self.jobs.pop() for _ in range(self.rng.randint(0, len(self.jobs)))]
        done = []
        for job in finished:
            self.inner.submit(job)
            done += self.inner.wait()
        return done

    def activity(self) -> list[Activity]:
        return []


@pytest.mark.parametrize("kind", [*TOY, PPO, Reinforce])
@settings(max_examples=15)
@given(workers=st.integers(1, 9), seed=st.integers(0, 10**6))
def test_journal_does_not_depend_on_workers(kind: type[Strategy], workers: int, seed: int) -> None:
    """Any number of workers, finishing in any order, gives the same canonical journal."""
    alone, many = make(kind, evaluations=40), make(kind, evaluations=40)
    run(alone)
    run(many, Shuffled(many.problem, workers, seed))
    assert canonical(many.journal.events) == canonical(alone.journal.events)


def test_workers_are_kept_busy() -> None:
    """With as many candidates as workers at hand, all workers have a job."""
    loop = make(evaluations=40)
    pool = Shuffled(loop.problem, 4, seed=0)
    run(loop, pool)
    assert pool.most == 4


def test_results_are_told_in_ask_order_one_at_a_time() -> None:
    """Whatever order they arrive in, the strategy is told candidate after candidate."""
    told: list[int] = []

    class Listening(Eager):
        def tell(self, results: Sequence[Any]) -> None:
            assert len(results) == 1
            told.append(results[0].candidate.number)

    loop = make(Listening, evaluations=30)
    run(loop, Shuffled(loop.problem, 5, seed=3))
    assert told == list(range(len(told)))
    assert len(told) >= 30


def test_distinct_genomes_are_scored_once_and_charged_once() -> None:
    """A genome asked again shares the first result, costs nothing, and names the first candidate in the journal."""
    loop = make(Eager, ToyProblem(base=2), evaluations=100)
    run(loop, Shuffled(loop.problem, 3, seed=0))
    asks = [event for event in loop.journal.events if isinstance(event, AskEvent)]
    results = [event for event in loop.journal.events if isinstance(event, ResultEvent)]
    assert loop.scored == len(results) == 100
    assert loop.told > 100
    first: dict[str, int] = {}
    for trial, ask in zip(loop.trials, asks, strict=True):
        assert ask.same_as == first.get(trial.text)
        assert (ask.genome is None) == (ask.same_as is not None)
        first.setdefault(trial.text, ask.number)
    assert {event.number for event in results} <= set(first.values())


def test_ends() -> None:
    """A run ends at its evaluations, at its time, when the strategy stops, and when nothing new is asked."""
    assert run(make(evaluations=20)).text == "all 20 evaluations are done"
    assert run(make(time_limit_s=0.05)).text == "the time of 0.05 s is over"
    loop = make(Finite, evaluations=20)
    end = run(loop)
    assert (end.kind, end.text, loop.scored) == ("exhausted", "the twelve are asked", 12)
    loop = make(Eager, ToyProblem(base=2), evaluations=257)
    end = run(loop)
    assert (end.kind, loop.scored) == ("exhausted", 256)
    assert end.text == f"the last {MAX_REPEATS} candidates were all scored before"


def test_candidates_asked_before_end_a_run_in_a_row_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new one among them begins the count again."""
    monkeypatch.setattr("uninas_evo.engine.loop.MAX_REPEATS", 3)

    class Now(Eager):
        def ask(self) -> Sequence[Draft]:
            self._asked += 1
            digit = self._asked // 3  # each genome three times: two repeats in a row
            return [Draft((digit % 10, digit // 10, *(0,) * 6))]

    loop = make(Now, evaluations=20)
    assert (run(loop).kind, loop.scored) == ("finished", 20)


def test_a_strategy_that_never_waits_is_asked_so_far_ahead() -> None:
    """At most `LOOKAHEAD` candidates wait for results."""
    loop = make(Eager, evaluations=200)
    loop.replay()
    assert len(loop.trials) == LOOKAHEAD


def test_workers_get_the_ancestors_oldest_first() -> None:
    """With each the fidelity that its weights were trained at."""

    class Heirs(Eager):
        def ask(self) -> Sequence[Draft]:
            self._asked += 1
            parent = None if self._asked == 1 else self._asked - 2
            return [Draft((self._asked, *(0,) * 7), fidelity=self._asked % 2, inherits=parent)]

    class Climb(ToyProblem):
        fidelities = ({}, {})

        def evaluate(self, genome: Any, device: str, **further: Any) -> dict[str, float]:
            return super().evaluate(genome, device)

    class Noting(Shuffled):
        def submit(self, job: Job) -> None:
            lineages[job.number] = [(one.genome, one.fidelity) for one in job.lineage]
            super().submit(job)

    lineages: dict[int, list[tuple[str, int | None]]] = {}
    loop = make(Heirs, Climb(), evaluations=4)
    run(loop, Noting(loop.problem, 1, seed=0))
    assert lineages[3] == [("10000000", 1), ("20000000", 0), ("30000000", 1)]


def test_another_ancestor_is_noticed() -> None:
    """Replay compares all that an ask records, whose weights are inherited too."""
    loop = make(evaluations=20)
    run(loop)
    journal = Journal(None)
    journal.events = [
        Header(run={}, seed=1, objectives={}, versions={}, host={}, started=""),
        *(
            replace(event, inherits=0) if isinstance(event, AskEvent) and event.number == 5 else event
            for event in loop.journal.events
        ),
    ]
    with pytest.raises(JournalError, match="candidate 5 differs in its inherits: recorded 0, now None"):
        make(journal=journal, evaluations=20).replay()


@pytest.mark.parametrize("kind", [*TOY, Finite])
@settings(max_examples=15)
@given(cut=st.integers(0, 60))
def test_replay_from_any_point_gives_the_same_journal(kind: type[Strategy], cut: int) -> None:
    """A journal cut after any number of events and continued equals the one that was never cut."""
    whole = make(kind, evaluations=25)
    run(whole, Shuffled(whole.problem, 3, seed=5))
    part = Journal(None)
    part.events = whole.journal.events[:cut]
    again = make(kind, journal=part, evaluations=25)
    again.replay()
    run(again, Shuffled(again.problem, 2, seed=6))
    assert canonical(part.events) == canonical(whole.journal.events)


@pytest.mark.parametrize("kind", TOY)
def test_more_evaluations_later_equal_more_at_once(kind: type[Strategy]) -> None:
    """A run of 20 that is continued to 40 has the journal of a run of 40."""
    at_once, later = make(kind, evaluations=40), make(kind, evaluations=20)
    run(at_once)
    run(later)
    longer = make(kind, journal=later.journal, evaluations=40)
    longer.replay()
    run(longer)
    assert canonical(longer.journal.events) == canonical(at_once.journal.events)


def test_a_different_strategy_is_noticed_at_the_first_difference() -> None:
    """Replay stops with the candidate, the field, both values and the versions that changed."""
    loop = make(evaluations=20)
    run(loop)
    strategy = ToyStrategy(loop.problem.space, loop.problem.objectives, seed=2)
    header = Header(run={}, seed=1, objectives={}, versions={"torch": "1.0"}, host={}, started="")
    journal = Journal(None)
    journal.events = [header, *loop.journal.events]
    with pytest.raises(JournalError) as caught:
        Loop(loop.problem, strategy, journal, evaluations=20).replay()
    assert "candidate 0 differs in its genome: recorded" in str(caught.value)
    assert "torch 1.0 -> " in str(caught.value)


def test_failures_are_told_and_the_run_goes_on() -> None:
    """A candidate without values is told with its reason, and the run ends where it should."""
    problem = ToyProblem(accident="raise")
    heard: list[str | None] = []

    class Listening(ToyStrategy):
        def tell(self, results: Sequence[Any]) -> None:
            heard.extend(result.failure for result in results)
            assert all((result.failure is None) == bool(result.values) for result in results)
            super().tell(results)

    loop = make(Listening, problem, evaluations=30)
    assert run(loop).kind == "finished"
    assert any(reason is not None and reason.startswith("ValueError: no score for") for reason in heard)


def test_an_operator_outside_the_budget_is_named() -> None:
    """A strategy's own operator that leaves the budget stops the run with its origin and the bounds."""

    class Wild(Eager):
        def ask(self) -> Sequence[Draft]:
            return [Draft((9,) * 8, origin="wild")]

    loop = make(Wild, ToyProblem(budget=Budget(max_params=20)), evaluations=5)
    with pytest.raises(StrategyError, match=r"candidate 0 \(wild\) must lie inside the budget"):
        run(loop)


def test_broken_strategies_are_named() -> None:
    """Waiting for nothing is an error that says so."""

    class Silent(Eager):
        def ask(self) -> Sequence[Draft]:
            return []

    with pytest.raises(StrategyError, match="Silent asks for nothing although all 0 results are told"):
        run(make(Silent, evaluations=5))


def test_elapsed_time_goes_on_after_a_resume() -> None:
    """The time limit counts the earlier parts of a run, not the pause between."""
    loop = make(evaluations=5)
    run(loop)
    results = [event for event in loop.journal.events if isinstance(event, ResultEvent)]
    late = replace(results[-1], measured=replace(results[-1].measured, at=100.0))
    loop.journal.events = [late if event is results[-1] else event for event in loop.journal.events]
    again = make(journal=loop.journal, evaluations=50, time_limit_s=101)
    assert 100 <= again.elapsed_s < 101
    assert make(journal=loop.journal, time_limit_s=99).ended() is not None


def test_journal_on_disk_equals_the_one_in_memory(tmp_path: Path) -> None:
    """What is read back is what was written."""
    for number, kind in enumerate(itertools.chain(TOY)):
        path = tmp_path / f"{number}.jsonl"
        loop = make(kind, journal=Journal(path), evaluations=10)
        loop.journal.append(Header(run={}, seed=1, objectives={"sum": "maximize"}, versions={}, host={}, started="now"))
        run(loop)
        loop.journal.close()
        assert Journal(path).events == loop.journal.events
