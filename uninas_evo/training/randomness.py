"""Randomness keyed by what it is for: a resumed run draws the numbers of one that never stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_of(*key: int) -> int:
    """A 64-bit seed from a key of integers >= 0, such as (seed, epoch, step); near keys are unrelated."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0])


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seeds the global generators of Python, NumPy and torch in the block and restores them after it.

    timm's augmentation and mixup, and drop path, draw from the global generators; this makes them a function
    of the key.
    """
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]  # False in a forked loader worker
    gpu = torch.cuda.get_rng_state() if on_gpu else None
    seed = seed_of(*key)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed % 2**63)
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        if gpu is not None:
            torch.cuda.set_rng_state(gpu)
