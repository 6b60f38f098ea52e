"""Genomes, costs and steps are cheap to import: heavy libraries come only with a network or a search."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "deap", "pymoo", "optuna", "matplotlib", "sklearn")
CODE = f"""
import sys
import uninas_evo
from uninas_evo.spaces import choices, load
genomes = [uninas_evo.load_genome(name) for name in ("coatnet", "uninet-b0", "darts_v2", "proxyless_gpu")]
assert all(genome.params > 0 for genome in genomes)
print([name for name in {HEAVY} if name in sys.modules])
"""


def test_genomes_of_every_space_need_no_heavy_library() -> None:
    """Loading and costing a genome of each space imports none of them."""
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
