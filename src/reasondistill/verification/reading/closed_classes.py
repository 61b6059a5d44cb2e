"""English words of closed classes, as captions use them, and words that put a sentence outside the fragment."""

from __future__ import annotations

from typing import Final


def words(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


BE: Final = frozenset(["is", "are", "was", "were", "am", "be", "been", "being"])
HAVE: Final = frozenset(["has", "have", "had", "having"])

DETERMINERS: Final = frozenset(
    [
        "a",
        "an",
        "the",
        "this",
        "that",
        "these",
        "those",
        "another",
        "other",
        "some",
        "his",
        "her",
        "their",
        "its",
        "my",
        "your",
        "our",
    ]
)

NUMBERS: Final = {
    word: number
    for number, named in {
        1: "one single lone 1", 2: "two 2 both couple pair", 3: "three 3 several", 4: "four 4", 5: "five 5 many",
        6: "six 6", 7: "seven 7", 8: "eight 8", 9: "nine 9", 10: "ten 10", 11: "eleven 11", 12: "twelve 12 dozen",
    }.items()
    for word in sorted(words(named))
}  # fmt: skip
"""Least numbers; "several" and a group are at least three, "many", "lots" and a crowd at least five."""

VAGUE: Final = frozenset(["one", "single", "lone", "several", "many", "couple", "pair", "dozen"])

COLLECTIVES: Final = {
    "group": 3, "groups": 3, "crowd": 5, "bunch": 3, "pair": 2, "couple": 2, "lot": 5, "lots": 5, "number": 3,
    "dozens": 12, "team": 3, "row": 3, "line": 3, "gang": 3, "trio": 3, "pack": 3, "herd": 3, "set": 2,
}  # fmt: skip
"""Nouns that only count when "of" and a plural follow."""

PRONOUNS: Final = {
    "someone": "person", "somebody": "person", "something": "", "he": "male", "she": "female", "him": "male",
}  # fmt: skip
"""Pronouns that claim what they stand for; "they" and "it" claim nothing."""

PREPOSITIONS: Final = frozenset(
    [
        "in",
        "on",
        "at",
        "by",
        "with",
        "near",
        "under",
        "over",
        "behind",
        "beside",
        "inside",
        "outside",
        "into",
        "onto",
        "from",
        "through",
        "across",
        "along",
        "around",
        "between",
        "above",
        "below",
        "against",
        "among",
        "beneath",
        "past",
        "toward",
        "towards",
        "during",
        "for",
        "of",
        "to",
        "up",
        "down",
        "off",
        "out",
        "about",
        "after",
        "before",
        "alongside",
        "atop",
        "upon",
        "underneath",
        "aboard",
        "amongst",
        "within",
        "amid",
        "beyond",
        "via",
        "next-to",
        "in-front-of",
        "on-top-of",
        "out-of",
    ]
)
MERGED: Final = {
    ("in", "front", "of"): "in-front-of", ("on", "top", "of"): "on-top-of", ("next", "to"): "next-to",
    ("out", "of"): "out-of", ("outside", "of"): "outside", ("inside", "of"): "inside", ("off", "of"): "off",
    ("in", "between"): "between", ("along", "with"): "with", ("close", "to"): "near", ("together", "with"): "with",
    ("in", "the", "middle", "of"): "in", ("at", "the", "top", "of"): "on-top-of", ("in", "back", "of"): "behind",
    ("a", "lot", "of"): "many", ("lots", "of"): "many", ("a", "few"): "several", ("a", "couple", "of"): "two",
    ("a", "couple"): "two-people", ("a", "pair", "of"): "two", ("ice", "cream"): "ice-cream",
    ("t", "shirt"): "t-shirt", ("tee", "shirt"): "t-shirt", ("each", "other"): "each-other",
    ("on", "the", "side", "of"): "beside", ("the", "side", "of"): "beside", ("at", "the", "side", "of"): "beside",
    ("on", "the", "edge", "of"): "on", ("at", "the", "edge", "of"): "at", ("in", "the", "background"): "behind-them",
    ("in", "the", "foreground"): "before-them", ("by", "herself"): "alone", ("by", "himself"): "alone",
    ("by", "itself"): "alone", ("by", "themselves"): "alone", ("garbage", "can"): "trashcan",
    ("trash", "can"): "trashcan", ("at", "least"): "at-least", ("one", "another"): "each-other",
    ("sort", "of"): "kind-of", ("kind", "of"): "kind-of", ("type", "of"): "kind-of", ("piece", "of"): "kind-of",
    ("pieces", "of"): "kind-of", ("bit", "of"): "kind-of", ("pile", "of"): "kind-of", ("body", "of"): "kind-of",
}  # fmt: skip

ADVERBS: Final = frozenset(
    [
        "together",
        "outdoors",
        "indoors",
        "away",
        "nearby",
        "alone",
        "again",
        "back",
        "forward",
        "forwards",
        "backwards",
        "upside-down",
        "downhill",
        "uphill",
        "underwater",
        "there",
        "here",
        "too",
        "very",
        "really",
        "outside",
        "inside",
        "up",
        "down",
        "off",
        "out",
        "around",
        "along",
        "over",
        "fast",
        "hard",
        "high",
        "low",
        "behind-them",
        "before-them",
        "barefoot",
        "upright",
        "ahead",
        "apart",
        "aside",
        "sideways",
        "overhead",
        "each-other",
    ]
)
EMPTY_ADVERBS: Final = frozenset(
    ["there", "here", "too", "very", "really", "also", "currently", "now", "still", "behind-them", "before-them"]
)
"""Adverbs that claim nothing that a caption could be held to."""

CONJUNCTIONS: Final = frozenset({"and", "&"})
SUBORDINATORS: Final = frozenset(["while", "as", "when", "where", "whilst"])
RELATIVES: Final = frozenset(["who", "that", "which"])

UNIVERSAL: Final = frozenset(["every", "each", "all", "everyone", "everybody"])
NEGATIVE: Final = frozenset(["no", "nobody"])

OUTSIDE: Final = frozenset(["or", "nor", "either", "neither", "than", "unless", "if", "whether"])
"""Alternatives, comparison, conditions: a sentence with one is not read, not even in part."""

STOPPING: Final = frozenset(
    [
        "not",
        "never",
        "none",
        "nothing",
        "nowhere",
        "without",
        "cannot",
        "hardly",
        "barely",
        "rarely",
        "seldom",
        "almost",
        "nearly",
        "except",
        "instead",
        "can",
        "could",
        "may",
        "might",
        "must",
        "shall",
        "should",
        "will",
        "would",
        "pretend",
        "imaginary",
        "would-be",
        "any",
        "anyone",
        "anybody",
        "anything",
        "only",
        "just",
        "least",
        "most",
        "fewer",
        "less",
        "more",
        "likely",
        "maybe",
        "perhaps",
        "possibly",
        "unable",
        "supposedly",
        "because",
        "but",
        "although",
        "though",
        "yet",
        "until",
        "since",
        "how",
        "what",
        "why",
        "whom",
        "whose",
        "nobody",
    ]
)
"""Negation, modality, causes: a premise is read up to such a word, and says what stands before it."""

OUTSIDE_VERBS: Final = frozenset(
    [
        "try",
        "attempt",
        "want",
        "hope",
        "wish",
        "pretend",
        "seem",
        "appear",
        "dream",
        "plan",
        "need",
        "fail",
        "refuse",
        "avoid",
        "stop",
        "finish",
        "resemble",
        "imagine",
        "think",
        "believe",
        "expect",
        "like",
        "love",
        "hate",
        "prefer",
        "let",
        "make",
        "miss",
        "lack",
        "imitate",
        "use",
    ]
)
"""Verbs of which what follows need not be so; with an object of their own they are read."""

REFUSING_VERBS: Final = words("refuse avoid fail stop lack miss deny prevent need cease forget")
"""Verbs whose objects cannot be widened: to refuse fish is not to refuse food."""

NOT_INTERSECTIVE: Final = frozenset(
    ["toy", "fake", "model", "stuffed", "inflatable", "mock", "former", "pretend", "imaginary"]
)
"""Modifiers that may turn a thing into one that only looks so."""
MATERIALS: Final = frozenset(
    [
        "stone",
        "plastic",
        "wooden",
        "bronze",
        "metal",
        "chocolate",
        "paper",
        "snow",
        "ice",
        "cardboard",
        "marble",
        "ceramic",
        "sand",
        "wax",
    ]
)
"""What makes a lookalike of a person or an animal."""

DEPICTIONS: Final = frozenset(
    ["picture", "photo", "photograph", "painting", "statue", "drawing", "poster", "image", "portrait", "mural"]
)
"""Before "of" they show what need not be there."""

PLURAL_NOUNS: Final = {
    "crowd": 5, "audience": 5, "team": 3, "band": 3, "family": 3, "choir": 3, "orchestra": 3, "class": 3, "trio": 3,
    "gang": 3, "group": 3,
}  # fmt: skip
"""Nouns of several people together."""

PARTICIPLES: Final = frozenset(
    [
        "dress",
        "seat",
        "cover",
        "surround",
        "locate",
        "park",
        "gather",
        "paint",
        "decorate",
        "fill",
        "line",
        "crowd",
        "tie",
        "wrap",
        "call",
        "name",
        "make",
        "hold",
        "wear",
        "place",
        "equip",
        "bundle",
        "clothe",
        "cloak",
        "adorn",
        "attach",
        "position",
        "dirt",
        "coat",
        "drape",
        "perch",
    ]
)
"""Verbs whose forms in -ed, without "is", are passive in captions ("a man dressed in blue")."""

WITH_PREPOSITION: Final = frozenset({("look", "at"), ("listen", "to"), ("stare", "at"), ("gaze", "at")})
"""Verbs that make one predicate of two participants with a preposition."""

EMPTY_PARTICLES: Final = frozenset(
    {("sit", "down"), ("lie", "down"), ("lay", "down"), ("stand", "up"), ("stand", "around")}
)
"""Particles that add nothing to their verbs."""

ASPECT_VERBS: Final = frozenset(["go", "start", "begin", "continue", "keep", "enjoy"])
"""Before a verb in -ing of the same participant."""
