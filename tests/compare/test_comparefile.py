"""Compare files: what they mean, and every mistake in them at once."""

import re

import pytest

from uninas_evo.compare.comparefile import load_compare_file
from uninas_evo.errors import DataError, RunFileError

GOOD = """
evaluations = 5
seeds = 2
first_seed = 3
baseline = "random"

[problem]
skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [16, 32], depths = [1, 1] }

[problems.small]
objective = "params"

[problems.quick]
objective = "flops"

[strategies.random]

[strategies.tiny]
name = "evolution"
population = 4
"""


def load(tmp_path, text, *settings):
    path = tmp_path / "compare.toml"
    path.write_text(text)
    return load_compare_file(path, settings)


def test_each_problem_and_strategy_gives_a_run_file(tmp_path):
    """Fields of [problems.x] join those of [problem]; a strategy's name is its table's unless it says otherwise."""
    file = load(tmp_path, GOOD)
    assert list(file.seeds) == [3, 4]
    assert list(file.runs) == ["small", "quick"]
    run = file.runs["quick"]["tiny"]
    assert (run.strategy_name, run.strategy_options.population) == ("evolution", 4)
    assert (run.options.seed, run.options.evaluations) == (3, 5)
    assert run.problem().objectives[0].name == "flops"
    assert run.problem().space.start.skeleton.channels == (16, 32)


def test_one_problem_needs_no_table_of_problems(tmp_path):
    """Without [problems] the single problem goes by its own name."""
    text = re.sub(r"(?s)\[problems.*?(?=\[strategies)", "", GOOD)
    assert list(load(tmp_path, text).runs) == ["uninas"]


def test_settings_change_fields(tmp_path):
    """--set reaches every table."""
    file = load(tmp_path, GOOD, "seeds=1", "strategies.tiny.population=8", "problem.start=resnet")
    assert len(file.seeds) == 1
    assert file.runs["small"]["tiny"].strategy_options.population == 8


def test_all_mistakes_at_once_with_the_files_own_names(tmp_path):
    """Each mistake is told once, with the table it stands in, the value and the nearest right word."""
    text = GOOD.replace('"random"\n', '"randm"\n', 1).replace("population = 4", "populaton = 4")
    text = text.replace('objective = "flops"', 'objective = "flops"\nbatch = 0')
    with pytest.raises(RunFileError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "compare.toml holds 3 mistakes" in message
    assert message.count("strategies.tiny.populaton") == 1
    assert "did you mean 'population'" in message
    assert "problems.quick.batch" in message
    assert "baseline: must be one of the strategies random, tiny, got 'randm'; did you mean 'random'?" in message


def test_wrong_fields_at_the_top_hide_no_mistake_in_the_tables(tmp_path):
    """Fields of the file and of its tables are told together, and a missing baseline once."""
    text = GOOD.replace("seeds = 2", "sseds = 2").replace('baseline = "random"', "rescore = -1")
    text = text.replace("population = 4", "populaton = 4").replace('objective = "flops"', "batch = 0")
    with pytest.raises(RunFileError) as caught:
        load(tmp_path, text)
    message = str(caught.value)
    assert "compare.toml holds 5 mistakes" in message
    for field in ("sseds", "rescore", "baseline", "strategies.tiny.populaton", "problems.quick.batch"):
        assert message.count(f"  {field}: ") == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("seeds = [", "is not TOML"),
        ("evaluations = 5", "baseline: this field is needed and is missing"),
        (GOOD.replace("seeds = 2", "sseds = 2"), "did you mean 'seeds'"),
        (GOOD.replace("[strategies.random]", "[strategies.randon]"), "did you mean 'random'"),
    ],
)
def test_a_mistake_is_named(tmp_path, text, told):
    """What is no compare file is refused with the reason."""
    with pytest.raises(RunFileError, match=re.escape(told)):
        load(tmp_path, text)


def test_a_missing_file_is_named(tmp_path):
    """A path that leads nowhere gets one message."""
    with pytest.raises(RunFileError, match="cannot be read"):
        load_compare_file(tmp_path / "none.toml")


def test_a_missing_table_is_found_before_anything_runs(tmp_path):
    """Who has not got the benchmark's table is told so, and how to give it."""
    text = """
    evaluations = 5
    baseline = "random"
    [problem]
    name = "nasbench201"
    table = "nowhere.csv.gz"
    [strategies.random]
    """
    with pytest.raises(DataError, match=r"nowhere.csv.gz"):
        load(tmp_path, text)


@pytest.mark.parametrize("name", ["../../escaped", "x/../random", ".hidden"])
def test_names_stay_in_the_comparisons_folder(tmp_path, name):
    """Names of strategies and problems become folders and files: none may lead out."""
    with pytest.raises(RunFileError, match="must hold no separator"):
        load(tmp_path, GOOD + f'\n[strategies."{name}"]\nname = "aging"\n')
    with pytest.raises(RunFileError, match="must hold no separator"):
        load(tmp_path, GOOD.replace("[problems.small]", f'[problems."{name}"]'))
