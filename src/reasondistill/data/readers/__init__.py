"""Readers: a published set's own form, or a user's table, to examples."""
