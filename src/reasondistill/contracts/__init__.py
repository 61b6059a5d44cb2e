"""Every file between two stages as a typed, versioned model, with its reader and its writer.

In come rows and JSON; out go models. A file of an unknown version is refused with a sentence. Nothing here computes.
"""
