"""Training of shared weights: every learner, exact resume, scores, wrong input."""

from __future__ import annotations

import copy
import json
import random

import pytest
import torch

from uninas_evo.contracts import Decision
from uninas_evo.errors import DataError, RunFileError, SpaceError, TrainingError
from uninas_evo.sharing import training as module
from uninas_evo.sharing.learner import PolicyLearner
from uninas_evo.sharing.learners import LEARNERS
from uninas_evo.sharing.learners.darts import Darts
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.sharing.scorer import SupernetScorer
from uninas_evo.sharing.statistics import recalibrate, still_statistics
from uninas_evo.sharing.training import SupernetTraining
from uninas_evo.spaces.darts.genome import Skeleton
from uninas_evo.spaces.darts.space import DartsSpace
from uninas_evo.spaces.mobile.space import OFASpace
from uninas_evo.spaces.nasbench201.space import NASBench201Space

QUICK = {"learner": "uniform", "steps": 4, "batch_size": 8, "report": 1}
CASES = [
    ("uniform", {}),
    ("fair", {}),
    ("darts", {}),
    ("darts", {"order": 2, "policy_lr": 0.1}),
    ("darts", {"order": 2, "hessian": "difference"}),
    ("gumbel", {}),
    ("gdas", {}),
    ("proxyless", {"every": 2}),
    ("proxyless", {"mode": "two", "every": 1, "warmup": 0.4}),
    ("unas", {}),
    ("unas", {"estimator": "reinforce", "objective": "val", "per_image": False}),
    ("unas", {"estimator": "gumbel", "objective": "signed_gap", "weights_on": "discrete"}),
    ("unas", {"every": 2, "soften": 0.08, "gap": "batch", "cost": "flops", "cost_target": 1e6, "cost_ramp": 3}),
    ("enas", {"every": 2, "samples": 2, "final": 3}),
    ("enas", {"every": 2, "samples": 2, "policy": "logits"}),
    ("proxyless", {"mode": "reinforce", "every": 1, "samples": 2, "cost": "flops", "cost_target": 1e6}),
    ("darts", {"eigen_every": 1, "decide_every": 2, "entropy_penalty": 0.1, "selection": "accuracy"}),
    ("darts", {"decide_every": 1, "decide_by": "stability"}),
    ("gdas", {"cost": "params", "cost_target": 1e3, "stop_still": 2, "max_skips": 1}),
]


def space_of(name="nasbench201"):
    space = NASBench201Space(3) if name == "nasbench201" else DartsSpace(Skeleton(8, 3), "factorized")
    space.image = (3, 8, 8)
    return space


def trained(squares, folder, learner="uniform", options=None, space=None, **more):
    settings = QUICK | {"data": str(squares), "learner": learner, "options": options or {}} | more
    network = {"channels": 4, "cells": 1}
    training = SupernetTraining(space or space_of(), SupernetOptions(**({"network": network} | settings)), 0, folder)
    training.run()
    return training


def files(folder):
    return {name: (folder / name).read_bytes() for name in ("weights.safetensors", "steps.jsonl", "result.json")}


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.parametrize(("learner", "options"), CASES)
def test_killed_anywhere_it_ends_with_the_same_weights(squares, tmp_path, monkeypatch, learner, options):
    """Killed at random steps, with or without a checkpoint since, every learner ends with the same files."""
    trained(squares, tmp_path / "whole", learner, options)
    rng, step, count = random.Random(len(str(options))), SupernetTraining.step, 0

    def dying(self, number):
        nonlocal count
        line = step(self, number)
        if (not count and number == 2) or (rng.random() < 0.3 and count < 25):
            count += 1
            raise Killed
        return line

    monkeypatch.setattr(module, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(SupernetTraining, "save", _saves_now_and_then(SupernetTraining.save, rng))
    monkeypatch.setattr(SupernetTraining, "step", dying)
    for _ in range(60):
        try:
            trained(squares, tmp_path / "killed", learner, options)
            break
        except Killed:
            pass
    assert count
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    assert len((tmp_path / "whole/steps.jsonl").read_text().splitlines()) == 4


def _saves_now_and_then(save, rng):
    def saving(self, done):
        if done == self.options.steps or rng.random() < 0.6:
            save(self, done)

    return saving


@pytest.mark.parametrize(("learner", "options"), [case for case in CASES if case[0] not in ("uniform", "fair")])
def test_policies_move_and_derive(squares, tmp_path, learner, options):
    """A policy's logits move, are reported, and name a genome of the space."""
    training = trained(squares, tmp_path, learner, options)
    assert isinstance(training.learner, PolicyLearner)
    line = json.loads((tmp_path / "steps.jsonl").read_text().splitlines()[-1])
    assert {"step", "loss", "derived"} <= line.keys()
    if learner != "enas" or "policy" in options:
        assert 0 <= line["mixture_accuracy"] <= 1
        assert 0 <= line["path_accuracy"] <= 1
    assert training.space.decode((tmp_path / "derived.txt").read_text()) == training.learner.derive()
    first = SupernetTraining(training.space, training.options, 0, None).learner
    before, after = (list(one.optimizer.param_groups[0]["params"]) for one in (first, training.learner))
    assert any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    draws = {training.learner.sample(random.Random(seed)) for seed in range(10)}
    assert len(draws) > 1


@pytest.mark.slow
def test_unas_in_its_own_space(squares, tmp_path):
    """The factorized cells learn by REBAR with an architecture an image, and by ENAS' single paths."""
    for learner, options in (("unas", {}), ("enas", {"every": 1, "samples": 1}), ("fair", {})):
        training = trained(squares, tmp_path / learner, learner, options, space_of("unas"),
                           network={"channels": 4, "cells": 3}, steps=2)  # fmt: skip
        assert training.net.joins_slots


def test_a_fair_step_trains_every_option_once():
    """In the genomes of a step each option of each decision stands once (FairNAS, algorithm 1)."""
    space = NASBench201Space()
    options = SupernetOptions(data="", learner="fair", network={"channels": 4, "cells": 1})
    learner = SupernetTraining(space, options, 0, None).learner
    for step in range(5):
        genomes = learner.paths(step)
        assert len(genomes) == 5
        for column in zip(*(genome.edges for genome in genomes), strict=True):
            assert sorted(column) == sorted(space.decisions[0].options)


def test_options_off_the_path_keep_their_weights(squares):
    """A step of a sampler leaves options that did not run alone: neither momentum nor decay moves them."""
    training = trained(squares, None, steps=3)
    before = {name: value.clone() for name, value in training.net.named_parameters()}
    training.step(3)
    (genome,) = training.learner.paths(3)
    for name, value in training.net.named_parameters():
        if ".edges." in name:
            edge, option = int(name.split(".edges.")[1][0]), name.split(".options.")[1].split(".")[0]
            assert torch.equal(value, before[name]) != (genome.edges[edge] == option)


def test_statistics_stay_in_policy_steps(squares):
    """The policy's passes leave running statistics alone."""
    training = trained(squares, None, "darts")
    before = {name: value.clone() for name, value in training.net.named_buffers()}
    training.learner.update(*[training._batch(name, 9) for name in ("weights", "policy")], 9, training.optimizer)
    assert all(torch.equal(value, before[name]) for name, value in training.net.named_buffers())


def test_recalibration_is_the_mean_over_batches():
    """Statistics become the mean of batch means and of unbiased batch variances, whatever they were."""
    net = torch.nn.Sequential(torch.nn.BatchNorm2d(2))
    net[0].running_mean.fill_(7)
    batches = [torch.randn(5, 2, 3, 3) + i for i in range(3)]
    recalibrate(net, batches)
    torch.testing.assert_close(net[0].running_mean, torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0))
    variances = [b.transpose(0, 1).reshape(2, -1).var(1) for b in batches]
    torch.testing.assert_close(net[0].running_var, torch.stack(variances).mean(0))
    assert not net[0].training
    net.train()
    with still_statistics(net):
        net(batches[0])
    torch.testing.assert_close(net[0].running_mean, torch.stack([b.mean((0, 2, 3)) for b in batches]).mean(0))


class _Quadratic(torch.nn.Module):
    """A loss that is quadratic in weights and bilinear in weights and mixture: logits of two classes."""

    def __init__(self):
        super().__init__()
        self.slots, self.joins_slots = (Decision("a", ("x", "y", "z")),), False
        self.weight = torch.nn.Parameter(torch.tensor([0.3, -0.2, 0.5]))

    def forward(self, images, mixture):
        score = torch.nn.functional.softplus(images.mean((1, 2, 3))[:, None] * self.weight) @ mixture["a"]
        return torch.stack([score, -score], 1)


def test_second_order_is_that_of_double_backward_and_of_the_difference():
    """With smooth losses the difference is within 3 % of double backward, which is the numerical derivative."""
    torch.manual_seed(0)
    net = _Quadratic()
    optimizer = torch.optim.SGD(net.parameters(), 0.5, momentum=0.9, weight_decay=0.01)
    train, policy = ((torch.randn(16, 3, 2, 2) * 4, torch.randint(0, 2, (16,))) for _ in range(2))

    def learner(**options):
        return Darts(net, None, Darts.Options(order=2, init=1.0, **options), 0, 10)

    def loss_ahead(logits):
        mixture = {"a": logits.softmax(0)}
        (gradient,) = torch.autograd.grad(
            torch.nn.functional.cross_entropy(net(train[0], mixture), train[1]), net.weight
        )
        ahead = net.weight - 0.5 * (gradient + 0.01 * net.weight)
        output = torch.func.functional_call(net, {"weight": ahead}, (policy[0], mixture))
        return float(torch.nn.functional.cross_entropy(output, policy[1]))

    exact = learner()
    _, (gradient,) = exact.second_order(train, policy, optimizer)
    logits, numerical = exact.logits["a"].detach(), []
    for index in range(3):
        step = 1e-2 * torch.eye(3)[index]
        numerical.append((loss_ahead(logits + step) - loss_ahead(logits - step)) / 2e-2)
    torch.testing.assert_close(gradient, torch.tensor(numerical), rtol=2e-2, atol=1e-4)
    _, (difference,) = learner(hessian="difference").second_order(train, policy, optimizer)
    assert (difference - gradient).norm() < 0.03 * gradient.norm()


def test_two_paths_keep_the_mass(squares):
    """The two-path mode leaves the sum of exp of each slot's logits as it was, and all but two of them."""
    training = trained(squares, None, "proxyless", {"mode": "two", "every": 1}, steps=1)
    fresh = SupernetTraining(training.space, training.options, 0, None).learner.logits
    for name, value in training.learner.logits.items():
        torch.testing.assert_close(value.logsumexp(0), fresh[name].logsumexp(0))
        assert int((value != fresh[name]).sum()) <= 2


def test_the_objective(squares, tmp_path):
    """Scores are a function of weights, genome and seed: same in the process that trained and in a worker."""
    space = space_of()
    scorer = SupernetScorer(**QUICK, data=str(squares), network={"channels": 4, "cells": 1})
    lines = []
    scorer.make_ready(space, 0, tmp_path, "cpu", lines.append)
    assert lines
    genomes = [space.sample(random.Random(seed)) for seed in range(3)]
    values = [scorer.score(_Subject(space, genome), "cpu") for genome in genomes]
    worker = copy.deepcopy(scorer)  # by the same reduction as a pickle
    worker.prepare(space, "cpu")
    assert [worker.score(_Subject(space, genome), "cpu") for genome in reversed(genomes)] == values[::-1]
    assert values[0].keys() == {"supernet", "supernet_loss", "supernet_se"}


class _Subject:
    def __init__(self, space, genome):
        self.space, self.genome, self.seed = space, genome, 0


def test_sandwich_in_elastic_networks(squares):
    """The largest genome teaches the smallest and two random ones."""
    space = OFASpace(3, 0.2, (32,))
    training = trained(squares, None, "sandwich", space=space, network={}, steps=2)
    paths = training.learner.paths(0)
    assert len(paths) == 4
    assert (paths[0].params, paths[1].params) == (training.learner.largest.params, training.learner.smallest.params)


@pytest.mark.parametrize(
    ("error", "message", "more"),
    [
        (RunFileError, "problem.supernet.learner must be one of uniform.*did you mean 'gdas'", {"learner": "gdass"}),
        (RunFileError, "problem.supernet.options.order.*the learner darts has",
         {"learner": "darts", "options": {"order": 3}}),
        (SpaceError, "a setting that the shared weights of NASBench201Space do not", {"network": {"depth": 3}}),
        (SpaceError, "needs a largest and a smallest genome", {"learner": "sandwich"}),
        (SpaceError, "mixes options, which the shared weights of OFASpace cannot",
         {"learner": "gdas", "space": OFASpace(3, 0.2, (32,)), "network": {}}),
        (DataError, "each part needs a batch of 64", {"learner": "darts", "batch_size": 64}),
    ],
)  # fmt: skip
def test_wrong_input_is_one_message(squares, error, message, more):
    """An unknown learner, setting, a learner that the space cannot serve, too few images: what, rule, value, fix."""
    with pytest.raises(error, match=message):
        trained(squares, None, **more)


def test_stages(squares, tmp_path, monkeypatch):
    """P-DARTS: each stage has fresh weights of another size and fewer options; killed in any it ends with the same."""
    more = {"stages": [{"cells": 1}, {"cells": 2}], "network": {"channels": 4}, "steps": 6, "lr": 0.1}
    options = {"keep": [5, 2], "policy_lr": 0.1}
    whole = trained(squares, tmp_path / "whole", "darts", options, **more)
    assert [len(stage) for stage in whole.net.stages] == [2, 2, 2]
    mixture = whole.learner.mixture()
    assert all(int((chances > 0).sum()) == 2 for chances in mixture.values())
    whole._set_rate(3)
    assert whole.optimizer.param_groups[0]["lr"] == pytest.approx(0.1)
    step = SupernetTraining.step

    def dying(self, number):
        if number not in died:
            died.append(number)
            raise Killed
        return step(self, number)

    died: list[int] = []
    monkeypatch.setattr(module, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(SupernetTraining, "step", dying)
    for _ in range(6):
        with pytest.raises(Killed):
            trained(squares, tmp_path / "killed", "darts", options, **more)
    again = trained(squares, tmp_path / "killed", "darts", options, **more)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    module.load_weights(SupernetTraining(again.space, again.options, 0, None).net, tmp_path / "killed")
    with pytest.raises(RunFileError, match="a number for each of the 1 stages of problem"):
        trained(squares, None, "darts", options)


def test_a_folder_of_another_training(squares, tmp_path):
    """Another setting, and weights that do not belong to the space, are refused."""
    trained(squares, tmp_path)
    with pytest.raises(TrainingError, match="holds shared weights of another options"):
        trained(squares, tmp_path, lr=0.1)
    net = NASBench201Space(3).supernet(channels=8, cells=1)
    with pytest.raises(TrainingError, match="do not belong to this space"):
        module.load_weights(net, tmp_path)


def test_every_learner_is_tested():
    """No learner is left out of the resume test but the sandwich, which needs ordered decisions."""
    assert {name for name, _ in CASES} | {"sandwich", "progressive"} == set(LEARNERS)


def test_progressive_shrinking(squares, tmp_path, monkeypatch):
    """Phases admit smaller kernels, depths, expansions in turn; killed in any of them it ends with the same weights."""
    space = OFASpace(3, 0.2, (32,))
    settings = {"space": space, "network": {}, "steps": 6, "options": {"lengths": (1, 1, 1, 1, 1, 1)}}
    training = trained(squares, tmp_path / "whole", "progressive", **settings)
    genomes = [training._digits(genome) for genome in training.learner.paths(0)]
    assert genomes == [training._digits(training.learner.largest)]
    lines = [json.loads(line) for line in (tmp_path / "whole/steps.jsonl").read_text().splitlines()]
    assert [len(line["genomes"]) for line in lines] == [1, 1, 2, 2, 4, 4]
    kernels = [d.name.split()[-1] == "kernel" for d in space.decisions]
    assert all(digit == "2" for digit, is_kernel in zip(lines[1]["genomes"][0], kernels, strict=True)
               if not is_kernel and digit != "0")  # fmt: skip
    step = SupernetTraining.step

    def dying(self, number):
        if number == 5 and not (tmp_path / "killed/result.json").exists() and not died:
            died.append(number)
            raise Killed
        return step(self, number)

    died: list[int] = []
    monkeypatch.setattr(module, "SAVE_EVERY_S", -1.0)
    monkeypatch.setattr(SupernetTraining, "step", dying)
    with pytest.raises(Killed):
        trained(squares, tmp_path / "killed", "progressive", **settings)
    trained(squares, tmp_path / "killed", "progressive", **settings)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    with pytest.raises(SpaceError, match="which NASBench201Space has not"):
        trained(squares, None, "progressive")
