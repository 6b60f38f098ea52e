"""Statistics, plots and pages of what runs left behind.

- `pareto`: fronts, hypervolume, attainment surfaces, knee.
- `statistics`: best-so-far curves, intervals, paired tests, effect sizes.
- `plots`, `pareto_plots`: thin drawings of those numbers.
- `compare`: strategies × seeds under equal budgets.
- `drawing`: networks as SVG, PNG and HTML; `parts` is what is drawn, `layout` where it stands.
- `walk`: a walk through the space without scores.
- `runpage`: the page of a run; `shell` is what all pages share.
"""
