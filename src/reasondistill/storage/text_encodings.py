"""In which encoding a text file is: certain by its first bytes, or Windows-1252 where its words speak for that.

No detector that guesses languages is asked: on short tables they take "Tür" for Chinese. docs/experiment_log.md has
the figures.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable
from itertools import islice, pairwise

HEAD = 1 << 20
"""Bytes of a file's beginning by which its form is recognised."""

_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WORD = re.compile(rb"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")

# Letters of Western Europe; Icelandic ones are left out, as their bytes are letters of Turkish.
_LETTERS = "àáâãäåæçèéêëìíîïñòóôõöøùúûüßÿœÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒ"
_SIGNS = "£§©ª®°±²³´µ¹º¼½¾×÷‰‹›"
_MARKS_OF_TEXT = "“”„«»…€¿¡•™’‘–—·\u00a0"
_WESTERN = re.compile(rf"[\x00-\x7f{_LETTERS}{_SIGNS}{_MARKS_OF_TEXT}]*")
_UNLIKELY = re.compile(
    rf"[{_LETTERS}{_SIGNS}]{{3}}"  # "ïîæ": Russian, or Chinese
    rf"|[{_LETTERS}][{_SIGNS}]|[{_SIGNS}][{_LETTERS}{_SIGNS}]|[a-zA-Z][{_SIGNS}][a-zA-Z]"  # "za¿ó³æ": Polish
    rf"|[ª®²³´¹¼½¾‰][a-zA-Z]|µ(?![a-zA-Z])|”[a-zA-Z{_LETTERS}]|(?<![a-zA-Z])·(?![ a-zA-Z])"
    rf"|[a-zA-Z{_LETTERS}][“”„«»€¿¡•™][a-zA-Z{_LETTERS}]|[{_LETTERS}]…[a-zA-Z{_LETTERS}]|[a-zA-Z]…[{_LETTERS}]"
    rf"|(?<![a-zA-Z])[{_LETTERS}]{{2}}(?![a-zA-Z])|œ(?![uit])"
)
# By names that iconv knows too. Any bytes are words of some language in those with one byte a letter.
_ONE_BYTE = ("cp1250", "cp1251", "koi8-r", "cp1253", "cp1254", "cp1255", "iso8859-2", "macintosh", "cp850", "cp1252")
_SEVERAL_BYTES = ("gb18030", "big5", "shift_jis", "euc-jp", "cp949")


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, where a file's first bytes are in it; None where it is made of single bytes.

    Without a byte-order mark it takes texts of mostly Western letters, in which every other byte is zero.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    pairs = len(head) // 2
    if pairs and b"\0" in head:
        zeros = head[0 : 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
        for name, many, none in (("utf-16-le", zeros[1], zeros[0]), ("utf-16-be", zeros[0], zeros[1])):
            if not none and 2 * many > pairs:
                return name
    return None


def decode_head(head: bytes) -> str:
    """A file's beginning, to look at separators and line ends: ASCII is right, other letters may be wrong."""
    wide = wide_encoding(head)
    return head.decode(wide or "latin-1", errors="ignore").removeprefix("\ufeff" if wide else "ï»¿")


def is_western(lines: Iterable[bytes]) -> bool:
    """Whether lines read as Windows-1252 (or Latin-1) hold what people write in Western Europe.

    Lines in UTF-8 among them speak against it, and so do signs inside words ("za¿ó³æ", which is Polish) and three
    letters in a row that are not ASCII ("ïîæ", which is Russian).
    """
    for line in lines:
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            try:
                text = line.decode("cp1252")
            except UnicodeDecodeError:
                return False
            if not _WESTERN.fullmatch(text) or _UNLIKELY.search(text):
                return False
        else:
            return False
    return True


def odd_words(lines: Iterable[bytes], most: int = 3) -> list[bytes]:
    """The first words with letters that are not ASCII."""
    words = (word for line in lines if not line.isascii() for word in _WORD.findall(line) if not word.isascii())
    return list(islice(dict.fromkeys(words), most))


def readings(lines: Iterable[bytes]) -> list[tuple[str, str]]:
    """``(encoding, first words in it)`` for each encoding in which they look like words: a person can choose."""
    odd = list(islice((line for line in lines if not line.isascii()), 20))
    words = odd_words(odd)
    possible: dict[str, str] = {}
    for encoding in (*_ONE_BYTE, *_SEVERAL_BYTES):
        try:
            if encoding in _ONE_BYTE:
                texts = [word.decode(encoding) for word in words]
                fits = all(map(_is_word, texts))
            else:  # a letter's second byte may be a separator in ASCII
                text = b"".join(odd).decode(encoding)
                texts = [word for word in re.findall(r"\w+", text) if not word.isascii()][:3]
                fits = bool(texts)
        except UnicodeDecodeError:
            continue
        if fits:
            possible.setdefault(" ".join(texts), encoding)
    return [(encoding, reading) for reading, encoding in possible.items()]


def _is_word(text: str) -> bool:
    """Letters of one script, in which no capital follows a small one."""
    plain = text.strip("¿¡«»„“”‘’…")
    latin = [unicodedata.name(letter, "").startswith("LATIN") for letter in plain if letter.isalpha()]
    small_then_capital = any(a.islower() and b.isupper() for a, b in pairwise(plain))
    return plain.isalnum() and len(set(latin)) == 1 and not small_then_capital
