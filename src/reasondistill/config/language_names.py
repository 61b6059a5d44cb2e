"""Names of languages: as a user gives them, by name or by code, and as they are looked up, by English name."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Final

from pydantic import AfterValidator, Field

_BY_CODE: Final = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "jv": "Javanese", "km": "Khmer", "ko": "Korean", "lo": "Lao",
    "my": "Burmese", "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese",
    "ro": "Romanian", "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tr": "Turkish",
    "uk": "Ukrainian", "ur": "Urdu", "vi": "Vietnamese", "yue": "Chinese", "zh": "Chinese",
    # As their speakers call them.
    "deutsch": "German", "español": "Spanish", "français": "French", "italiano": "Italian", "nederlands": "Dutch",
    "polski": "Polish", "português": "Portuguese", "svenska": "Swedish", "türkçe": "Turkish", "русский": "Russian",
    "العربية": "Arabic", "日本語": "Japanese", "中文": "Chinese",
}  # fmt: skip


def language_named(name: str) -> str:
    """The English name of a language that is given by its ISO 639 code, also with a region (``de``, ``zh-CN``).

    Another name is taken as it is, with a capital, unless it is nearly that of a language in the list.

    Raises:
        ValueError: it is one of these, misspelt.
    """
    plain = " ".join(name.split())
    code = plain.casefold().replace("_", "-").partition("-")[0]
    named = _BY_CODE.get(code) or plain[:1].upper() + plain[1:]
    if named not in (known := _BY_CODE.values()) and (near := get_close_matches(named, known, 1, _MISSPELT)):
        raise ValueError(f"{name!r} is no language that is known here; write {near[0]!r} if that is meant")
    return named


_MISSPELT: Final = 0.8
"""Likeness (`difflib`) from which a name is one of the list, misspelt; other languages' names stay below 0.74."""

Language = Annotated[str, Field(min_length=2), AfterValidator(language_named)]
"""A setting: the English name or the code of a language, kept as the name."""
