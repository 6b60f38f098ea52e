"""A real browser for the pages: Debian's chromium, headless, where it is installed."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from html import unescape
from pathlib import Path
from typing import Any

import pytest

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1200,900",
    "--virtual-time-budget=4000",
)
WATCH = """<script>
window.seen = [];
addEventListener("error", (event) => seen.push(`error: ${event.message || event.target.src}`), true);
addEventListener("unhandledrejection", (event) => seen.push(`rejected: ${event.reason}`));
addEventListener("securitypolicyviolation", (event) => seen.push(`refused: ${event.blockedURI}`));
</script>"""
CHECK = """<script>
addEventListener("load", () => {
  const told = {};
  try { (() => { %s })(); } catch (error) { seen.push(`check: ${error}`); }
  for (const entry of performance.getEntriesByType("resource")) seen.push(`request: ${entry.name}`);
  const result = document.createElement("pre");
  result.id = "told";
  result.textContent = JSON.stringify({ told, seen });
  document.body.append(result);
});
</script>"""

Browse = Callable[..., dict[str, Any]]


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """Opens a page, runs a script in it that fills the object `told`, and gives that object.

    Fails where the page's scripts raise, or where it asks for anything outside itself.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")

    def open_page(html: str, script: str, dark: bool = False) -> dict[str, Any]:
        page = tmp_path / "page.html"
        page.write_text(html.replace("<head>", "<head>" + WATCH, 1).replace("</body>", CHECK % script + "</body>"))
        home = tmp_path / "home"
        home.mkdir(exist_ok=True)
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        done = subprocess.run(
            [chromium, *FLAGS, *scheme, f"--user-data-dir={home / 'data'}", "--dump-dom", page.as_uri()],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={**os.environ, "HOME": str(home)},
        )
        found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
        assert found, "the page never finished loading"
        result = json.loads(unescape(found[1]))
        assert result["seen"] == []
        told: dict[str, Any] = result["told"]
        return told

    return open_page
