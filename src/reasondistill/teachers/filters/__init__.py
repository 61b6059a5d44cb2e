"""Filters of teachers' answers: each a small class in a file of its own, found by being there."""
