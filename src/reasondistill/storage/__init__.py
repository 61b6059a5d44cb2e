"""Files, and what keeps them whole: atomic writing, locks, layered YAML, tables and values that are kept.

In come paths and plain values; out go plain values, or a `UserError` that names the file, the line and a fix.
"""
