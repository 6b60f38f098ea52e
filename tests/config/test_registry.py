"""What packages from outside add by name, and that a broken one breaks nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from uninas_evo import registry
from uninas_evo.cli._listing import listing
from uninas_evo.config.reference import reference
from uninas_evo.errors import ObjectiveError, ProxyError, RunFileError
from uninas_evo.problems.search import SearchProblem
from uninas_evo.problems.uninas import UninasOptions, UninasProblem
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset
from uninas_evo.strategies import check_objectives

SPACE = UninasSpace(preset("resnet", Skeleton(image_size=16, classes=4, stem=(8, 8), channels=(16,), depths=(1,))))


def test_a_proxy_from_outside_is_found_by_name(outside: Path) -> None:
    """In a run file, with its settings and its goal, alone and in an aggregate."""
    options = UninasOptions(
        objectives=["contrast"], proxies={"contrast": {"scale": 2}}, aggregate=["naswot", "contrast"]
    )
    assert options.objectives == ["contrast"]
    one, two = (SearchProblem(SPACE, ["contrast"], batch=4, proxies={"contrast": {"scale": s}}) for s in (1, 2))
    assert one.objectives[0].goal == "minimize"
    values = [problem.evaluate(SPACE.start, "cpu")["contrast"] for problem in (one, two)]
    assert values[1] == pytest.approx(2 * values[0])
    with pytest.raises(ObjectiveError, match=r"problem.proxies.contrast has no setting 'scales' .* it has scale"):
        UninasProblem(SPACE, ["contrast"], proxies={"contrast": {"scales": 2}})


def test_a_scorer_from_outside_is_found_by_name(outside: Path) -> None:
    """With its settings, which are checked; one that it needs is asked for."""
    problem = SearchProblem(SPACE, ["depth"], proxies={"depth": {"kind": "Conv2d"}})
    assert problem.evaluate(SPACE.start, "cpu")["depth"] > 1
    with pytest.raises(
        ObjectiveError, match=r"'depth' needs a layer's class, got none; set problem\.proxies\.depth\.kind"
    ):
        SearchProblem(SPACE, ["depth"])
    with pytest.raises(ObjectiveError, match=r"problem\.proxies\.depth\.kind: should be a valid string, got 3"):
        SearchProblem(SPACE, ["depth"], proxies={"depth": {"kind": 3}})


def test_what_is_no_proxy_is_refused(outside: Path) -> None:
    """An entry point must name a `Proxy`, which knows its goal."""
    with pytest.raises(ProxyError, match=r"'bare' must name a uninas_evo.proxies.Proxy.*write `mine = Proxy"):
        SearchProblem(SPACE, ["bare"])


def test_a_broken_package_breaks_nothing_else(outside: Path) -> None:
    """Whatever it raises when imported is told where it is named; lists, the reference and messages go on."""
    for kind, name, reason in (
        ("problem", "broken", "AttributeError"),
        ("problem", "raises", "ValueError: half done"),
        ("proxy", "raises", "ValueError: half done"),
    ):
        with pytest.raises(RunFileError, match=f"the {kind} {name} .* cannot be imported: {reason}"):
            registry.find(kind, name)
    rows = dict(zip(*(column.cells for column in listing(None).columns[1:]), strict=True))
    assert "half done" in str(rows["raises"])
    assert "aging" in rows
    assert "minimize: How far" in str(rows["contrast"])
    assert "maximize: Layers of a kind" in str(rows["depth"])
    assert '`name = "evolution"`' in reference()
    with pytest.raises(ObjectiveError, match=r"got 0 \(none\); name one"):
        check_objectives(registry.find("strategy", "evolution"), ())
