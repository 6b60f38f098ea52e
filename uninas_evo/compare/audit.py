"""How well proxies rank networks whose accuracy is known: scores of a table's networks, and their agreement.

Scores are kept in a journal like that of a search: a candidate is a network and the proxies that are computed in one
call, named by its origin.
"""

from __future__ import annotations

import csv
import datetime
import gzip
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.contracts import Ancestor, Problem, Space
from uninas_evo.engine.events import AskEvent, Event, Header, Measured, ResultEvent
from uninas_evo.engine.journal import FILE_NAME, Journal
from uninas_evo.engine.versions import host, versions
from uninas_evo.errors import DataError, GenomeError, ProxyError
from uninas_evo.pool.contract import Job
from uninas_evo.pool.open import PoolOptions, open_pool
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import find, parts_of, score
from uninas_evo.stats.fronts import FloatArray, IntArray
from uninas_evo.stats.ranks import Interval, bootstrapped, kendall, ndcg, rank_aggregate, spearman

Scores = dict[str, dict[str, float | None]]
"""Genome text -> proxy -> value; None where it failed."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a proxy ranks T networks against their accuracy."""

    proxy: str
    networks: int
    failures: int
    kendall: Interval
    spearman: Interval
    ndcg: Interval


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
        _begin(journal, inputs)
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


def _begin(journal: Journal, inputs: Inputs) -> None:
    """Writes the header of a new journal, or checks that of an old one."""
    now = {"audit": asdict(inputs) | {"image": list(inputs.image)}}
    if journal.header is None:
        started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        header = Header(run=now, seed=inputs.seed, objectives={}, versions=versions(), host=host(), started=started)
        journal.append(header)
    elif journal.header.run != now:
        raise ProxyError(
            f"{journal.path} holds scores of other inputs, and scores are only compared with equal ones: it has "
            f"{journal.header.run}, asked for {now}; name another folder, or the same inputs"
        )


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


def read_accuracies(table: Path, column: str, space: Space[Any]) -> dict[str, float]:
    """Genome text -> accuracy of a CSV file, plain or gzipped, with the columns `genome` and the one that is named.

    Raises:
        DataError: the file or a column is missing, or a row is no genome of the space with a number.
    """
    accuracies: dict[str, float] = {}
    try:
        with (gzip.open if table.suffix == ".gz" else open)(table, "rt", encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                accuracies[space.encode(space.decode(row["genome"]))] = float(row[column])
    except (KeyError, ValueError, TypeError, OSError, EOFError, csv.Error, GenomeError) as error:
        raise DataError(
            f"{table} must be a CSV with a column 'genome' of genomes of {type(space).__name__} and a column "
            f"{column!r} of numbers, got {error!r}; export it so, or name another column"
        ) from error
    return accuracies


def agreements(
    scores: Mapping[str, Mapping[str, float | None]],
    accuracies: Mapping[str, float],
    proxies: Sequence[str],
    *,
    seed: int = 0,
    draws: int = 1000,
) -> list[Agreement]:
    """Kendall's τ (b), Spearman's ρ and nDCG of each proxy, with bootstrap intervals over networks.

    A failed network gets the worst rank. Aggregates are ranked anew among the networks of each bootstrap sample.

    Args:
        scores: for each network its values, as `score_networks` gave them.
        accuracies: for each network its accuracy in percent.
        proxies: names of proxies or aggregates.
        seed: of the bootstrap.
        draws: bootstrap samples.
    """
    truth = np.array([accuracies[text] for text in scores])
    result = []
    for name in proxies:
        columns = _columns(scores, name)
        intervals = [
            bootstrapped(partial(_agreement, measure, columns, truth), len(truth), draws=draws, seed=seed)
            for measure in (kendall, spearman, ndcg)
        ]
        result.append(Agreement(name, len(truth), ranking(scores, name)[1], *intervals))
    return result


def _agreement(
    measure: Callable[[FloatArray, FloatArray], float],
    columns: Mapping[str, FloatArray],
    truth: FloatArray,
    pick: IntArray,
) -> float:
    """A measure of agreement over some networks."""
    return measure(_predicted(columns, pick), truth[pick])


def ranking(scores: Mapping[str, Mapping[str, float | None]], name: str) -> tuple[FloatArray, int]:
    """A proxy's or aggregate's values over networks, larger is better, failures below all; and their count."""
    failed = sum(any(values[part] is None for part in parts_of([name])) for values in scores.values())
    return _predicted(_columns(scores, name), np.arange(len(scores))), failed


def _columns(scores: Mapping[str, Mapping[str, float | None]], name: str) -> dict[str, FloatArray]:
    """The values of a proxy, or of each part of an aggregate: larger is better, failures are the worst."""
    columns = {}
    for part in parts_of([name]):
        sign = 1.0 if find(part).goal == "maximize" else -1.0
        raw = [values[part] for values in scores.values()]
        signed = np.array([np.nan if value is None else sign * value for value in raw])
        worst = -1.0 if np.isnan(signed).all() else float(np.nanmin(signed)) - 1
        columns[part] = np.where(np.isnan(signed), worst, signed)
    return columns


def _predicted(columns: Mapping[str, FloatArray], pick: IntArray) -> FloatArray:
    """The values of some networks; parts of an aggregate are ranked among just these."""
    if len(columns) == 1:
        values: FloatArray = next(iter(columns.values()))[pick]
        return values
    return np.array(rank_aggregate({part: column[pick].tolist() for part, column in columns.items()}))
