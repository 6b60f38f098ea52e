"""Who watches a search: the engine says when something happens, and knows nothing of terminals."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uninas_evo.engine.loop import Loop
    from uninas_evo.engine.preflight import Preflight


class Display:
    """Shows nothing; the base of those that do (see `uninas_evo.progress`)."""

    def say(self, text: str) -> None:
        """One line of text."""

    def started(self, loop: Loop, before: Preflight) -> None:
        """The workers are ready."""

    def update(self, loop: Loop) -> None:
        """Something changed; called after each result."""

    def ended(self) -> None:
        """The search is over."""
