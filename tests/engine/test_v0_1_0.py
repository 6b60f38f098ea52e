"""Run folders and genome texts that version 0.1.0 wrote: read, continued, verified, reported, and found again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from uninas_evo.api import resume, run_file
from uninas_evo.config.runfile import load_run_file
from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.verify import verify
from uninas_evo.report.runpage import report
from uninas_evo.spaces.uninas import PRESETS, load_genome, preset

OLD = Path(__file__).parent / "v0_1_0"
TABLE = Path(__file__).parents[3] / "shared" / "data" / "nasbench201_test_accuracy.csv.gz"
QUICK = ("random_walk", "random", "uninas", "evolution", "aging", "nsga2", "smsemoa", "bayesian")
NAMES = (*QUICK, "vkdnw", "nasbench201")
WRONG_SCORES = {"zen", "grad_norm"}
"""Scores whose formula was wrong in 0.1.0."""
FIRST = {"vkdnw": 8, "nsga2": 24, "smsemoa": 24}
"""Searches that follow a number which was wrong (a score, or FLOPs): equal as far as nothing was selected by it."""


@pytest.fixture
def old(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy of an old run folder."""
    name = request.param
    folder = tmp_path / name
    shutil.copytree(OLD / name, folder)
    if name == "nasbench201":
        if not TABLE.exists():
            pytest.skip(f"the table of NAS-Bench-201 is not at {TABLE}")
        (folder / "nasbench201.csv.gz").symlink_to(TABLE)
    return folder


def comparable(events: list[dict[str, Any]], first: int | None) -> list[dict[str, Any]]:
    """Events without what a fault of 0.1.0 made wrong: two scores, and the FLOPs of a bare `relposbias`.

    Scores have six digits: the last ones differ between processors, and the fixtures were made on another one.
    """
    texts = {event["number"]: event["genome"] or "" for event in events if event["event"] == "ask"}
    kept = [event for event in events if first is None or event["number"] < first]
    for event in kept:
        wrong = WRONG_SCORES | ({"flops"} if "relposbias" in texts[event["number"]] else set())
        for field in ("costs", "values"):
            if event.get(field):
                kept_values = {name: value for name, value in event[field].items() if name not in wrong}
                event[field] = {name: float(f"{value:.6g}") for name, value in kept_values.items()}
    return kept


@pytest.mark.parametrize("old", NAMES, indirect=True)
def test_the_same_run_file_gives_the_same_journal(old: Path, tmp_path: Path) -> None:
    """A run of the same file and seed asks the same and scores the same as 0.1.0 did, but where a fault was fixed."""
    run_file(load_run_file(old / "run.toml"), tmp_path / "new", quiet=True)
    before, now = (canonical(read_journal(folder)[1]) for folder in (old, tmp_path / "new"))
    before, now = (comparable(events, FIRST.get(old.name)) for events in (before, now))
    assert now == before


@pytest.mark.parametrize("old", QUICK, indirect=True)
def test_an_old_run_goes_on(old: Path) -> None:
    """Continued with more evaluations, its first part stays and the rest follows."""
    before = canonical(read_journal(old)[1])
    count = sum(event["event"] == "result" for event in before)
    resume(old, [f"evaluations={count + 5}"], quiet=True)
    after = canonical(read_journal(old)[1])
    assert [event for event in after if event in before] == before
    assert sum(event["event"] == "result" for event in after) == count + 5


@pytest.mark.parametrize("old", ["evolution", "nsga2", "nasbench201"], indirect=True)
def test_an_old_run_is_verified_and_reported(old: Path) -> None:
    """Its best scores as recorded, and its page is written."""
    texts = {event["number"]: event["genome"] for event in canonical(read_journal(old)[1]) if event["event"] == "ask"}
    for row in verify(old):
        assert row.agrees or (row.name == "flops" and "relposbias" in texts[row.number])
    report(old)
    assert (old / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("name", PRESETS)
def test_old_genomes_are_read(name: str) -> None:
    """Text and JSON of 0.1.0 give the genome that the preset is."""
    text = (OLD / "genomes" / f"{name}.txt").read_text()
    assert load_genome(text) == preset(name)
    assert load_genome(str(OLD / "genomes" / f"{name}.json")) == preset(name)
    assert json.loads((OLD / "genomes" / f"{name}.json").read_text())
