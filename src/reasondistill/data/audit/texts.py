"""Single texts: what two of them must share to count as the same, and what is broken in one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from reasondistill.languages.detection import LATIN_LETTER
from reasondistill.languages.word_splitting import tokens

FLAWS: Final = {
    "edge_space": "white space at the start or end",
    "unprintable": "control or invisible characters",
    "mojibake": "characters of a wrong encoding",
    "html": "remains of HTML",
    "non_latin": "most letters in another script than Latin",
}
"""What `flaws` finds, in words."""

ARTICLES: Final = frozenset({"a", "an", "the"})

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028\u2029\ufeff\ufffe\uffff]")
# UTF-8 read as Windows-1252 or Latin-1, and the replacement character of a decoder that gave up.
_MOJIBAKE = re.compile("Ã[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€|â\x80|Â[\xa0-\xbf]|ï»¿|ï¿½|\ufffd")
_HTML = re.compile(r"</?[a-z][a-z0-9]*(?:\s[^<>]*)?/?>|&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)


def plain(text: str) -> str:
    """``text`` as its `tokens` without articles, one space between them: what two same texts have in common."""
    return " ".join([word for word in tokens(text) if word not in ARTICLES])


def flaws(text: str) -> Iterator[str]:
    """Which of `FLAWS` a text has."""
    if text and (text[0].isspace() or text[-1].isspace()):
        yield "edge_space"
    if ("<" in text or "&" in text) and _HTML.search(text):
        yield "html"
    if text.isascii() and text.isprintable():
        return
    if _UNPRINTABLE.search(text):
        yield "unprintable"
    if text.isascii():
        return
    if _MOJIBAKE.search(text):
        yield "mojibake"
    letters = sum(map(str.isalpha, text))
    if letters and len(LATIN_LETTER.findall(text)) * 2 < letters:
        yield "non_latin"
