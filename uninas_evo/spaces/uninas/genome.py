"""The genome: a skeleton and the two chains of each of its blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from uninas_evo.contracts import Cost
from uninas_evo.errors import GenomeError
from uninas_evo.spaces.genome import drawn
from uninas_evo.spaces.uninas.chain import Chain
from uninas_evo.spaces.uninas.skeleton import Skeleton

TEXT_HEADER = "uninas 1"
"""First line of the text form: its name and version."""
TEXT_HEADER_2 = "uninas 2"
"""The same of networks for images that are no colored squares, or with another stem stride than 2: the line of the
image has its channels, height and width, that of the stem its stride too."""
HEADERS = (TEXT_HEADER, TEXT_HEADER_2)


@dataclass(frozen=True, slots=True, eq=False)
class Genome:
    """A network of the UniNAS space: immutable, hashable, of variable length.

    Attributes:
        skeleton: what the search does not change.
        chains: both chains of all blocks in order: block b has the chains 2b and 2b + 1.
        params: exact number of parameters.
        flops: exact FLOPs of one image.
    """

    skeleton: Skeleton
    chains: tuple[Chain, ...]
    params: int
    flops: int

    @classmethod
    def of(cls, skeleton: Skeleton, chains: Sequence[Chain]) -> Genome:
        """The genome of a skeleton and two chains for each of its blocks.

        Raises:
            GenomeError: the number of chains or one of their shapes does not fit the skeleton.
        """
        shapes = [shape for shape in skeleton.shapes for _ in range(2)]
        if [c.shape for c in chains] != shapes:
            raise GenomeError(
                f"a skeleton of {len(skeleton.blocks)} blocks takes two chains a block, of shapes {shapes}, "
                f"got {[c.shape for c in chains]}; give the chains in the order of the blocks"
            )
        cost = skeleton.cost
        return cls(
            skeleton,
            tuple(chains),
            cost.params + sum(c.params for c in chains),
            cost.flops + sum(c.flops for c in chains),
        )

    def with_chain(self, index: int, chain: Chain) -> Genome:
        """The genome with another chain at `index`; the cost difference comes from the chains' totals."""
        old = self.chains[index]
        chains = (*self.chains[:index], chain, *self.chains[index + 1 :])
        return Genome(
            self.skeleton,
            chains,
            self.params + chain.params - old.params,
            self.flops + chain.flops - old.flops,
        )

    @property
    def cost(self) -> Cost:
        """Parameters and FLOPs."""
        return Cost(self.params, self.flops)

    @property
    def text(self) -> str:
        """The canonical text: the skeleton, then one line for each chain; version 1 wherever that can tell it."""
        s = self.skeleton
        lines = [
            TEXT_HEADER if s.is_plain else TEXT_HEADER_2,
            _line("image", s.image[1:2] if s.is_plain else s.image),
            f"classes {s.classes}",
            _line("stem", s.stem if s.is_plain else (*s.stem, s.stem_stride)),
        ]
        for index, (stage, place) in enumerate(s.blocks):
            if place == 0:
                lines.append(f"stage {s.channels[stage]}")
            lines += [f"  {c + 1}: {self.chains[2 * index + c].text}" for c in range(2)]
        return "\n".join(lines) + "\n"

    @property
    def id(self) -> str:
        """The first 12 hexadecimal digits of the text's SHA-256: the same in every process."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def __len__(self) -> int:
        """The number of nodes; a coupled pair is one, a group of equal attention heads counts once."""
        return sum([c.size for c in self.chains])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Genome):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[object, ...]:
        return self.skeleton, tuple([c.text for c in self.chains])

    def __repr__(self) -> str:
        return f"<Genome {self.id}: {len(self)} nodes, {self.params:,} params, {self.flops:,} FLOPs>"

    def _repr_svg_(self) -> str:
        """The drawing that notebooks show."""
        return drawn(self)


def _line(name: str, numbers: Sequence[int]) -> str:
    return " ".join([name, *map(str, numbers)])
