"""One self-contained HTML page of a comparison: no script, no outside request, light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from uninas_evo.report.analysis import Comparison
from uninas_evo.report.pareto_plots import attainment_figure
from uninas_evo.report.plots import curves_figure, inline_svg, label
from uninas_evo.report.tables import HEADINGS, final_table, for_people, number, pair_table

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --text: #1d1e20; --page: #fff; --line: #d5d7da; --soft: #5b5f66; }
@media (prefers-color-scheme: dark) {
  :root { --text: #e6e7e9; --page: #16181b; --line: #3a3d42; --soft: #a3a7ae; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1.5rem; }
p.note, figcaption { color: var(--soft); font-size: .9rem; }
figure { margin: 1rem 0; }
svg { width: 100%; height: auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { vertical-align: bottom; white-space: normal; }
th:first-child, td:first-child { text-align: left; }
pre { overflow-x: auto; font-size: .85rem; }
summary { cursor: pointer; }
</style>
</head>
<body>
<h1>$title</h1>
$body
</body>
</html>
""")


def render(title: str, comparisons: Sequence[Comparison], settings: str) -> str:
    """The page of several problems; `settings` is the compare file's text, shown at the end."""
    parts = [_section(comparison) for comparison in comparisons]
    parts.append(
        f"<h2>Settings</h2><details><summary>the compare file</summary><pre>{escape(settings)}</pre></details>"
    )
    return _PAGE.substitute(title=escape(title), body="\n".join(parts))


def _section(comparison: Comparison) -> str:
    figure = curves_figure(comparison.curves, comparison.quantity, optimum=comparison.optimum, goal=comparison.goal)
    parts = [
        f"<h2>{escape(comparison.problem)}</h2>",
        f"<p>{escape(method(comparison))}</p>",
        _figure(inline_svg(figure), "Best so far: the median over seeds, and a band that holds 90 % of them."),
    ]
    if comparison.surfaces and len(comparison.objectives) == 2:
        surfaces = inline_svg(attainment_figure(comparison.surfaces, comparison.objectives))
        parts.append(_figure(surfaces, "What half of the runs attain: the median attainment surface."))
    people = for_people(final_table(comparison))
    parts.append(_table([HEADINGS[key] for key in people[0]], [list(row.values()) for row in people]))
    parts.append(f'<p class="note">{escape(legend(comparison))}</p>')
    rows = [[number(value) for value in row.values()] for row in pair_table(comparison)]
    head = ["a", "b", "a better", "equal", "b better", "p", "p (Holm)", "A12"]
    parts.append(f"<details><summary>all pairs</summary>{_table(head, rows)}</details>")
    return "\n".join(parts)


def method(comparison: Comparison) -> str:
    """One sentence: what was compared, how often, and what is judged."""
    c = comparison
    names = ", ".join(label(objective.name) for objective in c.objectives)
    judged = "scored again with fresh seeds" if c.rescored else "as it was scored"
    text = (
        f"{len(c.qualities)} strategies, {len(c.seeds)} paired seeds, {c.evaluations} distinct evaluations each; "
        f"objectives: {names}; the best of a run is judged {judged}."
    )
    if c.reference is not None:
        text += f" Hypervolume up to the reference point ({', '.join(map(number, c.reference.tolist()))})."
    return text


def legend(comparison: Comparison) -> str:
    """What the columns of the final table mean."""
    return (
        f"Interval: bootstrap (BCa) of the mean over seeds. p: two-sided Wilcoxon signed-rank test against "
        f"{comparison.baseline}, Holm-corrected over the strategies. A12: chance that a run beats one of "
        f"{comparison.baseline}. Seconds are means of one run; a shared score counts with the time it took."
    )


def _figure(svg: str, caption: str) -> str:
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'
