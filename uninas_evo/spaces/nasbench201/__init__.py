"""The cells of NAS-Bench-201: space, exact cost, network."""
