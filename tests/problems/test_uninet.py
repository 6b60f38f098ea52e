"""The UniNet space as a problem of a run file."""

from __future__ import annotations

from pathlib import Path

import pytest

from uninas_evo.config.runfile import load_run_file
from uninas_evo.errors import BudgetError
from uninas_evo.problems.uninet import UninetOptions, UninetProblem
from uninas_evo.spaces.uninet import Lattice, preset


def problem(**fields: object) -> UninetProblem:
    return UninetProblem.from_options(UninetOptions.model_validate(fields), seed=0)


def test_a_start_takes_the_images_and_classes_of_the_data():
    """A preset is searched on smaller images with other classes; the lattice may be given."""
    lattice = {"channels": [16] * 5, "repeats": [1] * 5}
    made = problem(start="uninet-b0", image_size=32, classes=10, objectives=["params"], lattice=lattice)
    assert made.space.start == preset("uninet-b0").resized(32, 10)
    assert (made.space.image, made.space.classes) == ((3, 32, 32), 10)
    assert made.space.lattice == Lattice((16,) * 5, (1,) * 5)


def test_published_flops_are_followed_and_bounded():
    """The paper's FLOPs are a cost like any other."""
    made = problem(objectives=["published_flops"], budget={"max_published_flops": 550e6})
    values = made.evaluate(made.space.start, "cpu")
    assert values["published_flops"] == preset("uninet-reference").published_flops
    assert made.objectives[0].goal == "minimize"


def test_a_budget_that_nobody_can_meet_is_one_message():
    """Nothing is searched; the message names the start's cost and the budget."""
    with pytest.raises(BudgetError, match="none nearby is inside: widen the budget"):
        problem(objectives=["params"], budget={"max_params": 1000})


@pytest.mark.parametrize("name", ["uninet_small", "uninet_paper"])
def test_run_files_are_right(name):
    """The shipped run files are read and name this space."""
    assert isinstance(load_run_file(Path(f"runs/{name}.toml")).problem(), UninetProblem)
