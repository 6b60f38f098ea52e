"""Texts of choices with damage, as people and disks do it."""

from __future__ import annotations

import random
from typing import Any

import uninas_evo
from uninas_evo.errors import GenomeError


def damaged(text: str, rng: random.Random) -> str:
    """The text with a few characters, words or lines changed."""
    for _ in range(rng.randint(1, 4)):
        lines = text.split("\n")
        place, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                lines[place] = lines[other]
            case 1:
                del lines[place]
            case 2:
                cut = rng.randrange(len(lines[place]) + 1)
                lines[place] = lines[place][:cut] + rng.choice("\x00é²٣-1 =:#9e") + lines[place][cut + 1 :]
            case _:
                key = lines[place].partition(" = ")[0]
                lines[place] = f"{key} = {rng.choice(('', '0', '-1', '1e9', 'nan', '9' * 50, 'conv'))}"
        text = "\n".join(lines)
    return text


def fuzz(space: Any, seed: int) -> None:
    """A damaged text of a space is read, or refused by a GenomeError."""
    rng = random.Random(seed)
    text = damaged(space.encode(space.sample(rng)), rng)
    for read in (space.decode, uninas_evo.load_genome):
        try:
            read(text)
        except GenomeError:
            continue
