"""What is optimized: training-free scores in the UniNAS space, tabular benchmarks, the user's own function."""
