"""Profiles of devices: times from pieces and features, bounds that hold them, and mistakes that are told at once."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable

import numpy as np
import pytest
from typer.testing import CliRunner

from uninas_evo.api import run_file
from uninas_evo.cli import app
from uninas_evo.config.runfile import load_run_file
from uninas_evo.contracts import Budget, Cost, Piece
from uninas_evo.devices import Profile, ProfileCost, profiling, timing
from uninas_evo.devices.profile import Accuracy, PieceTimes, TimedNetwork, values
from uninas_evo.devices.timing import BURST, least, peak_memory
from uninas_evo.engine.events import AskEvent
from uninas_evo.engine.journal import stream
from uninas_evo.errors import BudgetError, DataError, SpaceError
from uninas_evo.spaces.nasbench201.space import NASBench201Space
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset

SMALL = Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(32,), depths=(1,))
SPACE = UninasSpace(preset("efficientnet", SMALL))
CELLS = NASBench201Space()


def device(piece: Piece) -> float:
    """A device that takes 10 µs for a piece, and 1 µs for 100 of its values."""
    return 0.01 + 1e-5 * values(piece)


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine take what `device` says of pieces, 1.5 times that in networks, and 0.2 ms beside it."""

    def pieces(space, wanted, *_):
        return {piece: device(piece) for piece in wanted}

    def networks(space, genomes, *_):
        alone = space.sums(device) if hasattr(space, "sums") else lambda genome: 1e-6 * space.cost(genome).params
        return tuple(TimedNetwork(architecture=space.encode(g), ms=0.2 + 1.5 * alone(g)) for g in genomes)

    monkeypatch.setattr(profiling, "_time_pieces", pieces)
    monkeypatch.setattr(profiling, "time_networks", networks)
    monkeypatch.setattr(profiling, "SURVEYED", 30)


def walked(steps: int, seed: int):
    rng, genome = random.Random(seed), SPACE.start
    for _ in range(steps):
        genome = SPACE.mutate(genome, rng) or genome
    return genome


def test_pieces_and_weights_give_what_networks_take(machine, tmp_path):
    """Where times are sums, fresh networks are told to a percent, from the file as from memory."""
    made = profiling.profile(SPACE, networks=30)
    assert made.model == "pieces"
    assert made.accuracy.tau > 0.95
    assert made.accuracy.median_error < 0.02
    made.save(tmp_path / "device.json")
    times = Profile.load(tmp_path / "device.json").times(SPACE)
    for seed in range(10):
        genome = walked(100, seed)
        assert times(genome) == made.times(SPACE)(genome)
        assert times(genome) == pytest.approx(0.2 + 1.5 * SPACE.sums(device)(genome), rel=0.05)


@pytest.mark.parametrize("model", ["ridge", "forest"])
def test_features_serve_spaces_without_pieces(machine, model):
    """Every space has features; what was timed orders what was not."""
    made = profiling.profile(CELLS, networks=60, model=model)
    assert made.accuracy.tau > 0.5
    times, rng = made.times(CELLS), random.Random(1)
    cells = [CELLS.sample(rng) for _ in range(40)]
    found = [times(cell) for cell in cells]
    assert np.corrcoef(found, [CELLS.cost(cell).params for cell in cells])[0, 1] > 0.8


def test_a_profile_is_carried_over(machine):
    """A device twice as slow, with a millisecond beside it, is known from four networks."""
    known = profiling.profile(SPACE, networks=30)
    before = known.times(SPACE)
    genomes = [walked(10 * seed, seed) for seed in range(4)]
    times = [TimedNetwork(architecture=genome.text, ms=1 + 2 * before(genome)) for genome in genomes]
    carried = known.model_copy(update=profiling._carried(known, [before(genome) for genome in genomes], times))
    fresh = walked(60, 9)
    assert carried.times(SPACE)(fresh) == pytest.approx(1 + 2 * before(fresh))
    assert profiling.profile(SPACE, known=known).accuracy.networks == profiling.CARRIED


def test_unknown_shapes_follow_the_law_of_their_operation():
    """A power of the number of values; a piece that was timed is never asked of the law."""
    known = {
        Piece("gelu", (c, 8, 8), copies): 1e-4 * (c * 64 * copies) ** 0.5 for c in (8, 16, 64) for copies in (1, 2)
    }
    times = PieceTimes(known | {Piece("gelu", (9, 8, 8)): 7.0}, {"gelu": 2.0})
    assert times(Piece("gelu", (9, 8, 8))) == 14.0
    assert PieceTimes(known)(Piece("gelu", (32, 16, 8))) == pytest.approx(1e-4 * (32 * 128) ** 0.5)
    assert PieceTimes(known, each=2.0)(Piece("gelu", (8, 8, 8))) == 2 + known[Piece("gelu", (8, 8, 8))]
    with pytest.raises(DataError, match="none for 'conv3'"):
        times(Piece("conv3", (8, 8, 8)))


def test_the_interval_holds_nine_of_ten():
    """Of 100 errors that ascend to 100 %, the 91st is the interval."""
    measured = np.ones(100)
    predicted = measured + np.arange(1, 101) / 100
    assert Accuracy.of(predicted, measured).interval == pytest.approx(0.91)
    assert Accuracy.of(predicted, measured).median_error == pytest.approx(0.505)


def test_it_travels_to_workers(machine, tmp_path):
    """Pickled as every problem is, it says the same."""
    profiling.profile(SPACE, networks=8).save(tmp_path / "device.json")
    cost = ProfileCost.of(SPACE, "cpu_ms", tmp_path / "device.json")
    genome = walked(30, 0)
    assert pickle.loads(pickle.dumps(cost))(genome, Cost()) == cost(genome, Cost())  # noqa: S301 - our own


RUN = """evaluations = 30
pool = { devices = "in-process", threads = 1 }
after = { rescore = 0 }
[problem]
start = "efficientnet"
objective = "params"
skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [32], depths = [1] }
budget = { max_cpu_ms = BOUND }
[problem.costs.cpu_ms]
profile = "device.json"
[strategy]
name = "aging"
"""


def test_a_search_keeps_to_the_bound(machine, tmp_path):
    """No candidate is asked for beyond the bound, and the journal has the time of each."""
    made = profiling.profile(SPACE, networks=8)
    made.save(tmp_path / "device.json")
    bound = 1.05 * made.times(SPACE)(SPACE.start)
    (tmp_path / "run.toml").write_text(RUN.replace("BOUND", str(bound)))
    run_file(load_run_file(tmp_path / "run.toml"), tmp_path / "run", quiet=True)
    asked = [event.costs["cpu_ms"] for event in stream(tmp_path / "run") if isinstance(event, AskEvent)]
    assert len(asked) >= 30
    assert max(asked) <= bound
    assert len(set(asked)) > 10


def test_a_bound_below_the_start_is_told(machine, tmp_path):
    """Before anything is scored."""
    profiling.profile(SPACE, networks=8).save(tmp_path / "device.json")
    (tmp_path / "run.toml").write_text(RUN.replace("BOUND", "0.001"))
    with pytest.raises(BudgetError, match="widen the budget"):
        load_run_file(tmp_path / "run.toml").problem()


def test_wrong_files_are_told(machine, tmp_path):
    """A missing file, damaged text, another file's JSON, a wrong number, and networks of another skeleton."""
    path = tmp_path / "device.json"
    with pytest.raises(DataError, match="No such file"):
        ProfileCost.of(SPACE, "ms", path)
    profiling.profile(SPACE, networks=8).save(path)
    content = json.loads(path.read_text())
    for text, said in (
        ("{", "is damaged"),
        ('{"device": 1, "device": 2}', "stands twice"),
        ("[]", "is no profile"),
        (json.dumps(content | {"threads": 0}), "threads"),
        (json.dumps(content | {"model": "tree"}), "model"),
        (json.dumps(content | {"networks": []}), "networks"),
        (json.dumps(content | {"start": "uninas 9"}), "skeleton"),
        (json.dumps(content | {"pieces": []}), "knows a time for every operation"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=said):
            ProfileCost.of(SPACE, "ms", path)
    path.write_text(json.dumps(content))
    other = UninasSpace(preset("efficientnet", Skeleton(image_size=32, classes=4, channels=(32,), depths=(1,))))
    with pytest.raises(DataError, match="another skeleton"):
        ProfileCost.of(other, "ms", path)
    with pytest.raises(DataError, match="are others"):
        ProfileCost.of(CELLS, "ms", path)


def test_a_space_whose_skeleton_changes_is_refused(machine, tmp_path):
    """A profile is of one skeleton: what is common to all networks was timed with it."""
    profiling.profile(SPACE, networks=8).save(tmp_path / "device.json")
    varied = UninasSpace(SPACE.start, vary=("width",))
    with pytest.raises(SpaceError, match="vary"):
        ProfileCost.of(varied, "ms", tmp_path / "device.json")


def test_the_command(tmp_path, monkeypatch):
    """From a run file that uses the profile already: times this machine, and the run goes."""
    for name, value in (("SURVEYED", 0), ("STEPS", 5), ("PIECE_S", 0.0), ("NETWORK_S", 0.0)):
        monkeypatch.setattr(profiling, name, value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(RUN.replace("BOUND", "1e6"))
    asked = ["profile", "run.toml", "--backend", "eager", "--networks", "4"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert "tau" in done.output
    made = Profile.load(tmp_path / "device.json")
    assert made.pieces
    assert load_run_file(tmp_path / "run.toml").problem().space.budget == Budget(max_cpu_ms=1e6)
    again = CliRunner().invoke(app, [*asked, "--known", "device.json", "--out", "b.json"])
    assert again.exit_code == 0, again.output
    assert Profile.load(tmp_path / "b.json").pieces == made.pieces


@pytest.mark.parametrize(
    "problem",
    ["3", "{ costs = 3 }", "{ costs = { ms = 3 } }", "{ budget = 3 }", "{ costs = { ms = { profile = 3 } } }"],
)
def test_mistakes_of_the_run_file(tmp_path, monkeypatch, problem):
    """What stands in the place of a table is told as for a run, or left out with the profile."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.toml").write_text(f"evaluations = 3\nproblem = {problem}\n")
    monkeypatch.setattr(profiling, "profile", lambda *_, **__: (_ for _ in ()).throw(DataError("reached")))
    done = CliRunner().invoke(app, ["profile", "run.toml"])
    assert done.exit_code == 2
    assert "run.toml" in done.output or "reached" in done.output


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--backend", "tensorrt"], "a backend is one of"),
        (["--model", "piece"], "did you mean 'pieces'"),
        (["--known", "missing.json"], "No such file"),
    ],
)
def test_mistakes_of_the_command(tmp_path, monkeypatch, more, said):
    """One message, and exit code 2."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["profile", "efficientnet", *more])
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())


def test_the_least_pass_counts(monkeypatch):
    """However often a run is disturbed, one pass that is not is enough; the runs take turns."""
    clock, order = [0.0], list[int]()

    def run(number: int) -> Callable[[], None]:
        def work() -> None:
            order.append(number)
            clock[0] += 0.02 if len(order) % 7 else 0.001 * (1 + number)

        return work

    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock[0])
    assert least([run(0), run(1)], 1) == pytest.approx([1, 2])
    assert order[: 2 * (BURST + 1)] == [0] * (BURST + 1) + [1] * (BURST + 1)
    assert clock[0] > 2


def test_the_peak_of_memory_is_of_the_block():
    """What a block held and let go counts, and nothing of the blocks before it."""
    found = []
    for count in (40_000_000, 1):
        with peak_memory() as peak:
            np.ones(count).sum()
            found.append(peak())
    if None in found:
        pytest.skip("this system does not tell the peak of memory")
    assert found[0] - found[1] > 200


@pytest.mark.slow
def test_onnx_runtime_times_pieces_and_networks(monkeypatch):
    """One export serves all pieces of a shape; every piece has a time."""
    for name, value in (("SURVEYED", 0), ("STEPS", 1), ("PIECE_S", 0.0), ("NETWORK_S", 0.0)):
        monkeypatch.setattr(profiling, name, value)
    made = profiling.profile(UninasSpace(preset("vit", SMALL)), networks=4, backend="ort")
    assert {one.operation for one in made.pieces} >= {"attention", "conv_exp4"}
    assert max(one.ms for one in made.pieces) > 0
