"""Cells: shared scores, fresh scores, resuming; a comparison's whole way on a problem that costs nothing."""

import csv
import json
import re
import shutil

import pytest

from uninas_evo.compare.cells import CELL_FILE, groups, read_cells, run_group
from uninas_evo.compare.compare import compare
from uninas_evo.compare.comparefile import load_compare_file
from uninas_evo.compare.scheduler import run_groups
from uninas_evo.compare.sharing import fresh_seeds, means, recall
from uninas_evo.engine.events import RescoreEvent, ResultEvent, canonical
from uninas_evo.engine.journal import read_journal
from uninas_evo.errors import JournalError, PoolError, RunFileError
from uninas_evo.pool.caching import CachingPool, question
from uninas_evo.pool.contract import Job
from uninas_evo.pool.in_process import InProcessPool

NOISE = """
import random
from uninas_evo.spaces.uninas import Genome

def score(genome: Genome) -> float:
    return len(genome) + random.gauss(0, 3)
"""
FILE = """
evaluations = 8
seeds = 2
baseline = "random"
rescore = 3

[problem]
objectives = ["noise.py:score"]
skeleton = { image_size = 16, classes = 4, stem = [8, 8], channels = [16, 32], depths = [1, 1] }

[pool]
devices = "in-process"

[strategies.random]

[strategies.evolution]
population = 4
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "noise.py").write_text(NOISE)
    (tmp_path / "compare.toml").write_text(FILE)
    return load_compare_file(tmp_path / "compare.toml")


def again(tmp_path, *settings):
    return load_compare_file(tmp_path / "compare.toml", settings)


def test_a_known_score_is_not_made_again(file):
    """Equal genome and seed are scored once, whoever asks; another seed is another score."""
    problem = file.runs["uninas"]["random"].problem()
    text = problem.space.encode(problem.space.start)
    known = {}
    with CachingPool(InProcessPool(problem), known) as pool:
        pool.submit(Job(0, text))
        (first,) = pool.wait()
        for job in (Job(5, text), Job(6, text, 77)):
            pool.submit(job)
        (shared,), (other,) = pool.wait(), pool.wait()
    assert (shared.job.number, shared.values, shared.seconds) == (5, first.values, first.seconds)
    assert other.values["score"] != first.values["score"]
    assert list(known) == [question(Job(0, text)), question(Job(0, text, 77))]


def test_failures_are_not_shared(tmp_path, file):
    """A failure may be an accident of one run: the next run tries again."""
    (tmp_path / "noise.py").write_text(NOISE + "    raise ValueError('no')\n")
    (tmp_path / "noise.py").write_text(NOISE.replace("return", "raise ValueError('no')\n    return"))
    problem = file.runs["uninas"]["random"].problem()
    known = {}
    with CachingPool(InProcessPool(problem), known) as pool:
        pool.submit(Job(0, problem.space.encode(problem.space.start)))
        (done,) = pool.wait()
    assert done.failure.startswith("ValueError: no")
    assert known == {}


def test_a_strategy_from_a_file_runs_in_worker_processes(tmp_path, file):
    """A process that scores knows the class of a strategy's file as well, since it loads the file itself."""
    (tmp_path / "own.py").write_text(
        "from uninas_evo.strategies.evolution import Evolution\n\n\nclass Own(Evolution):\n    pass\n"
    )
    text = FILE.replace('"in-process"', '["cpu"]').replace(
        "[strategies.evolution]", '[strategies.own]\nname = "own.py:Own"'
    )
    (tmp_path / "compare.toml").write_text(text)
    found = compare(again(tmp_path, "seeds=1"), tmp_path / "out")[0]
    assert "own" in found.qualities


def test_fresh_seeds_are_shared_by_strategies_and_never_a_runs_own():
    """Every paired seed has fresh seeds of its own, beyond the seeds that runs use."""
    assert fresh_seeds(3, 4) == fresh_seeds(3, 4)
    assert not set(fresh_seeds(3, 4)) & set(fresh_seeds(4, 4))
    assert min(fresh_seeds(0, 100)) >= 2**31


def test_a_group_writes_run_folders_and_fresh_scores(tmp_path, file):
    """Each cell is a run folder with the asked number of distinct evaluations; finalists have fresh scores."""
    group = groups(file, tmp_path / "out")[0]
    run_group(group, InProcessPool)
    cells = read_cells([group])["uninas"]
    for cell in (cells["random"][0], cells["evolution"][0]):
        assert len(set(cell.record.genomes)) == len(cell.record.genomes) == 8
        assert set(cell.fresh) <= set(cell.record.genomes)
        assert cell.record.seed == 0
        assert cell.asking_s > 0
        best = cell.record.genomes[cell.record.values[:, 0].argmax()]
        assert cell.fresh[best]["score"] != cell.record.values[:, 0].max()
    shared = set(cells["random"][0].record.genomes) & set(cells["evolution"][0].record.genomes)
    assert shared, "both strategies score the start"
    scores = [recall(folder) for folder in group.folders.values()]
    for text in shared:
        assert scores[0][question(Job(0, text))].seconds == scores[1][question(Job(0, text))].seconds


def test_a_comparison_resumes_to_the_same_numbers(tmp_path, file):
    """Cells that are lost or cut short are run again and give the same tables; complete ones are left alone."""
    out = tmp_path / "out"
    first = compare(file, out)[0]
    journals = {group.seed: read_journal(group.folders["evolution"]) for group in groups(file, out)}
    kept = groups(file, out)[1].folders["random"]
    stamp = (kept / "journal.jsonl").stat().st_mtime_ns
    lost, cut = (group.folders["evolution"] for group in groups(file, out))
    shutil.rmtree(lost)
    lines = (cut / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (cut / "journal.jsonl").write_bytes(b"".join(lines[:9]))
    (cut / CELL_FILE).unlink()
    second = compare(file, out)[0]
    for name, rows in first.qualities.items():
        assert rows.tolist() == second.qualities[name].tolist()
    for group in groups(file, out):
        random, evolution = recall(group.folders["random"]), recall(group.folders["evolution"])
        for key in random.keys() & evolution.keys():
            assert random[key].seconds == evolution[key].seconds, "a score of a complete cell is shared, not made again"
        assert canonical(read_journal(group.folders["evolution"])) == canonical(journals[group.seed])
    assert (kept / "journal.jsonl").stat().st_mtime_ns == stamp


def test_more_seeds_and_evaluations_extend_a_comparison(tmp_path, file):
    """What was run before is the beginning of the longer comparison."""
    out = tmp_path / "out"
    short = compare(file, out)[0]
    longer = compare(again(tmp_path, "seeds=3", "evaluations=10"), out)[0]
    assert longer.seeds == (0, 1, 2)
    assert longer.qualities["random"].shape == (3, 10)
    assert longer.qualities["random"][:2, :8].tolist() == short.qualities["random"].tolist()


def test_another_comparison_in_the_same_folder_is_refused(tmp_path, file):
    """Runs of other options would be mixed into one table: the fields that differ are named."""
    out = tmp_path / "out"
    run_group(groups(file, out)[0], InProcessPool)
    changed = groups(again(tmp_path, "strategies.evolution.population=5"), out)[0]
    with pytest.raises(RunFileError, match=r"seed-0: a run that has begun cannot change strategy.population"):
        run_group(changed, InProcessPool)


def test_scores_of_two_versions_of_an_objective_do_not_mix(tmp_path, file):
    """A comparison goes on only with the objective that it began with."""
    group = groups(file, tmp_path / "out")[0]
    run_group(group, InProcessPool)
    (tmp_path / "noise.py").write_text(NOISE.replace("len(genome)", "-len(genome)"))
    with pytest.raises(JournalError, match="is not the one that this run was started with"):
        run_group(group, InProcessPool)


def test_files_of_a_comparison(tmp_path, file):
    """Tables, figures and the page are written, and the tables hold what the comparison holds."""
    out = tmp_path / "out"
    comparison = compare(file, out)[0]
    assert comparison.rescored
    names = {path.name for path in out.iterdir() if path.name != ".lock"}
    tables = {f"uninas-{name}.csv" for name in ("table", "pairs", "seeds", "curves")}
    assert names == {"cells", "index.html", "uninas-curves.png", "uninas-curves.svg", "uninas-curves.pdf", *tables}
    with (out / "uninas-seeds.csv").open() as rows:
        finals = {(row["strategy"], int(row["seed"])): float(row["final"]) for row in csv.DictReader(rows)}
    assert finals["evolution", 1] == comparison.qualities["evolution"][1, -1]
    page = (out / "index.html").read_text()
    assert "by fresh seeds" in page
    assert all((out / link).is_file() for link in re.findall(r'href="([^"#:]*)"', page))


def test_figures_for_a_paper(tmp_path, file):
    """Some of the strategies, as wide as a column and without a title; tables and the page have all of them."""
    out = tmp_path / "out"
    (comparison,) = compare(file, out, only=["evolution"], width=3.3)
    drawn = (out / "uninas-curves.svg").read_text()
    assert "evolution" in drawn
    others = set(comparison.qualities) - {"evolution"}
    assert others
    assert not any(name in drawn for name in (*others, "seeds"))
    assert all(name in (out / "index.html").read_text() for name in comparison.qualities)
    with pytest.raises(RunFileError, match=r"the strategies are .* got 'evolutoin'; did you mean 'evolution'"):
        compare(file, out, only=["evolutoin"])


@pytest.mark.slow
def test_worker_processes_give_the_same_cells(tmp_path, file):
    """Two processes and this one write equal journals and equal fresh scores."""
    here, there = groups(file, tmp_path / "here"), groups(file, tmp_path / "there")
    run_groups(here, file.options.pool, lambda done, total: None)
    seen = []
    pool = again(tmp_path, "pool.devices={cpu=2}").options.pool
    run_groups(there, pool, lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]
    for a, b in zip(here, there, strict=True):
        for name in a.folders:
            assert canonical(read_journal(a.folders[name])) == canonical(read_journal(b.folders[name]))
            fresh = [json.loads((g.folders[name] / CELL_FILE).read_text())["fresh"] for g in (a, b)]
            assert fresh[0] == fresh[1]


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_cells_continued(tmp_path, file):
    """A process that dies once costs nothing but time."""
    (tmp_path / "noise.py").write_text(
        NOISE.replace(
            "    return",
            "    import os, pathlib\n"
            "    flag = pathlib.Path(__file__).with_name('died')\n"
            "    if not flag.exists():\n"
            "        flag.touch()\n"
            "        os._exit(1)\n"
            "    return",
        )
    )
    pool = again(tmp_path, "pool.devices={cpu=1}").options.pool
    work = groups(file, tmp_path / "out")
    run_groups(work, pool, lambda done, total: None)
    assert len(read_cells(work)["uninas"]["random"]) == 2


@pytest.mark.slow
def test_failed_groups_are_counted_and_the_first_reason_given(tmp_path, file):
    """An objective that never works ends the comparison with one message, after all groups were tried."""
    (tmp_path / "noise.py").write_text(NOISE.replace("return", "raise ValueError('broken')\n    return"))
    pool = again(tmp_path, "pool.devices={cpu=1}").options.pool
    with pytest.raises(PoolError, match=r"2 of 2 groups of runs failed, the first with: uninas, seed 0: .*broken"):
        run_groups(groups(file, tmp_path / "out"), pool, lambda done, total: None)


def test_a_side_value_that_is_missing_once_is_a_mean_of_the_others():
    """A standard error that was not finite under one fresh seed is left out there, and nothing breaks."""
    assert means([{"x": 1.0, "x_se": 0.5}, {"x": 3.0}]) == {"x": 2.0, "x_se": 0.5}
    assert means([{"x": 1.0}, {}, {"x": 2.0, "x_se": 4.0}]) == {"x": 1.5, "x_se": 4.0}
    assert means([{}, {}]) == {}


def test_fresh_scores_join_the_journal(tmp_path, file):
    """A comparison that was killed while it scored again goes on there: what is recorded is not made again."""
    group = groups(file, tmp_path / "out")[0]
    run_group(group, InProcessPool)
    folder = group.folders["random"]
    before = json.loads((folder / CELL_FILE).read_text())["fresh"]
    journal = (folder / "journal.jsonl").read_bytes()
    assert sum(isinstance(event, RescoreEvent) for event in read_journal(folder)[1]) == 3 * len(before)
    (folder / CELL_FILE).unlink()
    run_group(group, InProcessPool)
    assert json.loads((folder / CELL_FILE).read_text())["fresh"] == before
    assert (folder / "journal.jsonl").read_bytes() == journal


@pytest.mark.slow
@pytest.mark.parametrize(
    ("accident", "reason", "limit_s"),
    [
        ("__import__('time').sleep(1000)", "outlived the time limit of 15 s", 15),
        ("__import__('os')._exit(17)", "killed its worker twice", 60),
        ("bytearray(10**10)", "out of memory", 60),
    ],
)
def test_limits_hold_in_a_comparison(tmp_path, file, accident, reason, limit_s):
    """A candidate that hangs, dies or takes too much is failed as in any search, and its run goes on."""
    start = file.runs["uninas"]["random"].problem().space.start.id
    harm = f"    if genome.id != {start!r}:\n        {accident}\n    return"
    (tmp_path / "noise.py").write_text(NOISE.replace("    return", harm))
    pool = ["pool.devices={cpu=1}", f"pool.time_limit_s={limit_s}", "pool.memory_limit_gb=2"]
    limited = again(tmp_path, "seeds=1", "rescore=0", "evaluations=2", *pool)
    work = groups(limited, tmp_path / "out")
    run_groups(work, limited.options.pool, lambda done, total: None)
    events = [event for folder in work[0].folders.values() for event in read_journal(folder)[1]]
    results = [event for event in events if isinstance(event, ResultEvent)]
    failures = [event.failure for event in results if event.failure is not None]
    assert len(results) == 4
    assert len(failures) >= 2, "every candidate but the start comes to harm"
    assert all(reason in failure for failure in failures)


def test_a_damaged_cell_file_is_named(tmp_path, file):
    """A cell file that was edited into nonsense gets one message with the fix."""
    group = groups(file, tmp_path / "out")[0]
    run_group(group, InProcessPool)
    path = group.folders["random"] / CELL_FILE
    path.write_text('{"evaluations": "many"}')
    with pytest.raises(JournalError, match=r"cell.json cannot be read.*delete it and compare again"):
        read_cells([group])
