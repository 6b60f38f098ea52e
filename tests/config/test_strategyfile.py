"""A strategy, a sampler or a pymoo algorithm of the user's own is named by its file in a run file."""

from __future__ import annotations

from pathlib import Path

import pytest

from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import JournalError, RunFileError

OWN = """
from optuna.samplers import QMCSampler
from uninas_evo.strategies.bayesian import Bayesian


class Sobol(Bayesian):
    def make_sampler(self, seed):
        return QMCSampler(seed=seed)
"""
RUN = """
evaluations = 8
strategy = {name = "own.py:Sobol", startup = 2}
pool = {devices = "in-process"}
after = {rescore = 0, plot = false}
[problem]
objective = "params"
skeleton = {image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1]}
"""


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_strategy_of_a_file_runs_and_resumes_unless_changed(tmp_path: Path) -> None:
    """It is found beside the run file; on resume its file must be the recorded one, outside the run folder."""
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "run.toml").write_text(RUN)
    out = tmp_path / "out"
    result = run_file(load_run_file(tmp_path / "run.toml"), out, quiet=True)
    assert len(result.evaluations) == 8
    before = canonical(read_journal(out)[1])
    resume(out, ["evaluations=10"], quiet=True)
    assert canonical(read_journal(out)[1])[:4] == before[:4]
    (tmp_path / "own.py").write_text(OWN + "\n# changed\n")
    with pytest.raises(JournalError, match="not the one that this run was started with"):
        resume(out, ["evaluations=12"], quiet=True)
    (out / "evil.py").write_text("raise SystemExit('executed')")
    text = (out / "run.toml").read_text()
    (out / "run.toml").write_text(text.replace(str(tmp_path / "own.py"), "evil.py"))
    with pytest.raises(JournalError, match="lies inside the run folder"):
        resume(out, ["evaluations=12"], quiet=True)


def test_mistakes_in_a_strategys_file(tmp_path: Path) -> None:
    """No such class, no strategy, no file: each says so, with the nearest name."""
    (tmp_path / "own.py").write_text(OWN)
    for name, told in (
        ("own.py:Sobel", "has no 'Sobel'.*did you mean 'Sobol'"),
        ("no.py:A", "there is no file"),
        ("own.py:QMCSampler", "derived from uninas_evo.Strategy"),
    ):
        (tmp_path / "run.toml").write_text(RUN.replace("own.py:Sobol", name))
        with pytest.raises(RunFileError, match=told):
            load_run_file(tmp_path / "run.toml")
