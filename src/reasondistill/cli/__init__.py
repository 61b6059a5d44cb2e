"""The command line: parse, call, print.

In come arguments; out go lines for people, JSON for programs and an exit status. A command does nothing that Python
cannot do by the same words. `commands.py` has the application; larger commands have files of their own.
"""

from reasondistill.cli.commands import app, main

__all__ = ["app", "main"]
