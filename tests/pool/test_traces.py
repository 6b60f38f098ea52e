"""A failure says where it arose: file, line and function of the user's own code, and the whole traceback."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from engine_toy import ToyProblem

from uninas_evo.errors import ObjectiveError
from uninas_evo.pool.contract import Job
from uninas_evo.pool.in_process import InProcessPool
from uninas_evo.scoring.function import UserFunction

CODE = """
def helper(x):
    return 1 / x


def score(genome):
    return helper(0)
"""


def test_a_failure_names_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The deepest line of the user's code stands in the reason; with debug the traceback is printed."""
    (tmp_path / "fit.py").write_text(CODE)
    function = UserFunction(f"{tmp_path / 'fit.py'}:score").load()

    class Own(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            return {"sum": function(genome)}

    (done,) = InProcessPool(Own(), debug=True).map([Job(3, "1" * 8)])
    assert done.failure == "ZeroDivisionError: division by zero (fit.py, line 3, in helper)"
    assert done.traceback is not None
    assert "return helper(0)" in done.traceback
    assert "candidate 3 failed:\nTraceback" in capsys.readouterr().err


def test_our_own_messages_stay_short() -> None:
    """A message that says the fix needs no line of this package."""

    class Own(ToyProblem):
        def evaluate(self, genome: Any, device: str) -> dict[str, float]:
            return UserFunction("no.py:f").load()(genome)  # type: ignore[no-any-return]

    (done,) = InProcessPool(Own()).map([Job(0, "1" * 8)])
    assert done.failure is not None
    assert ObjectiveError.__name__ in done.failure
