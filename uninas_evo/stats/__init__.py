"""Pure numbers, one copy: fronts and hypervolume, ranks, intervals and tests."""
