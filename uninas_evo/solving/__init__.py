"""From data to a trained network within a clock: what `uninas-evo solve` does.

- `solve`, `Solution`: the whole of it in one call
- `Plan`, `plan_for`: what is done with the time, decided before
- `Clock`: the time that is left, also after a kill
"""

from __future__ import annotations

from uninas_evo.solving.clock import Clock
from uninas_evo.solving.plan import Plan, plan_for
from uninas_evo.solving.solution import Solution
from uninas_evo.solving.solve import solve

__all__ = ["Clock", "Plan", "Solution", "plan_for", "solve"]
