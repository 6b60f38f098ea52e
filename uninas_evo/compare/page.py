"""One self-contained HTML page of a comparison, without scripts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from uninas_evo.compare.analysis import Comparison
from uninas_evo.compare.tables import HEADINGS, final_table, for_people, pair_table
from uninas_evo.formats import number
from uninas_evo.pages import template
from uninas_evo.report.pareto_plots import attainment_figure
from uninas_evo.report.plots import curves_figure, inline_svg, label
from uninas_evo.stats.tests import least_p


def render(title: str, comparisons: Sequence[Comparison], settings: str) -> str:
    """The page of several problems; `settings` is the compare file's text, shown at the end."""
    parts = [_section(comparison) for comparison in comparisons]
    parts.append(
        f"<h2>Settings</h2><details><summary>the compare file</summary><pre>{escape(settings)}</pre></details>"
    )
    return template.page(title, "\n".join(parts))


def _section(comparison: Comparison) -> str:
    figure = curves_figure(comparison.curves, comparison.quantity, optimum=comparison.optimum, goal=comparison.goal)
    parts = [
        f"<h2>{escape(comparison.problem)}</h2>",
        f"<p>{escape(method(comparison))}</p>",
        template.figure(inline_svg(figure), "Best so far: the median over seeds, and a band that holds 90 % of them."),
    ]
    if comparison.surfaces and len(comparison.objectives) == 2:
        surfaces = inline_svg(attainment_figure(comparison.surfaces, comparison.objectives))
        parts.append(template.figure(surfaces, "What half of the runs attain: the median attainment surface."))
    people = for_people(final_table(comparison))
    parts.append(template.table([HEADINGS[key] for key in people[0]], [list(row.values()) for row in people]))
    parts.append(f'<p class="note">{escape(legend(comparison))}</p>')
    rows = [[number(value) for value in row.values()] for row in pair_table(comparison)]
    head = ["a", "b", "a better", "equal", "b better", "p", "p (Holm)", "A12"]
    parts.append(f"<details><summary>all pairs</summary>{template.table(head, rows)}</details>")
    files = [f"{comparison.problem}-{name}.csv" for name in ("table", "pairs", "seeds", "curves")]
    files.append(f"{comparison.problem}-curves.pdf")
    links = ", ".join(f'<a href="{escape(quote(name, safe=""))}">{escape(name)}</a>' for name in files)
    parts.append(f'<p class="note">Files beside this page: {links}.</p>')
    return "\n".join(parts)


def method(comparison: Comparison) -> str:
    """One sentence: what was compared, how often, and what is judged."""
    c = comparison
    names = ", ".join(label(objective) for objective in c.objectives)
    judged = "by fresh seeds" if c.rescored else "by the score that it had"
    text = (
        f"{len(c.qualities)} strategies, {len(c.seeds)} paired seeds, {c.evaluations} distinct evaluations each; "
        f"objectives: {names}; the best of a run is judged {judged}."
    )
    if c.reference is not None:
        point = ", ".join(map(number, c.reference.tolist()))
        text += f" Hypervolume: share of the box up to the reference point ({point})."
    return text


def legend(comparison: Comparison) -> str:
    """What the columns of the final table mean."""
    optimum = (
        "To optimum: median evaluations until it; found: runs that did. " if comparison.optimum is not None else ""
    )
    return (
        f"Interval: bootstrap (BCa) of the mean over seeds. p: two-sided Wilcoxon signed-rank test against "
        f"{comparison.baseline}, Holm-corrected over the strategies. A12: chance that a run beats one of "
        f"{comparison.baseline}; + / = / −: seeds on which it did better, as well, worse. {optimum}"
        f"{power(comparison)} Seconds are means of one run, asking in CPU time; a shared score counts with the time it "
        f"took."
    )


def power(comparison: Comparison) -> str:
    """What so few seeds can show at all."""
    least = least_p(len(comparison.seeds), max(1, len(comparison.against)))
    limit = f"With {len(comparison.seeds)} seeds no corrected p can lie below {least:.2g}"
    return limit + (": they cannot show a difference at the 5 % level; run more." if least >= 0.05 else ".")
