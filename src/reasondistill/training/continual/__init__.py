"""What keeps a run from forgetting what its parent knew.

In comes a configuration with a block ``update``; out go rows to learn again beside the new ones, and terms of the loss
that hold a student to its parent's answers or weights.
"""
