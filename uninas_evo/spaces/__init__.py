"""Search spaces, one package each; `load` tells their genomes apart, `choices` is what several are built on."""
