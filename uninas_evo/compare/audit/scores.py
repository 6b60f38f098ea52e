"""Scores of many networks by proxies, kept in a journal like that of a search.

A candidate is a network and the proxies that are computed in one call, named by its origin.
"""

from __future__ import annotations

import datetime
import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.contracts import Ancestor, Canonical, Problem, Space
from uninas_evo.engine.events import AskEvent, Event, Header, Measured, ResultEvent
from uninas_evo.engine.journal import FILE_NAME, Journal, read_journal
from uninas_evo.engine.versions import host, versions
from uninas_evo.errors import ProxyError
from uninas_evo.pool.contract import Job
from uninas_evo.pool.open import PoolOptions, open_pool
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import find, parts_of, score

Scores = dict[str, dict[str, float | None]]
"""Genome text -> proxy -> value; None where it failed."""


class ProxyProblem(Problem):
    """Networks scored by proxies; a fidelity is a way to score: proxies that share a function, in one call.

    Args:
        space: builds the networks; each way gets one of its own, freshly built.
        ways: the proxies of each call.
        inputs: what they are scored on.
    """

    def __init__(self, space: Space[Any], ways: Sequence[tuple[str, ...]], inputs: Inputs) -> None:
        self.space, self.ways, self.inputs, self.seed = space, ways, inputs, inputs.seed
        self.objectives = ()

    @classmethod
    def from_options(cls, options: Any, seed: int) -> Problem:
        """Audits have no run file."""
        raise ProxyError("an audit is no problem of a run file; use the command `uninas-evo audit`")

    def evaluate(
        self, genome: Any, device: str, *, fidelity: int | None = None, lineage: Sequence[Ancestor] = ()
    ) -> Mapping[str, float]:
        """The scores of one way."""
        if isinstance(self.space, Canonical):
            genome = self.space.canonical(genome)
        return score(self.space.build(genome), self.ways[fidelity or 0], replace(self.inputs, device=device))


def score_networks(
    space: Space[Any],
    networks: Sequence[str],
    proxies: Sequence[str],
    inputs: Inputs,
    folder: Path,
    pool: PoolOptions,
) -> Scores:
    """Scores networks by proxies, recording each score as it comes; called again, it goes on where it was.

    Args:
        space: builds the networks.
        networks: the texts of their genomes.
        proxies: names of proxies or aggregates.
        inputs: what they are scored on.
        folder: holds the journal, made or continued.
        pool: where they are scored, and what one call may take.

    Raises:
        ProxyError: the journal was written with other inputs.
        PoolError: the workers cannot be started.
        JournalError: the journal is damaged, in use, or cannot be written.
    """
    parts = parts_of(proxies)
    functions = dict.fromkeys(find(name).function for name in parts)
    ways = [tuple(name for name in parts if find(name).function is function) for function in functions]
    folder.mkdir(parents=True, exist_ok=True)
    with closing(Journal(folder / FILE_NAME)) as journal:
        _begin(journal, _facts(inputs) | ({"canonical": True} if _is_reduced(space, networks) else {}))
        known = _read(journal.events)
        wanted = [
            (text, way)
            for text in networks
            for way, names in enumerate(ways)
            if not set(names) <= known.get(text, {}).keys()
        ]
        if wanted:
            first = sum(isinstance(event, AskEvent) for event in journal.events)
            journal.append(*(_ask(space, first + n, text, ways[way]) for n, (text, way) in enumerate(wanted)))
            jobs = [Job(first + n, text, fidelity=way) for n, (text, way) in enumerate(wanted)]
            with open_pool(pool, ProxyProblem(space, ways, inputs)) as workers:
                for done in workers.map(jobs):
                    measured = Measured(seconds=done.seconds, device=done.device, worker=done.worker, at=0)
                    values = None if done.values is None else dict(done.values)
                    event = ResultEvent(number=done.job.number, values=values, failure=done.failure, measured=measured)
                    journal.append(event)
            known = _read(journal.events)
    return {text: {part: known[text][part] for part in parts} for text in networks}


def seconds_of(folder: Path) -> dict[str, float]:
    """Proxy -> mean seconds that a network's score took, as its journal tells; shared by those of one call."""
    _, events = read_journal(folder)
    asks = {event.number: event.origin.split(",") for event in events if isinstance(event, AskEvent)}
    took: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if isinstance(event, ResultEvent):
            for name in asks[event.number]:
                took[name].append(event.measured.seconds)
    return {name: float(np.mean(seconds)) for name, seconds in took.items()}


def _is_reduced(space: Space[Any], networks: Sequence[str]) -> bool:
    """Whether what is scored in the place of a network is another one."""
    genomes = map(space.decode, networks)
    return isinstance(space, Canonical) and any(space.canonical(genome) != genome for genome in genomes)


def _begin(journal: Journal, facts: dict[str, Any]) -> None:
    """Writes the header of a new journal, or checks that of an old one."""
    now = {"audit": facts}
    if journal.header is None:
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        header = Header(run=now, seed=facts["seed"], objectives={}, versions=versions(), host=host(), started=started)
        journal.append(header)
    elif journal.header.run != now:
        raise ProxyError(
            f"{journal.path} holds scores of other inputs, and scores are only compared with equal ones: it has "
            f"{journal.header.run}, asked for {now}; name another folder, or the same inputs"
        )


def _facts(inputs: Inputs) -> dict[str, Any]:
    """Inputs as a journal tells them; what came later is told where it is not as before."""
    told: dict[str, Any] = {name: getattr(inputs, name) for name in ("batch", "seed", "device", "reinitialize")}
    told["image"] = list(inputs.image)
    if inputs.calibrated_norms:
        told["calibrated_norms"] = True
    if inputs.pictures is not None:
        told["pictures"] = hashlib.sha256(inputs.pictures.images.numpy().tobytes()).hexdigest()
    return told


def _ask(space: Space[Any], number: int, text: str, names: Sequence[str]) -> AskEvent:
    return AskEvent(number=number, genome=text, origin=",".join(names), costs=dict(space.cost(space.decode(text))))


def _read(events: Sequence[Event]) -> Scores:
    """The scores of a journal; what was asked and has no result yet is not among them."""
    asks = {event.number: event for event in events if isinstance(event, AskEvent)}
    scores: Scores = {}
    for event in events:
        if isinstance(event, ResultEvent):
            ask, values = asks[event.number], event.values or {}
            scores.setdefault(ask.genome or "", {}).update({name: values.get(name) for name in ask.origin.split(",")})
    return scores
