"""Calling a function in another process, and watching the global generators."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def elsewhere(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """What a function returns in another process, whose strings have other hashes."""
    result: R = _executor().submit(function, *args, **kwargs).result()
    return result


@cache
def _executor() -> Any:
    """One process for all calls: what it imports, it imports once. It ends when it was idle for a minute."""
    from joblib.externals.loky import ProcessPoolExecutor

    return ProcessPoolExecutor(max_workers=1, timeout=60, env={"PYTHONHASHSEED": "12345"})


def generators() -> tuple[Any, ...]:
    """The states of the global generators of random, numpy and torch, to be compared."""
    import numpy as np
    import torch

    return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]


@contextmanager
def untouched_generators() -> Iterator[None]:
    """Fails where the code inside draws from a global generator, or seeds one."""
    before = generators()
    yield
    assert generators() == before, "a global random generator was drawn from or seeded; take `rng` as an argument"
