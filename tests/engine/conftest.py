"""Shared by the tests of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest
from engine_project import OWN, RUN

from uninas_evo.api import run_file
from uninas_evo.config.runfile import load_run_file


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a finished run `r`, whose objective imports a module beside it."""
    place = tmp_path / "project"
    place.mkdir()
    (place / "own.py").write_text(OWN)
    (place / "helper.py").write_text("K = 1.0\n")
    (place / "run.toml").write_text(RUN)
    run_file(load_run_file(place / "run.toml"), place / "r", quiet=True)
    return place
