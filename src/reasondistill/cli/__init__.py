"""The command line."""

from reasondistill.cli.commands import app, main

__all__ = ["app", "main"]
