"""How well proxies rank networks whose accuracy is known: scores of a table's networks, and their agreement.

Scores are kept in a journal like that of a search: a candidate is a network and the proxies that are computed in one
call, named by its origin.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uninas_evo.contracts import Ancestor, Canonical, Goal, Problem, Space
from uninas_evo.engine.events import AskEvent, Event, Header, Measured, ResultEvent
from uninas_evo.engine.journal import FILE_NAME, Journal, read_journal
from uninas_evo.engine.versions import host, versions
from uninas_evo.errors import DataError, GenomeError, ProxyError
from uninas_evo.mistakes import nearest
from uninas_evo.pool.contract import Job
from uninas_evo.pool.open import PoolOptions, open_pool
from uninas_evo.predictors.bank import TRAINED, Bank, load_bank
from uninas_evo.proxies import registry as proxies_by_name
from uninas_evo.proxies._module import Inputs
from uninas_evo.proxies.registry import AGGREGATES, find, parts_of, score
from uninas_evo.spaces.load import load_space
from uninas_evo.spaces.nasbench201.space import Cell, NASBench201Space
from uninas_evo.stats.fronts import FloatArray, IntArray
from uninas_evo.stats.ranks import (
    Interval,
    bootstrapped,
    kendall,
    kendall_within,
    ndcg,
    precision,
    rank_aggregate,
    reachable,
    size_correlation,
    spearman,
)

Scores = dict[str, dict[str, float | None]]
"""Genome text -> proxy -> value; None where it failed."""
ACCURACY = ("accuracy", "cifar10_test_accuracy_percent")
"""Columns that scores are judged by where they are there."""
BAND = 0.1
"""Networks within a tenth of each other's parameters are of one size."""


@dataclass(frozen=True)
class Known:
    """T networks whose accuracy is known.

    Attributes:
        space: builds them.
        bank: their table.
        column: the column that scores are judged by.
        accuracy: what it holds, in percent (T,).
    """

    space: Space[Any]
    bank: Bank
    column: str
    accuracy: FloatArray

    @property
    def repeats(self) -> list[str]:
        """The columns that hold trainings of the same networks by the same schedule with other seeds."""
        named = (f"{self.column}_{number}" for number in itertools.count(2))
        return list(itertools.takewhile(self.bank.columns.__contains__, named))

    @property
    def scores(self) -> list[str]:
        """The columns that are scores: of proxies, shorter trainings, and the size."""
        others = {self.column, *self.repeats}
        scorers = ("train", "early_loss")
        found = [
            name
            for name in self.bank.columns
            if name not in others
            and (name in proxies_by_name.names() or (name.startswith(scorers) and "epochs" not in name))
        ]
        return list(dict.fromkeys([*found, "params", "flops"]))

    def seconds(self) -> dict[str, float]:
        """Column -> mean seconds that a network took, where the table tells: `seconds_1x5000` of `train_1x5000`."""
        own = {name: f"seconds{name.removeprefix('train')}" for name in self.bank.columns if TRAINED.fullmatch(name)}
        return {
            name: float(np.nanmean(self.bank.columns[took])) for name, took in own.items() if took in self.bank.columns
        }

    def only(self, chosen: Sequence[int]) -> Known:
        """Some of the networks, by their places."""
        columns = {name: column[chosen] for name, column in self.bank.columns.items()}
        origins = tuple(self.bank.origins[place] for place in chosen) if self.bank.origins else ()
        bank = Bank(tuple(self.bank.genomes[place] for place in chosen), columns, origins)
        return replace(self, bank=bank, accuracy=self.accuracy[chosen])

    def cost(self, name: str) -> FloatArray:
        """A cost of the networks (T,), from their table or by the space's formula."""
        if name in self.bank.columns:
            return self.bank.columns[name]
        costs = (self.space.cost(self.space.decode(text)) for text in self.bank.genomes)
        return np.array([cost[name] for cost in costs], float)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a score ranks T networks against their accuracy.

    Attributes:
        proxy: its name.
        networks: T.
        failures: how many it could not score.
        kendall: τ-b.
        spearman: ρ.
        ndcg: see `stats.ranks.ndcg`.
        precision: which part of the tenth ranked best is among the best tenth.
        within: τ-b over pairs of networks whose parameters differ by a tenth at most.
        partial: ρ with parameters and FLOPs held fixed.
        seconds: a network, where that is known.
    """

    proxy: str
    networks: int
    failures: int
    kendall: Interval
    spearman: Interval
    ndcg: Interval
    precision: Interval
    within: Interval
    partial: Interval
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What the noise of one training lets a score reach.

    Attributes:
        networks: those that were trained several times.
        deviation: of one training, in percent points, pooled over them.
        kendall: τ-b between two trainings.
        reachable: τ of a score that knew what each network reaches in the mean (see `stats.ranks.reachable`).
    """

    networks: int
    deviation: float
    kendall: Interval
    reachable: Interval


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


def known_networks(
    path: Path,
    column: str | None = None,
    space: Space[Any] | None = None,
    *,
    data: str | None = None,
    every_cell: bool = False,
) -> Known:
    """Networks with their accuracies: of a bank's folder, its CSV, or the table of NAS-Bench-201.

    Args:
        path: the folder or file; .gz is packed.
        column: what scores are judged by; by default `accuracy`, else the longest training that most networks had, and
            CIFAR-10 of NAS-Bench-201. Numbers of at most 1 are shares, others percent; rows without one are left out.
        space: of genomes whose text does not tell it.
        data: the data set, where a bank knows several.
        every_cell: takes those of NAS-Bench-201 that have dead edges, too.

    Raises:
        DataError: the file or the column is missing, a row is no genome, or a number is no accuracy.
    """
    bank = load_bank(path, data)
    column = column or _longest(bank, path)
    if column not in bank.columns:
        raise DataError(
            f"{path} must have the column {column!r}, it has {', '.join(bank.columns)}{nearest(column, bank.columns)}; "
            "name another"
        )
    try:
        space = space or _space_of(bank.genomes[0], column)
        genomes = tuple(space.encode(space.decode(text)) for text in bank.genomes)
    except GenomeError as error:
        raise DataError(f"{path} has a genome that cannot be read: {error}; name its run file with --space") from error
    values = bank.columns[column]
    percent = values * _percent(values)
    if (percent < 0).any() or (percent > 100).any():
        raise DataError(
            f"scores are judged by accuracies, shares or percent, and the column {column!r} of {path} goes from "
            f"{np.nanmin(values):g} to {np.nanmax(values):g}; name another"
        )
    known = Known(space, replace(bank, genomes=genomes), column, percent)
    cells = isinstance(space, NASBench201Space) and not every_cell
    whole = [not cells or Cell.from_text(text).is_whole for text in genomes]
    return known.only(np.flatnonzero(np.isfinite(percent) & whole).tolist())


def _percent(values: FloatArray) -> float:
    """What makes accuracies percent: those that are all 1 at most are shares."""
    return 1.0 if np.nanmax(values, initial=0) > 1 else 100.0


def _space_of(text: str, column: str) -> Space[Any]:
    """The space that a genome's text tells; cells stand on the skeleton of the column's data set."""
    if text.startswith("|"):
        return NASBench201Space(100 if column.startswith("cifar100") else 10)
    return load_space(text)[0]


def _longest(bank: Bank, path: Path) -> str:
    """The column that scores are judged by: an accuracy, else the longest training that most networks had."""
    named = next((name for name in ACCURACY if name in bank.columns), None) or bank.trained
    if named is None:
        raise DataError(
            f"{path} has neither a column 'accuracy' nor one of a training, it has {', '.join(bank.columns)}; "
            "name one with --column"
        )
    return named


def scored(known: Known, names: Sequence[str], compute: Callable[[Sequence[str]], Scores]) -> Scores:
    """The scores of networks: what their table holds is taken from there, the rest is computed.

    Args:
        known: the networks.
        names: of proxies, aggregates and columns.
        compute: gives the scores of proxies.

    Raises:
        ProxyError: a name is neither a proxy nor a column.
    """
    parts = _parts(names, known.bank.columns)
    missing = [part for part in parts if part not in known.bank.columns]
    scores = compute(missing) if missing else {text: {} for text in known.bank.genomes}
    for part in parts:
        if part not in missing:
            for text, value in zip(known.bank.genomes, known.bank.columns[part].tolist(), strict=True):
                scores[text][part] = value if np.isfinite(value) else None
    return scores


def agreements(
    scores: Mapping[str, Mapping[str, float | None]],
    known: Known,
    names: Sequence[str],
    *,
    seconds: Mapping[str, float] | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> list[Agreement]:
    """How each score agrees with the accuracies, with bootstrap intervals over networks.

    A failed network gets the worst rank. Aggregates are ranked anew among the networks of each bootstrap sample.

    Args:
        scores: for each network its values, as `scored` gave them.
        known: the networks.
        names: of proxies, aggregates and columns.
        seconds: that a network's score took, by name.
        seed: of the bootstrap.
        draws: bootstrap samples.
    """
    truth, params, flops = known.accuracy, known.cost("params"), known.cost("flops")

    def freed(predicted: FloatArray, truth: FloatArray, params: FloatArray, flops: FloatArray) -> float:
        costs = {"params": params.tolist(), "flops": flops.tolist()}
        return size_correlation(predicted.tolist(), costs, truth.tolist())["partial"]

    measures: list[tuple[Callable[..., float], tuple[FloatArray, ...]]] = [
        (kendall, (truth,)),
        (spearman, (truth,)),
        (ndcg, (truth,)),
        (precision, (truth,)),
        (partial(kendall_within, share=BAND), (truth, params)),
        (freed, (truth, params, flops)),
    ]
    result = []
    for name in names:
        columns = _columns(scores, name)
        tau, rho, gain, tenth, within, freed_of_size = (
            bootstrapped(partial(_agreement, measure, columns, others), len(truth), draws=draws, seed=seed)
            for measure, others in measures
        )
        took = [(seconds or {}).get(part) for part in columns]
        spent = sum(one for one in took if one is not None) if any(one is not None for one in took) else None
        failures = ranking(scores, name)[1]
        result.append(Agreement(name, len(truth), failures, tau, rho, gain, tenth, within, freed_of_size, spent))
    return result


def _agreement(
    measure: Callable[..., float], columns: Mapping[str, FloatArray], others: Sequence[FloatArray], pick: IntArray
) -> float:
    """A measure of agreement over some networks."""
    return measure(_predicted(columns, pick), *(other[pick] for other in others))


def ceiling(known: Known, *, seed: int = 0, draws: int = 1000) -> Ceiling | None:
    """What the noise of training lets a score reach; None where fewer than four networks were trained twice."""
    scale = _percent(known.bank.columns[known.column])
    trained = np.array([known.accuracy, *(known.bank.columns[name] * scale for name in known.repeats)])
    twice = np.flatnonzero(np.isfinite(trained).sum(0) > 1)
    if len(twice) < 4:
        return None
    trained = trained[:, twice]

    def between(pick: IntArray) -> float:
        """The mean τ of two trainings."""
        both = [trained[:, pick][:, np.isfinite(trained[[a, b]][:, pick]).all(0)][[a, b]] for a, b in pairs]
        return float(np.mean([kendall(first, second) for first, second in both if len(first) > 1] or [0.0]))

    pairs = list(itertools.combinations(range(len(trained)), 2))
    measured = [column[np.isfinite(column)] for column in trained.T]
    variance = sum(float(np.var(one)) * len(one) for one in measured) / sum(len(one) - 1 for one in measured)
    agree = bootstrapped(between, len(twice), draws=draws, seed=seed)
    bounds = Interval(*(reachable(value) for value in (agree.value, agree.low, agree.high)))
    return Ceiling(len(twice), variance**0.5, agree, bounds)


def ranking(scores: Mapping[str, Mapping[str, float | None]], name: str) -> tuple[FloatArray, int]:
    """A score's or aggregate's values over networks, larger is better, failures below all; and their count."""
    columns = _columns(scores, name)
    failed = sum(any(values[part] is None for part in columns) for values in scores.values())
    return _predicted(columns, np.arange(len(scores))), failed


def _parts(names: Sequence[str], columns: Mapping[str, Any]) -> list[str]:
    """The columns and proxies behind names, each once; an aggregate stands for its parts."""
    known = {*columns, *proxies_by_name.names(), *AGGREGATES}
    for name in names:
        if name not in known:
            raise ProxyError(
                f"there is no score {name!r}: it must be a proxy, an aggregate, or a column of the bank; choose among "
                f"{', '.join(sorted(known))}{nearest(name, sorted(known))}"
            )
    return list(dict.fromkeys(part for name in names for part in ([name] if name in columns else parts_of([name]))))


def _goal(name: str) -> Goal:
    """Which way a score is better; of a column that is no proxy's, as its scorer has it, else larger."""
    if name in proxies_by_name.names():
        return find(name).goal
    if name.startswith("early_loss"):
        return "minimize"
    return "maximize"


def _columns(scores: Mapping[str, Mapping[str, float | None]], name: str) -> dict[str, FloatArray]:
    """The values of a score, or of each part of an aggregate: larger is better, failures are the worst."""
    columns = {}
    for part in _parts([name], next(iter(scores.values()))):
        sign = 1.0 if _goal(part) == "maximize" else -1.0
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
