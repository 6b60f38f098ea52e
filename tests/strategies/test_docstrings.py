"""What a strategy's docstring must say, and that its example runs and prints what it says."""

from __future__ import annotations

import re
import textwrap

import pytest
from strategy_toy import NAMES, strategy_class


@pytest.mark.parametrize("name", NAMES)
def test_a_strategy_says_how_when_and_shows_it(name: str) -> None:
    """How it searches and its options are in it or in its base, when to use it and an example in itself."""
    cls = strategy_class(name)
    said = "".join(base.__doc__ or "" for base in cls.__mro__[:3])
    assert "When to use it:" in (cls.__doc__ or "")
    assert "How it searches:" in said or "Draws a generation from a policy" in said
    assert "options:" in said


@pytest.mark.parametrize("name", NAMES)
def test_the_example_prints_what_it_says(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The line behind `# ` is what the last `print` prints."""
    (code,) = re.findall(r"```python\n(.*?)```", strategy_class(name).__doc__ or "", re.DOTALL)
    exec(compile(textwrap.dedent(code), name, "exec"), {})  # noqa: S102 - the project's own text
    expected = re.findall(r"print\(.*\)  # ([^:\n]*)", code)[-1]
    assert capsys.readouterr().out.strip().splitlines()[-1] == expected
