"""The devices that a worker gets."""

from __future__ import annotations

import pytest

from uninas_evo.errors import PoolError
from uninas_evo.pool import devices
from uninas_evo.pool.devices import environment


def test_a_device_that_is_hidden_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number beyond what CUDA_VISIBLE_DEVICES leaves is one message with both; those within are translated."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert environment("cuda:1", 1)["CUDA_VISIBLE_DEVICES"] == "6"
    with pytest.raises(PoolError, match=r"no device 'cuda:3': CUDA_VISIBLE_DEVICES=4,6 leaves 2.*pool\.devices"):
        environment("cuda:3", 1)


def test_too_few_open_files_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any worker starts; a limit that may be raised is raised."""
    limits, raised = [(64, 64)], []
    monkeypatch.setattr("resource.getrlimit", lambda _: limits[0])
    monkeypatch.setattr("resource.setrlimit", lambda _, both: raised.append(both))
    with pytest.raises(PoolError, match="12 workers need 256 open files, and this shell allows 64; raise it with"):
        devices.allow_files(12)
    limits[0] = (64, 4096)
    devices.allow_files(12)
    assert raised == [(256, 4096)]
