"""A macro space: three to eight stages of layers, each of a kind, depth, width and more of its own."""
