"""Genomes, run files, compare files, protocols and run folders, each damaged: read or refused, never anything else.

The whole, by hand: `python tests/long/test_fuzz_runs.py KIND COUNT [SEED]`, KIND being one of genomes, files, folders.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from uninas_evo.compare.comparefile import load_compare_file
from uninas_evo.config.runfile import load_run_file, to_toml
from uninas_evo.engine import journal as journals
from uninas_evo.engine.search import reopen
from uninas_evo.errors import UninasEvoError
from uninas_evo.report.folder import pick
from uninas_evo.report.record import read_run
from uninas_evo.spaces.uninas import PRESETS, UninasSpace, genome_to_json, genome_to_package, load_genome, preset
from uninas_evo.training.protocol import load_protocol

SLOW_S = 5.0
"""CPU seconds that nothing may take."""
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 2**31, 2**63, 10**18, 10**400, 1e308, float("inf"), float("nan"), 0.5),
    *("", "x", "1", "[/a]", "\x00\x1b[31m", "é" * 9, "a" * 3000, "../../x", "x.py:f", "tcp://a:1"),
    *([], [[]], [1, "a"], {}, {"a": {}}, {"name": 1}),
)
ROOT = Path(__file__).parents[2]


def damaged_text(text: str, rng: random.Random) -> str:
    """A text with a few characters or lines changed, doubled, moved or cut."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        to = min(to, at + rng.choice([1, 3, 30]))
        piece = text[at:to]
        new = rng.choice(["", piece * 2, piece[::-1], str(rng.choice(ODD)), rng.choice("()[]{}:;,.=\n\t \0\"'\\é9-")])
        text = text[:at] + new + text[to:] if rng.random() < 0.95 else text[:at]
    return text


def damaged_data(data: Any, rng: random.Random) -> Any:
    """Nested data with one place changed to something odd, removed or doubled."""
    if isinstance(data, dict) and data and rng.random() < 0.85:
        key = rng.choice(list(data))
        if rng.random() < 0.1:
            return {name: value for name, value in data.items() if name != key}
        return {**data, key: damaged_data(data[key], rng)}
    if isinstance(data, list) and data and rng.random() < 0.85:
        place = rng.randrange(len(data))
        return [*data[:place], damaged_data(data[place], rng), *data[place + rng.choice([0, 1, 1, 1]) :]]
    return rng.choice(ODD)


def genomes(rng: random.Random, folder: Path) -> Callable[[], Any]:
    """Texts, our JSON, and the package's."""
    genome = preset(rng.choice(PRESETS))
    space = UninasSpace(genome)
    for _ in range(rng.randint(0, 20)):
        genome = space.mutate(genome, rng) or genome
    form = rng.randrange(3)
    text = genome.text if form == 0 else (genome_to_json if form == 1 else genome_to_package)(preset("resnet"))
    bad = json.dumps(damaged_data(json.loads(text), rng)) if form and rng.random() < 0.6 else damaged_text(text, rng)
    return lambda: load_genome(bad + "\n").cost


def files(rng: random.Random, folder: Path) -> Callable[[], Any]:
    """Run files, compare files and protocols."""
    kind = rng.choice(["run", "compare", "protocol"])
    source = {
        "run": [one for one in sorted((ROOT / "runs").glob("*.toml")) if "compare" not in one.name],
        "compare": [ROOT / "runs" / "compare_small.toml"],
        "protocol": sorted((ROOT / "uninas_evo" / "training").rglob("*.toml")) or [ROOT / "runs" / "quickstart.toml"],
    }[kind]
    text = rng.choice(source).read_text()
    if rng.random() < 0.6:
        try:
            bad = to_toml(damaged_data(tomllib.loads(text), rng))
        except (AttributeError, TypeError, ValueError):  # what remains is no table, or cannot be written
            bad = damaged_text(text, rng)
    else:
        bad = damaged_text(text, rng)
    path = folder / f"{kind}.toml"
    path.write_text(bad, errors="replace")
    load = {"run": load_run_file, "compare": load_compare_file, "protocol": lambda file: load_protocol(str(file))}
    return lambda: load[kind](path)


def folders(rng: random.Random, folder: Path) -> Callable[[], Any]:
    """Run folders of an older version whose journals were changed and sealed anew."""
    old = rng.choice(["evolution", "nsga2", "random", "bayesian", "uninas"])
    lines = (ROOT / "tests/engine/v0_1_0" / old / "journal.jsonl").read_bytes().splitlines()
    events = [{key: one for key, one in json.loads(line).items() if key != "chain"} for line in lines]
    place = rng.choice([0, rng.randrange(len(events))])
    if rng.random() < 0.8:
        events[place] = damaged_data(events[place], rng)
    else:
        events.insert(rng.randrange(len(events)), events[place])
    chain, sealed = "", []
    for event in events:
        body = json.dumps(event, separators=(",", ":"))[:-1]
        chain = journals._link(chain, body.encode())
        sealed.append(body + journals._SEAL.format(chain))
    (folder / "journal.jsonl").write_text("\n".join(sealed) + "\n")

    def use() -> None:
        record = read_run(folder)
        pick(folder)
        reopen(folder)
        assert len(record.numbers) == len(record.genomes)

    return use


KINDS = {"genomes": genomes, "files": files, "folders": folders}


def fuzz(kind: str, count: int, seed: int = 0) -> tuple[Counter[str], float, list[str]]:
    """How many were read, refused, or anything else; the slowest, in CPU seconds; and what else there was."""
    outcomes: Counter[str] = Counter()
    slowest, others = 0.0, []
    with tempfile.TemporaryDirectory() as place:
        for number in range(count):
            use = KINDS[kind](random.Random(f"{kind} {seed} {number}"), Path(place))
            begin = time.process_time()
            try:
                use()
                outcomes["read"] += 1
            except UninasEvoError:
                outcomes["refused"] += 1
            except Exception as error:
                print(number, repr(error)[:300], flush=True)
                outcomes["other"] += 1
                others.append(f"{number}: {error!r:.300}")
            seconds = time.process_time() - begin
            slowest = max(slowest, seconds)
            if seconds > SLOW_S:
                print(number, f"took {seconds:.1f} s", flush=True)
            if number % 1000 == 999:
                print(number + 1, dict(outcomes), f"slowest {slowest:.2f} s", flush=True)
    return outcomes, slowest, others


@pytest.mark.parametrize(("kind", "count"), [("genomes", 100), ("files", 60), ("folders", 20)])
def test_damage_is_read_or_refused(kind: str, count: int) -> None:
    """A sample; a refusal is one message."""
    outcomes, slowest, others = fuzz(kind, count, seed=1)
    assert not others
    assert slowest < SLOW_S, outcomes


if __name__ == "__main__":
    found, longest, wrong = fuzz(sys.argv[1], int(sys.argv[2]), seed=int((sys.argv[3:] or ["0"])[0]))
    print(dict(found), f"slowest {longest:.2f} s of CPU")
    print("\n".join(wrong[:40]))
