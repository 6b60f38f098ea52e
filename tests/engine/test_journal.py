"""The journal: every byte of damage is repaired, refused or noticed."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from engine_toy import ToyProblem, ToyStrategy
from hypothesis import given
from hypothesis import strategies as st

from uninas_evo.engine.events import VERSION, AskEvent, Header, Measured, Note, ResultEvent, canonical
from uninas_evo.engine.journal import Journal, read_journal
from uninas_evo.engine.loop import Loop
from uninas_evo.errors import JournalError
from uninas_evo.pool.in_process import InProcessPool

HEADER = Header(run={"seed": 0}, seed=0, objectives={"sum": "maximize"}, versions={}, host={}, started="now")
OLD = Path(__file__).parent / "journal_v1.jsonl"


def recorded(path: Path, evaluations: int = 6) -> Path:
    """A journal of a short toy run."""
    journal = Journal(path)
    journal.append(HEADER)
    go_on(journal, evaluations)
    return path


def go_on(journal: Journal, evaluations: int = 6) -> list[dict[str, Any]]:
    problem = ToyProblem()
    loop = Loop(problem, ToyStrategy(problem.space, problem.objectives, seed=0), journal, evaluations=evaluations)
    loop.run(InProcessPool(problem))
    journal.close()
    return canonical(journal.events)


def test_a_tail_cut_at_every_byte_is_repaired_and_the_run_completes(tmp_path: Path) -> None:
    """Whatever part of the last three lines is missing, the rest is kept and the same journal comes out."""
    whole = recorded(tmp_path / "whole.jsonl")
    content = whole.read_bytes()
    expected = canonical(read_journal(whole)[1])
    lines = content.splitlines(keepends=True)
    for length in range(len(content) - sum(map(len, lines[-3:])), len(content)):
        cut = tmp_path / "cut.jsonl"
        cut.write_bytes(content[:length])
        kept = content[:length].count(b"\n")
        assert len(read_journal(cut)[1]) == kept - 1
        journal = Journal(cut)
        assert len(journal.events) == kept
        assert cut.read_bytes() == b"".join(lines[:kept])
        assert go_on(journal) == expected


def test_a_torn_header_starts_anew(tmp_path: Path) -> None:
    """A run that was killed while it wrote its first line holds nothing, and can begin again."""
    whole = recorded(tmp_path / "whole.jsonl")
    first = whole.read_bytes().splitlines(keepends=True)[0]
    for length in (0, 1, len(first) - 1):
        path = tmp_path / "torn.jsonl"
        path.write_bytes(first[:length])
        with pytest.raises(JournalError, match="holds no event yet"):
            read_journal(path)
        journal = Journal(path)
        assert journal.events == []
        journal.close()


@given(data=st.data())
def test_every_edit_is_noticed(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A byte that is changed, removed or added in a line that was written whole is refused, and the line named."""
    folder = tmp_path_factory.mktemp("edit")
    content = OLD.read_bytes()
    place = data.draw(st.integers(0, content.rindex(b"\n", 0, -1)))
    new = data.draw(st.binary(max_size=2).filter(lambda new: new != content[place : place + 1]))
    edited = folder / "edited.jsonl"
    edited.write_bytes(content[:place] + new + content[place + 1 :])
    with pytest.raises(JournalError, match=r"edited\.jsonl(, line \d+| is a journal of version|.*not UTF-8)"):
        read_journal(edited)


def test_removed_swapped_and_repeated_lines_are_noticed(tmp_path: Path) -> None:
    """The chain of checksums ties every line to all lines before it."""
    lines = recorded(tmp_path / "whole.jsonl").read_bytes().splitlines(keepends=True)
    path = tmp_path / "edited.jsonl"
    for edited in (
        lines[:2] + lines[3:],
        [*lines[:2], lines[3], lines[2], *lines[4:]],
        [*lines[:3], lines[2], *lines[3:]],
    ):
        path.write_bytes(b"".join(edited))
        with pytest.raises(JournalError, match=r"was changed after it was written.*cut it after line \d+"):
            read_journal(path)


def test_another_version_is_named_with_the_program_that_reads_it(tmp_path: Path) -> None:
    """Both versions and the program that wrote the journal are in the message."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event":"header","version":99,"versions":{"uninas-evo":"7.0"}}\n')
    with pytest.raises(JournalError, match=r"version 99, and this program reads 1 to 3; .*wrote it \(7\.0\)"):
        Journal(path)


@pytest.mark.parametrize("text", ["hello\n", "[1]\n", '{"event":"ask"}\n', "\x00\x01\n", "{" * 10000 + "\n"])
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    """What is no journal is named as such, and left as it is."""
    path = tmp_path / "journal.jsonl"
    path.write_text(text)
    with pytest.raises(JournalError, match="line 1"):
        Journal(path)
    assert path.read_text() == text


def test_an_old_journal_is_read_for_ever() -> None:
    """The journal of version 1 that lies beside this test gives the events it always gave."""
    header, events = read_journal(OLD)
    assert header.version == 1
    assert {type(event) for event in events} == {AskEvent, ResultEvent, Note}
    assert events[0].costs.keys() == {"params", "flops"}
    results = [event for event in events if isinstance(event, ResultEvent)]
    assert [result.failure is None for result in results].count(False) == 1
    assert results[1].values == {"first": 4.0, "sum": 11.0}


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """The second process is refused, and told why; when the first is killed, the file is free."""
    path = tmp_path / "journal.jsonl"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time; from pathlib import Path; from uninas_evo.engine.journal import Journal\n"
            "journal = Journal(Path(sys.argv[1])); print('held', flush=True); time.sleep(100)",
            str(path),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    with pytest.raises(JournalError, match="is in use: one process at a time may write a run folder"):
        Journal(path)
    holder.kill()
    holder.wait()
    holder.stdout.close()
    Journal(path).close()


def test_who_was_just_killed_is_waited_for(tmp_path: Path) -> None:
    """A lock that is let go of within moments is no other run."""
    path = tmp_path / "journal.jsonl"
    held = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    letting_go = threading.Timer(0.2, os.close, (held,))
    letting_go.start()
    Journal(path).close()
    letting_go.join()


def test_a_full_disk_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    """The write that does not fit is one clear message; with room again, the run goes on from the last whole line."""
    expected = canonical(read_journal(recorded(tmp_path / "whole.jsonl"))[1])
    path = tmp_path / "journal.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    journal = Journal(path)
    journal.append(HEADER)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 700, hard))
        with pytest.raises(JournalError, match=r"cannot be written \(File too large\).*uninas-evo resume"):
            go_on(journal)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
        journal.close()
    assert go_on(Journal(path)) == expected


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
def test_no_space_left(tmp_path: Path) -> None:
    """ENOSPC is told in words."""
    journal = Journal(tmp_path / "journal.jsonl")
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, journal._file)
    os.close(full)
    with pytest.raises(JournalError, match="No space left on device"):
        journal.append(HEADER)
    journal.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """A path that is no file of ours to make is one message."""
    (tmp_path / "journal.jsonl").mkdir()
    with pytest.raises(JournalError, match=r"cannot be written \(Is a directory\)"):
        Journal(tmp_path / "journal.jsonl")


def test_nothing_infinite_is_recorded() -> None:
    """JSON has no NaN; a journal neither."""
    with pytest.raises(ValueError, match="finite"):
        ResultEvent(number=0, values={"a": float("nan")}, measured=Measured(seconds=0, device="", worker=0, at=0))


def test_floats_come_back_exactly(tmp_path: Path) -> None:
    """Values are equal bit for bit after a write and a read."""
    journal = Journal(tmp_path / "journal.jsonl")
    values = {"a": 0.1 + 0.2, "b": 1e-310, "c": -1.7976931348623157e308, "d": 3.0, "sum": 1.0}
    journal.append(HEADER, AskEvent(number=0, genome="g", origin="start", costs={"params": 1, "flops": 1}))
    journal.append(ResultEvent(number=0, values=values, measured=Measured(seconds=0, device="", worker=0, at=0)))
    journal.close()
    (result,) = (event for event in read_journal(tmp_path)[1] if isinstance(event, ResultEvent))
    assert result.values == values
    assert json.dumps(result.values) == json.dumps(values)
    assert VERSION == 3
