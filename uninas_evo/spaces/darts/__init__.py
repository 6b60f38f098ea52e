"""The cells of DARTS and UNAS: space, text, exact cost, network, published genotypes."""
