"""The commands run, resume, verify and list, as a user meets them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from uninas_evo.cli import app
from uninas_evo.engine.events import Note, ResultEvent, canonical
from uninas_evo.engine.journal import read_journal

RUN = """
evaluations = 25
problem = {name = "toy", noise = 0.5}
strategy = {name = "toy"}
pool = {devices = "in-process"}
after = {rescore = 3}
"""


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def file(installed: dict[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "search.toml"
    path.write_text(RUN)
    return path


def test_run_resume_verify(file: Path) -> None:
    """The folder lies beside the run file; the summary tells the best, its lead and the files."""
    result = call("run", file)
    folder = file.with_suffix("")
    assert result.exit_code == 0, result.output
    for text in ("all 25 evaluations are done", "with 3 fresh seeds", "winner.txt", "progress.png", "journal.jsonl"):
        assert text in result.stdout
    assert "25 evaluations" in result.stderr
    assert "of search steps are feasible" in result.stderr
    result = call("resume", folder, "--set", "evaluations=40", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert sum(isinstance(event, ResultEvent) for event in read_journal(folder)[1]) == 40
    result = call("verify", folder, "--random", 3)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("bit for bit") == 3


def test_verify_fails_where_scores_differ(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1, and the row says NO."""
    from engine_toy import ToyProblem

    assert call("run", file, "-q").exit_code == 0
    monkeypatch.setattr(ToyProblem, "evaluate", lambda self, genome, device: {"sum": 0.0})
    result = call("verify", file.with_suffix(""))
    assert result.exit_code == 1
    assert "NO" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "nothing.toml"), "nothing.toml cannot be read (No such file or directory); name an existing file"),
        (("run", "FILE", "--set", "strategy.name=toi"), "no strategy is called 'toi'"),
        (("run", "FILE", "--set", "evaluations"), "--set takes FIELD=VALUE"),
        (("run", "FILE", "--out", "FILE"), "cannot be made (File exists); choose another with --out"),
        (("resume", "nothing"), "name the folder that `uninas-evo run` wrote"),
        (("verify", "nothing"), "name the folder that `uninas-evo run` wrote"),
        (("list", "stategies"), "did you mean 'strategies'?"),
    ],
)
def test_mistakes_are_one_message_and_exit_code_2(file: Path, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, without a traceback."""
    result = call(*(str(file) if one == "FILE" else one for one in arguments))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_second_run_into_a_folder_is_refused(file: Path) -> None:
    """With both fixes in the message."""
    assert call("run", file, "-q").exit_code == 0
    result = call("run", file, "-q")
    assert result.exit_code == 2
    assert "continue it with `uninas-evo resume" in result.stderr
    assert "choose another folder with --out" in result.stderr


def test_list(installed: Any) -> None:
    """Strategies, problems and objectives with a line about each, those of other packages included."""
    result = call("list")
    assert result.exit_code == 0
    for name in ("random_walk", "evolution", "nasbench201", "toy", "vkdnw", "latency_ms", "file.py:function"):
        assert name in result.stdout
    assert "vkdnw" not in call("list", "strategies").stdout


def test_the_reference_in_the_docs_is_current() -> None:
    """The page is what the models say now: `uninas-evo reference > docs/run-files.md` fixes it."""
    page = call("reference").stdout
    assert Path("docs/run-files.md").read_text(encoding="utf-8") == page
    for text in ("`max_params`", "`image_size`", "`time_limit_s`", "`population`", '`name = "nsga2"`'):
        assert text in page


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_cleanly_and_can_be_resumed(
    installed: dict[str, str], file: Path, number: signal.Signals
) -> None:
    """Ctrl-C, and SIGTERM as a cluster sends it: exit code 130, the way to go on, a journal like any other."""
    file.write_text(RUN.replace('"in-process"', "{cpu = 2}").replace("noise = 0.5", "noise = 0.5, sleep_s = 0.3"))
    command = [sys.executable, "-c", "from uninas_evo.cli import main; main()"]
    folder = file.with_suffix("")
    process = subprocess.Popen(
        [*command, "run", str(file)], env=installed, start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    while not folder.exists() or (folder / "journal.jsonl").stat().st_size < 3000:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"nothing is lost, go on with: uninas-evo resume {folder}" in errors
    assert "Traceback" not in errors
    notes = [event for event in read_journal(folder)[1] if isinstance(event, Note)]
    assert notes[-1].kind == "interrupted"
    done = subprocess.run(
        [*command, "resume", str(folder), "-q"], env=installed, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert call("run", file, "--set", "pool.devices=in-process", "--out", f"{folder}-whole", "-q").exit_code == 0
    assert canonical(read_journal(folder)[1]) == canonical(read_journal(Path(f"{folder}-whole"))[1])
