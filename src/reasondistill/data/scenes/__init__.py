"""`scenes`: caption pairs with explanations, written by a small grammar; `generating` says how."""

from reasondistill.data.scenes.generating import generate
from reasondistill.data.scenes.world import (
    ANIMALS,
    EXCLUSIVE,
    FRAMES,
    LABELS,
    PEOPLE,
    PERSON,
    PLACE,
    STANCE,
    Aspect,
    Frame,
    entails,
    excludes,
    phrases,
)

__all__ = [
    "ANIMALS",
    "EXCLUSIVE",
    "FRAMES",
    "LABELS",
    "PEOPLE",
    "PERSON",
    "PLACE",
    "STANCE",
    "Aspect",
    "Frame",
    "entails",
    "excludes",
    "generate",
    "phrases",
]
