"""A user's mistakes from Python: an error of the project's tree, with what is wrong and what would be right."""

from __future__ import annotations

import pytest

import uninas_evo
from uninas_evo import Budget, Objective, Skeleton, UninasProblem, UninasSpace, Whole, preset
from uninas_evo.errors import UninasEvoError

SMALL = preset("resnet", Skeleton(image_size=16, classes=4, stem=(4, 8), channels=(8,), depths=(1,)))
PROBLEM = {"start": SMALL.text, "objective": "params"}


def search(problem=PROBLEM, strategy="aging", **options):
    return uninas_evo.search(problem, strategy, **{"evaluations": 3, "quiet": True, **options})


MISTAKES = [
    (lambda: search("uninass"), "did you mean 'uninas'"),
    (lambda: search(PROBLEM | {"objective": "vkndw"}), "did you mean 'vkdnw'"),
    (lambda: search(PROBLEM | {"objektive": 1}), "did you mean 'objective"),
    (lambda: search(strategy="agin"), "did you mean 'aging'"),
    (lambda: search(strategy={"name": "aging", "pop": 4}), "did you mean 'population'"),
    (lambda: search(evaluations=None), "set evaluations or time_limit_s"),
    (lambda: search(evaluations=0), "greater than 0, got 0"),
    (lambda: search(evaluations="3"), "write it without quotes"),
    (lambda: search(pool={"devices": "cuda"}), r"write devices = \[\"cuda\"\]"),
    (lambda: search(after={"rescor": 2}), "did you mean 'rescore'"),
    (lambda: search(train={"data": "x"}), "set out"),
    (lambda: search(PROBLEM | {"objectives": ["params", "flops"], "objective": None}), "objective"),
    (lambda: uninas_evo.load_genome("coatnt"), "did you mean 'coatnet'"),
    (lambda: uninas_evo.load_genome("uninas 1\nimage 16\n"), "has no line 'classes'"),
    (lambda: uninas_evo.build("nothing"), "neither a preset nor a file"),
    (lambda: uninas_evo.build(3), "got int"),
    (lambda: UninasSpace("coatnet"), r"write UninasSpace\(load_genome"),
    (lambda: UninasSpace(SMALL, Budget(max_params=5)), "the budget is max_params = 5"),
    (lambda: Budget(max_params=-1), "max_params=-1"),
    (lambda: UninasSpace(SMALL, Budget(max_parms=1)), "bounds 'parms', which is not a cost .* it has params, flops"),
    (lambda: Skeleton(image_size=17, classes=4, stem=(4, 8), channels=(8,), depths=(1,)), "got 17; use 16"),
    (lambda: Skeleton(image_size=16, classes=4, stem=(4, 8), channels=(8,), depths=(1, 1)), "give as many of both"),
    (lambda: preset("coatnett"), "did you mean 'coatnet'"),
    (lambda: uninas_evo.load("nothing"), "name the folder of a training that has ended"),
    (lambda: uninas_evo.load_bank("nothing"), "there is no bank at 'nothing'"),
    (lambda: Objective("a", "maximise"), "got 'maximise'; use one"),
    (lambda: uninas_evo.choices({}, build=print, image=(3, 8, 8), classes=2), "choice"),
    (lambda: uninas_evo.choices({"a": Whole(5, 2)}, build=print, image=(3, 8, 8), classes=2), "5"),
    (lambda: UninasProblem(UninasSpace(SMALL), ["nothing"]), "there is no objective 'nothing'"),
    (lambda: uninas_evo.draw("coatnt"), "did you mean 'coatnet'"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=map(str, range(len(MISTAKES))))
def test_a_mistake_is_one_error_that_tells_the_way_out(mistake, message):
    """Of the project's own tree, never a library's."""
    with pytest.raises(UninasEvoError, match=message):
        mistake()
