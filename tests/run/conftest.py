"""The toy search that the engine is tested with; worker processes import it by name, as they inherit `sys.path`."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))
