"""The text of a genome of choices: what the space is, then a line per decision.

::

    toy 1
    image: 3 32 32
    classes: 10
    depth = 2
    operation_1 = conv3
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from uninas_evo.contracts import Decision
from uninas_evo.errors import GenomeError


def write_choices(form: str, settings: Mapping[str, str], decisions: Sequence[Decision], indices: Sequence[int]) -> str:
    """The text of a genome; `form` is its first line, such as ``"toy 1"``."""
    chosen = (f"{d.name} = {d.text(index)}" for d, index in zip(decisions, indices, strict=True))
    return "\n".join([form, *(f"{key}: {value}" for key, value in settings.items()), *chosen, ""])


def read_settings(text: str) -> dict[str, str]:
    """The `key: value` lines below a text's first one: what a space is made from again."""
    pairs = (line.partition(": ") for line in text.splitlines()[1:] if " = " not in line)
    return {key.strip(): value.strip() for key, found, value in pairs if found}


def read_choices(text: str, form: str, settings: Mapping[str, str], decisions: Sequence[Decision]) -> tuple[int, ...]:
    """The indices of a text.

    Raises:
        GenomeError: the first line is another one, a setting differs from the space's, a decision is missing, stands
            twice or is unknown, or an option is unknown.
    """
    answers = read_answers(text, form, settings)
    names = [decision.name for decision in decisions]
    if answers.keys() != set(names):
        missing = [name for name in names if name not in answers] or "none"
        more = [name for name in answers if name not in names] or "none"
        raise GenomeError(
            f"a genome's text has each of the {len(names)} decisions once, got {len(answers)} lines; missing: "
            f"{missing}, unknown: {more}; add or remove these lines"
        )
    return tuple(index_of(decision, answers[decision.name]) for decision in decisions)


def read_answers(text: str, form: str, settings: Mapping[str, str]) -> dict[str, str]:
    """The answers of a text by the names of their decisions.

    Raises:
        GenomeError: the first line is another one, a setting differs from the space's, or a decision stands twice.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines or lines[0] != form:
        raise GenomeError(
            f"a genome's text of this space begins with the line {form!r}, got {lines[0][:40] if lines else ''!r}; "
            "give a text that this space wrote"
        )
    found = read_settings(text)
    for key in sorted({*found, *settings}):
        if found.get(key) != settings.get(key):
            raise GenomeError(
                f"the genome is of another space: its {key} is {found.get(key)!r}, this space's is "
                f"{settings.get(key)!r}; decode it in a space of its own"
            )
    answers: dict[str, str] = {}
    for line in lines[1:]:
        name, found_one, answer = line.partition(" = ")
        if found_one and name in answers:
            raise GenomeError(f"a genome's text has each of its decisions once, got {name[:40]!r} twice; remove a line")
        if found_one:
            answers[name] = answer
    return answers


def index_of(decision: Decision, text: str) -> int:
    """The index of an answer's text.

    Raises:
        GenomeError: it answers another question.
    """
    try:
        return decision.index(text)
    except ValueError:
        raise GenomeError(f"{decision.name} must be {decision.describe()}, got {text[:40]!r}") from None
