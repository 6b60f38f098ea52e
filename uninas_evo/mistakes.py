"""Checking options against their pydantic models, and telling every mistake in a user's words."""

from __future__ import annotations

import difflib
import math
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from uninas_evo.formats import message

Place = tuple[str | int, ...]
_LARGEST = 10**101
"""Greater numbers than any seed; Python itself refuses to write those of more than 4,300 digits."""
_OTHER_FORMS = ("string_type", "list_type", "dict_type", "model_type", "literal_error")
"""Mistakes that say that a value is of another kind than the field."""


def check(model: type[BaseModel], content: Mapping[str, Any], place: Place, folder: Path) -> tuple[Any, list[str]]:
    """An instance of the model, or None, and the mistakes: field, rule, value and the nearest right word.

    Args:
        model: what the content must be.
        content: the fields.
        place: where the content stands in its file.
        folder: where relative paths are looked for first; validators find it as `info.context["folder"]`.
    """
    loose = list(_loose(model, content, place))
    try:
        options = model.model_validate(content, context={"folder": folder})
    except ValidationError as error:
        told = _told(error, model, place)
        return None, told + [one for one in loose if not any(_name_of(one) == _name_of(other) for other in told)]
    except (OSError, OverflowError, RecursionError) as error:  # a path of any length, a number of any size
        field = ".".join(map(str, place))
        return None, [f"{field}{': ' if field else ''}a value cannot be used: {message(error)[:200]}"]
    if loose:
        return None, loose
    _absolute(options, folder)
    return options, []


def _name_of(mistake: str) -> str:
    return mistake.partition(":")[0]


def _loose(annotation: Any, value: Any, place: Place) -> Iterator[str]:
    """Values that pydantic would convert although they are of another kind, and those that no file can record."""
    kinds = members(annotation)
    name = ".".join(map(str, place))
    if isinstance(value, Mapping):
        for key, one in value.items():
            inner = next((found[0] for kind in kinds if (found := _field(kind, key))), Any)
            if place or inner != dict[str, Any]:  # an open table at the top is checked by its own model
                yield from _loose(inner, one, (*place, str(key)))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            inner = next((found[0] for kind in kinds if (found := _hints(kind, number))), Any)
            yield from _loose(inner, one, (*place, number))
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{name}: must be a finite number, got {value}; leave it out where there is no bound"
    elif isinstance(value, int) and abs(value) > _LARGEST:
        yield f"{name}: must be a number of {len(str(_LARGEST)) - 1} digits at most, got one of more"
    elif isinstance(value, str) and not value.isascii() and _has_surrogates(value):
        yield f"{name}: must be text in UTF-8, got {value!a:.80}"
    elif isinstance(value, bool) and bool not in kinds and {int, float} & set(kinds):
        yield f"{name}: must be a number, got {str(value).lower()}"
    elif bool in kinds and not isinstance(value, bool) and type(value) not in kinds and isinstance(value, int | str):
        yield f"{name}: must be true or false, got {_short(value)}"
    elif isinstance(value, str) and {int, float} & set(kinds) and not any(map(_takes_text, kinds)):
        yield f"{name}: must be a number, got {_short(value)}; write it without quotes"


def _takes_text(kind: Any) -> bool:
    return kind is str or typing.get_origin(kind) is typing.Literal or getattr(kind, "__name__", "") in ("Any", "Path")


def _field(owner: Any, key: Any) -> list[Any]:
    """The type of a model's field or a table's values, whole, in a list; empty where it has none."""
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        found = owner.model_fields.get(str(key))
        return [] if found is None else [found.annotation]
    if str(key) in _names(owner):
        return [typing.get_type_hints(owner)[str(key)]]
    return [typing.get_args(owner)[1]] if typing.get_origin(owner) is dict else []


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= one <= "\udfff" for one in text)


def nearest(word: str, words: Iterable[str]) -> str:
    """A clause that names the word most alike, empty where none is."""
    known = [one for one in words if one]
    begun = sorted(one for one in known if len(word) > 1 and one.startswith(word))
    found = begun or difflib.get_close_matches(word[:100], known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else ""


def _told(error: ValidationError, model: type[BaseModel], place: Place) -> list[str]:
    """One line for each wrong field; a field with several allowed forms gets one line for all of them."""
    rules: dict[str, list[str]] = {}
    got: dict[str, str] = {}
    hints: dict[str, str] = {}
    errors = [(*_fields(found["loc"], model), found) for found in error.errors(include_url=False)]
    meant = [where for where, _, found in errors if found["type"] not in _OTHER_FORMS]
    for where, known, found in errors:
        if found["type"] in _OTHER_FORMS and any(one[: len(where)] == where for one in meant):
            continue  # the field may have another form, and this one was written, with a mistake inside
        name = ".".join(str(part) for part in (*place, *where))
        rule, hint = _rule(dict(found), where, known)
        rules.setdefault(name, []).append(rule)
        told = found["type"] == "missing" or ", got " in rule or "; did you mean " in rule
        got[name] = "" if told else f", got {_short(found['input'])}"
        hints[name] = hints.get(name) or hint
    return [
        f"{name}{': ' if name else ''}{' or '.join(dict.fromkeys(told))}{got[name]}{hints[name]}"
        for name, told in rules.items()
    ]


def _rule(found: dict[str, Any], where: Place, known: list[str]) -> tuple[str, str]:
    """What a field must be, and a hint at what may have been meant."""
    if found["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return "there is no such field", nearest(str(where[-1]), known) or _choices(known)
    if found["type"] == "missing":
        return "this field is needed and is missing", ""
    message = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = re.sub(r"valid dictionary( or instance of \w+)?", "table", message)
    expected = str(found.get("ctx", {}).get("expected", "")).replace(" or ", ",")
    return message, nearest(str(found["input"]), [word.strip(" '") for word in expected.split(",")])


def _choices(known: list[str]) -> str:
    return f"; the fields are {', '.join(known)}" if known else ""


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _fields(location: Place, model: type[BaseModel]) -> tuple[Place, list[str]]:
    """The part of an error's location that names fields of the file, and the fields known where it ends.

    Pydantic's locations also name the members of unions ("list[str]", "CpuWorkers"), which a user never wrote.
    """
    where: list[str | int] = []
    current: list[Any] = [model]
    known = _names(model)
    for part in location:
        if len(current) > 1:
            current = [one for one in current if str(part).startswith(getattr(one, "__name__", "?"))]
        else:
            known = _names(current[0]) if current else []
            where.append(part)
            current = _hints(current[0], part) if current else []
    return tuple(where), known


def _hints(owner: Any, part: str | int) -> list[Any]:
    """The types that a field, or an item of a list or table, may have."""
    if isinstance(part, str) and part in _names(owner):
        if isinstance(owner, type) and issubclass(owner, BaseModel):
            return members(owner.model_fields[part].annotation)
        return members(typing.get_type_hints(owner)[part])
    arguments = typing.get_args(owner)
    if typing.get_origin(owner) in (list, tuple) and isinstance(part, int):
        return members(arguments[0])
    if typing.get_origin(owner) is dict and isinstance(part, str):
        return members(arguments[1])
    return []


def members(annotation: Any) -> list[Any]:
    """The members of a union, or the one type itself; annotations are looked through."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return members(typing.get_args(annotation)[0])
    if origin is typing.Union or str(origin) == "<class 'types.UnionType'>":
        found = [one for argument in typing.get_args(annotation) for one in members(argument)]
        return [one for one in found if one is not type(None)]
    return [annotation]


def annotated(field: FieldInfo) -> Any:
    """A field's type with its bounds."""
    return typing.Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def _names(owner: Any) -> list[str]:
    if isinstance(owner, type) and issubclass(owner, BaseModel):
        return list(owner.model_fields)
    return list(getattr(owner, "__dataclass_fields__", ()))


def _absolute(options: BaseModel, folder: Path) -> None:
    """Makes a model's paths absolute: beside the run file where there is such a file, else in the working folder."""
    for name in type(options).model_fields:
        value = getattr(options, name)
        tables = value.values() if isinstance(value, Mapping) else [value]
        for table in tables:
            if isinstance(table, BaseModel):
                _absolute(table, folder)
        if isinstance(value, Path) and not value.is_absolute():
            beside = folder / value  # of any length: pathlib's own `exists` raises for names that are too long
            object.__setattr__(options, name, (beside if os.path.exists(beside) else value).absolute())
