"""From data to a trained network within a clock, and one honest sentence about what the search added."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from uninas_evo.compare.train_and_compare import Row, with_gap
from uninas_evo.config.runfile import AfterOptions
from uninas_evo.engine import journal as journals
from uninas_evo.engine.display import Display
from uninas_evo.engine.journal import ResultEvent, read_journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.preflight import Preflight
from uninas_evo.engine.results import SearchResult
from uninas_evo.engine.search import execute, plan_from
from uninas_evo.errors import JournalError, MissingExtraError, TrainingError
from uninas_evo.files import check_writable, claimed, write_text
from uninas_evo.formats import duration
from uninas_evo.pool.devices import memory_bytes
from uninas_evo.pool.open import PoolOptions, device_names
from uninas_evo.progress import open_display
from uninas_evo.report.record import genome_id
from uninas_evo.solving.clock import Clock
from uninas_evo.solving.plan import SHARES, Plan, Speed, image_of, plan_for, protocol_for, skeletons
from uninas_evo.solving.workers import final_training, short_accuracy, side_by_side
from uninas_evo.spaces.uninas import Skeleton
from uninas_evo.spaces.uninas.vary import PARTS

Say = Callable[[str], None]

PLAN = "plan.json"
"""The arguments, and what follows from them."""
DONE = "stages.json"
"""What the stages that are over came to."""
SOLUTION = "solution.json"
CACHE_MB = 500.0
"""Decoded images that a worker keeps, in files."""


@dataclass(frozen=True)
class Solution:
    """What was found, and what that is worth.

    Attributes:
        network: the folder of the trained network, which `uninas_evo.load` and `uninas-evo export` read.
        onnx: the same network as ONNX.
        page: the search's page.
        chosen: "winner", or "preset" where that has the better validation accuracy.
        accuracy: test accuracy of the network, the mean over its trainings.
        winner_accuracy: of the search's winner; equal to the preset's where nothing better was found.
        preset_accuracy: of the best scaled preset, trained for the same time.
        preset: which one that is.
        gap: the winner's lead over it, in shares of 1.
        gap_low: lower end of the lead's 95 % interval.
        gap_high: its upper end.
        search_s: seconds until the winner was found, the choice of the preset included.
        training_s: seconds of the winner's final training.
        preset_s: seconds that the preset alone took.
        candidates: different networks that were scored.
        sentence: all that in a sentence.
    """

    network: str
    onnx: str
    page: str
    chosen: Literal["winner", "preset"]
    accuracy: float
    winner_accuracy: float
    preset_accuracy: float
    preset: str
    gap: float
    gap_low: float
    gap_high: float
    search_s: float
    training_s: float
    preset_s: float
    candidates: int
    sentence: str


def solve(
    data: str | Path,
    hours: float,
    *,
    max_params: float | None = None,
    max_flops: float | None = None,
    out: str | Path = "solved",
    protocol: str | Path = "small",
    vary: Sequence[str] = (),
    seed: int = 0,
    devices: PoolOptions | None = None,
    quiet: bool = False,
) -> Solution:
    """Finds and trains the best network for a data set within a clock.

        solution = uninas_evo.solve("photos", hours=2, max_params=100e3)
        network = uninas_evo.load(solution.network)

    Looks at the data, picks skeleton and fidelities, trains scaled presets shortly, searches with `ladder` from the best
    of them, chooses among the finalists by fresh seeds, and trains the winner and the best preset for the same time.
    Called again with the same arguments it goes on where it was killed, with what is left of the clock.

    Args:
        data: what `uninas-evo train --data` takes.
        hours: of the clock, which begins when the checks of data and machine have passed.
        max_params: most parameters; a million by default.
        max_flops: most FLOPs of an image; as many as the time trains by default.
        out: folder for everything.
        protocol: of all trainings; its epochs are chosen.
        vary: parts of the skeleton that are searched too.
        seed: of all draws.
        devices: the workers; every GPU, or every CPU core, by default.
        quiet: shows nothing.

    Raises:
        DataError: the data is wrong.
        TrainingError: there is too little time or memory, or the folder holds another task.
        BudgetError: no network fits the bounds.
        MissingExtraError: what training or ONNX needs is not installed.
        KeyboardInterrupt: it was interrupted; nothing is lost.
    """
    folder = Path(out)
    display = open_display(quiet)
    asked = {
        "data": str(Path(data).absolute()),
        "hours": hours,
        "max_params": max_params,
        "max_flops": max_flops,
        "protocol": str(protocol),
        "vary": list(vary),
        "seed": seed,
    }
    _check(folder, hours, asked)
    with claimed(folder):
        done = folder / SOLUTION
        if done.is_file():
            return Solution(**_read(done))
        places = device_names((devices or PoolOptions()).devices, 1)  # type: ignore[arg-type]
        plan, places = _planned(folder, asked, places, display.say)
        return _Task(folder, asked, plan, places, display).solution()


def _check(folder: Path, hours: float, asked: Mapping[str, Any]) -> None:
    """What can be told at once.

    Raises:
        TrainingError: the hours are none, a part of the skeleton does not exist, or the folder holds another task.
        MissingExtraError: a package is missing that is needed hours later.
    """
    if not 0 < hours < math.inf:
        raise TrainingError(f"hours are a number above 0, got {hours}; give --hours 1")
    if unknown := [part for part in asked["vary"] if part not in PARTS]:
        raise TrainingError(f"the skeleton has no part {unknown[0]!r} to vary; use {', '.join(PARTS)}")
    for package in ("timm", "onnx", "onnxscript", "onnxruntime"):
        try:
            __import__(package)
        except ImportError:
            raise MissingExtraError(package, "train") from None
    if (folder / PLAN).is_file():
        before = _read(folder / PLAN).get("asked", {})
        if changed := [name for name in asked if before.get(name) != asked[name]]:
            raise TrainingError(
                f"{folder} holds a task with other {', '.join(changed)}: it goes on with the same arguments alone "
                f"({changed[0]} was {before.get(changed[0])!r}); give them, or another --out"
            )
    check_writable(folder / SOLUTION, TrainingError)


def _planned(folder: Path, asked: Mapping[str, Any], places: list[str], say: Say) -> tuple[Plan, list[str]]:
    """The plan of the folder, or a new one, with the devices that memory is enough for; tells it."""
    from uninas_evo.training.check import check
    from uninas_evo.training.protocol import load_protocol
    from uninas_evo.training.readers import read_splits

    if (folder / PLAN).is_file():
        plan = Plan(**_read(folder / PLAN)["plan"])
        say("goes on where it stopped")
        return plan, places[: plan.workers]
    say("looking at the data and the machine")
    settings = load_protocol(asked["protocol"])
    splits = read_splits(asked["data"], settings.val_fraction)
    settings = protocol_for(settings, len(splits.train))
    splits = read_splits(asked["data"], settings.val_fraction)
    image = image_of(splits)
    check(splits, len(splits.classes), image[0])
    speed = _speed(splits, settings, image, places[0])
    places = places[: _affordable_workers(speed.memory_bytes, len(places), memory_bytes(), places[0])]
    plan = plan_for(splits, settings, speed, asked["hours"], len(places), asked["max_params"], asked["max_flops"])
    write_text(folder / "protocol.toml", _toml(plan.protocol))
    write_text(folder / PLAN, json.dumps({"asked": asked, "plan": plan.content()}, indent=1) + "\n")
    for line in (*splits.notes, *plan.lines):
        say(line)
    return plan, places


def _speed(splits: Any, settings: Any, image: tuple[int, int, int], device: str) -> Speed:
    from uninas_evo.solving.speed import measure
    from uninas_evo.threads import fixed_threads

    skeleton: Skeleton = next(skeletons(image, len(splits.classes), 1e5))
    with fixed_threads(1):
        return measure(splits, settings, skeleton, device)


def _affordable_workers(worker_bytes: int, wanted: int, memory: int, device: str) -> int:
    """How many workers the machine's memory is enough for, this process beside them.

    Raises:
        TrainingError: for none.
    """
    if device != "cpu":
        return wanted
    count = min(wanted, int(0.9 * memory / max(worker_bytes, 1)) - 1)
    if count < 1:
        raise TrainingError(
            f"the machine has {memory / 1e9:.1f} GB of memory and training needs {2 * worker_bytes / 1e9:.1f} GB here: "
            "a worker and the program itself; free memory, or use a larger machine"
        )
    return count


class _Task:
    """A plan being carried out, stage by stage; what is done is written down and never done again."""

    def __init__(
        self, folder: Path, asked: Mapping[str, Any], plan: Plan, places: Sequence[str], display: Display
    ) -> None:
        self.folder, self.asked, self.plan, self.places, self.display = folder, asked, plan, places, display
        self.clock = Clock(folder / "clock.json", 3600 * plan.hours)
        self.clock.keep()
        self.done: dict[str, Any] = _read(folder / DONE) if (folder / DONE).is_file() else {}

    def solution(self) -> Solution:
        """Carries out what is left."""
        from uninas_evo.report.runpage import report
        from uninas_evo.training.formats import export

        preset, text = self._preset()
        found = self._search(text)
        results = self._trained({"preset": text, "winner": found["winner"]})
        chosen: Literal["winner", "preset"] = (
            "winner"
            if _best(results["winner"])["val_accuracy"] >= _best(results["preset"])["val_accuracy"]
            else "preset"
        )
        network = self.folder / _best(results[chosen])["folder"]
        (onnx,) = export(network, self.folder, ["onnx"])
        page = report(self.folder / "search", self.folder / "report.html")
        solution = self._told(preset, found, results, chosen, network, onnx, page)
        write_text(self.folder / SOLUTION, json.dumps(asdict(solution), indent=1) + "\n")
        self.clock.keep()
        return solution

    def _told(
        self,
        preset: str,
        found: Mapping[str, Any],
        results: Mapping[str, list[dict[str, Any]]],
        chosen: Literal["winner", "preset"],
        network: Path,
        onnx: Path,
        page: Path,
    ) -> Solution:
        accuracies = {label: [one["test_accuracy"] for one in own] for label, own in results.items()}
        rows = {label: Row(label, "", {}, 0.0, tuple(own)) for label, own in accuracies.items()}
        row = with_gap(rows["preset"], rows["winner"], self.done["test_images"])
        same = results["winner"] is results["preset"]
        gap, low, high = (0.0, 0.0, 0.0) if same else (row.gap or 0.0, row.gap_low or 0.0, row.gap_high or 0.0)
        seconds = {label: sum(one["seconds"] for one in own) / len(own) for label, own in results.items()}
        facts: dict[str, Any] = {
            "network": str(network),
            "onnx": str(onnx),
            "page": str(page),
            "chosen": chosen,
            "accuracy": rows[chosen].accuracy,
            "winner_accuracy": rows["winner"].accuracy,
            "preset_accuracy": rows["preset"].accuracy,
            "preset": preset,
            "gap": gap,
            "gap_low": low,
            "gap_high": high,
            "search_s": found["seconds"],
            "training_s": 0.0 if same else seconds["winner"],
            "preset_s": seconds["preset"],
            "candidates": found["candidates"],
        }
        return Solution(**facts, sentence=sentence(facts, len(accuracies["winner"]), same))

    def _preset(self) -> tuple[str, str]:
        """The best of the scaled presets by short training: its name and text."""
        if "presets" not in self.done:
            texts = self.plan.presets
            fidelity = min(1, len(self.plan.fidelities) - 1)
            self.display.say(f"training {len(texts)} scaled presets shortly")
            call = {"settings": self._settings(), "fidelity": fidelity, "seed": self.asked["seed"]}
            calls = [{"text": text, **call} for text in texts.values()]
            values = side_by_side(short_accuracy, calls, self.places, self.clock.tick)
            self._keep(presets=dict(zip(texts, values, strict=True)))
            for label, value in sorted(self.done["presets"].items(), key=lambda pair: -pair[1]):
                self.display.say(f"{label}: {value:.2%}")
        accuracies: dict[str, float] = self.done["presets"]
        best = max(accuracies, key=lambda label: accuracies[label])
        return best, self.plan.presets[best]

    def _search(self, start: str) -> dict[str, Any]:
        """The search, and its finalists under fresh seeds; `winner` is the start where nothing was found."""
        if "search" in self.done:
            return dict(self.done["search"])
        out = self.folder / "search"
        resumed = (out / journals.FILE_NAME).is_file()
        until = (SHARES["presets"] + SHARES["search"]) * self.clock.limit_s
        content = {
            "seed": self.asked["seed"],
            "time_limit_s": max(until - self.clock.spent_s, 1.0) + (_elapsed(out) if resumed else 0.0),
            "pool": {"devices": list(self.places), "threads": 1},
            "after": AfterOptions(rescore=self.plan.finalist_seeds, plot=False).model_dump(),
        }
        problem = {
            "name": "uninas",
            "start": start,
            "objective": "train",
            "vary": self.asked["vary"],
            "budget": {"max_params": self.plan.max_params, "max_flops": self.plan.max_flops},
            "proxies": {"train": self._settings()},
        }
        watched = _Ticking(self.display, self.clock)
        result = execute(plan_from(problem, "ladder", content), out, display=watched, resume=resumed)
        if result.end.kind == "interrupted":
            self.clock.keep()
            raise KeyboardInterrupt
        best = result.best
        self._keep(
            search={
                "winner": start if best is None else best.text,
                "candidates": len(result.evaluations),
                "seconds": self.clock.spent_s,
                "fresh": _fresh(result),
            }
        )
        return dict(self.done["search"])

    def _trained(self, texts: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """The final trainings of the winner and the preset, side by side or in turn; the same seconds for each."""
        if "trained" not in self.done:
            different = dict.fromkeys(texts.values())
            calls: list[dict[str, Any]] = []
            for text in different:
                for seed in range(self.plan.seeds):
                    place = f"trained/{genome_id(text)}/seed-{seed}"
                    calls.append(
                        {"text": text, "folder": str(self.folder / place), "seed": 1000 + self.asked["seed"] + seed}
                    )
            rounds = math.ceil(len(calls) / len(self.places))
            reserve = (1 - sum(SHARES.values())) * self.clock.limit_s
            seconds = max((self.clock.left_s - reserve) / rounds, 1.0)
            self.display.say(f"final trainings: {len(calls)} of {duration(seconds)} each")
            common = {"data": self.asked["data"], "protocol": dict(self.plan.protocol), "seconds": seconds}
            trained = side_by_side(final_training, [call | common for call in calls], self.places, self.clock.tick)
            found: dict[str, list[dict[str, Any]]] = {text: [] for text in different}
            for call, result in zip(calls, trained, strict=True):
                found[call["text"]].append(result | {"folder": str(Path(call["folder"]).relative_to(self.folder))})
            self._keep(trained=found, test_images=self._test_images())
        kept: dict[str, list[dict[str, Any]]] = self.done["trained"]
        return {label: kept[text] for label, text in texts.items()}

    def _test_images(self) -> int:
        from uninas_evo.training.readers import read_splits

        return len(read_splits(self.asked["data"], self.plan.protocol["val_fraction"]).test)

    def _settings(self) -> dict[str, Any]:
        """Of the scorer `train`."""
        return {
            "data": self.asked["data"],
            "protocol": str((self.folder / "protocol.toml").absolute()),
            "fidelities": [dict(one) for one in self.plan.fidelities],
            "stop": 0.2,
            "cache_mb": CACHE_MB,
        }

    def _keep(self, **results: Any) -> None:
        self.done |= results
        write_text(self.folder / DONE, json.dumps(self.done, indent=1) + "\n")
        self.clock.keep()


class _Ticking(Display):
    """Shows what another display shows, and tells the clock."""

    def __init__(self, shown: Display, clock: Clock) -> None:
        self.shown, self.clock = shown, clock
        self.say, self.ended = shown.say, shown.ended  # type: ignore[method-assign]

    def started(self, loop: Loop, before: Preflight) -> None:
        """The workers are ready."""
        self.clock.tick()
        self.shown.started(loop, before)

    def update(self, loop: Loop) -> None:
        """Something changed."""
        self.clock.tick()
        self.shown.update(loop)


def sentence(facts: Mapping[str, Any], seeds: int, same: bool) -> str:
    """What the search added over the best scaled preset, as far as that is known."""
    cost = (
        f"the search took {duration(facts['search_s'])} and the winner's training {duration(facts['training_s'])}, "
        f"{duration(facts['search_s'] + facts['training_s'])} together; the preset alone took "
        f"{duration(facts['preset_s'])}."
    )
    preset = f"the best scaled preset ({facts['preset']})"
    if same:
        return f"The search found nothing better than {preset}, which has {facts['preset_accuracy']:.2%}; {cost}"
    accuracies = f"{facts['winner_accuracy']:.2%} against {facts['preset_accuracy']:.2%} of {preset} trained as long"
    interval = f"{100 * facts['gap']:+.2f} points of test accuracy [{100 * facts['gap_low']:+.2f}, {100 * facts['gap_high']:+.2f}]"
    holds = f"95 %, over {seeds} trainings of each" if seeds > 1 else "95 %, over the test images; one training of each"
    if facts["gap_low"] > 0:
        verdict = f"The search added {interval} ({holds})"
    elif facts["gap_high"] < 0:
        verdict = f"The search lost {interval} ({holds})"
    else:
        verdict = f"Whether the search added anything is not known: {interval} ({holds})"
    return f"{verdict}: {accuracies}; {cost}"


def _best(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return max(results, key=lambda one: float(one["val_accuracy"]))


def _fresh(result: SearchResult) -> dict[str, list[float]] | None:
    return None if result.rescored is None else dict(result.rescored.values)


def _elapsed(folder: Path) -> float:
    """Seconds that a search has taken so far, as its journal tells."""
    _, events = read_journal(folder)
    return max((one.measured.at for one in events if isinstance(one, ResultEvent)), default=0.0)


def _read(path: Path) -> dict[str, Any]:
    """A table that was written here.

    Raises:
        JournalError: it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise JournalError(f"{path} cannot be read ({error}); remove {path.parent} and begin anew") from None
    if not isinstance(content, dict):
        raise JournalError(f"{path} holds no table; remove {path.parent} and begin anew")
    return content


def _toml(settings: Mapping[str, Any]) -> str:
    """Settings as TOML; JSON writes numbers, texts, booleans and lists of them alike."""
    return "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
