"""Run files: every mistake is told at once, in the user's words; what is read is what is written back."""

from __future__ import annotations

import contextlib
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uninas_evo.config.runfile import apply_setting, changes, check_changes, load_run_file, parse_run, to_toml
from uninas_evo.contracts import Budget
from uninas_evo.errors import BudgetError, ObjectiveError, RunFileError, StrategyError
from uninas_evo.problems.options import BudgetOptions
from uninas_evo.spaces.uninas import Skeleton, preset

RUNS = sorted(path for path in Path("runs").glob("*.toml") if "compare" not in path.stem)
MISTAKES = """
seed = -1
evaluation = 10

[problem]
objektives = ["vkdnw"]
start = "coatnett"
skeleton = {image_size = 33, clases = 10}
budget = {max_param = 1e6, min_flops = -5}

[strategy]
name = "evolution"
popsize = 3
population = "many"

[pool]
devices = "auot"
threads = 0

[after]
rescore = 2.5
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "run.toml"
    path.write_text(text)
    return path


def told(text: str, folder: Path) -> str:
    with pytest.raises(RunFileError) as caught:
        load_run_file(write(folder, text))
    return str(caught.value)


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """One message holds every wrong field with its rule, its value and the nearest right word."""
    message = told(MISTAKES, tmp_path)
    first, *lines = message.splitlines()
    assert first == f"{tmp_path / 'run.toml'} holds {len(lines)} mistakes:"
    expected = [
        "seed: should be greater than or equal to 0, got -1",
        "evaluation: there is no such field, got 10; did you mean 'evaluations'?",
        "problem.objektives: there is no such field, got ['vkdnw']; did you mean 'objectives'?",
        "problem.start: 'coatnett' is neither a preset nor a file (did you mean 'coatnet'?)",
        "problem.skeleton.clases: there is no such field, got 10; did you mean 'classes'?",
        "problem.budget.min_flops: should be greater than or equal to 0, got -5",
        "strategy.popsize: there is no such field, got 3",
        "strategy.population: should be a valid integer",
        "pool.devices: should be 'auto' or 'in-process', got 'auot'; did you mean 'auto'?",
        "pool.threads: should be greater than 0, got 0",
        "after.rescore: should be a valid integer",
    ]
    for text in expected:
        assert any(line.strip().startswith(text) for line in lines), f"{text!r} is missing in:\n{message}"
    assert len(lines) == len(expected)


def test_names_of_strategies_and_problems_are_suggested(tmp_path: Path) -> None:
    """A wrong name lists the right ones and the nearest."""
    message = told("evaluations = 1\n[strategy]\nname = 'evolutoin'\n[problem]\nname = 'unnias'", tmp_path)
    assert "strategy.name: no strategy is called 'evolutoin'; use one of " in message
    assert message.count("did you mean") == 2
    assert "did you mean 'evolution'?" in message
    assert "did you mean 'uninas'?" in message


def test_a_run_needs_an_end(tmp_path: Path) -> None:
    """Neither evaluations nor time is a mistake that names both."""
    assert "a run needs an end, and none is given; set evaluations or time_limit_s" in told("seed = 1", tmp_path)


@pytest.mark.parametrize("table", ["problem", "strategy", "pool", "after"])
def test_a_value_where_a_table_belongs(tmp_path: Path, table: str) -> None:
    """It is named, and nothing crashes."""
    assert f"  {table}: " in told(f"evaluations = 1\n{table} = 3", tmp_path)


def test_files_that_are_no_run_files(tmp_path: Path) -> None:
    """A missing file and broken TOML are told with the path and the place."""
    with pytest.raises(RunFileError, match=r"nothing\.toml cannot be read \(No such file or directory\)"):
        load_run_file(tmp_path / "nothing.toml")
    assert "is not TOML: " in told("a = = 1", tmp_path)
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunFileError, match="is not TOML"):
        load_run_file(tmp_path / "run.toml")


def test_a_problem_that_cannot_be_imported_is_named(outside: Path, tmp_path: Path) -> None:
    """A broken package from outside is told with its entry point."""
    assert "the problem broken (outside_plugin:Missing) cannot be imported" in told(
        "evaluations = 1\nproblem.name = 'broken'", tmp_path
    )


@pytest.mark.parametrize(
    ("bound", "message"),
    [
        ("max_param = 1", "max_param bounds 'param', which is not a cost here.*did you mean 'max_params'"),
        ("most_params = 1", "a bound is written min_NAME or max_NAME, got 'most_params'"),
        ("max_params = inf", "problem.budget.max_params: should be a finite number"),
        ("min_flops = nan", "problem.budget.min_flops: should be "),
        ("max_latency_ms = inf", "problem.budget.max_latency_ms: should be a finite number"),
    ],
)
def test_bounds_are_finite_and_of_known_costs(tmp_path: Path, bound: str, message: str) -> None:
    """Any min_NAME and max_NAME of a cost, as numbers; anything else is a mistake of the run file."""
    assert re.search(message, told(f"evaluations = 1\n[problem.budget]\n{bound}", tmp_path))


def test_bounds_of_any_cost_reach_the_budget() -> None:
    """A cost by any name is bounded as params are."""
    budget = BudgetOptions(max_params=3, max_latency_ms=2.5).budget()
    assert budget == Budget(max_params=3, max_latency_ms=2.5)


def test_settings_change_fields(tmp_path: Path) -> None:
    """--set takes TOML, or a bare string, and makes the tables that it needs."""
    path = write(tmp_path, "evaluations = 1")
    settings = ["evaluations=7", "strategy.name=aging", "pool.devices={cpu = 2}", "problem.budget.max_params=1e9"]
    run = load_run_file(path, settings)
    assert run.options.evaluations == 7
    assert run.strategy_name == "aging"
    assert run.resolved()["pool"]["devices"] == {"cpu": 2}
    assert run.problem().space.budget.max_params == 1e9
    for wrong, message in (("evaluations", "FIELD=VALUE"), ("seed.x=1", "'seed' must be a table to hold 'x'")):
        with pytest.raises(RunFileError, match=message):
            load_run_file(write(tmp_path, "seed = 1\nevaluations = 1"), [wrong])


def test_a_file_of_ones_own_is_found_beside_the_run_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths count from the run file, then from the working folder; a genome's text moves into the run file."""
    from uninas_evo.spaces.uninas import Skeleton, preset

    monkeypatch.chdir("/")
    genome = preset("vit", Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32, 64), depths=(1, 1)))
    (tmp_path / "start.txt").write_text(genome.text)
    (tmp_path / "my.py").write_text("def score(network): return 1.0")
    run = load_run_file(write(tmp_path, "evaluations = 1\nproblem = {start = 'start.txt', objective = 'my.py:score'}"))
    resolved = run.resolved()["problem"]
    assert resolved["start"] == genome.text
    assert resolved["objectives"] == [f"{tmp_path / 'my.py'}:score"]
    assert run.problem().sources == (tmp_path / "my.py",)


def test_resolving_is_stable(tmp_path: Path) -> None:
    """A resolved run file, written as TOML and read again, resolves to itself."""
    texts = [
        "evaluations = 5",
        "time_limit_s = 1.5\nstrategy = {name = 'nsga2'}\n[problem]\nobjectives = ['vkdnw', {name = 'params'}]\n"
        "proxies = {vkdnw = {inits = 2}}\nskeleton = {image_size = 64, classes = 10}\nbudget.max_flops = 1e15",
    ]
    for text in texts:
        resolved = load_run_file(write(tmp_path, text)).resolved()
        again = load_run_file(write(tmp_path, to_toml(resolved))).resolved()
        assert again == resolved


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_the_run_files_of_the_repository_are_right(path: Path) -> None:
    """Every run file can be read, and its problem and strategy made."""
    run = load_run_file(path)
    problem = run.problem()
    if earlier := getattr(run.strategy_options, "start_from", None):  # the folder of another run, which is not here
        with pytest.raises(StrategyError, match=rf"start_from must name run folders; {earlier[0]}"):
            run.strategy(problem)
    else:
        assert run.strategy(problem).objectives == problem.objectives
    assert path.read_text().startswith("# ")


json_values = st.recursive(
    st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_toml_that_is_written_is_read_back(content: dict[str, Any]) -> None:
    """Whatever keys and values, `tomllib` reads what `to_toml` wrote."""
    assert tomllib.loads(to_toml(content)) == content


@given(st.text(), st.text(alphabet="abc.=[]{}'\"\n1,", max_size=20))
def test_any_setting_is_taken_or_refused(name: str, value: str) -> None:
    """No text of a setting gets further than a message."""
    with contextlib.suppress(RunFileError):
        apply_setting({}, f"{name}={value}")


@given(json_values, json_values)
def test_any_content_is_taken_or_refused(problem: Any, pool: Any) -> None:
    """No content of a run file gets further than a message."""
    with contextlib.suppress(RunFileError, ObjectiveError, BudgetError):
        parse_run({"evaluations": 1, "problem": problem, "pool": pool}, "it", Path())


def test_what_a_resumed_run_may_change() -> None:
    """Ends, devices and what comes after; nothing that the record depends on."""
    before = {"seed": 1, "evaluations": 5, "pool": {"threads": 1, "devices": "auto"}, "strategy": {"name": "a"}}
    after = {"seed": 1, "evaluations": 9, "pool": {"threads": 1, "devices": {"cpu": 2}}, "strategy": {"name": "a"}}
    changed = changes(before, after)
    assert changed == {"evaluations": 9, "pool.devices": {"cpu": 2}}
    check_changes(changed, "run.toml")
    for field, value in (("seed", 2), ("strategy", {"name": "b"}), ("pool", {"threads": 2, "devices": "auto"})):
        with pytest.raises(RunFileError, match=f"a run that has begun cannot change {field}"):
            check_changes(changes(before, before | {field: value}), "run.toml")


def test_objectives_and_strategies_must_fit(tmp_path: Path) -> None:
    """One objective too many or too few is told with the strategies that fit."""
    two = load_run_file(write(tmp_path, "evaluations = 1\nproblem.objectives = ['params', 'flops']"))
    with pytest.raises(
        ObjectiveError,
        match=r"evolution follows one objective, and the problem has 2 \(params, flops\); use one of: .*nsga2",
    ):
        two.strategy(two.problem())
    one = load_run_file(write(tmp_path, "evaluations = 1\nstrategy.name = 'nsga2'"))
    with pytest.raises(ObjectiveError, match=r"nsga2 follows several objectives.*use one of: .*evolution"):
        one.strategy(one.problem())


@pytest.mark.parametrize("devices", ["[]", "['gpu']", "['cuda:x']", "[1]"])
def test_devices_that_do_not_exist(tmp_path: Path, devices: str) -> None:
    """A list of devices names at least one, as torch does."""
    assert "  pool.devices" in told(f"evaluations = 1\n[pool]\ndevices = {devices}", tmp_path)


def test_a_setting_of_two_lines_changes_one_field(tmp_path: Path) -> None:
    """What looks like a second field stays part of the first one's text, so that no field vanishes in silence."""
    content: dict[str, Any] = {}
    apply_setting(content, "evaluations=5\nseed=1")
    assert content == {"evaluations": "5\nseed=1"}


def test_a_genome_has_its_own_skeleton(tmp_path: Path) -> None:
    """A file's genome and a skeleton that contradicts it are a mistake; one that agrees is not."""
    skeleton = Skeleton(image_size=32, classes=10, stem=(8, 16), channels=(32,), depths=(1,))
    (tmp_path / "start.txt").write_text(preset("resnet", skeleton).text)
    table = "evaluations = 1\n[problem]\nstart = 'start.txt'\n[problem.skeleton]\nimage_size = {}\nclasses = 10\n"
    table += "stem = [8, 16]\nchannels = [32]\ndepths = [1]"
    assert "has a skeleton of its own" in told(table.format(64), tmp_path)
    load_run_file(write(tmp_path, table.format(32)))


def test_a_path_of_any_length_is_read(tmp_path: Path) -> None:
    """A name that no file system takes is one of a file that is not there."""
    path, name = tmp_path / "run.toml", "a" * 5000
    text = f'evaluations = 4\nproblem = {{name = "nasbench201", table = "{name}"}}\nstrategy = {{name = "random"}}\n'
    path.write_text(text)
    assert load_run_file(path).problem_options.table.name == name


@pytest.mark.parametrize(
    ("line", "table"), [('constraints = [{name = "latency_ms", max = 5}]', "problem"), ("population = 8", "strategy")]
)
def test_a_field_at_the_top_is_sent_to_its_table(tmp_path, line, table):
    """A field of the problem or the strategy that stands at the top is told where it belongs, in one message."""
    with pytest.raises(RunFileError) as caught:
        load_run_file(write(tmp_path, f"evaluations = 1\n{line}\nproblem.objective = 'params'"))
    (mistake,) = str(caught.value).splitlines()[1:]
    assert f"belongs in the table [{table}]" in mistake


def test_a_value_that_a_rule_names_is_not_told_twice(tmp_path):
    """A mistake ends with the word that was meant, and says the wrong one once."""
    with pytest.raises(RunFileError) as caught:
        load_run_file(write(tmp_path, "evaluations = 1\nproblem = {objective = 'parms'}"))
    assert str(caught.value).endswith("did you mean 'params'?")
