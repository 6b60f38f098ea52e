"""What a run folder, a user's code or a disk may do to a run: nothing goes wrong without a word."""

from __future__ import annotations

import decimal
import gc
import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_project import RUN, values
from engine_toy import ToyProblem

import uninas_evo
from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.engine import journal as journals
from uninas_evo.engine.events import Header, written
from uninas_evo.engine.journal import Journal, read_journal
from uninas_evo.engine.verify import verify
from uninas_evo.engine.versions import git_state
from uninas_evo.errors import GenomeError, JournalError, RunFileError
from uninas_evo.files import claimed, own_folder, parse_json, write_atomically, write_text
from uninas_evo.pool.contract import Job, RunningClock, cause
from uninas_evo.pool.worker import MOST_VALUES, Settings, Worker
from uninas_evo.problems.search import SearchProblem
from uninas_evo.report.folder import pick, plot_run
from uninas_evo.report.runpage import report
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, load_genome, preset


def test_a_clusters_address_needs_agreement(project: Path) -> None:
    """A run file in a folder cannot connect anywhere; a setting that the user gives can."""
    text = (project / "r" / "run.toml").read_text()
    (project / "r" / "run.toml").write_text(text.replace('devices = "in-process"', 'devices = {dask = "tcp://evil:1"}'))
    with pytest.raises(JournalError, match=r"the Dask cluster tcp://evil:1.*--trust"):
        verify(project / "r")
    (project / "r" / "run.toml").write_text(text)
    assert verify(project / "r")


@pytest.mark.parametrize(
    "name", ["run.toml", "summary.json", "winner.txt", "run.toml.part", "winner.txt.part", "front"]
)
def test_nothing_is_written_through_links(project: Path, tmp_path: Path, name: str) -> None:
    """Links in a run folder are replaced or refused, what they point to stays."""
    outside = tmp_path / "outside"
    outside.write_text((project / "r" / "run.toml").read_text())
    before = outside.read_bytes()
    (project / "r" / name).unlink(missing_ok=True)
    (project / "r" / name).symlink_to(outside)
    resume(project / "r", ["evaluations=5"], quiet=True)
    assert outside.read_bytes() == before


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    """Files would land, and be removed, somewhere else."""
    (tmp_path / "real").mkdir()
    (tmp_path / "front").symlink_to(tmp_path / "real")
    with pytest.raises(JournalError, match="it is a link, and nothing is written through one"):
        own_folder(tmp_path / "front")


@pytest.mark.parametrize("content", ["my notes", '{"mine": 1', '{"event":"note"', "\n", "my notes\n"])
def test_a_file_that_is_no_journal_is_left_alone(tmp_path: Path, content: str) -> None:
    """With or without a newline at its end."""
    path = tmp_path / "journal.jsonl"
    path.write_text(content)
    with pytest.raises(JournalError):
        Journal(path)
    assert path.read_text() == content


def test_notes_at_the_end_of_a_journal_are_not_cut(project: Path) -> None:
    """Only what a run began to write is taken for torn."""
    path = project / "r" / "journal.jsonl"
    whole = path.read_bytes()
    for tail, fine in ((b'{"event":"ask","numb', True), (b"{", True), (b"\0" * 9, True), (b"my notes", False)):
        path.write_bytes(whole + tail)
        if fine:
            Journal(path).close()
            assert path.read_bytes() == whole
        else:
            with pytest.raises(JournalError, match="which no run wrote"):
                Journal(path)
            assert path.read_bytes() == whole + tail


def test_a_journal_is_a_file_of_its_own(tmp_path: Path) -> None:
    """Links, devices and pipes are refused at once."""
    os.mkfifo(tmp_path / "pipe")
    for target in ("/dev/zero", str(tmp_path / "pipe")):
        with pytest.raises(JournalError, match="is no file"):
            read_journal(Path(target))
    (tmp_path / "journal.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "journal.jsonl")
    assert not (tmp_path / "elsewhere").exists()


def test_a_deleted_run_folder_ends_the_run(tmp_path: Path) -> None:
    """At the next event, since nothing more can be kept."""
    folder = tmp_path / "r"

    class Deleting(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            if self.space.encode(genome) != "11111111":
                shutil.rmtree(folder, ignore_errors=True)
            return super().evaluate(genome, device)

    with pytest.raises(JournalError, match="was deleted, moved or replaced while the run goes on"):
        uninas_evo.search(
            Deleting(),
            "evolution",
            evaluations=30,
            out=folder,
            pool={"devices": "in-process"},
            quiet=True,
            after={"rescore": 0, "plot": False},
        )


def test_front_holds_the_front_only(tmp_path: Path) -> None:
    """Members that left it when the run went on are removed; other files are the user's."""
    (tmp_path / "run.toml").write_text(
        RUN.replace('objective = "own.py:score"', 'objectives = [{name = "params", goal = "maximize"}, "flops"]')
        .replace("random_walk", "nsga2")
        .replace("evaluations = 4", "evaluations = 12")
    )
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "r", quiet=True)
    (tmp_path / "r" / "front" / "99999.txt").write_text("a member once")
    (tmp_path / "r" / "front" / "mine.txt").write_text("mine")
    resume(tmp_path / "r", ["evaluations=20"], quiet=True)
    members = {line.split(",")[0] + ".txt" for line in (tmp_path / "r" / "front.csv").read_text().splitlines()[1:]}
    assert {path.name for path in (tmp_path / "r" / "front").iterdir()} == members | {"mine.txt"}


def header(**more: Any) -> Header:
    facts: dict[str, Any] = {
        "run": {},
        "seed": 0,
        "objectives": {"a": "maximize"},
        "versions": {},
        "host": {},
        "started": "",
    }
    return Header(**facts | more)


MEASURED = {"seconds": 1.0, "device": "cpu", "worker": 0, "at": 1.0}
ASK = {"event": "ask", "origin": "sample", "costs": {"params": 1, "flops": 1}}
GENOME = ASK | {"number": 0, "genome": "g"}
RESULT = {"event": "result", "number": 0, "values": {"a": 1.0}, "measured": MEASURED}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([GENOME, RESULT, RESULT], "a second result of candidate 0"),
        ([GENOME, RESULT | {"number": -1}], "a result of candidate -1 before its ask"),
        ([GENOME, RESULT | {"values": {"b": 1.0}}], "has no value for the objective 'a'"),
        ([GENOME, RESULT | {"values": None}], "must have values or a failure"),
        ([GENOME, RESULT | {"failure": "it broke"}], "must have values or a failure"),
        ([GENOME, ASK | {"number": 2, "genome": "h"}], "candidate 1 must come next, got 2"),
        ([ASK | {"number": 0, "same_as": 0}], "names one that was not asked before it"),
        ([ASK | {"number": 0}], "must have a genome or be the same as an earlier one"),
        ([GENOME, ASK | {"number": 1, "genome": "h", "parents": [7]}], "names one that was not asked before it"),
        ([GENOME, json.loads(written(header()) + "}")], "a second header"),
    ],
)
def test_a_journal_sealed_anew_must_make_sense(tmp_path: Path, events: list[dict[str, Any]], reason: str) -> None:
    """Right checksums do not make wrong events right."""
    path, chain, lines = tmp_path / "journal.jsonl", "", []
    for event in [json.loads(written(header()) + "}"), *events]:
        body = json.dumps(event, separators=(",", ":"))[:-1]
        chain = journals._link(chain, body.encode())
        lines.append(body + journals._SEAL.format(chain) + "\n")
    path.write_text("".join(lines))
    with pytest.raises(JournalError, match=reason):
        read_journal(path)


def test_a_headers_tables_are_tables() -> None:
    """A text in their place would fail later, somewhere."""
    with pytest.raises(ValueError, match="problem must be a table"):
        header(run={"problem": "uninas"})


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("problem.budget.max_params=inf", "finite"),
        ("time_limit_s=inf", "must be a finite number"),
        ("evaluations=true", "evaluations: must be a number, got true"),
        ('seed="1"', "seed: must be a number, got '1'"),
        ("after.plot=1", "after.plot: must be true or false, got 1"),
        ("evaluations=1" + "0" * 400, "evaluations: should be less than or equal to"),
        ("strategy.population=1000000000", "strategy.population"),
        ("pool.threads=1000000000000", "pool.threads"),
        ("after.rescore=1000000000", "after.rescore"),
        ("problem.skeleton.depths=[1000000,1000000]", "blocks at most"),
        ("seed=1" + "0" * 5000, "seed"),
    ],
)
def test_values_of_another_kind_or_size_are_refused(tmp_path: Path, setting: str, reason: str) -> None:
    """Before anything runs, with the field's name."""
    name = "evolution" if "population" in setting else "random_walk"
    (tmp_path / "run.toml").write_text(RUN.replace("random_walk", name).replace("own.py:score", "params"))
    with pytest.raises(RunFileError, match=reason.replace("(", r"\(")):
        load_run_file(tmp_path / "run.toml", [setting])


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000, "x." * 100_000 + "x = 1", "a = " + "9" * 5000, "a = " + "{x=" * 3000]
)
def test_a_text_that_is_no_run_file_is_refused_at_once(tmp_path: Path, text: str) -> None:
    """However deep or long it is."""
    (tmp_path / "run.toml").write_text(text)
    with pytest.raises(RunFileError):
        load_run_file(tmp_path / "run.toml")


def test_a_start_of_any_length_is_only_text(tmp_path: Path) -> None:
    """No file has a name of 3,000 characters."""
    with pytest.raises(uninas_evo.UninasEvoError):
        uninas_evo.search({"start": "x" * 3000}, evaluations=1, quiet=True)


SPACE = UninasSpace(preset("coatnet", Skeleton(32, 10, (8, 16), (32, 64), (1, 1))))


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def failing(error: BaseException) -> Callable[[Any], float]:
    def score(genome: Any) -> float:
        raise error

    score.__annotations__["genome"] = "Genome"
    return score


def returning(value: Any) -> Callable[[Any], Any]:
    def score(genome: Any) -> Any:
        return value

    score.__annotations__["genome"] = "Genome"
    return score


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unprintable(), "Unprintable: "),
        (ValueError("\ud800 \x1b[31m"), r"ValueError: \ud800 \x1b[31m"),
        (KeyboardInterrupt("mine"), "KeyboardInterrupt: mine"),
        (GeneratorExit(), "GeneratorExit: "),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_whatever_an_objective_raises_fails_its_candidate(
    error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With text that any file and terminal takes."""
    monkeypatch.setattr("uninas_evo.pool.worker._ends_by_signal", lambda: False)
    worker = Worker(SearchProblem(SPACE, [failing(error)]), Settings("cpu"))
    failure = worker.score(Job(0, SPACE.encode(SPACE.start))).failure
    assert failure is not None
    assert failure.startswith(told)


@pytest.mark.parametrize(
    "value", ["1.5", b"1", True, bytearray(b"1"), None, [1.0], {1: 2.0}, {"score": 1.0, "\x1b": 2.0}]
)
def test_what_is_no_number_is_no_score(value: Any) -> None:
    """Python would convert texts and truth values."""
    worker = Worker(SearchProblem(SPACE, [returning(value)]), Settings("cpu"))
    assert worker.score(Job(0, SPACE.encode(SPACE.start))).failure is not None


def test_named_values_have_a_bound() -> None:
    """All of them are recorded."""

    class Talkative(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            return {"sum": 1.0} | {f"more {number}": 1.0 for number in range(MOST_VALUES)}

    assert "named values at most" in str(Worker(Talkative(), Settings("cpu")).score(Job(0, "11111111")).failure)


def test_state_that_a_candidate_leaves_behind_is_put_back(tmp_path: Path) -> None:
    """Also by a problem of the user's own, which no scorer isolates."""
    import torch

    class Messy(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            torch.set_default_dtype(torch.float64)
            torch.set_grad_enabled(False)
            torch.set_num_threads(2)
            os.chdir(tmp_path)
            os.environ["MESS"] = "1"
            sys.setrecursionlimit(5000)
            sys.path.insert(0, "mess")
            torch.set_autocast_enabled("cpu", True)
            torch.use_deterministic_algorithms(True)
            torch.autograd.set_detect_anomaly(True)
            torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
            torch.set_flush_denormal(True)
            decimal.getcontext().prec = 3
            gc.disable()
            warnings.simplefilter("error")
            logging.disable(50)
            socket.setdefaulttimeout(1)
            os.umask(0o077)
            sys.stdout = None  # type: ignore[assignment]
            return super().evaluate(genome, device)

    def state() -> list[Any]:
        facts = [torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), os.getcwd()]
        facts += [torch.is_autocast_enabled("cpu"), torch.are_deterministic_algorithms_enabled()]
        facts += [torch.is_anomaly_enabled(), torch.backends.cudnn.benchmark, sys.float_info.min * facts[2] / 2 > 0]
        facts += [decimal.getcontext().prec, gc.isenabled(), list(warnings.filters), logging.root.manager.disable]
        facts += [socket.getdefaulttimeout(), os.umask(os.umask(0o022)), sys.stdout]
        return [*facts, dict(os.environ), sys.getrecursionlimit(), list(sys.path), torch.initial_seed()]

    worker = Worker(Messy(), Settings("cpu"))
    before = state()
    assert worker.score(Job(0, "11111111")).failure is None
    assert state()[:-1] == before[:-1]


@pytest.mark.parametrize("strategy", ["evolution", "aging", "nsga2", "bayesian", "uninas", "random_walk"])
@pytest.mark.parametrize("least", [1e-323, 1.7e308])
def test_values_of_any_finite_size_are_taken(tmp_path: Path, strategy: str, least: float) -> None:
    """A mean or square that overflows ends neither the run, nor its resumption, page, figures and choice."""
    own = (
        f"def score(genome: 'Genome'):\n    return (-1) ** len(genome.text) * {least!r} / (1 + len(genome.text) % 2)\n"
    )
    (tmp_path / "own.py").write_text(own)
    objectives = 'objectives = ["own.py:score", "params"]' if strategy == "nsga2" else 'objective = "own.py:score"'
    text = RUN.replace('objective = "own.py:score"', objectives).replace("random_walk", strategy)
    (tmp_path / "run.toml").write_text(text.replace("evaluations = 4", "evaluations = 14"))
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "r", quiet=True)
    resume(tmp_path / "r", ["evaluations=18"], quiet=True)
    report(tmp_path / "r")
    assert plot_run(tmp_path / "r")
    assert pick(tmp_path / "r").values


def test_a_pause_is_no_time_of_a_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gap between two looks at the clock counts as a short one."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    clock = RunningClock()
    now[0] = 0.25
    assert clock.now() == 0.25
    now[0] = 1000.0
    assert clock.now() == 0.75


def test_why_a_worker_died_is_told_in_a_few_words() -> None:
    """Loky's own text goes on for pages."""
    text = "terminated. The exit codes of the workers are {SIGABRT(-6)}. Detailed tracebacks of the workers should have"
    assert cause(RuntimeError(text)) == "exit code SIGABRT(-6)"
    assert cause(RuntimeError(text.replace("SIGABRT(-6)", "EXIT(7)"))) == "exit code 7"
    assert cause(type("TerminatedWorkerError", (Exception,), {})("Detailed tracebacks")) == "exit code unknown"


def test_git_runs_no_program_of_a_repository(tmp_path: Path) -> None:
    """Filters and monitors that it configures belong to whoever made it."""

    def git(*arguments: str) -> None:
        subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=a@b", *arguments], cwd=tmp_path, check=True)

    git("init", "-q")
    (tmp_path / "a.txt").write_text("a")
    git("add", "-A")
    git("commit", "-qm", "x")
    (tmp_path / ".git/info/attributes").write_text("* filter=x\n")
    git("config", "filter.x.clean", f"touch {tmp_path}/ran; cat")
    git("config", "core.fsmonitor", f"touch {tmp_path}/ran")
    (tmp_path / "a.txt").write_text("b")
    assert str(git_state(tmp_path)).endswith("+")
    assert not (tmp_path / "ran").exists()


def test_files_are_written_whole_or_not_at_all(tmp_path: Path) -> None:
    """A folder in the place of a file leaves no part behind, and two processes do not share a folder."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(JournalError, match="Is a directory"):
        write_text(tmp_path / "folder", "x")
    with pytest.raises(JournalError, match="No space left"):
        write_atomically(tmp_path / "full", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder"]
    with claimed(tmp_path / "c"), pytest.raises(JournalError, match="is in use"), claimed(tmp_path / "c"):
        pass


def test_line_ends_are_no_damage(project: Path) -> None:
    """A checkout that writes CRLF changes no event; the run goes on."""
    path = project / "r" / "journal.jsonl"
    before = read_journal(path)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_journal(path) == before
    resume(project / "r", ["evaluations=6"], quiet=True)
    assert len(values(project / "r")) == 1


def test_no_cut_is_advised_before_the_header(project: Path) -> None:
    """Nothing would be left."""
    path = project / "r" / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"seed":1', b'"seed":2', 1).replace(b'"seed":0', b'"seed":2', 1))
    with pytest.raises(JournalError, match="line 1: the line, or one before it, was changed") as caught:
        read_journal(path)
    assert "cut it" not in str(caught.value)


def test_no_key_stands_twice(tmp_path: Path) -> None:
    """Neither in events that were sealed anew, nor in genomes or other JSON: Python would take the last one."""
    first = written(header())
    doubled = '{"event":"ask","number":0,"genome":"g","genome":"h","parents":[],"origin":"s","costs":{"params":1}'
    chain, lines = "", []
    for body in (first, doubled):
        chain = journals._link(chain, body.encode())
        lines.append(body + journals._SEAL.format(chain) + "\n")
    (tmp_path / "journal.jsonl").write_text("".join(lines))
    with pytest.raises(JournalError, match=r"line 2: not an event of a journal \(the key 'genome' stands twice"):
        read_journal(tmp_path)
    with pytest.raises(GenomeError, match="the key 'format' stands twice"):
        load_genome('{"format": "uninas-evo genome", "format": "x"}')
    with pytest.raises(ValueError, match="the key 'a' stands twice"):
        parse_json('[{"b": {"a": 1, "a": 1}}]')


def test_events_are_read_one_by_one(project: Path) -> None:
    """What follows is not looked at: a header is there before a damaged line is."""
    path = project / "r" / "journal.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"score":1.0', b'"score":9.0', 1))
    events = journals.stream(path)
    assert isinstance(next(events), Header)
    with pytest.raises(JournalError, match="was changed after it was written"):
        list(events)


def test_nothing_takes_the_place_of_a_device(tmp_path: Path) -> None:
    """A file that is written by renaming would remove it."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for name in ("pipe", "link"):
        with pytest.raises(JournalError, match="it is a device or pipe"):
            write_text(tmp_path / name, "x")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_library_that_comes_late_is_seeded(tmp_path: Path) -> None:
    """The first candidate that imports torch draws and computes as every other one does."""
    code = """
import sys
from pathlib import Path
from uninas_evo.pool.contract import Job
from uninas_evo.pool.worker import Settings, Worker
from uninas_evo.problems.search import SearchProblem
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, load_genome, preset
space = UninasSpace(preset("coatnet", Skeleton(32, 10, (8, 16), (32, 64), (1, 1))))
worker = Worker(SearchProblem(space, [sys.argv[1] + ":score"]), Settings("cpu"))
assert "torch" not in sys.modules, "a function of plain Python needs none"
scores = [worker.score(Job(0, space.encode(space.start))) for _ in range(2)]
assert scores[0].failure is None, scores[0].failure
assert scores[0].values == scores[1].values
import torch
assert torch.get_default_dtype() == torch.float32
"""
    own = "def score(genome: 'Genome'):\n    import torch\n    torch.set_default_dtype(torch.float64)\n"
    (tmp_path / "own.py").write_text(own + "    return float(torch.rand(()))\n")
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "own.py")], check=True)
