"""Word lists by language, and what a tokenizer loses of a text."""
