"""What a measurement was made on: the first line that every benchmark prints."""

from __future__ import annotations

import os

import torch

from uninas_evo.engine.versions import versions
from uninas_evo.pool.devices import cpu_count
from uninas_evo.pool.worker import describe


def conditions() -> str:
    """Processor, cores, threads of torch, load and versions."""
    libraries = ", ".join(f"{name} {version}" for name, version in versions().items())
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    return f"{describe('cpu')}, {cpu_count()} cores, torch on {threads} threads, load {load:.1f}; {libraries}"
