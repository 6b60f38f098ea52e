"""The text form: canonical, read back, and every mistake told with its line, rule, value and fix."""

from __future__ import annotations

import random

import pytest
from spaces.uninet.fuzz import check_fuzzed
from spaces.uninet.networks import SKELETONS, random_genome

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninet import UninetSpace, parse_genome, preset

B0 = """\
uninet 1
image 160
classes 1000
stem 32 stride=2
first 24 r=1
heads 32
window 7
head 1280
stage L-DSM stride=2 DWConv e=4 c=48 r=2
stage L-DSM stride=2 DWConv e=6 c=80 r=4
stage L-DSM stride=2 DWConv e=3 c=128 r=4
stage LG-DSM stride=1 SA e=2 c=128 r=4
stage LG-DSM stride=2 SA e=5 c=256 r=8
"""


def test_b0_has_this_text():
    """The canonical text of a published network."""
    assert preset("uninet-b0").text == B0


@pytest.mark.parametrize("name", SKELETONS)
def test_texts_are_read_back(name):
    """decode(encode(g)) = g, blank lines and space around lines skipped."""
    rng = random.Random(name)
    for _ in range(50):
        genome = random_genome(SKELETONS[name], rng)
        assert parse_genome(genome.text) == genome
        loose = genome.text.replace("\n", "  \n\n \t")
        assert parse_genome(loose) == genome


MISTAKES = [
    ("uninet 1", "uninet 2", "line 1: a genome's text begins with 'uninet 1', got 'uninet 2'; begin with"),
    ("image 160\n", "", "line 2: a genome needs the line 'image', which is missing; add one such as 'image 160'"),
    ("image 160\n", "image 160\nimage 160\n", "line 3: the line 'image' is given twice, it stands once; remove one"),
    ("classes 1000", "clases 1000", "line 3: 'clases' begins no line of a genome; .* did you mean 'classes'"),
    ("heads 32\nwindow 7", "window 7\nheads 32", "line 6: the lines stand in the order .*, got 'window' where 'heads'"),
    ("head 1280\n", "", "line 8: a genome needs the line 'head', which is missing"),
    ("e=4 c=48 r=2\n", "e=4 c=48 r=2\nhead 1280\n", "line 10: the line 'head' is given twice"),
    ("image 160", "image 16.5", "line 2: image must be a whole number from 1 to 999,999, got '16.5'; fix the number"),
    ("classes 1000", "classes 0", "line 3: classes must be a whole number from 1 to 999,999, got 0"),
    ("head 1280", "head 1000000", "line 8: head must be a whole number from 1 to 999,999, got '1000000'"),
    ("head 1280", "head ١٢", "line 8: head must be a whole number"),
    ("r=8", "r=-8", "line 13: r must be a whole number from 1 to 999,999, got '-8'"),
    ("r=8", "d=8", "line 13: 'r=' is expected here, got 'd=8'; write 'stage"),
    ("stem 32 stride=2", "stem 32 stride=3", "line 4: a stride is 1 or 2, got 3; use one of them"),
    ("image 160", "image 200", "line 2: the strides .* 32 in all, got a side of 200; the next side that works is 224"),
    ("LG-DSM stride=1 SA", "LG-DSM stride=1 SAA", "line 12: there is no operator 'SAA'; .* did you mean 'SA'"),
    ("L-DSM stride=2 DWConv e=4", "LL-DSM stride=2 DWConv e=4", "line 9: there is no downsampling module 'LL-DSM'"),
    ("c=48", "c=50", "line 9: the channels of a stage are a multiple of 8, got c=50; use 48 or 56"),
    ("c=256", "c=248", "line 13: .* heads of 32, got c=248; use 224 or 256"),
    ("head 1280", "head 1280 # wide", "line 8: a line 'head' reads like 'head 1280', nothing follows, got '#'"),
    ("first 24 r=1", "first none r=1", "line 5: a line 'first' reads like .* nothing follows, got 'r=1'"),
    ("first 24 r=1", "first 24", "line 5: a line 'first' reads like 'first 24 r=1', a field is missing; write it so"),
]


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_mistakes_are_told(old, new, message):
    """Each mistake is a GenomeError with its line, the rule, what was received, and the fix."""
    assert old in B0
    with pytest.raises(GenomeError, match=message):
        parse_genome(B0.replace(old, new, 1))


def test_a_genome_has_a_stage():
    """A text without stages, and an empty one, say what is missing."""
    with pytest.raises(GenomeError, match="line 9: a genome needs at least one stage, got none; add one such as"):
        parse_genome(B0[: B0.index("stage")])
    with pytest.raises(GenomeError, match="line 1: a genome's text begins with 'uninet 1', got ''"):
        parse_genome("")


SWAPPED = B0.replace("stride=2 SA", "stride=0 SA").replace("stride=1 SA", "stride=2 SA").replace("stride=0", "stride=1")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (preset("uninet-b1").text, "line 2: 'image 224' where the space has 'image 160'"),
        (SWAPPED, "line 12: 'stage LG-DSM stride=2 SA e=2 c=128 r=4' where the space has 'stride=1'"),
        (B0[: B0.rindex("stage")], "line 12: 4 stages where the space has 5"),
    ],
)
def test_another_skeleton_is_refused(other, message):
    """A space reads its own skeleton alone, and names the first line that differs."""
    with pytest.raises(GenomeError, match=message):
        UninetSpace().decode(other)


def test_fuzzed_texts_give_genome_errors_alone():
    """Whatever a text holds, it is read or refused by a GenomeError that names a line; the rest is in tests/long."""
    check_fuzzed(range(500))
