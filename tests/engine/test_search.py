"""Whole searches: from Python, from run files, resumed, verified; and what a run folder may never do."""

from __future__ import annotations

import errno
import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from engine_toy import ToyOptions, ToyProblem, ToyStrategy

import uninas_evo
from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.contracts import Objective
from uninas_evo.engine.events import Note, canonical
from uninas_evo.engine.finalists import difference, rescore
from uninas_evo.engine.journal import Journal, read_journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.results import Evaluation, ranked
from uninas_evo.engine.verify import verify
from uninas_evo.errors import DataError, JournalError, PoolError, RunFileError
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.registry import find

POOL = {"devices": "in-process"}
RUN = """
evaluations = 30
seed = 3
problem = {name = "toy", noise = 0.5}
strategy = {name = "toy"}
pool = {devices = "in-process"}
after = {rescore = 4, plot = false}
"""


@pytest.fixture
def folder(installed: dict[str, str], tmp_path: Path) -> Path:
    """A finished run of the toy."""
    path = tmp_path / "run.toml"
    path.write_text(RUN)
    out = tmp_path / "out"
    run_file(load_run_file(path), out, quiet=True)
    return out


def search(**options: Any) -> uninas_evo.SearchResult:
    options = {"after": {"plot": False}} | options
    return uninas_evo.search(ToyProblem(), "evolution", pool=POOL, quiet=True, **options)


def test_python_heeds_what_comes_after(tmp_path: Path) -> None:
    """`[after] plot` draws for a search from Python as for the command; `[train]` needs a folder and its data."""
    search(evaluations=10, out=tmp_path / "a", after={"plot": True})
    assert (tmp_path / "a" / "progress.png").exists()
    search(evaluations=10, out=tmp_path / "b")
    assert not (tmp_path / "b" / "progress.png").exists()
    with pytest.raises(RunFileError, match="trained networks are kept in the run folder, and none is given; set out"):
        search(evaluations=10, train={"data": "nowhere"})
    with pytest.raises(DataError, match="nowhere"):
        search(evaluations=10, train={"data": "nowhere"}, out=tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_one_call_searches() -> None:
    """A problem, a strategy's name and a number of evaluations give the best genome, with nothing written."""
    result = search(evaluations=200)
    assert result.folder is None
    assert len(result.evaluations) == 200
    assert result.best is not None
    assert result.best.values["sum"] == max(one.values["sum"] for one in result.evaluations) > 50
    assert result.best.text == "".join(map(str, result.best.genome))


def test_a_strategy_may_be_an_object_and_a_problem_a_table(installed: Any) -> None:
    """Names, tables and objects give the same search."""
    problem = ToyProblem(seed=1)
    made = ToyStrategy(problem.space, problem.objectives, seed=1, population=3)
    options: dict[str, Any] = {"evaluations": 20, "seed": 1, "pool": POOL, "quiet": True}
    results = [
        uninas_evo.search(problem, made, **options),
        uninas_evo.search(problem, {"name": "toy", "population": 3}, **options),
        uninas_evo.search({"name": "toy"}, {"name": "toy", "population": 3}, **options),
    ]
    assert results[0].evaluations == results[1].evaluations == results[2].evaluations


def test_mistakes_in_a_call_are_told() -> None:
    """The same messages as for a run file."""
    with pytest.raises(RunFileError, match="a run needs an end"):
        search()
    with pytest.raises(RunFileError, match="evaluations: should be greater than 0, got 0"):
        search(evaluations=0)
    with pytest.raises(RunFileError, match=r"no strategy is called 'evolve'.*did you mean 'evolution'"):
        uninas_evo.search(ToyProblem(), "evolve", evaluations=1)
    problem = ToyProblem()
    with pytest.raises(RunFileError, match="a strategy that was made already needs the problem it was made for"):
        uninas_evo.search("uninas", ToyStrategy(problem.space, problem.objectives, seed=0), evaluations=1)


def test_a_python_search_is_continued(tmp_path: Path) -> None:
    """The same call with resume=True and more evaluations equals one that had them at once."""
    search(evaluations=20, out=tmp_path / "a")
    with pytest.raises(JournalError, match="holds a run already; continue it with"):
        search(evaluations=20, out=tmp_path / "a")
    search(evaluations=40, out=tmp_path / "a", resume=True)
    search(evaluations=40, out=tmp_path / "b")
    assert canonical(read_journal(tmp_path / "a")[1]) == canonical(read_journal(tmp_path / "b")[1])
    with pytest.raises(JournalError, match="is another run: it has seed 0"):
        search(evaluations=40, out=tmp_path / "a", resume=True, seed=1)
    with pytest.raises(JournalError, match="was started from Python with a problem"):
        resume(tmp_path / "a")
    with pytest.raises(JournalError, match="cannot be read"):
        search(evaluations=40, out=tmp_path / "none", resume=True)


def test_a_start_that_cannot_be_scored_stops_before_anything_is_written(tmp_path: Path) -> None:
    """The reason is in the message, and the folder can be used again."""

    class Broken(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            raise ValueError("no such layer")

    out = tmp_path / "out"
    with pytest.raises(
        PoolError,
        match=r"start network must be scored.*ValueError: no such layer .test_search.py, line \d+, in evaluate.; fix",
    ):
        uninas_evo.search(Broken(), "evolution", evaluations=5, pool=POOL, out=out, quiet=True)
    assert search(evaluations=5, out=out).folder == out


def test_all_failed_is_a_completed_run(tmp_path: Path) -> None:
    """A run where nothing but the start can be scored ends, and says that nothing was found."""

    class Picky(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            if not self.asked:
                return {"sum": 1.0}
            raise ValueError("never")

        asked = False

    problem = Picky()
    strategy = ToyStrategy(problem.space, problem.objectives, seed=0)
    inner = strategy.ask

    def ask() -> Any:
        Picky.asked = True
        return inner()

    strategy.ask = ask  # type: ignore[method-assign]
    result = uninas_evo.search(problem, strategy, evaluations=10, pool=POOL, out=tmp_path / "out", quiet=True)
    assert (result.best, result.front, result.rescored, len(result.evaluations)) == (None, [], None, 10)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["failures"] == {"ValueError": 10}


def test_the_folder_of_a_run(folder: Path) -> None:
    """Run file, journal, winner, summary; a header with everything that a repetition needs."""
    assert {path.name for path in folder.iterdir()} == {"run.toml", "journal.jsonl", "winner.txt", "summary.json"}
    assert load_run_file(folder / "run.toml").options.seed == 3
    header, events = read_journal(folder)
    assert header.run["problem"] == ToyProblem(noise=0.5).options.model_dump() | {"name": "toy"}
    assert header.objectives == {"sum": "maximize"}
    assert {"python", "torch", "uninas-evo", "numpy"} <= header.versions.keys()
    assert {"name", "system", "cpus", "memory_gb", "devices"} <= header.host.keys()
    (note,) = (event for event in events if isinstance(event, Note))
    assert note.kind == "finished"
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["evaluations"] == 30
    (best,) = summary["best"]
    assert str(best["params"]) == str(sum(map(int, (folder / "winner.txt").read_text())))
    assert len(summary["rescored"]["values"]["winner"]) == 4


def test_several_objectives_give_a_front(installed: Any, tmp_path: Path) -> None:
    """Each member has its genome file and a line of the table."""
    result = uninas_evo.search(
        {"name": "toy", "objectives": 2}, "nsga2", evaluations=60, pool=POOL, out=tmp_path / "out", quiet=True
    )
    files = {path.stem for path in (tmp_path / "out" / "front").iterdir()}
    assert files == {str(one.number) for one in result.front}
    lines = (tmp_path / "out" / "front.csv").read_text().splitlines()
    assert lines[0] == "number,sum,first,params,flops,genome"
    assert len(lines) == 1 + len(result.front)


def test_resume_with_more_evaluations(folder: Path, tmp_path: Path) -> None:
    """What is changed is noted and kept; the record equals that of a run that had them at once."""
    resume(folder, ["evaluations=50"], quiet=True)
    assert load_run_file(folder / "run.toml").options.evaluations == 50
    notes = [event for event in read_journal(folder)[1] if isinstance(event, Note)]
    assert [note.kind for note in notes] == ["finished", "resumed", "changed", "finished"]
    assert notes[2].text == "evaluations = 50"
    run_file(load_run_file(tmp_path / "run.toml", ["evaluations=50"]), tmp_path / "at once", quiet=True)
    assert canonical(read_journal(folder)[1]) == canonical(read_journal(tmp_path / "at once")[1])
    resume(folder, quiet=True)
    assert len([event for event in read_journal(folder)[1] if isinstance(event, Note) and event.kind == "changed"]) == 1


@pytest.mark.parametrize("setting", ["seed=4", "strategy.population=7", "problem.noise=1.0", "pool.threads=2"])
def test_resume_refuses_what_the_record_depends_on(folder: Path, setting: str) -> None:
    """The field is named, with what may change instead; so is an edit of the folder's run file."""
    field = setting.partition("=")[0]
    with pytest.raises(RunFileError, match=f"a run that has begun cannot change {field}.*evaluations"):
        resume(folder, [setting], quiet=True)
    text = (folder / "run.toml").read_text()
    (folder / "run.toml").write_text(text.replace("seed = 3", "seed = 4"))
    with pytest.raises(RunFileError, match="a run that has begun cannot change seed"):
        resume(folder, quiet=True)


def test_fields_that_are_new_get_their_defaults(folder: Path) -> None:
    """A folder of an earlier version, whose header and run file lack a field, is continued."""
    lines = (folder / "journal.jsonl").read_text().splitlines()
    header, events = read_journal(folder)
    older = {"problem": {"name": "toy", "noise": 0.5}, "strategy": {"name": "toy"}}
    (folder / "journal.jsonl").unlink()
    journal = Journal(folder / "journal.jsonl")
    journal.append(replace(header, run=header.run | older), *events)
    journal.close()
    resume(folder, ["evaluations=31"], quiet=True)
    assert len((folder / "journal.jsonl").read_text().splitlines()) > len(lines)


def test_resume_without_the_run_file(folder: Path) -> None:
    """The journal alone is enough."""
    (folder / "run.toml").unlink()
    before = canonical(read_journal(folder)[1])
    resume(folder, quiet=True)
    assert canonical(read_journal(folder)[1]) == before
    assert (folder / "run.toml").exists()


def test_a_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One message with the fix; root, who may write everywhere, is told so by a file system that refuses."""
    tmp_path.chmod(0o500)
    if os.geteuid() == 0:

        def refuse(path: Any, *_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr(os, "mkdir", refuse)
    with pytest.raises(JournalError, match=r"cannot be made \(Permission denied\); choose another with --out"):
        search(evaluations=5, out=tmp_path / "out")


def test_nothing_that_was_scored_is_taken_back(folder: Path) -> None:
    """Fewer evaluations than the journal holds are refused, and the winner stays."""
    before = (folder / "winner.txt").read_text(), canonical(read_journal(folder)[1])
    with pytest.raises(RunFileError, match=r"has scored \d+ genomes, and evaluations is 1: .* set evaluations to"):
        resume(folder, ["evaluations=1"], quiet=True)
    assert ((folder / "winner.txt").read_text(), canonical(read_journal(folder)[1])) == before


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    """One message with the fix."""
    (tmp_path / "out").write_text("")
    with pytest.raises(JournalError, match=r"cannot be made \(File exists\); choose another with --out"):
        search(evaluations=5, out=tmp_path / "out")


def test_verify_scores_the_whole_front(installed: dict[str, str], tmp_path: Path) -> None:
    """With several objectives every member is compared, in every objective."""
    path = tmp_path / "run.toml"
    two = RUN.replace("noise = 0.5", "noise = 9, objectives = 2").replace('{name = "toy"}', '{name = "nsga2"}')
    path.write_text(two)
    result = run_file(load_run_file(path), tmp_path / "out", quiet=True)
    rows = verify(tmp_path / "out")
    assert len(result.front) > 1
    assert {row.number for row in rows} == {one.number for one in result.front}
    assert {row.name for row in rows} == {"sum", "first"}
    assert all(row.agrees and row.rule == "bit for bit" for row in rows)


def test_verify_compares_bit_for_bit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The winner and random entries agree; a changed score is found; another kind of device has a tolerance."""
    (row,) = verify(folder)
    assert (row.agrees, row.rule, row.recorded) == (True, "bit for bit", row.now)
    assert len(verify(folder, 10)) == 10
    original = ToyProblem.evaluate

    def shifted(by: float) -> Any:
        def evaluate(self: ToyProblem, genome: Any, device: str) -> dict[str, float]:
            return {name: value * (1 + by) for name, value in original(self, genome, device).items()}

        return evaluate

    monkeypatch.setattr(ToyProblem, "evaluate", shifted(1e-6))
    assert not verify(folder)[0].agrees
    monkeypatch.setattr("uninas_evo.pool.worker.describe", lambda device: "another kind")
    (row,) = verify(folder)
    assert row.agrees
    assert row.rule.startswith("within 0.001 (recorded on ")
    monkeypatch.setattr(ToyProblem, "evaluate", shifted(1e-2))
    assert not verify(folder)[0].agrees


def test_verify_compares_what_is_measured_with_its_spread(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measured time may differ by three deviations, and by no more."""

    def timed(options: ToyOptions, seed: int) -> ToyProblem:
        problem = ToyProblem(seed + 1, **options.model_dump())
        problem.objectives = (Objective("sum", "maximize", repeats=False),)
        return problem

    monkeypatch.setattr(ToyProblem, "from_options", timed)
    (row,) = verify(folder)
    assert row.recorded != row.now
    assert (row.agrees, row.rule) == (True, "measured: within 3 deviations of 5 more")
    monkeypatch.setattr(ToyProblem, "evaluate", lambda problem, genome, device: {"sum": 500.0})
    assert not verify(folder)[0].agrees


OBJECTIVE = "def score(genome: 'Genome'):\n    return float(len(genome))\n"
UNINAS = """
evaluations = 6
pool = {devices = "in-process"}
after = {rescore = 0, plot = false}
strategy = {name = "random_walk"}
[problem]
objective = "my_fitness.py:score"
skeleton = {image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A finished run with a function of the user's own."""
    (tmp_path / "my_fitness.py").write_text(OBJECTIVE)
    (tmp_path / "run.toml").write_text(UNINAS)
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "out", quiet=True)
    return tmp_path / "out"


def test_a_changed_objective_is_not_run(own: Path) -> None:
    """A file of another hash is refused before it is executed, unless it is allowed."""
    mark = own.parent / "executed"
    (own.parent / "my_fitness.py").write_text(f"open({str(mark)!r}, 'w').close()\n{OBJECTIVE}")
    for action in (lambda: resume(own, ["evaluations=8"], quiet=True), lambda: verify(own)):
        with pytest.raises(JournalError, match=r"is not the one that this run was started with.*--allow-changed-objec"):
            action()
    assert not mark.exists()
    resume(own, ["evaluations=8"], allow_changed_objective=True, quiet=True)
    assert mark.exists()


def test_a_missing_objective_is_told(own: Path) -> None:
    """A file that is gone differs too."""
    (own.parent / "my_fitness.py").unlink()
    with pytest.raises(JournalError, match="now missing"):
        resume(own, ["evaluations=8"], quiet=True)


def test_another_objective_is_not_run(own: Path) -> None:
    """A run folder whose run file names other code is refused."""
    text = (own / "run.toml").read_text()
    (own / "run.toml").write_text(text.replace("my_fitness.py:score", "evil.py:score"))
    (own.parent / "evil.py").write_text("raise SystemExit('executed')")
    with pytest.raises(RunFileError, match=r"cannot change problem\.objectives"):
        resume(own, quiet=True)


def test_code_of_a_foreign_folder_is_not_run(own: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where no run of this user was, nothing that a folder names runs until the user agrees; that is remembered."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody else"))
    monkeypatch.setattr("uninas_evo.scoring.function._load_file", lambda path: pytest.fail("was executed"))
    for action in (resume, verify):
        with pytest.raises(JournalError, match=r"was not written by a run of yours here: .*my_fitness.*--trust"):
            action(own)
    monkeypatch.undo()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody else"))
    verify(own, trust=True)
    resume(own, ["evaluations=8"], quiet=True)


@pytest.mark.parametrize(
    "text", ["__import__('os').system('touch executed')", "cos\nsystem\n(S'touch executed'\ntR.", "!!python/object"]
)
def test_hostile_texts_are_only_refused(own: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Code in a run file, a genome or a journal's place is text that is no run file, genome or journal."""
    monkeypatch.chdir(own.parent)
    for file in ("run.toml", "journal.jsonl", "winner.txt"):
        kept = (own / file).read_text()
        (own / file).write_text(text)
        with pytest.raises(uninas_evo.UninasEvoError):
            resume(own, quiet=True) if file != "winner.txt" else uninas_evo.load_genome(own / file)
        (own / file).write_text(kept)
    (own.parent / "run.toml").write_text(f"evaluations = 1\nproblem.start = {json.dumps(text)}")
    with pytest.raises(RunFileError):
        load_run_file(own.parent / "run.toml")
    assert not (own.parent / "executed").exists()


def evaluation(number: int, *values: float, failure: str | None = None) -> Evaluation:
    names = dict(zip("abc", values, strict=False))
    return Evaluation(number, number, str(number), uninas_evo.contracts.Cost(1, 1), names, failure)


def test_front_and_ranking() -> None:
    """No member is dominated; of equals the first stays; failures are never in it."""
    objectives = (Objective("a", "maximize"), Objective("b", "minimize"))
    found = [
        evaluation(0, 1, 1),
        evaluation(1, 1, 1),
        evaluation(2, 2, 2),
        evaluation(3, 0.5, 1.5),
        evaluation(4, failure="no"),
        evaluation(5, 3, 1.5),
    ]
    assert sorted(one.number for one in ranked(found, objectives)) == [0, 5]
    assert [one.number for one in ranked(found, objectives[:1])] == [5, 2, 0, 1, 3]
    assert [one.number for one in ranked(found, objectives[1:])] == [0, 1, 3, 5, 2]


def test_the_front_equals_the_definition() -> None:
    """Against the quadratic definition, on random points with ties."""
    rng = random.Random(0)
    objectives = (Objective("a", "maximize"), Objective("b", "minimize"), Objective("c", "maximize"))
    found = [evaluation(n, rng.randint(0, 5), rng.randint(0, 5), rng.randint(0, 5)) for n in range(150)]

    def covers(x: Evaluation, y: Evaluation) -> bool:
        a, b = x.values, y.values
        return a["a"] >= b["a"] and a["b"] <= b["b"] and a["c"] >= b["c"]

    expected = [
        y.number for y in found if not any(covers(x, y) and (not covers(y, x) or x.number < y.number) for x in found)
    ]
    assert sorted(one.number for one in ranked(found, objectives)) == expected


def no_pool() -> Any:
    raise AssertionError("what is recorded must not be scored again")


def test_rescoring_is_paired_and_knows_noise_from_gain() -> None:
    """Fresh seeds, the same for all, each scored once; without noise one is enough; noise is told from gain."""
    noisy = ToyProblem(noise=1.0)
    pool = InProcessPool(noisy)
    best = [
        Evaluation(0, (9,) * 8, "9" * 8, noisy.space.cost((9,) * 8), {"sum": 70.0}),
        Evaluation(1, (9,) * 8, "99999998", noisy.space.cost((9,) * 8), {"sum": 69.0}),
    ]
    journal = Journal(None)
    found = rescore(noisy, lambda: pool, best, seed=0, seeds=8, journal=journal)
    assert found is not None
    assert {name: len(values) for name, values in found.values.items()} == {"start": 8, "winner": 8, "runner-up": 8}
    assert found.noisy
    assert found.over_start is not None
    assert found.over_start.significant
    assert rescore(noisy, no_pool, best, seed=0, seeds=8, journal=journal) == found
    exact = ToyProblem()
    best[0] = Evaluation(0, (9,) * 8, "9" * 8, exact.space.cost((9,) * 8), {"sum": 72.0})
    alone = rescore(exact, lambda: InProcessPool(exact), best[:1], seed=0, seeds=8, journal=Journal(None))
    assert alone is not None
    assert (alone.noisy, alone.values) == (False, {"start": [8.0], "winner": [72.0]})
    lead = difference([1.0, 2.0, 3.0], [1.5, 1.5, 2.5], 1)
    assert lead is not None
    assert (round(lead.mean, 6), round(lead.error, 6), lead.significant) == (0.166667, 0.333333, False)
    assert difference([float("nan")], [1.0], 1) is None


def test_a_run_that_ended_by_its_time_keeps_its_result(tmp_path: Path) -> None:
    """Resuming it scores nothing and finds what it found: how long the record took is no limit of the replay."""
    first = search(time_limit_s=1.0, out=tmp_path / "out")
    before = (tmp_path / "out" / "journal.jsonl").read_bytes()
    again = search(time_limit_s=1.0, out=tmp_path / "out", resume=True)
    assert first.evaluations
    assert [one.text for one in again.evaluations] == [one.text for one in first.evaluations]
    assert (again.best, again.rescored) == (first.best, first.rescored)
    assert (tmp_path / "out" / "journal.jsonl").read_bytes() == before


def test_a_finished_run_is_not_scored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Resuming it opens no worker: the journal holds the finalists' fresh scores too."""
    first = search(evaluations=20, after={"rescore": 3, "plot": False}, out=tmp_path / "out")
    monkeypatch.setattr("uninas_evo.engine.search.open_pool", no_pool)
    again = search(evaluations=20, after={"rescore": 3, "plot": False}, out=tmp_path / "out", resume=True)
    assert again.rescored == first.rescored


def test_replay_leaves_the_journal_alone(tmp_path: Path) -> None:
    """Replaying a journal that was cut in the middle writes nothing, as reading a run must not change it."""
    search(evaluations=20, out=tmp_path / "out")
    path = tmp_path / "out" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:20]))
    before = path.read_bytes()
    problem = ToyProblem()
    journal = Journal(path)
    loop = Loop(problem, find("strategy", "evolution")(problem.space, problem.objectives, seed=0), journal)
    loop.replay()
    journal.close()
    assert loop.told > 0
    assert path.read_bytes() == before
