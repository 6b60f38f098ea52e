"""Where an error arose: the place for a failure's one line, and the whole traceback for who looks for the cause."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

MAX_TRACE = 8000
"""Characters of a traceback that are kept, its end: a recursion that never ends fills megabytes."""
_PACKAGE = Path(__file__).parents[1]
_LIBRARIES = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib"))


def place_of(error: BaseException) -> str:
    """Where an error arose, as " (file.py, line 31, in evaluate)": the deepest call in the user's code, else in ours.

    Errors that this package raises on purpose say what to do themselves; where they arose in it says nothing more.
    """
    from uninas_evo.errors import UninasEvoError

    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    if not own and not isinstance(error, UninasEvoError):
        own = [frame for frame in frames if _is_ours(frame.filename)]
    if not own:
        return ""
    frame = own[-1]
    return f" ({Path(frame.filename).name}, line {frame.lineno}, in {frame.name})"


def traceback_of(error: BaseException) -> str:
    """The whole traceback as text."""
    return "".join(traceback.format_exception(error))[-MAX_TRACE:]


def _is_ours(file: str) -> bool:
    """Whether a file is of this package, and not of the pool, whose checks say what is wrong themselves."""
    path = Path(file)
    return path.is_relative_to(_PACKAGE) and not path.is_relative_to(_PACKAGE / "pool")


def _is_users(file: str) -> bool:
    path = Path(file)
    return not (path.is_relative_to(_PACKAGE) or file.startswith(_LIBRARIES) or file.startswith("<"))
