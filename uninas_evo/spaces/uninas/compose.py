"""Composing a genome by choices: an edit script of variable length on a start network.

The one door for all that samples: a random generator, a Bayesian optimizer, later a controller. A decision's name
always has the same options: places are relative (eighths of what is there), and a pick that is not feasible stands
for the nearest one that is.
"""

from __future__ import annotations

from collections.abc import Callable

from uninas_evo.contracts import Budget, Choose, Decision
from uninas_evo.spaces.uninas.chain import Chain, Node, menu
from uninas_evo.spaces.uninas.genome import Genome
from uninas_evo.spaces.uninas.operations import ADDABLE
from uninas_evo.spaces.uninas.step import StepRule, fits, remove_node, rewrite

FAR = ("1", "2", "4", "8", "16")
"""How many edits a script may have: doubling, so that near and far networks are equally likely."""
NEAR = ("1", "2")
"""How many edits a script may have that stays near its start: two cross a valley that one cannot."""
PARTS = tuple(str(eighth) for eighth in range(8))
"""Relative places: eighths of the chains of a block, or of the positions of a chain."""


def compose(
    start: Genome,
    choose: Choose,
    budget: Budget,
    rule: StepRule,
    edits: tuple[str, ...] = FAR,
    admits: Callable[[Genome], bool] | None = None,
) -> Genome:
    """Applies an edit script to a start network, decision by decision.

    Args:
        start: is left unchanged.
        choose: is asked `edits`, then for edit i `i.kind`, `i.block`, `i.chain`, `i.place` and, when adding,
            `i.operation`.
        budget: no edit leaves it; one that cannot be mapped to a feasible edit is left out.
        rule: `max_nodes` and `dialect` hold here too.
        edits: the numbers of edits to choose among.
        admits: what else a genome must satisfy; an edit whose genome does not is left out.
    """
    genome = start
    blocks = tuple(f"{stage + 1}.{place + 1}" for stage, place in start.skeleton.blocks)
    for i in range(int(choose(Decision("edits", edits, ordered=True)))):
        adds = choose(Decision(f"{i}.kind", ("add", "eliminate"))) == "add"
        block = blocks.index(choose(Decision(f"{i}.block", blocks, ordered=True)))
        part = int(choose(Decision(f"{i}.chain", PARTS, ordered=True)))
        place = int(choose(Decision(f"{i}.place", PARTS, ordered=True)))
        name = choose(Decision(f"{i}.operation", rule.dialect)) if adds else None
        edited = _edit(genome, block, part, place, name, budget, rule)
        if edited is not None and (admits is None or admits(edited)):
            genome = edited
    return genome


def _edit(
    genome: Genome, block: int, part: int, place: int, name: str | None, budget: Budget, rule: StepRule
) -> Genome | None:
    first, second = genome.chains[2 * block], genome.chains[2 * block + 1]
    if name is not None and first.size + second.size >= rule.max_nodes:
        return None

    def change(chain: Chain, copies: int) -> Chain | None:
        if name is None:
            return remove_node(chain, _relative(place, len(chain.nodes)), copies, genome, budget)
        node = _nearest(name, chain, copies, genome, budget, rule)
        return None if node is None else chain.insert(_relative(place, len(chain.nodes) + 1), node)

    total = first.chains + second.chains
    drawn = _relative(part, total)
    for number in sorted(range(total), key=lambda n: abs(n - drawn)):
        second_chain = number >= first.chains
        index = 2 * block + second_chain
        inner = number - first.chains if second_chain else number
        new = rewrite(genome.chains[index], inner, change, rule, None)
        if new is not None:
            return genome.with_chain(index, new)
    return None


def _relative(part: int, count: int) -> int:
    return part * count // len(PARTS)


def _nearest(name: str, chain: Chain, copies: int, genome: Genome, budget: Budget, rule: StepRule) -> Node | None:
    """The node of the operation nearest in the table's order that stands on the chain and fits the budget."""
    wanted = ADDABLE.index(name)
    feasible = [n for n in menu(chain.shape, rule.dialect) if fits(n, copies, genome, budget)]
    return min(feasible, key=lambda n: abs(ADDABLE.index(n.operation.name) - wanted), default=None)
