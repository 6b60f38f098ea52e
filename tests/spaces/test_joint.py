"""Networks and their training decided together: a space beside a table of settings, and one fixed network."""

from __future__ import annotations

import random

import pytest

from uninas_evo import Budget, Real, Whole, load_space
from uninas_evo.errors import BudgetError, GenomeError
from uninas_evo.spaces.joint import FixedSpace, Joint, JointSpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.testing import SpaceConformance

NETWORK = preset("resnet", Skeleton(image_size=16, classes=10, stem=(8, 8), channels=(16, 32), depths=(1, 1)))
TABLE = {
    "lr": Real(1e-4, 1e-1, log=True),
    "batch_size": [32, 64, 128],
    "optimizer": ["adamw", "sgd"],
    "augment": Whole(0, 10),
}
START = {"lr": 0.01, "optimizer": "adamw", "augment": 30, "epochs": 12}


def graphs() -> JointSpace:
    return JointSpace(UninasSpace(NETWORK, Budget(max_params=2 * NETWORK.params)), TABLE, START)


def fixed() -> JointSpace:
    return JointSpace(FixedSpace(UninasSpace(NETWORK), NETWORK), TABLE, START)


class TestBesideGraphs(SpaceConformance):
    space = graphs()


class TestBesideChoices(SpaceConformance):
    space = JointSpace(NASBench201Space(10, budget=Budget(max_params=8e5)), TABLE)


class TestBesideOneNetwork(SpaceConformance):
    space = fixed()


def test_settings_and_networks_both_change():
    """Half of the mutations change a setting, half the network; a fixed network leaves all of them to the settings."""
    space, rng = graphs(), random.Random(0)
    assert space.start is not None
    mutants = [space.mutate(space.start, rng) for _ in range(60)]
    same = [one.network == NETWORK for one in mutants if one]
    assert 15 < sum(same) < 45
    assert all((one.training == space.start.training) != kept for one, kept in zip(mutants, same, strict=True) if one)
    assert all(one and one.network == NETWORK for one in (fixed().mutate(space.start, rng) for _ in range(20)))


def test_children_take_settings_of_both_parents():
    """Where the networks have no child, the first parent's is kept."""
    space, rng = fixed(), random.Random(0)
    a, b = space.sample(rng), space.sample(rng)
    children = [space.crossover(a, b, rng) for _ in range(20)]
    assert {one.training["batch_size"] for one in children if one} == {
        a.training["batch_size"],
        b.training["batch_size"],
    }
    assert all(one and one.network == NETWORK for one in children)


def test_walks_begin_at_the_values_of_the_start():
    """A setting whose value there is none of its own begins in the middle."""
    start = graphs().start
    assert start is not None
    assert dict(start.training) == {
        "lr": pytest.approx(0.01, rel=1e-3),
        "batch_size": 64,
        "optimizer": "adamw",
        "augment": 5,
    }


def test_decisions_of_settings_have_names_of_their_own():
    """They are asked behind those of the network, with a prefix; a graph space has no list of all."""
    space = JointSpace(NASBench201Space(), TABLE)
    names = [one.name for one in space.decisions]
    assert names[-4:] == ["training.lr", "training.batch_size", "training.optimizer", "training.augment"]
    asked: list[str] = []
    space.compose(lambda decision: asked.append(decision.name) or decision.options[0])
    assert asked == names
    assert not hasattr(graphs(), "decisions")


def test_a_text_alone_gives_space_and_genome():
    """`load_space` reads the settings and the network, and builds it; costs are the network's."""
    space, rng = graphs(), random.Random(1)
    genome = space.sample(rng)
    found, again = load_space(space.encode(genome))
    assert again == genome
    assert found.encode(again) == space.encode(genome)
    assert found.cost(again) == space.networks.cost(genome.network)
    assert dict(found.training(again)) == dict(genome.training)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("training.lr", "training.rate"),
        lambda text: text.replace("training.batch_size = 32", "training.batch_size = 33"),
        lambda text: "joint 1\n" + text,
        lambda text: text.partition("uninas")[0],
        lambda text: text.replace("training.augment = 0", "training.augment = 0\ntraining.augment = 1"),
    ],
)
def test_wrong_texts_are_refused(change):
    """Unknown, missing and repeated settings, values outside, and a missing network."""
    space = fixed()
    text = space.encode(space.compose(lambda decision: decision.options[0]))
    wrong = change(text)
    assert wrong != text
    with pytest.raises(GenomeError):
        space.decode(wrong)


def test_a_fixed_network_is_inside_its_budget_or_refused():
    """The message tells what it costs; another network's text is none of the space's."""
    space = UninasSpace(NETWORK)
    with pytest.raises(BudgetError, match="the network must be inside"):
        FixedSpace(space, NETWORK, Budget(max_params=10))
    other = space.mutate(NETWORK, random.Random(0))
    with pytest.raises(GenomeError, match="fixed"):
        FixedSpace(space, NETWORK).decode(space.encode(other))  # type: ignore[arg-type]


def test_bayesian_search_sees_the_networks_from_the_best():
    """Beside a space that can be seen from a genome, settings are decided as before."""
    space = graphs()
    near = space.around(space.sample(random.Random(0)))
    assert near.networks is not space.networks
    assert near.settings is space.settings
    assert fixed().around(Joint(NETWORK, space.sample(random.Random(0)).training)).networks.start == NETWORK
