"""Makes the profile of a device: times pieces and whole networks, and fits what the ones say of the others."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from uninas_evo.contracts import Piece, Pieced, Shape, Space
from uninas_evo.devices.profile import Accuracy, Fitted, Model, PieceTimes, Profile, TimedNetwork, TimedPiece
from uninas_evo.devices.timing import Backend, Run, least, passes, piece_passes
from uninas_evo.errors import DataError
from uninas_evo.pool.worker import describe

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray
    from uninas_evo.stats.fronts import IntArray

NETWORKS = 30
"""Networks that are timed as a whole: with 40 a profile is as good, and takes a minute more."""
CARRIED = 10
"""Networks that carry a profile over to another device."""
STEPS = 300
"""Most search steps from the start to a network that is timed: as many as searches take."""
SURVEYED = 300
"""Genomes whose pieces are timed; of fresh ones they have 99 % of the pieces."""
RARE = 2
"""A piece is timed if so many of them have it; rarer ones follow their operation's law."""
FOLDS = 10
PRIOR = 0.1
"""How firmly weights are held near one another: a network is expected to be off by 5 %, a weight by 50 %."""
PIECE_S, NETWORK_S = 0.15, 2.5
"""Seconds of timing a piece and a network: two minutes for 400 pieces and 30 networks, beside the export of all."""
OPEN = 20
"""Networks that are in memory at once, and timed in turn."""

Told = Callable[[str], None]


def profile(
    space: Space[Any],
    *,
    backend: Backend = "ort",
    threads: int = 1,
    networks: int | None = None,
    model: Model | None = None,
    known: Profile | None = None,
    seed: int = 0,
    told: Told = lambda text: None,
) -> Profile:
    """Times a space's networks on this device.

    Nothing else should run meanwhile: times of a busy machine are those of a slower one.

    Args:
        space: whose networks; they descend from its start, or are samples of it.
        backend: what runs them.
        threads: of it.
        networks: how many are timed as a whole; `NETWORKS` by default, or `CARRIED` where a profile is carried over.
        model: what times will be computed from; "pieces" by default where the space has them, else "ridge". Compiled
            networks default to "ridge", too: to compile hundreds of pieces takes an hour.
        known: a profile of the same space on another device, which a scale and an offset carry over to this one.
        seed: of the genomes.
        told: is called with what was done.

    Raises:
        DataError: there are too few networks, or `known` is of other networks.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    count = networks or (NETWORKS if known is None else CARRIED)
    if count < 4:
        raise DataError(f"a profile is fitted to at least 4 networks, got {count}; leave --networks out for {NETWORKS}")
    rng = random.Random(seed)
    start = space.start if space.start is not None else space.sample(rng)
    genomes = sampled(space, count, rng)
    here: dict[str, Any] = {"device": describe("cpu"), "versions": _versions(backend)}
    here |= {"backend": backend, "threads": threads}
    run = partial(time_networks, space, genomes, backend, threads, told)
    if known is not None:
        return known.model_copy(update=here | _carried(known, [known.times(space)(one) for one in genomes], run()))
    here |= {"start": space.encode(start)}
    model = model or ("pieces" if isinstance(space, Pieced) and backend != "compile" else "ridge")
    if model != "pieces":
        return Profile.model_validate(here | _of_features(model, space, genomes, run()))
    if not isinstance(space, Pieced):
        raise DataError(f"{type(space).__name__} has no pieces that could be timed one by one; take --model ridge")
    pieces = _time_pieces(space, _met(space, genomes, rng), backend, threads, told)
    return Profile.model_validate(here | _of_pieces(space, genomes, pieces, run()))


def sampled(space: Space[Any], count: int, rng: random.Random) -> list[Any]:
    """Genomes of all ages: ends of walks of up to `STEPS` search steps from the start, or samples without one."""
    found = []
    for _ in range(count):
        genome = space.start if space.start is not None else space.sample(rng)
        for _ in range(rng.randrange(STEPS) if space.start is not None else 0):
            genome = space.mutate(genome, rng) or genome
        found.append(genome)
    return found


def _met(space: Any, genomes: Sequence[Any], rng: random.Random) -> list[Piece]:
    """The pieces that these genomes have, and all but the rarest of a survey."""
    survey = Counter(piece for one in sampled(space, SURVEYED, rng) for piece in space.pieces(one))
    own = {piece for genome in genomes for piece in space.pieces(genome)}
    return sorted(own | {piece for piece, count in survey.items() if count >= RARE})


def _of_pieces(
    space: Pieced, genomes: Sequence[Any], pieces: Mapping[Piece, float], networks: Sequence[TimedNetwork]
) -> dict[str, Any]:
    """What a profile says of pieces: weights for their operations within networks."""
    operations = sorted({piece.operation for piece in pieces})
    amount, times = PieceTimes(pieces), np.array([one.ms for one in networks])
    sums = np.array([_by_operation(space, genome, operations, amount) for genome in genomes])
    counts = np.array([sum(space.pieces(genome).values()) for genome in genomes])

    def fit(rest: IntArray) -> Callable[[int], float]:
        offset, each, *weights = _weights(sums[rest], counts[rest], times[rest])
        return lambda index: float(offset + each * counts[index] + sums[index] @ weights)

    offset, each, *weights = _weights(sums, counts, times).tolist()
    return {
        "model": "pieces",
        "pieces": [
            TimedPiece(operation=one.operation, shape=one.shape, copies=one.copies, ms=ms) for one, ms in pieces.items()
        ],
        "weights": dict(zip(operations, weights, strict=True)),
        "each": each,
        "networks": networks,
        "offset": offset,
        "accuracy": Accuracy.of(_left_out(len(times), fit), times),
    }


def _of_features(
    model: str, space: Space[Any], genomes: Sequence[Any], networks: Sequence[TimedNetwork]
) -> dict[str, Any]:
    """What a profile says of the features of a space."""
    times = [one.ms for one in networks]

    def fit(rest: IntArray) -> Callable[[int], float]:
        part = Fitted(model, space, [genomes[index] for index in rest], [times[index] for index in rest])
        return lambda index: part(genomes[index])

    accuracy = Accuracy.of(_left_out(len(times), fit), np.array(times))
    return {"model": model, "networks": networks, "accuracy": accuracy}


def _carried(known: Profile, there: Sequence[float], networks: Sequence[TimedNetwork]) -> dict[str, Any]:
    """What changes of a known profile, by what networks take there and here."""
    before, times = np.array(there), np.array([one.ms for one in networks])

    def fit(rest: IntArray) -> Callable[[int], float]:
        offset, scale = _line(before[rest], times[rest])
        return lambda index: float(offset + scale * before[index])

    offset, scale = _line(before, times).tolist()
    return {
        "offset": offset + scale * known.offset,
        "scale": scale * known.scale,
        "accuracy": Accuracy.of(_left_out(len(times), fit), times),
    }


def _time_pieces(
    space: Pieced, pieces: Sequence[Piece], backend: Backend, threads: int, told: Told
) -> dict[Piece, float]:
    """Milliseconds of pieces beyond those of the least of them, which a call takes."""
    groups: dict[tuple[Shape, int], list[Piece]] = {}
    for piece in pieces:
        groups.setdefault((piece.shape, piece.copies), []).append(piece)
    runs: dict[Piece, Run] = {}
    with ExitStack() as stack:
        for (shape, copies), own in groups.items():
            modules, image = [space.build_piece(piece) for piece in own], (copies * shape[0], *shape[1:])
            made = stack.enter_context(piece_passes(modules, image, backend, threads))
            runs |= dict(zip(own, made, strict=True))
            told(f"{len(runs)} of {len(pieces)} operations are ready")
        told(f"timing them takes {PIECE_S * len(runs):.0f} s")
        found = dict(zip(runs, least(list(runs.values()), PIECE_S), strict=True))
    call = min(found.values())
    return {piece: ms - call for piece, ms in found.items()}


def time_networks(
    space: Space[Any], genomes: Sequence[Any], backend: Backend, threads: int, told: Told = lambda text: None
) -> tuple[TimedNetwork, ...]:
    """Milliseconds of the networks of genomes."""
    found: list[float] = []
    for begin in range(0, len(genomes), OPEN):
        with ExitStack() as stack:
            runs = [
                stack.enter_context(passes(space.build(genome), space.image_of(genome), backend, threads))
                for genome in genomes[begin : begin + OPEN]
            ]
            found += least(runs, NETWORK_S)
        told(f"{len(found)} of {len(genomes)} networks timed")
    return tuple(
        TimedNetwork(architecture=space.encode(genome), ms=ms) for genome, ms in zip(genomes, found, strict=True)
    )


def _by_operation(
    space: Pieced, genome: Any, operations: Sequence[str], amount: Callable[[Piece], float]
) -> list[float]:
    """Summed milliseconds of a genome's pieces, by operation."""
    sums = dict.fromkeys(operations, 0.0)
    for piece, count in space.pieces(genome).items():
        sums[piece.operation] += count * amount(piece)
    return list(sums.values())


def _weights(sums: FloatArray, counts: FloatArray, times: FloatArray) -> FloatArray:
    """Milliseconds of a network and of each piece in it, and a weight for each operation, (2 + D,), none below 0.

    By least squares of relative errors. Weights are held near one another: what a piece takes alone is off by much the
    same factor for all, and a few networks cannot tell each operation's own. The factor is the last unknown.

    Args:
        sums: milliseconds by operation, (T, D).
        counts: pieces, (T,).
        times: of the networks, (T,).
    """
    from scipy.optimize import lsq_linear

    total, count = sums.shape
    errors = np.column_stack([np.ones(total), counts, sums, np.zeros(total)]) / times[:, None]
    alike = PRIOR * np.column_stack([np.zeros((count, 2)), np.eye(count), -np.ones(count)])
    targets = np.concatenate([np.ones(total), np.zeros(count)])
    return np.asarray(lsq_linear(np.vstack([errors, alike]), targets, (0, np.inf)).x[:-1])


def _line(there: FloatArray, here: FloatArray) -> FloatArray:
    """Offset and scale of the line through times, none below 0: least squares of relative errors."""
    from scipy.optimize import nnls

    rows = np.column_stack([np.ones(len(here)), there]) / here[:, None]
    return np.asarray(nnls(rows, np.ones(len(here)))[0])


def _left_out(count: int, fit: Callable[[IntArray], Callable[[int], float]]) -> FloatArray:
    """What is predicted of each of T networks by a fit to the other folds, (T,).

    Args:
        count: T.
        fit: to the networks of these numbers; gives what predicts one of a number.
    """
    order = np.random.default_rng(0).permutation(count)
    found = np.empty(count)
    for part in np.array_split(order, min(FOLDS, count)):
        predict = fit(np.setdiff1d(order, part))
        found[part] = [predict(index) for index in part]
    return found


def _versions(backend: Backend) -> dict[str, str]:
    names = ("torch", "onnxruntime") if backend == "ort" else ("torch",)
    return {name: version(name) for name in names}
