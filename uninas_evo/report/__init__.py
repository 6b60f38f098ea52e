"""Statistics, plots and pages of what runs left behind.

- `pareto`: fronts, hypervolume, attainment surfaces, knee.
- `statistics`: best-so-far curves, intervals, paired tests, effect sizes.
- `plots`, `pareto_plots`: thin drawings of those numbers.
- `compare`: strategies × seeds under equal budgets.
"""
