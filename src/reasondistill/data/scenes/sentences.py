"""Small English: articles, sentences."""

from __future__ import annotations


def with_article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def lower_first(text: str) -> str:
    return text[0].lower() + text[1:]


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
