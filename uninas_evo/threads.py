"""How many threads torch computes with: the last digits of its sums depend on them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


def set_threads(threads: int) -> None:
    """Fixes torch's threads, loaded already or not: the last digits of its sums depend on them."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        import torch

        torch.set_num_threads(threads)


@contextlib.contextmanager
def fixed_threads(threads: int) -> Iterator[None]:
    """Fixes torch's threads inside, for what is computed in a process of the user's own, which gets its own back."""
    from joblib.externals.loky import cpu_count

    environment = os.environ.get("OMP_NUM_THREADS")
    before = sys.modules["torch"].get_num_threads() if "torch" in sys.modules else int(environment or cpu_count())
    set_threads(threads)
    try:
        yield
    finally:
        set_threads(before)
        if environment is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = environment
