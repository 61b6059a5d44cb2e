"""Names of languages: as a user gives them, by name or by code, and as `detection` tells them."""

from __future__ import annotations

from typing import Final

_BY_CODE: Final = {
    "ar": "Arabic", "bg": "Bulgarian", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek", "en": "English",
    "es": "Spanish", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian",
    "id": "Indonesian", "it": "Italian", "ja": "Japanese", "km": "Khmer", "ko": "Korean", "lo": "Lao", "my": "Burmese",
    "nb": "Norwegian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian",
    "ru": "Russian", "sv": "Swedish", "sw": "Swahili", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "ur": "Urdu",
    "vi": "Vietnamese", "yue": "Chinese", "zh": "Chinese",
}  # fmt: skip


def language_named(name: str) -> str:
    """The English name of a language that is given by its ISO 639 code, also with a region (``de``, ``zh-CN``).

    Another name is taken as it is, with a capital: what is known of a language is looked up by its English name.
    """
    plain = " ".join(name.split())
    code = plain.casefold().replace("_", "-").partition("-")[0]
    return _BY_CODE.get(code) or plain[:1].upper() + plain[1:]
