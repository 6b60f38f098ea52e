"""The learners by their names in run files."""

from __future__ import annotations

import importlib
from difflib import get_close_matches

from uninas_evo.errors import RunFileError
from uninas_evo.sharing.learner import Learner

LEARNERS = {
    "uniform": "uniform:Uniform",
    "fair": "uniform:Fair",
    "sandwich": "uniform:Sandwich",
    "progressive": "progressive:Progressive",
    "darts": "darts:Darts",
    "gumbel": "gumbel:Gumbel",
    "gdas": "gumbel:Gdas",
    "proxyless": "proxyless:Proxyless",
    "unas": "unas:Unas",
    "enas": "enas:Enas",
}
"""Module and class of each name."""


def learner_class(name: str) -> type[Learner]:
    """The class of a learner.

    Raises:
        RunFileError: there is none of this name.
    """
    if name not in LEARNERS:
        near = get_close_matches(name, LEARNERS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise RunFileError(f"problem.supernet.learner must be one of {', '.join(LEARNERS)}, got {name!r}{hint}")
    module, _, attribute = LEARNERS[name].partition(":")
    found: type[Learner] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return found
