"""A drawing as an interactive page: fold, zoom, hover, cost as shading, two genomes side by side."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from uninas_evo.contracts import Cost
from uninas_evo.drawing.parts import Part, Titled, any_marked, describe, kinds_of, shape_text
from uninas_evo.formats import amount
from uninas_evo.pages import template

_LINE = '<i class="v"></i>'


def page(networks: Sequence[Titled]) -> str:
    """The page of one network, or of several side by side."""
    title = " against ".join(name for name, _, _ in networks)
    style = template.asset("network.css", "drawing") + "body { max-width: none; margin: 1rem; }\n"
    return template.page(title, widget(networks), style=style, script=template.asset("network.js", "drawing"))


def widget(networks: Sequence[Titled]) -> str:
    """The drawing as an element for any page that has `network.css` and `network.js`."""
    drawn = "".join(_network(*network) for network in networks)
    marked = any(any_marked(parts) for _, _, parts in networks)
    jump = '<button data-do="next">next difference</button>' if marked else ""
    shown = kinds_of([part for _, _, parts in networks for part in parts])
    kinds = " ".join(f'<span class="box {kind}">{kind}</span>' for kind in shown)
    return f"""<div class="drawing" data-shade="kind">
<div class="bar">
<button data-do="fold">fold blocks</button><button data-do="open">open all</button>{jump}
<label>shade by <select data-do="shade"><option value="kind">kind of operation</option>
<option value="params">share of parameters</option><option value="flops">share of FLOPs</option></select></label>
<button data-do="out" aria-label="zoom out">−</button><output>100%</output>
<button data-do="in" aria-label="zoom in">+</button><button data-do="fit">fit</button>
</div>
<p class="legend">{kinds} <small>channels × height × width · parameters · FLOPs</small></p>
<div class="view"><div class="networks">{drawn}</div></div>
<div class="tip" role="tooltip" hidden></div>
</div>
"""


def _network(title: str, genome: object, parts: Sequence[Part]) -> str:
    total = Cost(sum(part.total.params for part in parts), sum(part.total.flops for part in parts))
    marks = " · thick outline: not in the other" if any_marked(parts) else ""
    inside = _LINE.join(_Writer(total).part(part, 1) for part in parts)
    return (
        f'<section><h3>{escape(title)}</h3><p class="note">{amount(total.params)} parameters · '
        f'{amount(total.flops)} FLOPs{marks}</p><div class="column">{inside}</div></section>'
    )


class _Writer:
    """Writes parts as nested elements; knows the whole network's cost for the shares."""

    def __init__(self, total: Cost) -> None:
        self.total = total

    def part(self, part: Part, copies: int) -> str:
        """A part that stands `copies` times in the network."""
        if part.kind in ("wire", "port"):
            return f'<i class="{part.kind}"></i>'
        if not part.parts:
            return self.box(part, copies)
        inner = [self.part(one, copies * part.count) for one in part.parts]
        if part.flow == "across":
            content = "".join(f'<div class="lane">{_LINE}{one}<i class="v grow"></i></div>' for one in inner)
        elif part.flow == "along":
            content = '<i class="h"></i>'.join(inner)
        else:
            content = _LINE.join(inner)
            content = f"{_LINE}{content}{_LINE}" if part.kind in ("pair", "heads") else content
        content = f'<div class="{part.flow}">{content}</div>'
        return self.frame(part, content, copies) if part.framed else content

    def box(self, part: Part, copies: int) -> str:
        """One operation, or a label."""
        if part.shape is None:
            return f"<small>{escape(part.name)}</small>"
        cost = f"{shape_text(part.shape)} · {amount(part.cost.params)} · {amount(part.cost.flops)}"
        mark = " marked" if part.marked else ""
        return (
            f'<div class="box {part.kind}{mark}" tabindex="0" {self.data(part, copies)}>'
            f"<b>{escape(part.name)}</b><small>{cost}</small></div>"
        )

    def frame(self, part: Part, content: str, copies: int) -> str:
        """A frame that can be folded; folded, it tells what it holds."""
        if part.kind == "branch":
            return f'<div class="frame branch">{content}</div>'
        count = f" × {part.count}" if part.count > 1 else ""
        name = escape((part.name or "heads") + count)
        cost = f"{amount(part.cost.params)} · {amount(part.cost.flops)}"
        mark = " marked" if part.marked else ""
        label = f'<b>{name}</b> <small class="cost">{"each " if count else ""}{cost}</small>'
        return (
            f'<div class="frame {part.kind}{mark}" {self.data(part, copies)}>'
            f'<button class="fold" aria-expanded="true" aria-label="fold {name}">{label}</button>{content}</div>'
        )

    def data(self, part: Part, copies: int) -> str:
        """What hovering tells, and the shares of the network's cost in percent."""
        params = 100 * copies * part.total.params / self.total.params
        flops = 100 * copies * part.total.flops / self.total.flops
        text = escape(describe(part))
        return f'data-tip="{text}" data-params="{params:.3g}" data-flops="{flops:.3g}"'
