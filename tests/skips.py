"""Skips are counted and shown with their reasons; on a build machine (`CI=true`) a wrong one fails the build.

A test may be left out where something is absent that cannot be installed everywhere; anything else must run.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

ALLOWED = (
    "GPU",  # tests/gpu and devices that this machine has not
    "chromium",  # a Debian package
    "dataset-fashion-mnist",  # a Debian package
    "the extra mlflow",  # its packages are many
    "the extra tensorboard",
    "the table of NAS-Bench-201",  # a file beside the project
    "root may",  # rules that the file system does not apply to root
    "grid needs a list of decisions",  # it cannot search graph spaces, which the suite tries every strategy on
)
"""Parts of the reasons that a skip may have on a build machine."""


def _reasons(config: pytest.Config) -> Counter[str]:
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    skipped = [] if reporter is None else reporter.stats.get("skipped", [])
    return Counter(str(report.longrepr[-1]).removeprefix("Skipped: ") for report in skipped)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many tests were skipped for which reason; those that should have run are named so."""
    for reason, count in _reasons(config).most_common():
        wrong = "" if _allowed(reason) else " (must run where CI=true)"
        terminalreporter.write_line(f"skipped {count}: {reason}{wrong}")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fails a build in which a test was skipped that should have run."""
    wrong = [reason for reason in _reasons(session.config) if not _allowed(reason)]
    if wrong and os.environ.get("CI") == "true" and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _allowed(reason: str) -> bool:
    return any(part in reason for part in ALLOWED)
