"""Links to what lies in the run's folder."""

from __future__ import annotations

from html import escape
from urllib.parse import quote

from uninas_evo.report.run import Run

MAX_FILES = 200
"""Links that the page lists."""


def files(run: Run) -> str:
    """The folder's files as links, which work while the page lies in the folder."""
    found = sorted(path for path in run.folder.rglob("*") if path.is_file() and not path.is_symlink())
    names = [path.relative_to(run.folder).as_posix() for path in found]
    if not names:
        return ""
    links = "".join(f'<li><a href="./{quote(name)}">{escape(name)}</a></li>' for name in names[:MAX_FILES])
    more = f" (the first {MAX_FILES})" if len(names) > MAX_FILES else ""
    note = "They open where this page lies in the run's folder."
    return (
        f"<details><summary>{len(names)} files of the folder{more}</summary>"
        f'<p class="note">{note}</p><ul>{links}</ul></details>'
    )
