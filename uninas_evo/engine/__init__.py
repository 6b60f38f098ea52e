"""Running a search: run files, workers, the loop of ask, score and tell, and the journal that survives a kill.

- `search`: a whole search in one call; `run_file`, `resume`, `verify`: the same from files and run folders
- `Loop`, `Trial`: the loop itself, for driving it by hand
- `Journal`, `read_journal`, `canonical`: the record of a run
- `PoolOptions`, `open_pool`, `Pool`: the workers
- `RunFile`, `load_run_file`: run files
"""

from uninas_evo.config.runfile import RunFile, load_run_file
from uninas_evo.engine.events import canonical
from uninas_evo.engine.journal import Journal, read_journal
from uninas_evo.engine.loop import Loop, Trial
from uninas_evo.pool.contract import Pool
from uninas_evo.pool.open import PoolOptions, open_pool

__all__ = [
    "Journal",
    "Loop",
    "Pool",
    "PoolOptions",
    "RunFile",
    "Trial",
    "canonical",
    "load_run_file",
    "open_pool",
    "read_journal",
]
