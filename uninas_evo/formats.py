"""How numbers and times are written for people, the same everywhere."""

from __future__ import annotations

import math


def number(value: str | int | float | None) -> str:
    """A number with five digits that count; a dash for what is missing, infinity for never."""
    if value is None:
        return "–"
    if isinstance(value, float):
        if math.isnan(value):
            return "–"
        return "never" if math.isinf(value) else f"{value:.5g}" if abs(value) < 1e5 else f"{value:.3e}"
    return str(value)


def amount(number: float) -> str:
    """A count with three digits that count and an SI prefix: 1.23M."""
    for limit, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K")):
        if number >= 0.9995 * limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"


def exact(value: float) -> str:
    """A whole number in full, with commas; any other as `number`."""
    return f"{value:,.0f}" if float(value).is_integer() else number(float(value))


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 20 s, 2 h 05 min."""
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def message(error: BaseException) -> str:
    """What an error says, on one line; empty where it cannot even tell that."""
    try:
        return " ".join(str(error).split())
    except BaseException:  # an error's own text is code of whoever raised it
        return ""


def printable(text: str) -> str:
    """A text with everything escaped that would move a terminal's cursor or cannot be written as UTF-8."""
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def plain_cell(text: str) -> str:
    """A text as a cell of a CSV file that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
