"""A clock that goes on where a killed process left it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

from uninas_evo.files import write_text

EVERY_S = 1.0
"""How often the time is written down: what a kill can forget."""


class Clock:
    """Seconds that a task has taken, over all processes that worked on it; pauses between them do not count.

    Args:
        file: where the time is kept.
        limit_s: seconds in all.
        now: tells seconds.
    """

    def __init__(self, file: Path, limit_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.file, self.limit_s = file, limit_s
        self._now = now
        self._earlier = self._kept()
        self._begin = self._written = now()

    @property
    def spent_s(self) -> float:
        """Seconds that were taken."""
        return self._earlier + self._now() - self._begin

    @property
    def left_s(self) -> float:
        """Seconds that are left; negative beyond the limit."""
        return self.limit_s - self.spent_s

    def tick(self) -> None:
        """Writes the time down, where that is due; to be called at least every second."""
        if self._now() - self._written >= EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Writes the time down."""
        self._written = self._now()
        write_text(self.file, json.dumps({"spent_s": round(self.spent_s, 3)}) + "\n")

    def _kept(self) -> float:
        try:
            return max(0.0, float(json.loads(self.file.read_text(encoding="utf-8"))["spent_s"]))
        except (OSError, ValueError, TypeError, KeyError):
            return 0.0
