"""Exports of annotation and generation tools, a file a tool: an object in, flat rows as of a user's own table out.

`known.py` lists them.
"""

from reasondistill.data.readers.exports.known import EXPORTS, export_of

__all__ = ["EXPORTS", "export_of"]
