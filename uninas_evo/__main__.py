"""`python -m uninas_evo`: the command line of this environment."""

from uninas_evo.cli import main

main()
