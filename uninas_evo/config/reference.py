"""The run-file reference, made from the models that check run files, so that it cannot be wrong."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from uninas_evo import registry
from uninas_evo.config.runfile import CHANGEABLE, RunOptions
from uninas_evo.errors import UninasEvoError
from uninas_evo.mistakes import members

_INTRO = """# Run files

A run file says what a search is, in [TOML](https://toml.io). This page is made from the models that check run files
(`uninas-evo reference > docs/run-files.md`), so the two cannot differ.

```toml
seed = 0
evaluations = 200

[problem]
start = "coatnet"
objective = "vkdnw"
skeleton = { image_size = 32, classes = 10, stem = [8, 16], channels = [32, 64], depths = [1, 1] }
budget = { max_params = 150_000 }

[strategy]
name = "evolution"
population = 32

[pool]
devices = "auto"
```

- Every field can be changed on the command line: `--set strategy.population=64`; the value is TOML.
- All mistakes are told at once, each with the field, the rule, the value and the nearest right word.
- Relative paths count from the run file's folder, then from the working folder.
- The run file with every default filled in is written into the run folder. `uninas-evo resume DIR --set FIELD=VALUE`
  may change {changeable}; nothing else, since the record depends on it.
- A run file that names a function of yours as an objective makes the program run it. Nothing else in a run file,
  a genome file or a run folder is ever executed. On resume the function's file and the modules of yours that it
  imports must be the recorded ones, by hash (the path may change), or `--allow-changed-objective` is needed.
- A run folder that no run of yours on this machine wrote runs no code and connects to no cluster that it names until
  you agree to that code once: `--trust`.
"""


def reference() -> str:
    """The page, in Markdown."""
    changeable = ", ".join(f"`{name}`" for name in CHANGEABLE)
    parts = [_INTRO.replace("{changeable}", changeable), "## Top of the file\n", _table(RunOptions)]
    for field in ("pool", "after", "train"):
        (model,) = members(RunOptions.model_fields[field].annotation)
        parts += [f"## `[{field}]`\n", _text(model), _table(model)]
    for kind in ("problem", "strategy"):
        for name in registry.names(kind):
            try:
                found = registry.find(kind, name)
            except UninasEvoError:  # a strategy of an extra that is not installed
                continue
            parts += [f'## `[{kind}]` with `name = "{name}"`\n', _text(found), _table(found.Options)]
            parts += [part for field, model in _inner(found.Options) for part in _section(f"{kind}.{field}", model)]
    for name in registry.names("scorer"):
        try:
            parts += _section(f"problem.proxies.{name}", registry.find("scorer", name).Options)
        except UninasEvoError:
            continue
    return "\n".join(parts).rstrip() + "\n"


def _section(title: str, model: Any) -> list[str]:
    return [f"### `[{title}]`\n", _text(model), _table(model)]


def _inner(model: type[BaseModel]) -> Iterator[tuple[str, Any]]:
    """The tables inside a table: models and dataclasses, also as items of lists."""
    for name, field in model.model_fields.items():
        for kind in members(field.annotation):
            for one in (kind, *typing.get_args(kind)):
                for member in members(one):
                    if isinstance(member, type) and (issubclass(member, BaseModel) or dataclasses.is_dataclass(member)):
                        yield name, member


def _text(documented: Any) -> str:
    return (documented.__doc__ or "").strip().partition("\n\n")[0].partition("\n")[0] + "\n"


def _table(model: Any) -> str:
    rows = ["| field | type | default | what it is |", "|---|---|---|---|"]
    if isinstance(model, type) and issubclass(model, BaseModel):
        rows += [
            _row(name, one.annotation, _default(one), one.description or "") for name, one in model.model_fields.items()
        ]
    else:
        told = _attributes(model.__doc__ or "")
        hints = typing.get_type_hints(model)
        rows += [
            _row(one.name, hints[one.name], _shown(one.default), told[one.name]) for one in dataclasses.fields(model)
        ]
    return "\n".join(rows) + "\n" if len(rows) > 2 else "It has no options.\n"


def _row(name: str, annotation: Any, default: str, description: str) -> str:
    kinds = " or ".join(dict.fromkeys(_kind(one) for one in members(annotation)))
    return f"| `{name}` | {kinds} | {default} | {description.replace('|', chr(92) + '|')} |"


def _kind(annotation: Any) -> str:
    """A type in TOML's words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return ", ".join(f"`{json.dumps(one)}`" for one in arguments)
    if origin in (list, tuple):
        inner = " or ".join(dict.fromkeys(_kind(one) for item in arguments for one in members(item) if item is not ...))
        return f"list of {inner}"
    words = {int: "integer", float: "number", str: "string", bool: "true or false"}
    return words.get(annotation, "path" if getattr(annotation, "__name__", "") == "Path" else "table")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    return _shown(field.default if field.default_factory is None else PydanticUndefined)


def _shown(value: Any) -> str:
    if value is None or value is PydanticUndefined:
        return ""
    return f"`{json.dumps(value, default=str)}`"


def _attributes(docstring: str) -> dict[str, str]:
    """The descriptions under `Attributes:` of a docstring, by name."""
    found: dict[str, str] = {}
    name = ""
    for line in docstring.partition("Attributes:")[2].splitlines():
        indent, text = len(line) - len(line.lstrip()), line.strip()
        if indent <= 4 and text:
            break
        if indent == 8 and ":" in text:
            name, _, text = text.partition(": ")
            found[name] = ""
        if name:
            found[name] = f"{found[name]} {text}".strip()
    return found
