"""Training of shared weights: a preparation of a problem that ends with the same weights however often it was killed.

The folder holds `supernet.json` (what is trained), `steps.jsonl` (a line a step), `last.pt` (the whole state) and, at
the end, `weights.safetensors`, `derived.txt` where a policy was learned, and `result.json`.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import nn

from uninas_evo.contracts import Progress, Space
from uninas_evo.errors import RunFileError, SpaceError, TrainingError
from uninas_evo.files import own_folder, write_atomically
from uninas_evo.sharing.data import SharedData, batch_indices, generator_of, read_data
from uninas_evo.sharing.learner import Learner, PolicyLearner
from uninas_evo.sharing.learners import learner_class
from uninas_evo.sharing.options import SupernetOptions
from uninas_evo.training import checkpoint
from uninas_evo.training.extras import need
from uninas_evo.training.randomness import seeded

SAVE_EVERY_S = 300.0
"""Seconds between two checkpoints: what a kill can lose."""
WEIGHTS = "weights.safetensors"


class SupernetTraining:
    """A supernet, its learner and its data; trains from the last checkpoint to the end.

    Args:
        space: whose genomes are served.
        options: the settings.
        seed: of every draw.
        folder: for files; None keeps nothing.
        device: what to compute on.

    Raises:
        RunFileError: the learner or one of its settings is unknown.
        SpaceError: the space shares no weights, or the learner cannot serve it.
        DataError: the data is missing or too small.
    """

    def __init__(
        self, space: Space[Any], options: SupernetOptions, seed: int, folder: Path | None, device: str = "cpu"
    ) -> None:
        self.space, self.options, self.seed, self.folder, self.device = space, options, seed, folder, device
        self._build(len(options.stages) - 1)  # what the training ends with
        self.learner = _learner(self.net, space, options, seed)

    def _build(self, stage: int) -> None:
        """Fresh weights of a stage, and their optimizer."""
        self.stage = stage
        with seeded(self.seed, 12, *([stage] if stage else [])):
            self.net: Any = _supernet(self.space, {**self.options.network, **self.options.stages[stage]})
        self.net = self.net.to(self.device)
        self.optimizer = self._optimizer()

    def _stage_of(self, step: int) -> int:
        count = len(self.options.stages)
        return min(count - 1, step * count // self.options.steps)

    def _optimizer(self) -> torch.optim.Optimizer:
        o, weights = self.options, self.net.parameters()
        if o.optimizer == "adam":
            return torch.optim.Adam(weights, o.lr, weight_decay=o.weight_decay)
        return torch.optim.SGD(weights, o.lr, o.momentum, weight_decay=o.weight_decay, nesterov=o.nesterov)

    @cached_property
    def data(self) -> SharedData:
        """The images of the training."""
        o = self.options
        return read_data(
            o.data,
            o.image or self.space.image[1],
            self.space.classes,
            images=o.images,
            share=self.learner.policy_share,
            batch=o.batch_size,
            seed=self.seed,
        )

    def run(self, progress: Progress = lambda _: None) -> None:
        """Trains what is left to be trained; a finished training only loads its weights.

        Raises:
            TrainingError: the folder holds another training, a checkpoint is damaged, or the training diverged.
        """
        start = self._begin()
        saved = time.monotonic()
        for step in range(start, self.options.steps):
            line = self.step(step)
            self._write(step, line)
            if time.monotonic() - saved > SAVE_EVERY_S and step + 1 < self.options.steps:
                self.save(step + 1)
                saved = time.monotonic()
            if (step + 1) % self.options.report == 0:
                progress(f"shared weights: step {step + 1} of {self.options.steps}, loss {line['loss']:.3f}")
        if start < self.options.steps:
            self.learner.conclude(lambda number: self._batch("policy", self.options.steps + number))
            self.save(self.options.steps)
        self._finish()

    def step(self, step: int) -> dict[str, Any]:
        """One step of the policy, if the learner has one, and one of the weights; returns its line."""
        if self._stage_of(step) != self.stage:
            self._build(self._stage_of(step))
            self.learner.enter(self.net, self.stage)
        with seeded(self.seed, 15, step):  # dropout draws from the global generator
            return self._step(step)

    def _step(self, step: int) -> dict[str, Any]:
        train, policy = self._batch("weights", step), self._batch("policy", step)
        self.net.train()
        self._set_rate(step)
        line: dict[str, Any] = {"step": step}
        if policy is not None:
            line |= self.learner.update(train, policy, step, self.optimizer)
        self.optimizer.zero_grad(set_to_none=True)
        paths = self.learner.paths(step)
        self.learner.teach(train[0])
        total = 0.0
        for place, path in enumerate(paths):
            loss = self.learner.loss(self.net(train[0], path), train[1], place)
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not math.isfinite(total):
            raise TrainingError(
                f"the training of shared weights diverged in step {step}: the loss is {total}; it must stay finite. "
                f"Lower problem.supernet.lr ({self.options.lr:g}) and train in another folder"
            )
        if self.options.clip_grad:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.options.clip_grad)
        self.optimizer.step()
        line["loss"] = total / len(paths)
        if isinstance(self.learner, PolicyLearner):
            line |= self.learner.gap(policy) if (step + 1) % self.options.report == 0 else {}
        else:
            line["genomes"] = [self._digits(path) for path in paths]
        return line

    def _batch(self, name: str, step: int) -> Any:
        """The batch of a part at a step; None where the part is not used."""
        part = getattr(self.data, name)
        if not len(part):
            return None
        purpose, size = ("weights", "policy").index(name), self.options.batch_size
        indices = batch_indices(len(part), size, step, self.seed, 13, purpose)
        if not self.options.mirror:
            return part.batch(indices, self.device)
        flips = torch.rand(size, generator=generator_of(self.seed, 14, purpose, step)) < 0.5
        return part.batch(indices, self.device, flips)

    def _set_rate(self, step: int) -> None:
        o = self.options
        progress = step * len(o.stages) / o.steps - self.stage
        rate = o.min_lr + (o.lr - o.min_lr) * 0.5 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        if hasattr(self.net, "set_dropout"):
            self.net.set_dropout(progress)

    def _digits(self, genome: Any) -> str:
        """A genome as a digit a decision, or its text in spaces without decisions."""
        indices = getattr(self.space, "indices", None)
        return self.space.encode(genome) if indices is None else "".join(map(str, indices(genome)))

    def save(self, done: int) -> None:
        """Writes the whole state after `done` steps."""
        if self.folder is None:
            return
        state = {
            "step": done,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "learner": self.learner.state(),
        }
        checkpoint.save_tensors(self.folder / "last.pt", state)

    def _begin(self) -> int:
        """Claims the folder or takes up its last checkpoint; returns the next step."""
        if self.folder is None:
            return 0
        own_folder(self.folder)
        _claim(self.folder / "supernet.json", self.identity)
        last = self.folder / "last.pt"
        done = 0
        if last.is_file():
            state = checkpoint.load_tensors(last)
            done = int(state["step"])
            self._build(self._stage_of(max(0, done - 1)))
            self.learner.net = self.net
            self.net.load_state_dict(state["net"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.learner.restore(state["learner"])
        _cut(self.folder / "steps.jsonl", done, self.options.steps)
        return done

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a training to be resumed."""
        space = self.space.encode(self.space.sample(self.learner.rng(0, 98))).splitlines()[:4]
        return {"space": space, "seed": self.seed, "options": self.options.model_dump(mode="json")}

    def _write(self, step: int, line: Mapping[str, Any]) -> None:
        """Appends the line of a sampler's step, or every so many of a policy's."""
        is_policy = isinstance(self.learner, PolicyLearner)
        if self.folder is None or (is_policy and (step + 1) % self.options.report):
            return
        if is_policy:
            line = {**line, "derived": self._digits(self.learner.derive())}
        with (self.folder / "steps.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def _finish(self) -> None:
        """Closes the folder with weights, the derived genome and their hash."""
        self.net.eval()
        if self.folder is None or (self.folder / "result.json").is_file():
            return
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.net.state_dict().items()}
        content = need("safetensors.torch").save(tensors)
        write_atomically(self.folder / WEIGHTS, lambda file: file.write(content), TrainingError)
        result = {"weights_sha256": hashlib.sha256(content).hexdigest(), "steps": self.options.steps}
        if isinstance(self.learner, PolicyLearner):
            text = self.space.encode(self.learner.derive())
            checkpoint.save_text(self.folder / "derived.txt", text)
            logits = {name: value.tolist() for name, value in self.learner.logits.items()}
            checkpoint.save_json(self.folder / "logits.json", logits)
        checkpoint.save_json(self.folder / "result.json", result)


def _supernet(space: Space[Any], settings: Mapping[str, Any]) -> nn.Module:
    try:
        return space.supernet(**settings)  # type: ignore[return-value]
    except TypeError as error:
        raise SpaceError(
            f"problem.supernet.network has a setting that the shared weights of {type(space).__name__} do not: "
            f"{error}; remove it"
        ) from None


def _learner(net: Any, space: Space[Any], options: SupernetOptions, seed: int) -> Learner:
    kind = learner_class(options.learner)
    try:
        settings = kind.Options.model_validate(options.options)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise RunFileError(
            f"problem.supernet.options.{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}, got {wrong['input']!r}; the "
            f"learner {options.learner} has {', '.join(kind.Options.model_fields) or 'no settings'}"
        ) from None
    if (kept := getattr(settings, "keep", None)) and len(kept) != len(options.stages):
        raise RunFileError(
            f"problem.supernet.options.keep needs a number for each of the {len(options.stages)} stages of "
            f"problem.supernet, got {len(kept)}; give as many"
        )
    return kind(net, space, settings, seed, options.steps)


def _claim(path: Path, mine: Mapping[str, Any]) -> None:
    """Makes a folder this training's own, or finds that it is another's."""
    if not path.is_file():
        checkpoint.save_json(path, mine)
        return
    theirs = checkpoint.load_json(path)
    if differing := [key for key in mine if theirs.get(key) != mine[key]]:
        raise TrainingError(
            f"folder {path.parent} holds shared weights of another {' and '.join(differing)}: a training is resumed "
            "with all settings unchanged; give another folder or remove this one"
        )


def _cut(path: Path, done: int, steps: int) -> None:
    """Keeps the lines of steps that a checkpoint holds."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            step = int(json.loads(line)["step"])
        except (ValueError, KeyError, TypeError):
            break  # torn by a kill
        if step < min(done, steps):
            kept.append(line)
    checkpoint.save_text(path, "".join(line + "\n" for line in kept))


def load_weights(net: nn.Module, folder: Path) -> None:
    """Takes up the weights that a training ended with.

    Raises:
        TrainingError: they are missing, damaged, or of another supernet.
    """
    path = folder / WEIGHTS
    try:
        net.load_state_dict(need("safetensors.torch").load_file(str(path)))
    except Exception as error:  # the reader raises whatever the damage leads to
        raise TrainingError(
            f"the shared weights {path} do not belong to this space or are damaged: {str(error)[:200]}; remove the "
            "folder and train anew"
        ) from error
