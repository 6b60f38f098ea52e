"""The forms of a genome: text, JSON, the package's JSON; invariant 3."""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_genomes import SKELETONS, genomes, random_genome

from uninas_evo.errors import GenomeError
from uninas_evo.spaces.uninas import (
    PRESETS,
    Genome,
    UninasSpace,
    genome_to_json,
    genome_to_package,
    load_genome,
    preset,
)
from uninas_evo.spaces.uninas.chain import chain, node
from uninas_evo.spaces.uninas.flow import flow_graph
from uninas_evo.spaces.uninas.load import parse
from uninas_evo.spaces.uninas.operations import HEAD_WIDTH
from uninas_evo.spaces.uninas.text import parse_chain

SMALL = preset("coatnet", SKELETONS[0])


@settings(max_examples=400)
@given(genomes(max_steps=120))
def test_reading_gives_back_what_was_written(genome: Genome) -> None:
    """decode(encode(g)) == g in every form; equal genomes have equal text, hash and id."""
    for text in (genome.text, genome_to_json(genome)):
        again = parse(text)
        assert again == genome
        assert hash(again) == hash(genome)
        assert (again.text, again.id, again.cost) == (genome.text, genome.id, genome.cost)


@settings(max_examples=150)
@given(genomes((SKELETONS[3],), max_steps=60))
def test_the_packages_form_is_read_back(genome: Genome) -> None:
    """Heads that differ included, where the package takes the numbers of heads."""
    try:
        text = genome_to_package(genome)
    except GenomeError as error:
        assert "attention heads" in str(error)  # noqa: PT017 - a nested attention of one head
        return
    assert parse(text) == genome


def test_the_order_of_added_branches_does_not_matter() -> None:
    """copy_add commutes, copy_multiply does not."""
    shape = (4, 2, 2)
    a, b = parse_chain("gelu", shape), parse_chain("conv1 sigmoid", shape)
    assert node("copy_add", shape, [a, b]) == node("copy_add", shape, [b, a])
    assert node("copy_multiply", shape, [a, b]) != node("copy_multiply", shape, [b, a])
    assert parse_chain("copy_add(gelu, conv1)", shape) == parse_chain("copy_add(conv1, gelu)", shape)


def test_the_id_is_the_same_in_every_process() -> None:
    """Hashes that depend on Python's hash seed would not be."""
    code = "from uninas_evo.spaces.uninas import load_genome; print(load_genome('coatnet').id)"
    ids = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert ids == {load_genome("coatnet").id}


def test_space_decodes_only_its_own_skeleton() -> None:
    """A genome of another skeleton is refused with both named."""
    space = UninasSpace(SMALL)
    assert space.decode(space.encode(SMALL)) == SMALL
    with pytest.raises(GenomeError, match="another skeleton than this space"):
        space.decode(preset("coatnet", SKELETONS[1]).text)


def test_a_genome_loads_from_a_name_a_path_and_a_text(tmp_path: Path) -> None:
    """All forms through one door."""
    for name, text in (("a.txt", SMALL.text), ("a.json", genome_to_json(SMALL))):
        (tmp_path / name).write_text(text)
        assert load_genome(tmp_path / name) == load_genome(str(tmp_path / name)) == load_genome(text) == SMALL
    assert load_genome("coatnet", SKELETONS[0]) == SMALL
    assert len(load_genome("coatnet")) == 109


LINE = "uninas 1\nimage 32\nclasses 10\nstem 16 16\nstage 96\n  1: {}\n  2: -\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv4", r"line 6, column 1: unknown operation 'conv4'; did you mean 'conv"),
        ("gelu(conv1)", r"line 6, column 5: gelu is no coupled pair"),
        ("copy_add(gelu)", r"line 6, column 14: expected ',', got '\)'"),
        ("copy_add(gelu, )", r"line 6, column 16: a chain is missing; write '-'"),
        ("copy_add(gelu, -", r"expected '\)', got 'the end of the line'"),
        ("chunk2 )", r"column 8: unexpected '\)' after the chain's end"),
        ("gelu; import os", r"column 5: ';' cannot stand in a chain"),
        ("relposbias", r"relposbias cannot stand on the shape \(96, 8, 8\): it needs H = W and sqrt\(H\)"),
        ("attention(s: gelu)", r"the chain label 's' is not one of q, k, v, scores, out"),
        ("attention(q: gelu, q: gelu)", r"the chain label 'q' is given twice"),
        ("attention(heads 0: q: gelu | heads 0-1)", r"each of the places 0 to 2 once, got \[\[0\], \[0, 1\]\]"),
        ("attention(heads 0-99999999: q: gelu)", "followed by places such as"),
        ("attention(heads 0-999999: q: gelu)", "more heads than a network can have"),
        ("copy_add(" * 300, "nested deeper than 200"),
    ],
)
def test_a_wrong_chain_is_placed_and_explained(text: str, message: str) -> None:
    """The message says the line, the column, what is wrong, and the fix."""
    with pytest.raises(GenomeError, match=message):
        load_genome(LINE.format(text))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("uninas 1", "uninas 3", "begins with the line 'uninas 1' or 'uninas 2', got 'uninas 3'"),
        ("image 32", "image", "line 2: 'image' takes 1 whole number"),
        ("image 32", "image 32\nimage 32", "line 3: 'image' is given twice"),
        ("classes 10\n", "", "has no line 'classes'"),
        ("classes 10", "clases 10", "line 3: 'clases' begins no line"),
        ("  2: -\n", "", "stage 1 needs the lines '1:' and '2:' in turn"),
        ("stage 96\n", "", "line 5: a chain stands before the first 'stage' line"),
        ("image 32", "image 30", "must be divisible by 4"),
    ],
)
def test_a_wrong_text_is_placed_and_explained(old: str, new: str, message: str) -> None:
    """Mistakes outside the chains."""
    with pytest.raises(GenomeError, match=message):
        parse(LINE.format("-").replace(old, new))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "JSON cannot be read"),
        ("{}", "holds no genome"),
        ("[" * 5000, "JSON cannot be read"),
        ("[1, 2]", "is an object, got list"),
        ('{"a":' * 5000, "JSON cannot be read"),
        ('{"format": "uninas-evo genome", "version": 99}', "has version 99, this program reads 1"),
        (
            '{"format": "uninas-evo genome", "version": 1, "stages": 3}',
            "stages of the genome's JSON must be of type list",
        ),
        ('{"model_str": "[[[[["}', "'model_str' of the uninas JSON cannot be read"),
        ('{"model_str": "[]"}', "must hold"),
        ('{"model_str": "[[1,2],[1,2,3],[1,2,3,4,5],[1,2]]"}', "stage 1, block 1: a block is one of R, E, T"),
        ('{"model_str": "[]", "img_size": "big"}', "image_size must be whole numbers"),
    ],
)
def test_wrong_json_is_explained(text: str, message: str) -> None:
    """JSON of any kind."""
    with pytest.raises(GenomeError, match=message):
        parse(text)


@settings(max_examples=300)
@given(st.data())
def test_damaged_texts_give_a_genome_or_a_genome_error(data: st.DataObject) -> None:
    """Whatever is cut, doubled or swapped: a genome comes out, or a `GenomeError`; nothing else is raised."""
    form = data.draw(st.sampled_from([lambda g: g.text, genome_to_json, genome_to_package]))
    text = form(preset(data.draw(st.sampled_from(PRESETS))))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + data.draw(st.text(max_size=8)) + text[place + data.draw(st.integers(0, 8)) :]
    with contextlib.suppress(GenomeError):
        assert parse(text).params >= 0


def test_files_that_hold_no_text_are_refused(tmp_path: Path) -> None:
    """Folders, bytes, absent files."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for name in ("", "bytes", "absent"):
        with pytest.raises(GenomeError, match=r"cannot read a genome|neither a preset|is a folder, and"):
            load_genome(tmp_path / name)


def test_the_package_refuses_some_numbers_of_heads() -> None:
    """Export says so instead of writing a file that the package cannot read."""
    wide = preset("vit", SKELETONS[2])
    with pytest.raises(GenomeError, match=r"takes \(3, 6, 12, 24\) attention heads"):
        genome_to_package(wide)


def test_costs_of_a_package_file_are_recomputed() -> None:
    """Shapes and FLOPs in the file have no influence."""
    data = json.loads(genome_to_package(preset("coatnet")))
    data["model_str"] = data["model_str"].replace("14, 14", "1, 1")
    assert parse(json.dumps(data)).flops == preset("coatnet").flops


def test_graph_holds_all_costs_and_is_acyclic() -> None:
    """The networkx graph's costs add up to the genome's, on random genomes with heads that differ."""
    import networkx

    rng = random.Random(0)
    for _ in range(10):
        genome = random_genome(SMALL, 60, rng.randrange(99), 0.5)
        graph = flow_graph(genome)
        assert networkx.is_directed_acyclic_graph(graph)
        assert sum(p for _, p in graph.nodes(data="params")) == genome.params
        assert sum(f for _, f in graph.nodes(data="flops")) == genome.flops
        assert networkx.has_path(graph, "stem", "head")


def test_an_attention_knows_its_heads() -> None:
    """Width 32 a head."""
    made = chain((64, 2, 2), [node("attention", (64, 2, 2))]).nodes[0]
    assert made.heads == (tuple(range(64 // HEAD_WIDTH)),)
