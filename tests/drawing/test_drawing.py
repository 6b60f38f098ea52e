"""Drawings of networks: what is drawn, where it stands, and the files."""

import random
import re
from itertools import combinations
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner

from uninas_evo.cli import app
from uninas_evo.contracts import Cost
from uninas_evo.drawing import draw, titled_parts
from uninas_evo.drawing.html import page
from uninas_evo.drawing.layout import Box, everything, layout, text_width
from uninas_evo.drawing.parts import FREE, KINDS, Part, head_places, network_parts
from uninas_evo.drawing.svg import svg
from uninas_evo.errors import GenomeError
from uninas_evo.formats import amount
from uninas_evo.spaces.uninas import PRESETS, Genome, Skeleton, StepRule, UninasSpace, preset
from uninas_evo.spaces.uninas.flow import flow_graph
from uninas_evo.spaces.uninas.text import parse_chain

SMALL = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(32, 96), depths=(1, 2))


def walked(seed: int, steps: int, rule: StepRule | None = None, skeleton: Skeleton = SMALL) -> Genome:
    rng = random.Random(seed)
    space = UninasSpace(preset(PRESETS[seed % len(PRESETS)], skeleton), rule=rule or StepRule())
    genome = space.start
    for _ in range(steps):
        genome = space.mutate(genome, rng) or genome
    return genome


def drawn(genome: Genome) -> Box:
    return layout(titled_parts(genome, "title", None, ""))


def leaves(part: Part, copies: int = 1) -> list[tuple[Part, int]]:
    if not part.parts:
        return [(part, copies * part.count)]
    return [leaf for inner in part.parts for leaf in leaves(inner, copies * part.count)]


def check_numbers(root: Box) -> None:
    """No two neighbors overlap, children lie in their parents, and texts lie in their boxes."""
    for box in everything(root):
        for text in box.texts:
            assert text.width >= text_width(text.content, text.size, text.bold) > 0
            assert box.x <= text.x
            assert text.x + text.width <= box.x + box.width + 1e-6
            assert box.y + text.size * 0.7 < text.y < box.y + box.height
        for child in box.children:
            assert box.x - 1e-6 <= child.x
            assert box.y - 1e-6 <= child.y
            assert child.x + child.width <= box.x + box.width + 1e-6
            assert child.y + child.height <= box.y + box.height + 1e-6
        for a, b in combinations(box.children, 2):
            beside = a.x + a.width <= b.x + 1e-6 or b.x + b.width <= a.x + 1e-6
            above = a.y + a.height <= b.y + 1e-6 or b.y + b.height <= a.y + 1e-6
            assert beside or above, (a.part.name, b.part.name)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_stand_without_overlaps(name: str) -> None:
    """Boxes of the four presets do not overlap and hold their texts."""
    check_numbers(drawn(preset(name)))


@pytest.mark.parametrize("count", [15, pytest.param(200, marks=pytest.mark.slow)])
def test_random_genomes_stand_without_overlaps(count: int) -> None:
    """So it is for genomes of random walks of 0 to 99 steps."""
    for seed in range(0, 200, 200 // count):
        check_numbers(drawn(walked(seed, seed % 100)))


def test_blocks_of_sixty_nodes_stand_without_overlaps() -> None:
    """Blocks far larger than the default limit are drawn too, and with letters of the usual size."""
    genome = walked(1, 900, StepRule(max_nodes=80))
    assert max(a.size + b.size for a, b in zip(genome.chains[::2], genome.chains[1::2], strict=True)) >= 60
    root = drawn(genome)
    check_numbers(root)
    assert all(text.size >= 8 for box in everything(root) for text in box.texts)


@pytest.mark.parametrize("seed", range(12))
def test_costs_of_all_boxes_add_up(seed: int) -> None:
    """The boxes, times the counts around them, cost what the genome costs; so do the parts' totals."""
    genome = walked(seed, 10 * seed)
    parts = network_parts(genome)
    every = [leaf for part in parts for leaf in leaves(part)]
    assert Cost(sum(n * p.cost.params for p, n in every), sum(n * p.cost.flops for p, n in every)) == genome.cost
    assert sum((part.total for part in parts), FREE) == genome.cost


@pytest.mark.parametrize("seed", range(6))
def test_every_operation_is_drawn_once(seed: int) -> None:
    """Boxes have the places of the genome's graph; a place missing there belongs to a folded block or the skeleton."""
    genome = walked(seed, 60)
    places = [p.place for part in network_parts(genome) for p, _ in leaves(part) if p.kind in KINDS]
    assert len(places) == len(set(places))
    graph = flow_graph(genome)
    folded = {part.place for stage in network_parts(genome) for part in stage.parts if part.count > 1}
    assert all(place in graph or place.endswith("/downsample") for place in places)
    if not folded:
        assert set(graph) <= set(places)


def test_equal_neighbors_are_folded_with_a_count() -> None:
    genome = preset("coatnet", Skeleton())
    stages = network_parts(genome)[1:-1]
    assert [[(b.name, b.count) for b in stage.parts[1:]] for stage in stages] == [
        [(f"Blocks 1–{depth}", depth)] for depth in (2, 3, 5, 2)
    ]
    changed = genome.with_chain(6, parse_chain("gelu", (192, 28, 28)))  # the second block of stage 2
    assert [(b.name, b.count) for b in network_parts(changed)[2].parts[1:]] == [
        ("Block 1", 1),
        ("Block 2", 1),
        ("Block 3", 1),
    ]
    assert "Blocks 1–5  × 5" in svg(drawn(genome))


def test_heads_that_differ_stand_apart() -> None:
    skeleton = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(96,), depths=(1,))
    chain = parse_chain("attention(heads 0 2: scores: softmax | heads 1: q: gelu)", (96, 16, 16))
    texts = [t.content for box in everything(drawn(Genome.of(skeleton, [chain, chain]))) for t in box.texts]
    assert texts.count("heads 0, 2  × 2") == 2
    assert texts.count("head 1") == 2
    assert texts.count("softmax") == texts.count("gelu") == 2


def test_differences_are_marked_on_both_sides() -> None:
    """Marked boxes are exactly the operations that the other genome lacks; blocks with marks are not folded."""
    before = preset("resnet", SMALL)
    after = before.with_chain(2, parse_chain("conv3 batchnorm gelu conv3 chunk2(gelu, -) batchnorm", (96, 8, 8)))
    first, second = layout(titled_parts(before, "a", after, "b")).children[1:]
    marked = [[b.part.place for b in everything(side) if b.part.marked] for side in (first, second)]
    assert marked == [["2.1.1/6"], ["2.1.1/5"]]
    html = page(titled_parts(before, "a", after, "b"))
    assert html.count(' marked"') == 2
    assert "next difference" in html
    assert "next difference" not in page(titled_parts(before, "a", None, ""))


def test_files_are_the_same_each_time(tmp_path) -> None:
    """Equal genomes give equal bytes in all three formats."""
    genome = walked(3, 40)
    for ending in ("svg", "png", "html"):
        one, two = tmp_path / f"one.{ending}", tmp_path / f"two.{ending}"
        for path in (one, two):
            draw(genome, path, "same")
        assert one.read_bytes() == two.read_bytes()


def test_svg_is_well_formed_and_stands_alone() -> None:
    """The SVG parses, names every operation, escapes its title, and refers to nothing outside."""
    genome = walked(2, 60)
    text = svg(layout(titled_parts(genome, "<a & b>", None, "")))
    ElementTree.fromstring(text)
    assert "&lt;a &amp; b&gt;" in text
    assert not re.search(r'(?:src|href)="', text)
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_html_stands_alone_and_is_escaped() -> None:
    text = page([("<i>x</i>", preset("vit", SMALL), network_parts(preset("vit", SMALL)))])
    assert "<i>x" not in text
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href)="', text)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (1000, "1K"), (9_600, "9.6K"), (999_600, "1M"), (26_871_124, "26.9M"), (2e12, "2T")],
)
def test_amounts(number: float, text: str) -> None:
    assert amount(number) == text


def test_places_of_heads() -> None:
    assert head_places((0, 1, 2, 5)) == "0–2, 5"


def test_command(tmp_path) -> None:
    """`draw` takes presets and files; a preset to compare with stands on the genome's skeleton."""
    genome = tmp_path / "mine.txt"
    genome.write_text(walked(3, 5).text)
    for ending in ("svg", "png", "html"):
        out = tmp_path / "deep" / f"net.{ending}"
        result = CliRunner().invoke(app, ["draw", str(genome), "--out", str(out), "--against", "coatnet"])
        assert result.exit_code == 0, result.output
        assert result.stdout.strip() == str(out)
        assert out.stat().st_size > 1000
    assert ">mine<" in (tmp_path / "deep" / "net.svg").read_text()
    result = CliRunner().invoke(app, ["draw", "coatnet", "--out", str(tmp_path / "a.svg"), "--against", str(genome)])
    assert result.exit_code == 0, result.output


def test_wrong_ending_and_other_skeletons_are_told(tmp_path) -> None:
    genome = preset("vit", SMALL)
    with pytest.raises(GenomeError, match=r"must end in one of \.svg, \.png, \.pdf, \.html, got 'net.gif'; rename it"):
        draw(genome, tmp_path / "net.gif")
    with pytest.raises(GenomeError, match="where they have one skeleton"):
        draw(genome, tmp_path / "net.svg", against=preset("vit"))
