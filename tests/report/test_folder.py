"""Plots and picks of a run folder, through the commands that a user gives."""

import json

import pytest
from typer.testing import CliRunner

from uninas_evo import load_genome
from uninas_evo.cli import app
from uninas_evo.compare.baselines import winners
from uninas_evo.report.folder import axes_of, hypervolume_curve, preset_marks
from uninas_evo.report.record import genome_id, read_run
from uninas_evo.report.run import read
from uninas_evo.stats.fronts import ranked

RUN = """
evaluations = 15
[problem]
start = "coatnet"
objectives = OBJECTIVES
skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [16, 32], depths = [1, 1] }
[strategy]
name = "random_walk"
[pool]
devices = "in-process"
[after]
rescore = 0
plot = false
"""
DEPTH = """
from uninas_evo.spaces.uninas import Genome

def depth(genome: Genome) -> float:
    return float(len(genome))
"""


def command(*arguments):
    return CliRunner().invoke(app, [str(one) for one in arguments])


def run(folder, objectives, step=""):
    folder.mkdir(exist_ok=True)
    (folder / "depth.py").write_text(DEPTH)
    told = json.dumps(objectives).replace('": ', '" = ')  # tables as TOML has them
    (folder / "run.toml").write_text(RUN.replace("OBJECTIVES", told).replace("[strategy]", step + "[strategy]"))
    out = folder / "out"
    result = command("run", folder / "run.toml", "--out", out, "--quiet")
    assert result.exit_code == 0, result.output
    return out


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    return run(tmp_path_factory.mktemp("single"), ["depth.py:depth"])


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    return run(tmp_path_factory.mktemp("several"), ["depth.py:depth", "params", "flops"])


def test_a_record_holds_the_distinct_evaluations(several):
    """Genomes, costs and values belong together, in the order they were asked."""
    record = read_run(several)
    assert len(set(record.genomes)) == len(record.genomes) == 15
    assert [objective.name for objective in record.objectives] == ["depth", "params", "flops"]
    for text, cost, row in zip(record.genomes, record.costs, record.values, strict=True):
        genome = load_genome(text)
        assert row.tolist() == [len(genome), genome.params, genome.flops] == [len(genome), cost.params, cost.flops]
        assert genome_id(text) == genome.id


def test_plot_of_one_objective(single, tmp_path):
    """One objective is drawn as it grew, and against the parameters."""
    result = command("plot", single, "--out", tmp_path)
    assert result.exit_code == 0, result.output
    assert result.stdout.split() == [str(tmp_path / "pareto.png"), str(tmp_path / "progress.png")]
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"{one}.{kind}" for one in ("pareto", "progress") for kind in ("png", "svg", "pdf")}
    objectives, points = axes_of(read_run(single))
    assert [objective.name for objective in objectives] == ["params", "depth"]
    assert points[0, 0] == read_run(single).costs[0].params


def test_plot_of_several_objectives_with_presets(several, tmp_path):
    """Several objectives are drawn as a front and a hypervolume, with the presets that fit the skeleton."""
    result = command("plot", several, "--out", tmp_path, "--presets")
    assert result.exit_code == 0, result.output
    assert {path.name for path in tmp_path.glob("*.png")} == {"pareto.png", "hypervolume.png"}
    marks = preset_marks(several, read_run(several))
    assert set(marks) == {"resnet", "efficientnet", "coatnet"}, "attention cannot stand on 16 channels"
    assert marks["coatnet"]["depth"] == read_run(several).values[0, 0]


def test_hypervolume_grows_to_that_of_the_front(several):
    """The curve never falls, and ends at the share of the whole front."""
    curve = hypervolume_curve(read_run(several))
    assert (curve[1:] >= curve[:-1]).all()
    assert 0 < curve[-1] <= 1


def test_pick_takes_the_best_under_a_limit(several, tmp_path):
    """The picked genome is the deepest of those within the limit, and is a genome file."""
    record = read_run(several)
    limit = sorted(cost.params for cost in record.costs)[7]
    result = command("pick", several, "--params", limit, "--out", tmp_path / "picked.txt")
    assert result.exit_code == 0, result.output
    picked = load_genome(tmp_path / "picked.txt")
    depths = [row[0] for row, cost in zip(record.values, record.costs, strict=True) if cost.params <= limit]
    assert picked.params <= limit
    assert len(picked) == max(depths)
    assert result.stdout.strip() == str(tmp_path / "picked.txt")
    assert f"genome {picked.id}: depth {len(picked)}" in result.stderr


def test_one_best_of_a_front(several, tmp_path):
    """`pick` without a limit, the run's page, `SearchResult` and the winners that are trained agree: the knee."""
    record = read_run(several)
    knee = record.ids[ranked(record.points)[0]]
    assert command("pick", several, "--out", tmp_path / "p.txt").exit_code == 0
    assert load_genome(tmp_path / "p.txt").id == knee
    page = read(several)
    assert record.ids[page.winner] == knee
    best = json.loads((several / "summary.json").read_text())["best"][0]
    assert record.ids[record.numbers.index(best["number"])] == knee
    assert winners(several, 1)[1][0].id == knee


def test_pick_under_a_limit_on_an_objective(several, tmp_path):
    """What is scored is limited as costs are, from above and from below, and decides no more."""
    record = read_run(several)
    depths = sorted(row[0] for row in record.values)
    assert command("pick", several, "--min", f"depth={depths[-3]}", "--out", tmp_path / "p.txt").exit_code == 0
    picked = load_genome(tmp_path / "p.txt")
    assert len(picked) >= depths[-3]
    assert (
        command("pick", several, "--max", f"depth={depths[2]}", "--by", "depth", "--out", tmp_path / "p.txt").exit_code
        == 0
    )
    assert len(load_genome(tmp_path / "p.txt")) == max(depth for depth in depths if depth <= depths[2])


def test_equals_change_no_best(tmp_path):
    """Where values are equal, `pick` names what the page and the summary name, although others are smaller."""
    (tmp_path / "sides.py").write_text("def sides(genome, device):\n    return {'gain': 1.0, 'price': 1.0}\n")
    objective = {"name": "sides.py:sides", "values": {"gain": "maximize", "price": "minimize"}}
    folder = run(tmp_path, [objective], "step = { eliminate = 0.9 }\n")  # the walk gets smaller
    assert command("pick", folder, "--out", tmp_path / "p.txt").exit_code == 0
    page, record = read(folder), read_run(folder)
    assert load_genome(tmp_path / "p.txt").id == record.ids[page.winner]
    assert record.costs[page.winner].params > min(cost.params for cost in record.costs)


def test_pick_by_a_cost(several, tmp_path):
    """--by names the objective that decides, in its own direction."""
    assert command("pick", several, "--by", "flops", "--out", tmp_path / "p.txt").exit_code == 0
    assert load_genome(tmp_path / "p.txt").flops == min(cost.flops for cost in read_run(several).costs)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--params", "10"], "no member of"),
        (["--params", "10"], "the smallest have"),
        (["--max", "latency_ms=3"], "a limit is on a cost or an objective of the run, params, flops, depth; got"),
        (["--max", "latency_ms"], "--max takes NAME=VALUE"),
        (["--min", "depths=3"], "got 'depths'; did you mean 'depth'?"),
        (["--by", "flop"], "did you mean 'flops'?"),
    ],
)
def test_a_pick_that_cannot_be_is_explained(several, arguments, told):
    """Limits that nothing meets and objectives that do not exist get a message with the fix."""
    result = command("pick", several, *arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


def test_a_folder_without_a_run_is_named(tmp_path):
    """Plotting what is no run folder says what a run folder is."""
    result = command("plot", tmp_path)
    assert result.exit_code == 2
    assert "journal.jsonl" in result.stderr


def test_compare_command_prints_tables_and_the_page(tmp_path):
    """The command ends with the path of its page; its tables name strategies and columns."""
    (tmp_path / "depth.py").write_text(DEPTH)
    (tmp_path / "few.toml").write_text(
        'evaluations = 4\nseeds = 2\nbaseline = "random"\nrescore = 0\n[pool]\ndevices = "in-process"\n'
        '[problem]\nobjective = "depth.py:depth"\n'
        "skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [16, 32], depths = [1, 1] }\n"
        "[strategies.random]\n[strategies.random_walk]\n"
    )
    result = command("compare", tmp_path / "few.toml")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[-1] == str(tmp_path / "few" / "index.html")
    assert "random_walk" in result.stdout
    assert "p (Holm)" in result.stdout
    assert "2 of 2 groups of runs are done" in result.stderr
    quiet = command("compare", tmp_path / "few.toml", "--quiet")
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "", "")
