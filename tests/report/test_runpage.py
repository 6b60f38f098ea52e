"""The page of a run: what it tells, for every kind of run, and where its numbers come from."""

import json
import random
import re
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.contracts import Cost
from uninas_evo.engine.events import AskEvent, Header, Measured, Note, ResultEvent
from uninas_evo.engine.journal import Journal
from uninas_evo.report.history import History, Tally
from uninas_evo.report.run import read
from uninas_evo.report.runpage import follow, render, report
from uninas_evo.report.runplots import busy
from uninas_evo.report.sections import ancestry as section
from uninas_evo.report.sections.shared_weights import alarms, ranking
from uninas_evo.spaces import uninet
from uninas_evo.spaces.uninas import Genome, Skeleton, UninasSpace, preset
from uninas_evo.spaces.uninas.text import parse_chain

SMALL = Skeleton(image_size=32, classes=10, stem=(8, 8), channels=(32,), depths=(1,))


def header(objectives=None, **problem) -> Header:
    skeleton = {"image_size": 32, "classes": 10, "stem": [8, 8], "channels": [32], "depths": [1]}
    return Header(
        run={"seed": 1, "evaluations": 50, "problem": {"start": "resnet", "skeleton": skeleton, **problem}},
        seed=1,
        objectives=objectives or {"vkdnw": "maximize"},
        versions={"python": "3.11.7", "uninas-evo": "0.1.0"},
        host={"name": "here"},
        git="abc123",
        sources={"/home/me/fitness.py": "f" * 64},
        started="2026-01-01T00:00:00Z",
    )


def ask(number: int, genome: Genome | None, parents=(), origin="mutate", same_as=None) -> AskEvent:
    cost = genome.cost if genome else Cost(1, 1)
    text = genome.text if genome and same_as is None else None
    own = {"params": cost.params, "flops": cost.flops}
    return AskEvent(number=number, genome=text, same_as=same_as, parents=parents, origin=origin, costs=own)


def scored(number: int, values=None, failure=None, *, seconds=1.0, at=None, device="cpu", worker=0) -> ResultEvent:
    measured = Measured(seconds=seconds, device=device, worker=worker, at=number + 1.0 if at is None else at)
    return ResultEvent(number=number, values=values, failure=failure, measured=measured)


def finished() -> Note:
    return Note(kind="finished", text="all evaluations are done", at=9)


def folder_of(path: Path, *events) -> Path:
    path.mkdir(exist_ok=True)
    journal = Journal(path / "journal.jsonl")
    journal.append(*events)
    journal.close()
    return path


def chained(first: str) -> Genome:
    return Genome.of(SMALL, [parse_chain(text, (32, 8, 8)) for text in (first, "-")])


def family(path: Path) -> Path:
    """0 conv3; 1 = 0 + gelu, better; 2 = 1 − conv3, worse; 3 = 1 again; 4 = 3 + dw3, best; 5 = 4 + gelu, failed."""
    texts = ["conv3", "conv3 gelu", "gelu", "conv3 gelu", "conv3 gelu dw3", "conv3 gelu dw3 gelu"]
    g = [chained(text) for text in texts]
    return folder_of(
        path,
        header(),
        ask(0, g[0], origin="start"),
        scored(0, {"vkdnw": 1.0}),
        ask(1, g[1], (0,)),
        ask(2, g[2], (1,)),
        scored(1, {"vkdnw": 2.0}),
        scored(2, {"vkdnw": 0.5}),
        ask(3, g[3], (0,), same_as=1),
        ask(4, g[4], (3,)),
        scored(4, {"vkdnw": 3.0}),
        ask(5, g[5], (4, 1)),
        scored(5, failure="RuntimeError: <b>out of memory</b>"),
        finished(),
    )


def test_ancestry_follows_first_parents(tmp_path) -> None:
    """Duplicates have the result of the first candidate with their genome; edits are told against the parent."""
    line = read(family(tmp_path / "run")).line
    assert [(one.number, one.origin, one.values["vkdnw"]) for one in line] == [
        (0, "start", 1.0),
        (3, "mutate", 2.0),
        (4, "mutate", 3.0),
    ]
    assert line[0].edits is None
    assert [(e.change, e.operation, e.place) for e in line[2].edits] == [("added", "dw3", "1.1.1/3")]
    assert line[2].cost == chained("conv3 gelu dw3").cost


def test_tallies_count_tried_accepted_and_better(tmp_path) -> None:
    """Distinct scored children of one parent count; a duplicate that became a parent makes its original accepted."""
    tallies = read(family(tmp_path / "run")).history.tallies()
    assert tallies == {
        ("added", "gelu", 1): Tally(1, 1, 1),
        ("removed", "conv3", 1): Tally(1, 0, 0),
        ("added", "dw3", 1): Tally(1, 1, 1),
    }


def test_better_needs_every_objective(tmp_path) -> None:
    """With several objectives a child pays off where it dominates its parent."""
    events = [header({"vkdnw": "maximize", "params": "minimize"})]
    values = [(1.0, 10.0), (2.0, 10.0), (2.0, 11.0), (2.0, 10.0)]
    for number, (score, params) in enumerate(values):
        events += [ask(number, chained("gelu " * (number + 1))), scored(number, {"vkdnw": score, "params": params})]
    history = History(events[0], events[1:])
    assert history.better(1, 0)
    assert not history.better(2, 0)
    assert not history.better(3, 1)


def test_busy_shares_are_the_workers_time() -> None:
    """A device whose two workers score half of the time each is half busy; spans are cut at the bins."""
    results = [
        scored(0, {}, seconds=30, at=60, worker=0),
        scored(1, {}, seconds=30, at=60, worker=1),
        scored(2, {}, seconds=60, at=60, device="gpu"),
    ]
    edges, shares = busy(results)
    assert edges.tolist() == pytest.approx(list(range(61)))
    assert shares["cpu"].tolist() == [0.0] * 30 + [100.0] * 30
    assert shares["gpu"].tolist() == [100.0] * 60
    assert np.mean(shares["cpu"]) == 50


def test_the_page_tells_all(tmp_path) -> None:
    """Settings, best, ancestry, edits, failures, devices, reproducibility are there; nothing a run holds is markup."""
    text = report(family(tmp_path / "run")).read_text()
    for part in (
        "all evaluations are done",
        "5 of 50",
        "vkdnw 3,",
        "candidate 4",
        "Score and size",
        "The winner beside the start",
        "3 (+1)",
        "+ dw3 at 1.1.1/3",
        "1 · 1 · 1",
        "RuntimeError",
        "Devices",
        "uninas-evo verify",
        "abc123",
        "f" * 64,
        "python 3.11.7",
        "evaluations = 50",
    ):
        assert part in text, part
    assert "<b>out of memory" not in text
    assert not re.search(r'(?:src|href)="(?!#|data:|\./)', text)
    assert 'http-equiv="refresh"' not in text


def test_runs_with_failures_only(tmp_path) -> None:
    events = [header()]
    for number in range(4):
        events += [
            ask(number, chained("gelu " * (number + 1)), origin="sample"),
            scored(number, failure="NaN: nothing"),
        ]
    text = report(folder_of(tmp_path / "run", *events, finished())).read_text()
    assert "Nothing has a score yet" in text
    assert "<td>NaN</td><td>4</td>" in text


def test_runs_that_have_just_begun(tmp_path) -> None:
    """A header alone, an ask without result, a single evaluation: each has a page."""
    folder = folder_of(tmp_path / "run", header())
    assert "Nothing has a score yet" in report(folder).read_text()
    folder_of(folder, ask(0, chained("conv3"), origin="start"))
    assert "Nothing has a score yet" in report(folder).read_text()
    folder_of(folder, scored(0, {"vkdnw": 1.5}))
    text = report(folder).read_text()
    assert "vkdnw 1.5" in text
    assert "going on, or killed" in text


@pytest.mark.parametrize("count", [2, 3, 4])
def test_several_objectives(tmp_path, count) -> None:
    """The page has the front with its knee, the hypervolume, and the knee drawn."""
    objectives = dict(
        list({"vkdnw": "maximize", "params": "minimize", "flops": "minimize", "az": "maximize"}.items())[:count]
    )
    rng = random.Random(0)
    events = [header(objectives)]
    for number in range(30):
        genome = chained(" ".join(rng.choices(["gelu", "conv1", "dw3", "conv3"], k=number % 5 + 1)))
        values = {"vkdnw": rng.random(), "params": genome.params, "flops": genome.flops, "az": rng.random()}
        own = {name: values[name] for name in objectives}
        events += [ask(number, genome, origin="sample"), scored(number, own)]
    text = report(folder_of(tmp_path / "run", *events, finished())).read_text()
    for part in ("knee of the front", "Pareto front", "hypervolume", "members", "Size"):
        assert part in text, part


def test_size_alarm(tmp_path) -> None:
    """A score that follows the number of parameters is told as such."""
    events = [header()]
    for number in range(20):
        genome = chained("conv1 " * (number + 1))
        events += [ask(number, genome, origin="sample"), scored(number, {"vkdnw": float(genome.params)})]
    assert "Size alarm" in report(folder_of(tmp_path / "run", *events)).read_text()


def test_other_spaces_have_a_page_without_drawing(tmp_path) -> None:
    """Genomes that are no UniNAS texts are neither drawn nor compared."""
    events = [header(start="x")]
    for number in range(3):
        asked = ask(number, None, (number - 1,) if number else ())
        events += [replace(asked, genome=f"|nor_conv_3x3~0|+{number}"), scored(number, {"vkdnw": number})]
    text = report(folder_of(tmp_path / "run", *events, finished())).read_text()
    assert "Ancestry" in text
    assert "The winner" not in text
    assert "Added" not in text


def test_a_start_that_names_a_file_is_not_read(tmp_path) -> None:
    """A folder from elsewhere cannot make the page read files."""
    mine = tmp_path / "secret.txt"
    mine.write_text(chained("conv3").text)
    run = read(folder_of(tmp_path / "run", header(start=str(mine)), ask(0, chained("gelu")), scored(0, {"vkdnw": 1})))
    assert run.start is None
    assert read(folder_of(tmp_path / "other", header())).start == preset("resnet", SMALL)


def test_the_noise_of_the_winner_is_shown(tmp_path) -> None:
    folder = family(tmp_path / "run")
    (folder / "summary.json").write_text(
        '{"rescored": {"objective": "vkdnw", "values": {"start": [1.0, 2.0], "winner": [3.0, 5.0]}, '
        '"over_start": {"mean": 2.5, "error": 0.5, "significant": true}, "over_runner_up": null, "noisy": true}}'
    )
    text = report(folder).read_text()
    assert "4 ± 1" in text
    assert "+2.5 ± 0.5, beyond noise" in text


def test_following_ends_with_the_run(tmp_path) -> None:
    """The page is written when there is news, reloads itself while the run goes on, and stops reloading at its end."""
    folder = folder_of(tmp_path / "run", header(), ask(0, chained("conv3"), origin="start"))
    pages: list[str] = []
    news = [[], [scored(0, {"vkdnw": 1.0})], [finished()]]

    def wait(seconds: float) -> None:
        assert seconds == 2
        pages.append((folder / "report.html").read_text())
        folder_of(folder, *news.pop(0))

    path = follow(folder, every_s=2, wait=wait)
    assert path == folder / "report.html"
    assert news == []
    assert all('http-equiv="refresh" content="2"' in page for page in pages)
    assert pages[0] == pages[1] != pages[2]
    assert "refresh" not in path.read_text()


def test_command(tmp_path) -> None:
    """`report` prints the page's path; `--follow` on an ended run writes once; a folder without a run is told."""
    folder = family(tmp_path / "run")
    result = CliRunner().invoke(app, ["report", str(folder), "--out", str(tmp_path / "page.html")])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "page.html")
    result = CliRunner().invoke(app, ["report", str(folder), "--follow"])
    assert result.stdout.strip() == str(folder / "report.html")
    result = CliRunner().invoke(app, ["report", str(tmp_path / "nothing")])
    assert result.exit_code == 2
    assert "cannot be read" in result.output


@pytest.mark.slow
def test_twenty_thousand_evaluations_fit_in_five_megabytes(tmp_path) -> None:
    """A run of 20,000 evaluations, each from another parent, has a page below 5 MB."""
    rng = random.Random(0)
    space = UninasSpace(
        preset("coatnet", Skeleton(image_size=32, classes=10, stem=(8, 8), channels=(32, 64), depths=(1, 1)))
    )
    genomes = [space.start]
    events: list = [header({"vkdnw": "maximize", "params": "minimize"}), ask(0, space.start, origin="start")]
    events.append(scored(0, {"vkdnw": 0.0, "params": space.start.params}))
    while len(genomes) < 20_000:
        parent = rng.randrange(max(0, len(genomes) - 50), len(genomes))
        child = space.mutate(genomes[parent], rng)
        number = len(genomes)
        genomes.append(child)
        events.append(ask(number, child, (parent,)))
        if number % 50:
            values = {"vkdnw": rng.gauss(number**0.5, 5), "params": child.params}
            events.append(scored(number, values, at=number / 10, worker=number % 8, device=f"cuda:{number % 8}"))
        else:
            events.append(scored(number, failure=f"RuntimeError: number {number}"))
    folder = folder_of(tmp_path / "run", *events, finished())
    begin = time.perf_counter()
    page = report(folder)
    print(f"{page.stat().st_size / 1e6:.2f} MB in {time.perf_counter() - begin:.1f} s")
    assert page.stat().st_size < 5e6


def test_a_long_ancestry_is_cut_in_the_middle(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[section.__module__], "MAX_ROWS", 4)
    events = [header()]
    for number in range(9):
        events += [ask(number, chained("gelu " * (number + 1)), (number - 1,) if number else (), "walk")]
        events += [scored(number, {"vkdnw": float(number)})]
    text = section(read(folder_of(tmp_path / "run", *events)))
    assert re.findall(r"<tr><td>(\d+)</td>", text) == ["0", "1", "7", "8"]
    assert "Of 9 steps the first and the last 2 are listed" in text


def test_the_page_in_a_browser(browse, tmp_path) -> None:
    """No script error, no outside request; the drawing in the page folds and differences are reached."""
    told = browse(
        render(read(family(tmp_path / "run"))),
        """
        told.headings = [...document.querySelectorAll("h2")].map((h) => h.textContent);
        const shown = () => [...document.querySelectorAll(".view .box")].filter((b) => b.offsetParent !== null).length;
        told.open = shown();
        document.querySelector("[data-do=fold]").click();
        told.folded = shown();
        document.querySelector("[data-do=next]").click();
        told.next = shown();
        told.wide = document.documentElement.scrollWidth <= innerWidth;
        """,
        dark=True,
    )
    assert told["headings"][:2] == ["Progress", "Score and size"]
    assert "The winner beside the start" in told["headings"]
    assert told["folded"] < told["next"] <= told["open"]
    assert told["wide"]


def test_a_uninet_winner_is_drawn_beside_its_start(tmp_path) -> None:
    """The page of a search in the UniNet space shows what its winner has that the start has not."""
    start = uninet.preset("uninet-reference").resized(32, 10)
    stages = (replace(start.stages[0], operator="SA"), *start.stages[1:])
    winner = replace(start, stages=stages)
    events = [
        header(name="uninet", start=start.text, skeleton=None),
        ask(0, start, origin="start"),
        scored(0, {"vkdnw": 1.0}),
        ask(1, winner, (0,)),
        scored(1, {"vkdnw": 2.0}),
        finished(),
    ]
    page = render(read(folder_of(tmp_path / "run", *events)))
    assert "The winner beside the start" in page
    assert "SA e=4" in page


def test_several_runs_stand_side_by_side(tmp_path) -> None:
    """A row and a curve for each run, links to pages that exist; a run twice, or following several, is refused."""
    a, b = family(tmp_path / "a"), family(tmp_path / "b")
    report(b)
    page = tmp_path / "runs.html"
    result = CliRunner().invoke(app, ["report", str(a), str(b), "--out", str(page)])
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert text.count("<td>vkdnw 3</td>") == 2
    assert 'href="b/report.html"' in text
    assert 'href="a/report.html"' not in text
    assert "The best vkdnw so far" in text
    for extra in (str(a), "--follow"):
        result = CliRunner().invoke(app, ["report", str(a), str(b), extra])
        assert result.exit_code == 2
        assert "leave" in result.output


def test_trainings_and_files_are_on_the_page(tmp_path) -> None:
    """What was trained has its curves, also beside a damaged training; every file is linked, by a quoted name."""
    folder = family(tmp_path / "run")
    for name, text in (("a", '{"loss": 2.0, "val_accuracy": 0.5}\n{"loss": 1.0, "val_accuracy": null}'), ("b", "{")):
        (folder / "train" / name).mkdir(parents=True)
        (folder / "train" / name / "metrics.jsonl").write_text(text)
    (folder / "a <b>.txt").write_text("")
    text = report(folder).read_text()
    assert "<h2>Trainings</h2>" in text
    assert 'href="./train/a/metrics.jsonl"' in text
    assert '"./a%20%3Cb%3E.txt">a &lt;b&gt;.txt</a>' in text


def test_shared_weights_are_on_the_page(tmp_path) -> None:
    """Curves of the training's steps, and an alarm for each sign of collapse that says what to do."""
    folder = family(tmp_path / "run")
    assert "Shared weights" not in report(folder).read_text()
    (folder / "supernet").mkdir()
    lines = [
        {"step": step, "loss": 2.0 - step, "entropy": 1.6, "skips": skips, "eigenvalue": 0.1 + step,
         "mixture_accuracy": 0.9, "path_accuracy": path}
        for step, skips, path in ((0, 0.0, 0.9), (1, 5.0, 0.3))
    ]  # fmt: skip
    (folder / "supernet/steps.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "supernet/logits.json").write_text('{"edge <1>": [0.0, 1.0986122886681098]}')
    text = report(folder).read_text()
    assert "<h2>Shared weights</h2>" in text
    assert "<td>edge &lt;1&gt;</td><td>option 1 75%, option 0 25%</td>" in text
    for sign, cure in (("Collapse", "stop_skips"), ("Undecided", "policy_lr"), ("Gap", "gdas"), ("Sharp", "decay")):
        assert re.search(f"{sign}: [^<]*{cure}", text)
    assert alarms([{"step": 0, "entropy": 1.6, "skips": 2.0}, {"step": 9, "entropy": 0.4, "skips": 2.0}]) == []
    assert alarms([{"step": 0, "loss": 1.0, "genomes": ["01"]}]) == []


def test_shared_weights_are_compared_with_trainings(tmp_path) -> None:
    """Three networks that were trained alone tell how the objective `supernet` ranks them; fewer tell nothing."""
    events = [header({"supernet": "maximize"})]
    for number in range(3):
        events += [
            ask(number, chained("gelu " * (number + 1)), origin="sample"),
            scored(number, {"supernet": number / 9}),
        ]
    folder = folder_of(tmp_path / "run", *events, finished())
    run = read(folder)
    for number, name in enumerate(run.record.ids):
        assert ranking(run) == ""
        (folder / "train" / name / "seed-0").mkdir(parents=True)
        (folder / "train" / name / "seed-0/metrics.jsonl").write_text(json.dumps({"val_accuracy": 0.5 + number / 9}))
    assert "of 3 networks trained alone: 1.00 ± 0.64" in ranking(run)


@pytest.mark.parametrize("count", [2, 3])
def test_dots_of_a_front_open_their_genomes(browse, tmp_path, count) -> None:
    """In every panel each dot stands for its own candidate: those beaten, those of the front, never a failed one."""
    objectives = dict(list({"params": "minimize", "vkdnw": "maximize", "az": "maximize"}.items())[:count])
    events = [header(objectives)]
    for number, score in enumerate([3.0, None, 1.0, 4.0, 2.0]):
        events.append(ask(number, chained("gelu " * (number + 1)), origin="sample"))
        if score is None:
            events.append(scored(number, failure="NaN: nothing"))
        else:
            values = {"params": float(number), "vkdnw": score, "az": score}
            events.append(scored(number, {name: values[name] for name in objectives}))
    told = browse(
        render(read(folder_of(tmp_path / "run", *events, finished()))),
        """
        const figure = [...document.querySelectorAll("figure[data-dots]")].at(-1);
        told.opened = [...figure.querySelectorAll('g[id^="dots"]')].map((cloud) =>
          [...cloud.querySelectorAll("use")].map((dot) => {
            dot.dispatchEvent(new MouseEvent("click"));
            return document.getElementById("genome").textContent.split("\\n")[0];
          }));
        """,
    )
    assert told["opened"] == [["candidate 2", "candidate 4"], ["candidate 0", "candidate 3"]] * (1 if count == 2 else 3)
