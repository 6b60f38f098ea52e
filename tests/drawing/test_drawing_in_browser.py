"""The drawing's page in a real browser: no errors, no requests; fold, hover, zoom and shading work."""

import random

import pytest

from uninas_evo.drawing import titled_parts
from uninas_evo.drawing.html import page
from uninas_evo.drawing.layout import everything, layout
from uninas_evo.drawing.svg import svg
from uninas_evo.spaces.uninas import Skeleton, UninasSpace, preset

SMALL = Skeleton(image_size=64, classes=10, stem=(16, 16), channels=(32, 96), depths=(1, 2))


def grown(steps: int):
    space = UninasSpace(preset("coatnet", SMALL))
    rng, genome = random.Random(4), space.start
    for _ in range(steps):
        genome = space.mutate(genome, rng) or genome
    return genome


BOXES = """
const box = (element) => element.getBoundingClientRect();
const one = (selector) => document.querySelector(selector);
const all = (selector) => [...document.querySelectorAll(selector)];
const press = (name) => one(`[data-do=${name}]`).click();
const hover = (element) => element.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
"""


@pytest.mark.parametrize("dark", [False, True])
def test_texts_fit_and_boxes_stay_apart(browse, dark) -> None:
    """As rendered: no text is wider than its box, no two operations overlap, in light and in dark."""
    told = browse(
        page(titled_parts(grown(60), "sixty steps", None, "")),
        BOXES
        + """
        const boxes = all(".view .box");
        told.boxes = boxes.length;
        told.wide = boxes.filter((b) => b.scrollWidth > b.clientWidth + 1).map((b) => b.textContent);
        told.overlaps = 0;
        const places = boxes.map(box);
        places.forEach((a, i) => places.slice(i + 1).forEach((b) => {
          if (a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1) {
            told.overlaps += 1;
          }
        }));
        told.page = getComputedStyle(document.body).backgroundColor;
        """,
        dark=dark,
    )
    assert told["boxes"] > 60
    assert told["wide"] == []
    assert told["overlaps"] == 0
    assert told["page"] == ("rgb(22, 24, 27)" if dark else "rgb(255, 255, 255)")


def test_folding_hides_and_opens(browse) -> None:
    """A frame's button folds it to its label; the bar's buttons fold all blocks and open all frames."""
    told = browse(
        page(titled_parts(grown(30), "x", None, "")),
        BOXES
        + """
        const shown = () => all(".view .box").filter((b) => b.offsetParent !== null).length;
        told.open = shown();
        const pair = one(".frame.pair");
        const button = pair.querySelector(".fold");
        button.click();
        told.folded = shown();
        told.expanded = button.getAttribute("aria-expanded");
        told.label = button.innerText;
        button.click();
        told.again = shown();
        press("fold");
        told.blocks = shown();
        press("open");
        told.all = shown();
        """,
    )
    assert told["folded"] < told["open"] == told["again"] == told["all"]
    assert told["blocks"] == 4  # stem, head, and the downsampling of two stages
    assert told["expanded"] == "false"
    assert "·" in told["label"]


def test_zoom_changes_the_size(browse) -> None:
    """The buttons and the wheel with ctrl change the scale; `fit` makes the drawing as wide as its view."""
    told = browse(
        page(titled_parts(grown(80), "x", None, "")),
        BOXES
        + """
        const width = () => box(one(".networks")).width;
        told.plain = width();
        press("in");
        told.larger = width();
        told.output = one("output").textContent;
        press("out"); press("out");
        told.smaller = width();
        one(".view").dispatchEvent(new WheelEvent("wheel", { deltaY: -1, ctrlKey: true, cancelable: true }));
        told.wheel = width();
        press("fit");
        told.fit = width();
        told.view = box(one(".view")).width;
        """,
    )
    assert told["smaller"] < told["plain"] < told["larger"]
    assert told["larger"] == pytest.approx(1.25 * told["plain"], rel=0.02)
    assert told["output"] == "125%"
    assert told["wheel"] > told["smaller"]
    assert told["fit"] <= told["view"]


def test_hovering_tells_and_shading_shows_the_cost(browse) -> None:
    """The tip tells place and share of what the pointer is on; shading by cost makes the dearest box the darkest."""
    told = browse(
        page(titled_parts(grown(0), "x", None, "")),
        BOXES
        + """
        const target = all(".view .box").find((b) => b.textContent.includes("dw5"));
        told.hidden = one(".tip").hidden;
        hover(target);
        told.tip = one(".tip").textContent;
        told.shown = !one(".tip").hidden;
        const tip = box(one(".tip"));
        told.inside = tip.left >= 0 && tip.right <= innerWidth && tip.top >= 0 && tip.bottom <= innerHeight;
        const select = one("select");
        select.value = "params";
        select.dispatchEvent(new Event("change"));
        const heat = (b) => [Number(b.dataset.params), Number(b.style.getPropertyValue("--heat"))];
        const heats = all(".view .box").map(heat);
        heats.sort((a, b) => a[0] - b[0]);
        told.least = heats[0][1];
        told.most = heats.at(-1)[1];
        told.shade = one(".drawing").dataset.shade;
        """,
    )
    assert told["hidden"]
    assert told["shown"]
    assert told["inside"]
    assert "dw5 · 128×16×16" in told["tip"]
    assert "% of the parameters" in told["tip"]
    assert (told["least"], told["most"], told["shade"]) == (0, 1, "params")


def test_differences_are_reached_also_in_folded_blocks(browse) -> None:
    """`next difference` opens what hides a marked box and brings it into view."""
    told = browse(
        page(titled_parts(grown(0), "a", grown(3), "b")),
        BOXES
        + """
        press("fold");
        const marked = all(".view .marked");
        told.marked = marked.length;
        told.before = marked.filter((m) => m.offsetParent !== null).length;
        marked.forEach(() => press("next"));
        told.after = marked.filter((m) => m.offsetParent !== null).length;
        const last = box(marked.at(-1)), view = box(one(".view"));
        told.inside = last.bottom > view.top && last.top < view.bottom;
        told.inside = told.inside && last.right > view.left && last.left < view.right;
        """,
    )
    assert told["marked"] >= 2
    assert told["before"] == 0
    assert told["after"] == told["marked"]
    assert told["inside"]


def test_letters_of_the_svg_are_no_wider_than_measured(browse) -> None:
    """The browser's own text lengths lie below the widths that the layout made the boxes for."""
    root = layout(titled_parts(grown(60), "sixty steps", None, ""))
    measured = [text.width for box in everything(root) for text in box.texts]
    told = browse(
        f"<!doctype html><html><head></head><body>{svg(root)}</body></html>",
        'told.lengths = [...document.querySelectorAll("text")].map((t) => t.getComputedTextLength());',
    )
    assert len(told["lengths"]) == len(measured)
    assert [pair for pair in zip(told["lengths"], measured, strict=True) if pair[0] > pair[1] + 0.5] == []
