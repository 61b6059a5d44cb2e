"""Word lists by language, and what a tokenizer loses of a text.

In come texts; out go words, counts and warnings. What is English about the library stands here, in `english.py`.
"""
