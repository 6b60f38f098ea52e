"""Genomes of any space are told apart by their texts."""

from __future__ import annotations

import random

import pytest
from own_network import own

import uninas_evo
from uninas_evo.errors import GenomeError, SpaceError
from uninas_evo.problems.nasbench201 import RESNET, Cell, NASBench201Space
from uninas_evo.spaces.choices import Choices
from uninas_evo.spaces.load import entries, presets
from uninas_evo.spaces.uninas import PRESETS, genome_to_json


def test_every_form_is_told_apart(tmp_path):
    """A text, a file and a preset give the genome, and the space that costs and builds it."""
    coatnet = uninas_evo.load_genome("coatnet")
    (tmp_path / "cell.txt").write_text(RESNET.text + "\n")
    for source, genome in [
        (coatnet.text, coatnet),
        (genome_to_json(coatnet), coatnet),
        (RESNET.text, RESNET),
        (tmp_path / "cell.txt", RESNET),
    ]:
        space, got = uninas_evo.load_space(source)
        assert got == genome == uninas_evo.load_genome(source)
        assert space.decode(space.encode(got)) == got


def test_any_genome_is_built():
    """A genome of any space, or its text, becomes its network."""
    for source in (RESNET, RESNET.text):
        network = uninas_evo.build(source)
        assert sum(p.numel() for p in network.parameters()) == NASBench201Space().cost(RESNET).params
    with pytest.raises(SpaceError, match="must say for which images and classes it is built, got Choices"):
        uninas_evo.build(Choices((0, 1)))


def test_mistakes_name_what_is_known(tmp_path):
    """What is no preset, file or text of any space is a GenomeError with the choices."""
    with pytest.raises(GenomeError, match=r"'resnt' is neither a preset nor a file \(did you mean 'resnet'\?\)"):
        uninas_evo.load_genome("resnt")
    with pytest.raises(GenomeError, match=r"no space reads a text that begins with \['unknown 1'\]; texts begin with"):
        uninas_evo.load_genome("unknown 1\n")
    (tmp_path / "other.txt").write_text("unknown 1\n")
    with pytest.raises(GenomeError, match=r"other.txt: no space reads a text that begins with \['unknown 1'\]"):
        uninas_evo.load_genome(tmp_path / "other.txt")
    (tmp_path / "cell.txt").write_text("|none~0|")
    with pytest.raises(GenomeError, match=r"cell.txt: a cell's text has six edges"):
        uninas_evo.load_genome(tmp_path / "cell.txt")


def test_a_space_of_ones_own_is_not_in_its_text(tmp_path):
    """Its text, and a file of it, say so, and how it is read."""
    space = own()
    text = space.encode(space.sample(random.Random(0)))
    (tmp_path / "winner.txt").write_text(text)
    for source in (text, tmp_path / "winner.txt"):
        with pytest.raises(GenomeError, match=r"'choices 1' is of a space of one's own, .* call `decode` of the space"):
            uninas_evo.load_genome(source)
    assert space.decode(text) is not None


def test_names_and_beginnings_differ():
    """No two spaces share a preset or the beginning of their texts."""
    names = [name for entry in entries().values() for name in entry.presets]
    begins = [begin for entry in entries().values() for begin in entry.begins]
    assert len(set(names)) == len(names) == len(presets()) >= len(PRESETS)
    assert not [(a, b) for a in begins for b in begins if a is not b and a.startswith(b)]
    assert isinstance(uninas_evo.load_genome(RESNET.text), Cell)
