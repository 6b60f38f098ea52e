"""Dialects: no operator leaves them, and starts are adapted or refused."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uninas_evo.contracts import Budget
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.problems.uninas import UninasOptions, UninasProblem
from uninas_evo.spaces.uninas import ADDABLE, PRESETS, Genome, Skeleton, StepRule, UninasSpace, preset, walk_nodes
from uninas_evo.spaces.uninas.dialect import READY, adapted, dialect, foreign
from uninas_evo.spaces.uninas.text import parse_chain

SKELETON = Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32, 64), depths=(1, 2))
BUDGET = Budget(max_params=250_000, max_flops=3e6)


def space(operations: tuple[str, ...], start: str = "efficientnet") -> UninasSpace:
    return UninasSpace(preset(start, SKELETON), BUDGET, StepRule(motifs=0.2, substitutions=0.2, operations=operations))


@given(operations=st.sets(st.sampled_from(ADDABLE), min_size=1), seed=st.integers(0, 2**32))
def test_no_operator_leaves_a_dialect(operations: set[str], seed: int) -> None:
    """Steps, motifs, substitutions, composing, starts and crossover give genomes of the dialect alone, or none."""
    spoken, rng = dialect([*operations, "conv3"]), random.Random(seed)
    own = space(spoken, "resnet")
    genome = own.start
    for _ in range(20):
        genome = own.mutate(genome, rng) or genome
        assert foreign(genome, spoken) == []
    others = [operator(genome, rng) for operator in own.variations().values()]
    others += [own.sample(rng), own.crossover(genome, own.start, rng), *own.starts()]
    assert [foreign(one, spoken) for one in others if one is not None and foreign(one, spoken)] == []


def test_a_dialect_of_everything_changes_nothing() -> None:
    """A run without a dialect and one of all operations take the same steps."""
    walked = []
    for rule in (StepRule(motifs=0.1, substitutions=0.1), StepRule(motifs=0.1, substitutions=0.1, operations=ADDABLE)):
        rng, own = random.Random(1), UninasSpace(preset("coatnet", SKELETON), rule=rule)
        genome = own.start
        for _ in range(50):
            genome = own.mutate(genome, rng) or genome
        walked.append(genome.text)
    assert walked[0] == walked[1]


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("ready", READY)
def test_presets_are_adapted_to_the_ready_lists(name: str, ready: str) -> None:
    """Every preset has a form in every ready list, with as many blocks and its convolutions."""
    genome = adapted(preset(name, SKELETON), READY[ready])
    assert foreign(genome, READY[ready]) == []
    assert convolutions(genome) == convolutions(preset(name, SKELETON))


def convolutions(genome: Genome) -> list[str]:
    """The spatial ones, in their order."""
    names = [node.operation.name for one in genome.chains for node, _ in walk_nodes(one)]
    return [name for name in names if name in ("conv3", "dw3", "dw5")]


@pytest.mark.parametrize(
    ("text", "without", "expected"),
    [
        ("conv3 batchnorm gelu", ["gelu"], "conv3 batchnorm copy_multiply(-, sigmoid)"),
        ("conv3 gelu", ["gelu", "sigmoid"], "conv3"),
        ("attention(scores: relposbias softmax)", ["softmax", "relposbias"], "attention(scores: sigmoid)"),
        ("dw5 copy_multiply(-, global_avg(conv_red4(gelu)))", ["global_avg"], "dw5"),
        ("layernorm conv1", ["layernorm"], "batchnorm conv1"),
        ("zero", ["softmax"], "zero"),
    ],
)
def test_operations_give_place_to_what_stands_in_for_them(text: str, without: list[str], expected: str) -> None:
    """Stand-ins where the dialect has them; gates drop out whole; the rest drops out alone."""
    genome = Genome.of(
        Skeleton(image_size=16, classes=3, stem=(8, 8), channels=(32,), depths=(1,)),
        [parse_chain(text, (32, 4, 4)), parse_chain("-", (32, 4, 4))],
    )
    assert adapted(genome, dialect(without=without)).chains[0].text == expected


def test_a_start_that_cannot_be_adapted_is_refused() -> None:
    """With the operation, what it would need, and the dialect."""
    with pytest.raises(GenomeError, match=r"has attention, which this dialect lacks.*start elsewhere"):
        space(dialect(without=["attention"]), "coatnet")


def test_a_genome_from_elsewhere_is_refused() -> None:
    """A known genome with foreign operations is not decoded."""
    own = space(READY["int8"])
    with pytest.raises(GenomeError, match="gelu, global_avg, which this space's dialect lacks"):
        own.decode(preset("efficientnet", SKELETON).text)
    assert own.decode(own.start.text) == own.start


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": "int4"}, "ready list ort_mobile or int8, got 'int4'"),
        ({"operations": ["conv3", "relu"]}, "no operation 'relu'"),
        ({"without": ["softmaxx"]}, "did you mean 'softmax'"),
        ({"without": list(ADDABLE)}, "all are left out"),
        ({"step": {"operations": ["conv3"]}}, "write problem.operations"),
    ],
)
def test_mistakes_are_told(options: dict[str, object], message: str) -> None:
    """What there is, what was given, and the cure."""
    with pytest.raises((SpaceError, ValueError), match=message):
        UninasOptions.model_validate(options)


def test_a_run_file_names_its_dialect(tmp_path: Path) -> None:
    """`operations` and `without` reach the search step."""
    skeleton = {"image_size": 16, "classes": 3, "stem": [8, 8], "channels": [32, 64], "depths": [1, 2]}
    written = {"start": "resnet", "skeleton": skeleton, "operations": "int8", "without": ["softmax"]}
    options = UninasOptions.model_validate({**written, "objectives": ["params"]})
    own = UninasProblem.from_options(options, 0).space
    assert own.rule.dialect == tuple(name for name in READY["int8"] if name != "softmax")
    assert foreign(own.start, own.rule.dialect) == []
