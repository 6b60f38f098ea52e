"""How numbers are varied: bounded operators of real-coded genetic algorithms, on places from 0 to 1 of a scale.

Sources: Deb & Agrawal, "Simulated Binary Crossover for Continuous Search Space", Complex Systems 9, 1995, equations 8
and 9; Deb & Goyal, "A Combined Genetic Adaptive Search (GeneAS) for Engineering Design", Computer Science and
Informatics 26(4), 1996 (polynomial mutation); both in the bounded form of NSGA-II's code.
"""

from __future__ import annotations

import random

from uninas_evo.contracts.decision import Number

SPREAD = 10.0
"""η of both operators, the distribution index: children lie within a tenth of the range or so. NSGA-II's 20 is for
thousands of evaluations; searches of networks have hundreds."""


def mutated(number: Number, index: int, rng: random.Random) -> int:
    """Another index of a number by polynomial mutation; where rounding would undo it, the next one that way."""
    place = number.place(index)
    moved = polynomial(place, rng)
    other = number.at(moved)
    if other != index:
        return other
    upward = index == 0 or (moved > place and index < number.size - 1)
    return index + 1 if upward else index - 1


def crossed(number: Number, a: int, b: int, rng: random.Random) -> int:
    """A child's index by simulated binary crossover of two parents', equal where theirs are."""
    return a if a == b else number.at(simulated_binary(number.place(a), number.place(b), rng))


def polynomial(place: float, rng: random.Random) -> float:
    """A place near another, in 0 to 1: uniform random numbers are bent so that small moves are likely."""
    u, power = rng.random(), SPREAD + 1.0
    delta: float
    if u < 0.5:
        delta = (2 * u + (1 - 2 * u) * (1 - place) ** power) ** (1 / power) - 1
    else:
        delta = 1 - (2 * (1 - u) + (2 * u - 1) * place**power) ** (1 / power)
    return min(max(place + delta, 0.0), 1.0)


def simulated_binary(a: float, b: float, rng: random.Random) -> float:
    """One of the two children of two different places, in 0 to 1; as far from its parents as one-point crossover's."""
    low, high = min(a, b), max(a, b)
    u, upper = rng.random(), rng.random() < 0.5
    free = (1 - high) if upper else low
    alpha: float = 2 - (1 + 2 * free / (high - low)) ** -(SPREAD + 1)
    beta: float = (u * alpha if u <= 1 / alpha else 1 / (2 - u * alpha)) ** (1 / (SPREAD + 1))
    child = (low + high + (beta if upper else -beta) * (high - low)) / 2
    return min(max(child, 0.0), 1.0)
