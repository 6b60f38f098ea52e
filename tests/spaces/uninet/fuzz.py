"""Damaged texts of genomes."""

from __future__ import annotations

import random
from collections.abc import Iterable

from spaces.uninet.networks import SKELETONS, random_genome

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninet import PRESETS, parse_genome, preset

WORDS = (
    *("uninet", "image", "classes", "stem", "first", "none", "heads", "window", "head", "stage", "SA", "LSA", "Conv"),
    *("MLP", "G-DSM", "L-DSM", "stride=", "stride=1", "stride=2", "e=0", "c=7", "r=", "=", "-1", "0", "1e3", "999999"),
    *("1000000", "9" * 30, "٣", "nan", "__import__('os')", "{}", "\x00", "\u2028", "\n", "\r", " ", "é", "'" * 50),
)


def damaged(text: str, rng: random.Random) -> str:
    """The text with a few words or characters removed, doubled, exchanged or replaced."""
    for _ in range(rng.randint(1, 4)):
        parts = rng.choice([text.split(" "), text.split("\n"), list(text)])
        joint = " " if len(parts) == text.count(" ") + 1 else "\n" if len(parts) == text.count("\n") + 1 else ""
        a, b = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(4):
            case 0:
                del parts[a]
            case 1:
                parts.insert(a, parts[b])
            case 2:
                parts[a], parts[b] = parts[b], parts[a]
            case _:
                parts[a] = rng.choice(WORDS)
        text = joint.join(parts)
        if not text:
            break
    return text


def check_fuzzed(seeds: Iterable[int]) -> int:
    """Reads a damaged text for each seed; returns how many were still genomes.

    Raises:
        AssertionError: an error does not name a line, or a text that was read is not read back.
    """
    read = 0
    for seed in seeds:
        rng = random.Random(seed)
        whole = (
            preset(rng.choice(PRESETS)) if rng.random() < 0.3 else random_genome(SKELETONS[rng.choice("ABCDE")], rng)
        )
        text = damaged(whole.text, rng)
        try:
            genome = parse_genome(text)
        except GenomeError as error:
            if not str(error).startswith("line "):
                raise AssertionError(f"{text!r}: {error}") from None
        else:
            assert parse_genome(genome.text) == genome
            assert genome.params > 0
            read += 1
    return read
