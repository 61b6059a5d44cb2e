"""`python -m reasondistill.cli`."""

from reasondistill.cli.commands import main

main()
