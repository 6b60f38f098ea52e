"""`python -m uninas_evo`: the command line of this environment."""

import sys

from uninas_evo.cli import main

sys.exit(main())
