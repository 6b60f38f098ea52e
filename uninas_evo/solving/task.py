"""A plan being carried out, stage by stage; what is done is written down and never done again."""

from __future__ import annotations

import json
import math
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from uninas_evo.compare.pretrained import PretrainedSpace
from uninas_evo.compare.train_and_compare import Row, with_gap
from uninas_evo.config.runfile import AfterOptions
from uninas_evo.contracts import Shape
from uninas_evo.engine import journal as journals
from uninas_evo.engine.display import Display
from uninas_evo.engine.events import AskEvent, ResultEvent
from uninas_evo.engine.journal import read_journal
from uninas_evo.engine.loop import Loop
from uninas_evo.engine.preflight import Preflight
from uninas_evo.engine.results import SearchResult
from uninas_evo.engine.search import execute, plan_from
from uninas_evo.files import write_text
from uninas_evo.formats import duration
from uninas_evo.report.record import genome_id
from uninas_evo.solving.clock import Clock
from uninas_evo.solving.plan import MOST_EPOCHS, SHARES, Plan, reserve_s
from uninas_evo.solving.solution import SOLUTION, Solution, read_table, sentence
from uninas_evo.solving.workers import final_training, short_accuracy, side_by_side, timed
from uninas_evo.spaces.load import load_genome

DONE = "stages.json"
"""What the stages that are over came to."""
PROTOCOL = "protocol.toml"
"""The protocol of all trainings."""
CACHE_MB = 500.0
"""Decoded images that a worker keeps, in files."""
FINALISTS = 5
"""Most finalists, and most fresh seeds."""
KEPT = 0.85
"""Share of a final training's time that its epochs are planned to fill: speed changes where others work too."""
STOP = 0.2
"""Nats above the start's first loss at which a candidate is given up, as in the measurement (docs/truth.md)."""


class Task:
    """A plan being carried out, stage by stage; what is done is written down and never done again."""

    def __init__(
        self, folder: Path, asked: Mapping[str, Any], plan: Plan, places: Sequence[str], display: Display
    ) -> None:
        self.folder, self.asked, self.plan, self.places, self.display = folder, asked, plan, places, display
        self.clock = Clock(folder / "clock.json", 3600 * plan.hours)
        self.clock.keep()
        self.done: dict[str, Any] = read_table(folder / DONE) if (folder / DONE).is_file() else {}

    def solution(self) -> Solution:
        """Carries out what is left."""
        from uninas_evo.report.runpage import report
        from uninas_evo.training.formats import export

        preset, text = self._preset()
        found = self._search(text)
        texts = {"preset": text, "winner": found["winner"]}
        if self.baseline:
            texts["baseline"] = self.baseline.label
        results = self._trained(texts)
        values = {label: _best(results[label])["validated"] for label in ("preset", "winner")}
        chosen: Literal["winner", "preset"] = "winner" if values["winner"] > values["preset"] else "preset"
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
        accuracies = {label: [one["tested"]["accuracy"] for one in own] for label, own in results.items()}
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
            "baseline": self.baseline.label if self.baseline else "",
            "baseline_accuracy": rows["baseline"].accuracy if self.baseline else None,
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
        if "search" not in self.done:
            out = self.folder / "search"
            until_s = (SHARES["presets"] + SHARES["search"]) * self.clock.limit_s
            found = self._run(start, out, AfterOptions(rescore=0, plot=False), until_s)
            after, took_s = self._finalists(out)
            if after.rescore:
                self.display.say(f"finalists: {after.finalists} and the start, {after.rescore} fresh seeds each")
                found = self._run(start, out, after, took_s)
            best = found.best
            self._keep(
                search={
                    "winner": start if best is None else best.text,
                    "candidates": len(found.evaluations),
                    "seconds": self.clock.spent_s,
                    "fresh": None if found.rescored is None else dict(found.rescored.values),
                }
            )
        return dict(self.done["search"])

    def _run(self, start: str, out: Path, after: AfterOptions, until_s: float) -> SearchResult:
        """The search, from where its journal ends, and what comes after it.

        Args:
            start: where it begins.
            out: its folder.
            after: what comes after it.
            until_s: when it ends on the clock; one that took as long is over.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        content = {
            "seed": self.asked["seed"],
            "time_limit_s": until_s,
            "pool": {"devices": list(self.places), "threads": 1},
            "after": after.model_dump(),
        }
        problem = {
            "name": "uninas",
            "start": start,
            "objective": "train",
            "vary": self.asked["vary"],
            "budget": {"max_params": self.plan.max_params, "max_flops": self.plan.max_flops},
            "proxies": {"train": self._settings()},
        }
        watched = _Ticking(self.display, self.clock, until_s)
        resumed = (out / journals.FILE_NAME).is_file()
        result = execute(plan_from(problem, "ladder", content), out, display=watched, resume=resumed)
        if result.end.kind == "interrupted":
            self.clock.keep()
            raise KeyboardInterrupt
        return result

    def _finalists(self, out: Path) -> tuple[AfterOptions, float]:
        """How many of the best are trained again, with how many fresh seeds: what their share of the clock allows.

        Returns:
            That, and the seconds that the search itself took.
        """
        _, events = read_journal(out)
        full = {one.number for one in events if isinstance(one, AskEvent) and one.fidelity is None}
        elapsed = max((one.measured.at for one in events if isinstance(one, ResultEvent)), default=0.0)
        took = [one.measured.seconds for one in events if isinstance(one, ResultEvent) and one.number in full]
        share_s = (SHARES["presets"] + SHARES["search"] + SHARES["finalists"]) * self.clock.limit_s
        left_s = max(share_s - self.clock.spent_s, 0.0)
        trainings = int(left_s * len(self.places) / statistics.median(took)) if took else 0
        finalists = min(FINALISTS, trainings - 1, len(took))
        seeds = min(trainings // (finalists + 1), FINALISTS) if finalists > 1 else 0
        return AfterOptions(rescore=seeds, finalists=max(finalists, 1), plot=False), elapsed

    def _trained(self, texts: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
        """The final trainings of the winner and the preset, side by side or in turn; the same time for each."""
        if "trained" not in self.done:
            calls: list[dict[str, Any]] = [
                {"text": text, "seed": 1000 + self.asked["seed"] + number}
                for text in dict.fromkeys(texts.values())
                for number in range(self.plan.seeds)
            ]
            rounds = math.ceil(len(calls) / len(self.places))
            common = {
                "data": self.asked["data"],
                "protocol": dict(self.plan.protocol),
                "baseline": self.asked["baseline"],
                "image": self._image,
            }
            epochs = self._epochs(list(dict.fromkeys(texts.values())), rounds, common)
            begin, seconds = time.time(), self._left_s / rounds
            for index, call in enumerate(calls):
                place = self.folder / "trained" / genome_id(call["text"]) / f"seed-{call['seed']}"
                until = begin + (index // len(self.places) + 1) * seconds
                call.update(common | {"epochs": epochs[call["text"]], "folder": str(place), "until": until})
            self.display.say(f"final trainings: {len(calls)}, {duration(seconds)} each")
            trained = side_by_side(final_training, calls, self.places, self.clock.tick)
            found: dict[str, list[dict[str, Any]]] = {call["text"]: [] for call in calls}
            for call, result in zip(calls, trained, strict=True):
                found[call["text"]].append(result | {"folder": str(Path(call["folder"]).relative_to(self.folder))})
            self._keep(trained=found, test_images=self._test_images())
        kept: dict[str, list[dict[str, Any]]] = self.done["trained"]
        return {label: kept[text] for label, text in texts.items()}

    @cached_property
    def baseline(self) -> PretrainedSpace | None:
        """The pretrained network that is trained as long as the winner; None for none."""
        source = self.asked["baseline"]
        if not source:
            return None
        classes = load_genome(next(iter(self.plan.presets.values()))).skeleton.classes
        return PretrainedSpace(source, self._image, classes, self.display.say)

    @property
    def _image(self) -> Shape:
        """(C, H, W) of all trainings but those of a skeleton that was varied."""
        image: Shape = load_genome(next(iter(self.plan.presets.values()))).skeleton.image
        return image

    def _epochs(self, texts: Sequence[str], rounds: int, common: Mapping[str, Any]) -> dict[str, int]:
        """Epochs by genome, so that all take the same time: they are timed in turn, in one process."""
        if "epochs" not in self.done:
            (each,) = side_by_side(timed, [{"texts": texts, **common}], self.places, self.clock.tick)
            seconds = KEPT * self._left_s / rounds
            fitting = [min(max(round(seconds / one), 1), MOST_EPOCHS) for one in each]
            self._keep(epochs=dict(zip(texts, fitting, strict=True)))
        return dict(self.done["epochs"])

    @property
    def _left_s(self) -> float:
        """Seconds for the final trainings."""
        return max(self.clock.left_s - reserve_s(self.clock.limit_s), 1.0)

    def _test_images(self) -> int:
        from uninas_evo.training.readers import read_splits

        return len(read_splits(self.asked["data"], self.plan.protocol["val_fraction"]).test)

    def _settings(self) -> dict[str, Any]:
        """Of the scorer `train`."""
        return {
            "data": self.asked["data"],
            "protocol": str((self.folder / PROTOCOL).absolute()),
            "fidelities": [dict(one) for one in self.plan.fidelities],
            "stop": STOP,
            "cache_mb": CACHE_MB,
        }

    def _keep(self, **results: Any) -> None:
        self.done |= results
        write_text(self.folder / DONE, json.dumps(self.done, indent=1) + "\n")
        self.clock.keep()


class _Ticking(Display):
    """Shows what another display shows, tells the clock, and ends the search by it.

    Args:
        shown: the other display.
        clock: also counts what workers take to start, which a search does not.
        until_s: when the search ends, on that clock.
    """

    def __init__(self, shown: Display, clock: Clock, until_s: float) -> None:
        self.shown, self.clock, self.until_s = shown, clock, until_s
        self.say, self.ended = shown.say, shown.ended  # type: ignore[method-assign]

    def started(self, loop: Loop, before: Preflight) -> None:
        """The workers are ready."""
        self.clock.tick()
        loop.time_limit_s = loop.elapsed_s + self.until_s - self.clock.spent_s
        self.shown.started(loop, before)

    def update(self, loop: Loop) -> None:
        """Something changed."""
        self.clock.tick()
        self.shown.update(loop)


def _best(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return max(results, key=lambda one: float(one["validated"]))
