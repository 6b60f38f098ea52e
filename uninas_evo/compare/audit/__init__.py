"""How well scores rank networks whose accuracy is known: the networks, their scores, and the agreement of both."""

from uninas_evo.compare.audit.agreement import Agreement, Ceiling, agreements, ceiling, ranking, scored
from uninas_evo.compare.audit.known import Known, known_networks
from uninas_evo.compare.audit.scores import Scores, score_networks, seconds_of

__all__ = [
    "Agreement",
    "Ceiling",
    "Known",
    "Scores",
    "agreements",
    "ceiling",
    "known_networks",
    "ranking",
    "score_networks",
    "scored",
    "seconds_of",
]
