"""A device's profile: what a network takes there, from pieces and whole networks that were timed on it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from uninas_evo.contracts import Cost, Piece, Pieced, Space
from uninas_evo.devices.timing import Backend
from uninas_evo.errors import DataError, GenomeError
from uninas_evo.files import parse_json, write_atomically
from uninas_evo.mistakes import nearest
from uninas_evo.predictors import PREDICTORS, Features
from uninas_evo.stats.ranks import kendall

if TYPE_CHECKING:
    from uninas_evo.contracts.array import FloatArray

Model = Literal["pieces", "ridge", "forest"]
"""What a profile computes a genome's time from: the times of its pieces, or features of its space."""
MODELS: tuple[str, ...] = get_args(Model)
COVERAGE = 0.9
"""Share of networks whose time lies within the interval that a profile tells."""


def checked_model(name: str) -> Model:
    """A model by its name.

    Raises:
        DataError: there is none of this name.
    """
    if name not in MODELS:
        raise DataError(f"a profile's model is one of {', '.join(MODELS)}, got {name!r:.40}{nearest(name, MODELS)}")
    return name  # type: ignore[return-value]  # it is among them


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimedPiece(_Part):
    """A piece and its time."""

    operation: str
    shape: tuple[int, int, int]
    copies: int = Field(ge=1)
    ms: float = Field(ge=0, allow_inf_nan=False)

    @property
    def piece(self) -> Piece:
        """Which piece it is."""
        return Piece(self.operation, self.shape, self.copies)


class TimedNetwork(_Part):
    """A genome and the time of its network."""

    architecture: str
    ms: PositiveFloat = Field(allow_inf_nan=False)


class Accuracy(_Part):
    """How near a profile comes to networks that it was not fitted to, in ten folds of those that were timed.

    Attributes:
        networks: how many.
        median_error: of the relative errors.
        interval: the relative error that `COVERAGE` of networks stay within.
        r2: the share of the variance that is explained.
        tau: Kendall's.
    """

    networks: int
    median_error: float
    interval: float
    r2: float
    tau: float

    @classmethod
    def of(cls, predicted: FloatArray, measured: FloatArray) -> Self:
        """The accuracy of predictions (T,) of times (T,)."""
        errors = np.sort(np.abs(predicted / measured - 1))
        rank = min(len(errors), math.ceil(COVERAGE * (len(errors) + 1)))
        explained = 1 - float(np.mean((predicted - measured) ** 2)) / max(float(np.var(measured)), 1e-30)
        return cls(
            networks=len(errors),
            median_error=float(np.median(errors)),
            interval=float(errors[rank - 1]),
            r2=explained,
            tau=kendall(predicted, measured),
        )

    def __str__(self) -> str:
        return (
            f"on {self.networks} networks, each left out: median error {self.median_error:.1%}, {COVERAGE:.0%} within "
            f"{self.interval:.1%}, R² {self.r2:.3f}, tau {self.tau:.3f}"
        )


class Profile(_Part):
    """What was timed on a device, and the model of it; a JSON file, so that it travels to another machine.

    Attributes:
        format: of the file.
        device: the processor.
        versions: of the libraries.
        backend: what ran the networks.
        threads: of it.
        start: the text of the genome that the networks descend from; its skeleton is the profile's.
        model: what times are computed from.
        pieces: what was timed one by one; of the model "pieces".
        weights: by operation, what a piece's time counts for within a network.
        each: milliseconds that every piece takes beside, to be called.
        networks: what was timed as a whole.
        offset: milliseconds that every network takes.
        scale: of what the model gives, where a profile was carried over to another device.
        accuracy: on networks left out.
    """

    format: Literal["uninas-evo profile 1"] = "uninas-evo profile 1"
    device: str
    versions: dict[str, str]
    backend: Backend
    threads: int = Field(ge=1)
    start: str
    model: Model
    pieces: tuple[TimedPiece, ...] = ()
    weights: dict[str, float] = {}
    each: float = Field(0, ge=0, allow_inf_nan=False)
    networks: tuple[TimedNetwork, ...] = Field(min_length=4)
    offset: float = Field(0, allow_inf_nan=False)
    scale: float = Field(1, ge=0, allow_inf_nan=False)
    accuracy: Accuracy

    @classmethod
    def load(cls, path: Path) -> Profile:
        """Reads a profile.

        Raises:
            DataError: the file is missing, damaged, or no profile.
        """
        try:
            return cls.model_validate(parse_json(path.read_text(encoding="utf-8")), strict=False)
        except OSError as error:
            raise DataError(
                f"a profile must be a file that can be read, {str(path)!r} is not ({error.strerror}); make it with "
                "uninas-evo profile START --out FILE"
            ) from error
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(
                f"{str(path)!r} is no profile: {where}: {first['msg']}; make it again with uninas-evo profile"
            ) from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{str(path)!r} is damaged ({error}); make it again with uninas-evo profile") from error

    def save(self, path: Path) -> None:
        """Writes the file, whole or not at all.

        Raises:
            DataError: it cannot be written.
        """
        text = self.model_dump_json(indent=1)
        write_atomically(path, lambda file: file.write(text.encode()), DataError)

    def times(self, space: Space[Any]) -> Callable[[Any], float]:
        """Gives milliseconds of genomes of a space.

        Raises:
            DataError: the space's networks are others than those that were timed.
        """
        genomes = self._genomes(space)
        if self.model == "pieces":
            if not isinstance(space, Pieced):
                raise DataError(
                    f"a profile of pieces serves spaces whose networks have some, {type(space).__name__} has none; "
                    "make one with --model ridge"
                )
            amount = PieceTimes({one.piece: one.ms for one in self.pieces}, self.weights, self.each)
            return partial(_affine, self.offset, self.scale, space.sums(amount))
        fitted = Fitted(self.model, space, genomes, [one.ms for one in self.networks])
        return partial(_affine, self.offset, self.scale, fitted)

    def _genomes(self, space: Space[Any]) -> list[Any]:
        try:
            space.decode(self.start)
            return [space.decode(one.architecture) for one in self.networks]
        except GenomeError as error:
            raise DataError(
                f"a profile serves networks of the skeleton that it was made with, and this space's are others: "
                f"{error}; make one of this space with uninas-evo profile"
            ) from error


@dataclass(frozen=True)
class PieceTimes:
    """Milliseconds of a piece: as it was timed, or by the law of its operation, a power of its number of values.

    Attributes:
        known: what was timed.
        weights: by operation; 1 where it has none.
        each: milliseconds of any piece beside.
    """

    known: Mapping[Piece, float]
    weights: Mapping[str, float] = field(default_factory=dict)
    each: float = 0.0

    def __call__(self, piece: Piece) -> float:
        """Weighted milliseconds.

        Raises:
            DataError: no piece of its operation was timed.
        """
        weight = self.weights.get(piece.operation, 1.0)
        return self.each + weight * (self.known[piece] if piece in self.known else self._by_law(piece))

    def _by_law(self, piece: Piece) -> float:
        own = {values(one): max(ms, 1e-6) for one, ms in self.known.items() if one.operation == piece.operation}
        if not own:
            raise DataError(
                f"a profile knows a time for every operation that networks have, and none for {piece.operation!r}; "
                "make it again from a run file whose search uses it, or leave it out by problem.without"
            )
        if len(own) == 1:
            return next(iter(own.values()))
        power, factor = np.polyfit(np.log(list(own)), np.log(list(own.values())), 1)
        return float(np.exp(factor + power * np.log(values(piece))))


def values(piece: Piece) -> int:
    """How many numbers a piece takes."""
    return piece.copies * math.prod(piece.shape)


class Fitted:
    """Milliseconds of genomes from the features of their space, by a predictor.

    Args:
        model: the predictor's name.
        space: of the genomes.
        genomes: that were timed, (T,).
        times: of their networks in milliseconds, (T,).
    """

    def __init__(self, model: str, space: Space[Any], genomes: Sequence[Any], times: Sequence[float]) -> None:
        rows = [space.features(genome) for genome in genomes]
        self._space, self._features, self._model = space, Features(rows), PREDICTORS[model]()
        self._model.fit(self._features.rows(rows), np.array(times), seed=0)

    def __call__(self, genome: Any) -> float:
        """A genome's milliseconds."""
        return float(self._model.predict(self._features.rows([self._space.features(genome)]))[0][0])


def _affine(offset: float, scale: float, of: Callable[[Any], float], genome: Any) -> float:
    return offset + scale * of(genome)


@dataclass(frozen=True)
class ProfileCost:
    """A named cost from a profile.

    Attributes:
        name: of the cost.
        path: the profile's file.
        times: gives a genome's milliseconds.
    """

    name: str
    path: Path
    times: Callable[[Any], float] = field(repr=False, compare=False)

    @classmethod
    def of(cls, space: Space[Any], name: str, path: Path) -> ProfileCost:
        """The cost of a profile, which is checked to be of the space's networks.

        Raises:
            DataError: the profile cannot be read, or is of others.
        """
        model = cls(name, path, Profile.load(path).times(space))
        if space.start is not None:
            model(space.start, Cost())
        return model

    @property
    def names(self) -> tuple[str, ...]:
        """The one cost."""
        return (self.name,)

    @property
    def sources(self) -> tuple[Path, ...]:
        """The profile."""
        return (self.path,)

    def __call__(self, genome: Any, cost: Cost) -> Mapping[str, float]:
        """The genome's milliseconds, never below 0."""
        return {self.name: max(0.0, self.times(genome))}
