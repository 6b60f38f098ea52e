"""Scorers for any space: each gives a genome named values, and sees it as if it were alone.

- `proxy.ProxyScorer`, `cost.CostScorer`, `latency.LatencyScorer`, `function.FunctionScorer`, `training.TrainScorer`,
  `aggregate.AggregateScorer`: one scorer a kind
- `subject`: a genome as scorers see it, and what keeps them apart
- `named`: scorers of what a run file or a user writes as objectives
"""
