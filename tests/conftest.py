"""Shared by all tests."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["browser", "skips", "toy_package"]
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp()  # agreements to run code are a test's own
os.environ.setdefault("OMP_NUM_THREADS", "1")  # one thread a process: several would wait for one another

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("default")

TABLE = Path("../shared/data/nasbench201_test_accuracy.csv.gz")


@pytest.fixture
def nasbench201_table() -> Path:
    """The accuracies of NAS-Bench-201, where they lie beside the project."""
    if not TABLE.is_file():
        pytest.skip(f"{TABLE} is absent: the table of NAS-Bench-201 is not part of the project")
    return TABLE
