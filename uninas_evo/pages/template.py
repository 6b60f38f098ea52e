"""What all HTML pages share: one self-contained file, light and dark, that asks nothing of any server."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from html import escape
from importlib.resources import files
from string import Template

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="$policy">
$head<title>$title</title>
<style>
$style
</style>
</head>
<body>
<h1>$title</h1>
$body
$script</body>
</html>
""")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
"""Tells the browser to refuse every outside request."""


@cache
def asset(name: str, room: str = "pages") -> str:
    """The text of a file in the `assets` folder of a room of this package."""
    return (files("uninas_evo") / room / "assets" / name).read_text(encoding="utf-8")


def page(title: str, body: str, *, style: str = "", script: str = "", head: str = "") -> str:
    """A whole page.

    Args:
        title: the heading, as text.
        body: what follows the heading, as HTML.
        style: CSS beyond that of all pages.
        script: JavaScript that runs at the end.
        head: further elements of the head.
    """
    return _PAGE.substitute(
        title=escape(title),
        body=body,
        policy=_POLICY,
        head=head,
        style=asset("page.css") + style,
        script=f"<script>\n{script}</script>\n" if script else "",
    )


def figure(svg: str, caption: str, attributes: str = "") -> str:
    """A figure with its caption, and further attributes."""
    return f"<figure{attributes}>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of texts; it scrolls where it is wider than the page."""
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
