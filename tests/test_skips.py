"""The list of skips that a build may have."""

from __future__ import annotations

import skips


def test_only_what_cannot_be_installed_may_be_skipped() -> None:
    """Missing devices and Debian packages are; a missing Python package is a mistake of the build."""
    assert skips._allowed("GPU: no CUDA device can be used here")
    assert skips._allowed("chromium is not installed: apt-get install chromium")
    assert not skips._allowed("needs the extra: pip install 'uninas-evo[train]'")
