"""In which encoding a text file is: certain by its first bytes, or recognised by its words where they are enough.

Windows-1252 is recognised here; for the others chardet is asked, over the lines that are not ASCII only.
docs/experiment_log.md has what it, charset-normalizer and the rules here make of the same tables.
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

_SAMPLE = 1 << 16
"""Bytes of lines that are not ASCII by which an encoding is recognised."""

_LINES = 1000
"""Lines of a file's beginning by which its encoding is recognised, to look at its separators."""

_FEWEST = 3
"""Words from which a detector's reading is believed."""

_OTHERWISE = 2
"""Words of a Western text that have to read otherwise for a detector to be believed."""
_PIECE = re.compile(r"[^\x00-\x2f\x3a-\x40\x5b-\x60\x7b-\x7f]+")

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
    if wide is not None:
        return head.decode(wide, errors="ignore").removeprefix("\ufeff")
    head = head.removeprefix(codecs.BOM_UTF8)
    # In some encodings a letter's second byte is a separator in ASCII.
    encoding = None if head.isascii() else narrow_encoding(head.splitlines(keepends=True)[:_LINES])
    return head.decode(encoding or "latin-1", errors="ignore")


def narrow_encoding(lines: Iterable[bytes]) -> str | None:
    """The encoding, of those without a mark, that a file's lines are in and UTF-8 is not; None where that is not sure.

    Windows-1252 where its words are those of Western Europe, and a detector does not read several of them otherwise;
    else the detector's reading, where all of its words are words of one script and they are three at least. Lines in
    UTF-8 among the others speak against any.
    """
    western, size = True, 0
    sample: list[bytes] = []
    for line in lines:
        if line.isascii():
            continue
        if _is_utf8(line):
            return None
        western = western and is_western([line])
        if size < _SAMPLE:
            sample.append(line)
            size += len(line)
    detected = _detected(b"".join(sample))
    if western:
        words = [] if detected is None else _words(sample, detected)
        differ = len({*words} - {*_words(sample, "cp1252")}) >= _OTHERWISE
        return detected if differ and _enough(words, _OTHERWISE) else "cp1252"
    return detected if detected is not None and _enough(_words(sample, detected), _FEWEST) else None


def _is_utf8(line: bytes) -> bool:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not text.isascii()


def _detected(sample: bytes) -> str | None:
    import chardet

    encoding = chardet.detect(sample)["encoding"] if sample else None
    if encoding is None:
        return None
    try:
        sample.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        return None
    return encoding


def _words(lines: Iterable[bytes], encoding: str) -> list[str]:
    """The different words with letters that are not ASCII, in order."""
    text = b"".join(lines).decode(encoding, errors="replace")
    spaced = "".join(" " if unicodedata.category(letter)[0] in "PZ" else letter for letter in text)
    return list(dict.fromkeys(word for word in _PIECE.findall(spaced) if not word.isascii()))


def _enough(words: list[str], fewest: int) -> bool:
    """Whether so many words, or a text of six times as many letters, are words of one script each."""
    return all(map(_is_word, words[:200])) and (len(words) >= fewest or len("".join(words)) >= 6 * _FEWEST)


def is_western(lines: Iterable[bytes]) -> bool:
    """Whether lines read as Windows-1252 (or Latin-1) hold what people write in Western Europe.

    Lines in UTF-8 among them speak against it, and so do signs inside words ("za¿ó³æ", which is Polish) and three
    letters in a row that are not ASCII ("ïîæ", which is Russian).
    """
    for line in lines:
        if line.isascii():
            continue
        if _is_utf8(line):
            return False
        try:
            text = line.decode("cp1252")
        except UnicodeDecodeError:
            return False
        if not _WESTERN.fullmatch(text) or _UNLIKELY.search(text):
            return False
    return True


def first_words(lines: Iterable[bytes], encoding: str, most: int = 3) -> list[str]:
    """The first pieces between spaces and signs of ASCII that have letters which are not ASCII."""
    odd = islice((line for line in lines if not line.isascii()), 20)
    pieces = _PIECE.findall(b"".join(odd).decode(encoding, errors="replace"))
    return [*dict.fromkeys(piece for piece in pieces if not piece.isascii())][:most]


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
