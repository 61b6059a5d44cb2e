"""`python -m reasondistill`: the command line, as launchers of several processes start it."""

from reasondistill.cli import main

if __name__ == "__main__":
    main()
