"""What an English explanation states: "Someone who is X is Y", "not all X are Y", "X, so the man cannot be Y".

An explanation of natural language inference says how what was said (X) bears on what is asked (Y). Templates find both
and how often Y holds where X does: always, sometimes or never, or one of these without saying which. Two statements
about the same X and Y contradict each other where no such state of affairs is left for both.

The templates follow those that Camburu et al. 2020 (Make Up Your Mind!) and Atanasova et al. 2023 list for e-SNLI.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, Literal, NamedTuple

from reasondistill.languages.word_splitting import words

State = Literal["always", "sometimes", "never"]
ALL: Final[frozenset[State]] = frozenset({"always"})
SOME: Final[frozenset[State]] = frozenset({"sometimes"})
NONE: Final[frozenset[State]] = frozenset({"never"})
NOT_ALL: Final = SOME | NONE
NOT_NONE: Final = ALL | SOME
_TURNED: Final[dict[State, State]] = {"always": "never", "sometimes": "sometimes", "never": "always"}


class Clause(NamedTuple):
    """``subject`` ``be`` ``rest``, as in "a man" "is" "asleep"; where there is no such verb, all is ``rest``."""

    subject: str
    be: str
    rest: str

    @property
    def text(self) -> str:
        """As a caption: capitalised, with a full stop; empty where nothing is said."""
        joined = " ".join(part for part in self if part)
        return f"{joined[0].upper()}{joined[1:]}." if joined else ""


NOTHING: Final = Clause("", "", "")


class Statement(NamedTuple):
    """How ``conclusion`` holds where ``condition`` does; that is `NOTHING` in a statement about the scene itself."""

    condition: Clause
    conclusion: Clause
    holds: frozenset[State]
    template: str


_BE = r"(?:is|are|was|were)"
_NOT = r"(?: not|n['’]t|nt)"
_CANNOT = r"(?:can ?not|can['’]?t|could ?n['’]?t|could not)"
_DO_NOT = rf"(?:do|does|did){_NOT}(?: \w+ly| always)?"
_DOES_NOT = rf"(?:{_DO_NOT}|(?:may|might|need) not)"
_MEAN = r"(?:mean|imply|indicate|entail|suggest|make)"
_MEANS = r"(?:means?|imply|implies|indicates?|infers?|entails?|suggests?|shows?|must mean|would (?:imply|mean))"
_KIND = r"(?:type|kind|form|way|sort|rephras\w+|synonym|paraphrase|summary|restatement|example|word)"
_SAME = rf"(?:(?:a|an|another) {_KIND} (?:of|for)|the same (?:thing )?as)"
_WHILE = r"(?:if|while|when|as|at the same time(?: as| that)?)"
_AT_ONCE = r"(?: at the same time| simultaneously| at once)?"
_NOT_BOTH = r"(?:,? but not both)?"
_SO = r"(?:, so|,? therefore|,? thus|,? hence|,? which means|,? meaning)(?: that)?"
_THAT = r"(?: that| if| whether)?"
_UNKNOWN = "|".join(
    (
        rf"(?:(?:you|we|one|it|i) )?{_CANNOT} (?:be )?(?:infer|assume|say|conclude|tell|know)\w*",
        r"(?:there is )?nothing (?:tells|says|told|said|suggests)(?: us)?",
        r"there(?: is|['’]s) no (?:indication|evidence|mention|reason to (?:think|believe|assume))(?: of)?",
        r"(?:we|you) (?:do not know|don['’]?t know|have no idea)",
        rf"(?:it|(?:the )?(?:sentence|statement|premise)(?: \w+)?) {_DO_NOT} (?:say|state|mention|tell)(?: us)?",
        r"it(?: is|['’]s) (?:not (?:clear|known|stated|said|mentioned|necessarily true)|un(?:clear|known))",
    )
)
# A subject, with or without a relative clause, before what is said of it.
_S = (
    r"(?P<s>(?:(?! (?:is|are|was|were|who|that|which|cannot|must|can|could|may|might|would) ).)+?)"
    r"(?: (?:who|that|which) (?P<x>.+?))?"
)

# What is said of one subject: name, how it holds, pattern. The first that fits counts.
_PREDICATES: tuple[tuple[str, frozenset[State], str], ...] = (
    ("X may or may not be Y", SOME, rf"{_S} (?:may|might|could) or (?:may|might|could){_NOT} (?P<be>be )?(?P<y>.+)"),
    ("X could be Y, but need not be", SOME, rf"{_S} (?:could|can|may|might) be (?P<y>.+?),? but (?:need|does) not.*"),
    ("X need not be Y", NOT_ALL, rf"{_S} (?:need not|{_DO_NOT} (?:have|need) to) (?P<be>be )?(?P<y>.+)"),
    ("X is not necessarily Y", NOT_ALL, rf"{_S} {_BE}{_NOT} (?:necessarily|always|assumed to be) (?P<y>.+)"),
    ("X might not be Y", NOT_ALL, rf"{_S} (?:may|might){_NOT} (?P<be>be )?(?P<y>.+)"),
    ("all X are not Y", NOT_ALL, rf"(?=all ){_S} {_BE}{_NOT} (?P<y>.+)"),
    ("not all X are Y", NOT_ALL, rf"not {_S} {_BE} (?P<y>.+)"),
    ("no X is Y", NONE, rf"(?=no(?:body)? ){_S} {_BE} (?P<y>.+)"),
    ("X cannot be Y", NONE, rf"{_S} {_CANNOT} (?P<be>be )?(?P<y>.+)"),
    ("X is different from Y", NONE, rf"{_S} {_BE} (?:different from|the opposite of|not the same as) (?P<y>.+)"),
    ("X is not Y", NONE, rf"{_S} {_BE}{_NOT} (?P<y>.+)"),
    ("X must be Y", ALL, rf"{_S} (?:must|(?:would )?ha(?:s|ve) to) (?P<be>be )?(?P<y>.+)"),
    ("X is Y", ALL, rf"{_S} {_BE} (?P<y>.+)"),
)
# How one thing bears on another. Without states, what is said of Y tells how it holds.
_RELATIONS: tuple[tuple[str, frozenset[State] | None, str], ...] = (
    (
        "just because X does not mean Y",
        NOT_ALL,
        rf"(?:(?:just )?because |the fact that )?(?P<x>.+?),? {_DOES_NOT} {_MEAN}(?: that)? (?P<y>.+)",
    ),
    ("cannot infer Y because X", NOT_ALL, rf"(?:{_UNKNOWN}){_THAT} (?P<y>.+?)(?: just)? because (?P<x>.+)"),
    ("cannot infer Y", SOME, rf"(?:{_UNKNOWN}){_THAT} (?P<y>.+)"),
    ("if X, then Y", None, r"if (?P<x>.+?)(?:,? then|,) (?P<y>.+)"),
    ("X, so Y", None, rf"(?P<x>.+?){_SO} (?P<y>.+)"),
    ("either X or Y", NONE, rf"(?P<s>.+?) (?P<be>{_BE}|must be|should be) either (?P<x>.+?) or (?P<y>.+?){_NOT_BOTH}"),
    ("either X or Y", NONE, rf"either (?P<x>.+?) or (?P<y>.+?){_NOT_BOTH}"),
    ("X and Y are different", NONE, rf"(?P<x>.+?) and (?P<y>.+?) {_BE} (?:different|opposites|not the same)(?: \w+)?"),
    (
        "cannot be X and Y",
        NONE,
        rf"(?P<s>.+?) {_CANNOT} (?:both )?(?P<be>be )?(?:both )?(?P<x>.+?) and (?:also )?(?:be )?(?P<y>.+?){_AT_ONCE}",
    ),
    ("can be X and Y", NOT_NONE, rf"(?P<s>.+?) can (?P<be>be )(?:both )?(?P<x>.+?) and (?P<y>.+?){_AT_ONCE}"),
    ("cannot be Y while X", None, rf"(?P<y>.+? {_CANNOT} .+?) {_WHILE} (?P<x>.+)"),
    ("Y because X", None, r"(?P<y>.+?),? (?:because|since) (?P<x>.+)"),
    ("to be X is to be Y", ALL, r"to (?:be )?(?P<x>.+?) is to (?:be )?(?P<y>.+)"),
    ("X is the same as Y", ALL, rf"(?P<x>.+?) {_BE} {_SAME} (?P<y>.+)"),
    ("X means Y", ALL, rf"(?P<x>.+?) {_MEANS}(?: that)? (?P<y>.+)"),
)  # fmt: skip
_PREDICATE_TEMPLATES = [(name, holds, re.compile(pattern, re.IGNORECASE)) for name, holds, pattern in _PREDICATES]
_RELATION_TEMPLATES = [(name, holds, re.compile(pattern, re.IGNORECASE)) for name, holds, pattern in _RELATIONS]

_CLAUSE = re.compile(rf"(?P<s>(?:(?! {_BE} ).)+?) (?P<b>{_BE}) (?P<r>.+)", re.IGNORECASE)
_ANY_BE = re.compile(rf"\b({_BE[3:-1]})\b", re.IGNORECASE)
_DENIED = re.compile(rf"\b({_BE[3:-1]}) not\b", re.IGNORECASE)
_LEADING_BE = re.compile(rf"{_BE} ", re.IGNORECASE)
_SENTENCE = re.compile(r"[.!?;]+(?:\s+|$)|\n+")
_GENERIC = re.compile(r"(?:not )?(?:some|any|every|no ?)(?:one|body)|one|nobody", re.IGNORECASE)
_QUANTIFIER = re.compile(r"(?P<q>all|some|most|every|any|each|no) (?:of )?(?P<noun>.+)", re.IGNORECASE)
# "the man", "they": whom the scene shows. They name what is spoken of and say nothing of it.
_SCENE = re.compile(r"(?:the|this|that|these|those|his|her|their) \w+|he|she|it|they|there|we|you|i", re.IGNORECASE)
_PLURAL = re.compile(r"(?:.* )?(?:they|we|you|men|women|people|children|both|\w+[^su\W]s)", re.IGNORECASE)

_FUNCTION_WORDS = (
    "a an the this that these those some any is are was were be being been am to of it its there both also "
    "someone somebody anyone anybody everyone everybody person people one who which they he she we you i "
    "his her their animal and then just"
)
_EMPTY = frozenset(_FUNCTION_WORDS.split())


def content(text: str) -> frozenset[str]:
    """The words of a text that carry its matter."""
    return frozenset(words(text)) - _EMPTY


def parse(explanation: str) -> Statement | None:
    """What the first sentence that fits a template states; None where none does."""
    return next(statements(explanation), None)


def statements(explanation: str) -> Iterator[Statement]:
    """What each sentence that fits a template states, in turn."""
    for sentence in _SENTENCE.split(explanation):
        plain = " ".join(sentence.split()).strip(" ,:\"'“”")
        if plain and (statement := _relation(plain) or _predicate(plain)) is not None:
            yield _unnegated(statement)


def _relation(sentence: str) -> Statement | None:
    for name, holds, pattern in _RELATION_TEMPLATES:
        if (match := pattern.fullmatch(sentence)) is None:
            continue
        parts = match.groupdict()
        if subject := parts.get("s"):
            of, be = _named(subject), parts["be"] is not None
            return Statement(_of(of, parts["x"], be), _of(of, parts["y"], be), holds or ALL, name)
        condition, conclusion = _clause(parts["x"]) if "x" in parts else NOTHING, _clause(parts["y"])
        if holds is None:
            inner = _predicate(parts["y"])
            return (
                Statement(condition, conclusion, ALL, name)
                if inner is None
                else Statement(condition, inner.conclusion, inner.holds, name)
            )
        if (
            name.startswith("either") and condition.subject and not conclusion.subject
        ):  # "either the man is asleep or awake"
            conclusion = conclusion._replace(subject=condition.subject, be=condition.be)
        return Statement(condition, conclusion, holds, name)
    return None


def _predicate(sentence: str) -> Statement | None:
    for name, holds, pattern in _PREDICATE_TEMPLATES:
        if (match := pattern.fullmatch(sentence)) is None:
            continue
        parts = match.groupdict()
        subject, inside = parts["s"], parts["x"]
        of = _named(subject)
        if inside is not None:
            rest = _LEADING_BE.sub("", inside, count=1)
            condition = _of(of, rest, be=rest != inside)
        else:
            condition = NOTHING if _SCENE.fullmatch(subject) or _GENERIC.fullmatch(subject) else Clause("", "", of)
        return Statement(condition, _of(of, parts["y"], be=parts.get("be", "") is not None), holds, name)
    return None


def _unnegated(statement: Statement) -> Statement:
    """ "X is never not Y" as "X is always Y"."""
    rest = re.sub(r"^not (?!all\b|every)", "", statement.conclusion.rest, flags=re.IGNORECASE)
    if rest == statement.conclusion.rest:
        return statement
    holds: frozenset[State] = frozenset(_TURNED[state] for state in statement.holds)
    return statement._replace(conclusion=statement.conclusion._replace(rest=rest), holds=holds)


def _named(subject: str) -> str:
    """Whom a statement about someone, everyone or no one makes a caption of."""
    if _GENERIC.fullmatch(subject):
        return "a person"
    if match := _QUANTIFIER.fullmatch(subject):
        noun = match["noun"]
        if match["q"].lower() in ("every", "any", "each", "no") and not _PLURAL.fullmatch(noun):
            return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
        return noun
    return subject


def _of(subject: str, rest: str, be: bool) -> Clause:
    return Clause(subject, ("are" if _PLURAL.fullmatch(subject) else "is") if be else "", rest)


def _clause(text: str) -> Clause:
    match = _CLAUSE.fullmatch(text)
    return Clause("", "", text) if match is None else Clause(_named(match["s"]), match["b"], match["r"])


def same_matter(a: Statement, b: Statement) -> bool:
    """Whether two statements about one scene speak of the same thing: X, Y and the subject, as far as both name them.

    Where one says that X and Y never go together, they may have changed places.
    """
    if not _agree(content(a.conclusion.subject), content(b.conclusion.subject)):
        return False
    (x, y), (u, v) = ((content(statement.condition.rest), content(statement.conclusion.rest)) for statement in (a, b))
    if y and y == v and _agree(x, u):
        return True
    return bool(x and y and NONE in (a.holds, b.holds) and (x, y) == (v, u))


def contradict(a: Statement, b: Statement) -> bool:
    """Whether two statements about one scene cannot both be true."""
    return same_matter(a, b) and not a.holds & b.holds


def _agree(a: frozenset[str], b: frozenset[str]) -> bool:
    return not a or not b or a == b


def deny(text: str) -> str | None:
    """``text`` with "not" behind its first form of "be", or without it where one has it; None where there is none."""
    if _DENIED.search(text):
        return _DENIED.sub(r"\1", text, count=1)
    return _ANY_BE.sub(r"\1 not", text, count=1) if _ANY_BE.search(text) else None
