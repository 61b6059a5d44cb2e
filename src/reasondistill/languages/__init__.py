"""Words and word lists by language, which language a text is in, and what a tokenizer loses of it.

In come texts; out go words, counts, statements and warnings. What is English about the library stands here, in
`english.py` and `english_statements.py`.
"""
