"""What explanations are made of besides the input: how they begin and end, and templates such as "just because … does
not mean …", found in the data.

No list of phrases is given. A word is *fixed* where explanations use it mostly without the input having it; *glue* if
it is common in both and no more so when the input has it (a, is, of); the rest is *content*, which fills a
template's slots. A template is a run of fixed words with slots for what stands between them.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from reasondistill.contracts.audit import Audit, Finding
from reasondistill.contracts.audit_numbers import EdgePhrase, Phrases, Quoting, Template
from reasondistill.contracts.records import Example
from reasondistill.data.audit.duplicates import GetIds
from reasondistill.data.audit.findings import NO_LABEL, Bars, Evidence, FactList, NumberTable, Section, finding, percent
from reasondistill.data.audit.profile import IDS
from reasondistill.languages.word_splitting import tokens
from reasondistill.metrics.baselines import to_template
from reasondistill.tasks.task import Task

SLOT: Final = "…"
MOST_EXPLANATIONS: Final = 60_000
"""At most this many explanations are looked at; the result says how many."""
TEMPLATES: Final = 30
EDGES: Final = 5
EDGE_WORDS: Final = 3
RAREST: Final = 0.005
"""A template or beginning that fewer explanations have is not named."""
_LONGEST: Final = 6  # fixed words in a template
_COST: Final = 4.0  # bits that naming a template in an explanation costs
_BITS: Final = 5.0  # what it must say at least; one that says nothing of the label must say more, one that says
_UNTIED_BITS: Final = 8.0  # nearly all of it may be as common as it likes
_SHOWN: Final = 12  # templates in the figure
_SURE: Final = 0.9
_TIED: Final = 0.25  # a template is tied to a label that much commoner among its explanations than among all
_PRUNE: Final = 400_000  # windows counted at one time; past that, those seen once are dropped
_LIFT: Final = 4.0

FIXED, GLUE, CONTENT = 0, 1, 2


class _Text(NamedTuple):
    """An explanation."""

    row: int
    label: str
    words: list[str]
    text: str


class _Window(NamedTuple):
    """A run of fixed words in one explanation: where they stand, and what a template of them reads."""

    places: tuple[int, ...]
    key: tuple[str, ...]


class _Counts:
    """Words and quotes of explanations: how many use a word, how many inputs have it, how many both."""

    def __init__(self) -> None:
        self.texts: list[_Text] = []
        self.inputs: Counter[str] = Counter()
        self.uses: Counter[str] = Counter()
        self.both: Counter[str] = Counter()
        self.quoting: Counter[str] = Counter()
        self.spelling: dict[str, tuple[str, int]] = {}

    def add(self, row: int, example: Example, task: Task) -> None:
        """Count the explanations of an example."""
        fields = {name: example.fields[name] for name in task.fields}
        around = {word for text in (*fields.values(), *(example.choices or ())) for word in tokens(text)}
        label = example.label
        label = NO_LABEL if label is None or task.labels == () else "answer" if task.labels is None else label
        for explanation in example.references:
            words = tokens(explanation.text)
            own = set(words)
            self.inputs.update(around)
            self.uses.update(own)
            self.both.update(own & around)
            self.texts.append(_Text(row, label, words, explanation.text))
            template = to_template(explanation.text, fields)
            if "{" in template and any(c.isalnum() for c in _without_slots(template, fields)):
                folded = template.casefold()
                self.quoting[folded] += 1
                self.spelling.setdefault(folded, (template, row))

    def quotes(self, get_ids: GetIds) -> list[Quoting]:
        """The commonest templates that quote fields whole."""
        n = len(self.texts)
        commonest = [(*self.spelling[key], count) for key, count in self.quoting.most_common(EDGES) if count >= 2]
        return [Quoting(template=text, n=count, share=count / n, ids=get_ids([row])) for text, row, count in commonest]


def find_phrases(examples: Iterable[tuple[int, Example]], task: Task, get_ids: GetIds) -> Phrases:
    """How explanations begin and end, and their templates.

    Args:
        examples: with their row numbers.
        get_ids: row numbers → ids.
    """
    counts = _Counts()
    for row, example in examples:
        if len(counts.texts) >= MOST_EXPLANATIONS:
            break
        counts.add(row, example, task)
    texts = counts.texts
    kinds = _kinds(counts.inputs, counts.uses, counts.both, len(texts))
    enough = max(10, math.ceil(RAREST * len(texts)))
    templates, covered = _templates(texts, kinds, counts.uses, enough, get_ids)
    labels = sorted({text.label for text in texts})
    return Phrases(
        n=len(texts),
        begin={label: _edges(texts, kinds, label, first=True) for label in labels},
        end={label: _edges(texts, kinds, label, first=False) for label in labels},
        templates=templates,
        in_a_template={"all": float(covered.mean()) if len(covered) else 0.0}
        | {label: float(covered[[text.label == label for text in texts]].mean()) for label in labels},
        quoting=counts.quotes(get_ids),
    )


def _without_slots(template: str, fields: dict[str, str]) -> str:
    for name in fields:
        template = template.replace(f"{{{name}}}", "")
    return template


def _kinds(inputs: Counter[str], uses: Counter[str], both: Counter[str], n: int) -> dict[str, int]:
    """What each word is; words that are too rare to tell are content."""
    kinds = {}
    enough = max(5, n // 2000)
    for word, count in uses.items():
        if count < enough:
            continue
        outside, given = count - both[word], inputs[word]
        if outside >= 0.5 * count and given < 0.15 * n:
            kinds[word] = FIXED
        elif (both[word] + 0.5) / (given + 1) < _LIFT * (outside + 0.5) / (n - given + 1):
            kinds[word] = GLUE
    return kinds


def _edges(texts: Sequence[_Text], kinds: dict[str, int], label: str, *, first: bool) -> list[EdgePhrase]:
    """The commonest first (or last) words, with slots for content."""
    of_label = [text.words for text in texts if text.label == label]
    counts = Counter(_edge(words if first else words[::-1], kinds) for words in of_label)
    return [
        EdgePhrase(phrase=" ".join(pieces if first else pieces[::-1]), n=count, share=count / len(of_label))
        for pieces, count in counts.most_common(EDGES + 2)
        if pieces not in ((), (SLOT,)) and count >= max(2, RAREST * len(of_label))
    ][:EDGES]


def _edge(words: Sequence[str], kinds: dict[str, int]) -> tuple[str, ...]:
    shown: list[str] = []
    for word in words:
        piece = SLOT if kinds.get(word, CONTENT) == CONTENT else word
        if piece != SLOT or shown[-1:] != [SLOT]:
            shown.append(piece)
        if len(shown) == EDGE_WORDS:
            break
    return tuple(shown)


def _windows(words: Sequence[str], kinds: dict[str, int]) -> list[_Window]:
    """All runs of up to `_LONGEST` fixed words; between two that do not touch, glue as it is or a slot."""
    fixed = [place for place, word in enumerate(words) if kinds.get(word, CONTENT) == FIXED]
    between = []
    for a, b in pairwise(fixed):
        gap = words[a + 1 : b]
        literal = len(gap) <= 2 and all(kinds.get(word, CONTENT) == GLUE for word in gap)
        between.append(tuple(gap) if literal else (SLOT,))
    windows = []
    for begin in range(len(fixed)):
        key: tuple[str, ...] = (words[fixed[begin]],)
        windows.append(_Window((fixed[begin],), key))
        for stop in range(begin + 1, min(begin + _LONGEST, len(fixed))):
            key = (*key, *between[stop - 1], words[fixed[stop]])
            windows.append(_Window(tuple(fixed[begin : stop + 1]), key))
    return windows


_Key = tuple[str, ...]


def _templates(
    texts: Sequence[_Text], kinds: dict[str, int], uses: Counter[str], enough: int, get_ids: GetIds
) -> tuple[list[Template], npt.NDArray[np.bool_]]:
    """Templates chosen greedily: each time the one that says most in explanations that have none yet.

    What a template says in an explanation is the sum over its fixed words of -log2 of their share of explanations,
    less what naming it would cost. A single word is a template only where it is tied to a label ("may", "implies").
    """
    bits = _bits(texts, kinds, uses, enough)
    where: dict[_Key, array[int]] = defaultdict(lambda: array("q"))
    for index, text in enumerate(texts):
        for key in {window.key for window in _windows(text.words, kinds)}:
            if key in bits:
                where[key].append(index)
    places = {key: np.asarray(indices) for key, indices in where.items()}
    covered = np.zeros(len(texts), np.bool_)
    chosen: list[Template] = []
    while places and len(chosen) < TEMPLATES:
        gains = {key: int((~covered[indices]).sum()) for key, indices in places.items()}
        places = {key: indices for key, indices in places.items() if gains[key] >= enough}
        if not places:
            break
        best = max(places, key=lambda key: (gains[key] * bits[key], key))
        chosen.append(_template(best, [texts[index] for index in places.pop(best)], len(texts), kinds, get_ids))
        covered[where[best]] = True
    return sorted(chosen, key=lambda template: -template.n), covered


def _bits(texts: Sequence[_Text], kinds: dict[str, int], uses: Counter[str], enough: int) -> dict[_Key, float]:
    """What each run of words says in an explanation, where that is enough for a template."""
    counts: Counter[_Key] = Counter()
    for text in texts:
        counts.update({window.key for window in _windows(text.words, kinds)})
        if len(counts) > _PRUNE:
            counts = Counter({key: count for key, count in counts.items() if count > 1})
    all_labels = Counter(text.label for text in texts)
    by_label: dict[_Key, Counter[str]] = defaultdict(Counter)
    for text in texts:
        for key in {window.key for window in _windows(text.words, kinds)}:
            if counts[key] >= enough:
                by_label[key][text.label] += 1
    bits = {}
    for key, labels in by_label.items():
        fixed = [word for word in key if kinds.get(word) == FIXED]
        information = sum(math.log2(len(texts) / uses[word]) for word in fixed)
        needed = _needed(labels, all_labels)
        if information >= needed and (needed < _UNTIED_BITS or len(fixed) > 1):
            bits[key] = max(information - _COST, 0.5)
    return bits


def _needed(labels: Counter[str], all_labels: Counter[str]) -> float:
    """How many bits a template must say, whose explanations have these labels."""
    label, most = labels.most_common(1)[0]
    share, usual = most / labels.total(), all_labels[label] / all_labels.total()
    if share < usual + _TIED:
        return _UNTIED_BITS
    return 0.0 if share >= _SURE else _BITS


def _template(key: _Key, instances: Sequence[_Text], total: int, kinds: dict[str, int], get_ids: GetIds) -> Template:
    by_label = Counter(text.label for text in instances)
    label, most = min(by_label.items(), key=lambda item: (-item[1], item[0]))
    return Template(
        template=_shown(key, instances[:300], kinds),
        n=len(instances),
        share=len(instances) / total,
        labels=dict(sorted(by_label.items())),
        mostly=label,
        mostly_share=most / len(instances),
        example=instances[0].text,
        ids=get_ids(list(dict.fromkeys(text.row for text in instances))[:IDS]),
    )


def _shown(key: _Key, instances: Sequence[_Text], kinds: dict[str, int]) -> str:
    """The template, with the glue that most of its instances have beside its fixed words, and slots at its ends."""
    windows = []
    for text in instances:
        window = next(w for w in _windows(text.words, kinds) if w.key == key)
        windows.append((text.words, window.places))
    n_fixed = len(windows[0][1])
    pieces: list[str] = []
    for k in range(n_fixed + 1):
        # What stands before fixed word k and after fixed word k - 1, in each instance.
        gaps = []
        for words, places in windows:
            begin = places[k - 1] + 1 if k else 0
            stop = places[k] if k < n_fixed else len(words)
            gaps.append(words[begin:stop])
        after, rest = _agreed(gaps, kinds, last=False) if k else ([], gaps)
        before, rest = _agreed(rest, kinds, last=True) if k < n_fixed else ([], rest)
        filled = sum(bool(gap) for gap in rest) >= 0.5 * len(rest)
        pieces += [*after, *([SLOT] if filled else []), *before]
        if k < n_fixed:
            words, places = windows[0]
            pieces.append(words[places[k]])
    return " ".join(pieces)


def _agreed(gaps: list[list[str]], kinds: dict[str, int], *, last: bool) -> tuple[list[str], list[list[str]]]:
    """Glue that most gaps end (or begin) with, and the gaps without it."""
    agreed: list[str] = []
    for _ in range(EDGE_WORDS):
        edge = Counter(gap[-1 if last else 0] for gap in gaps if gap)
        if not edge:
            break
        word, count = edge.most_common(1)[0]
        if count < 0.6 * len(gaps) or kinds.get(word, CONTENT) != GLUE:
            break
        gaps = [(gap[:-1] if last else gap[1:]) if gap and gap[-1 if last else 0] == word else gap for gap in gaps]
        agreed = [word, *agreed] if last else [*agreed, word]
    return agreed, gaps


def templates_section(audit: Audit) -> Section:
    """Templates, beginnings and ends."""
    evidence = [_figure(audit), _table(audit.phrases), _edge_facts(audit.phrases)]
    return Section("Templates", "templates", [*_findings(audit.phrases)], evidence, about_explanations=True)


def _tied(template: Template) -> str:
    return f"{percent(template.mostly_share)} {template.mostly}"


def _findings(phrases: Phrases) -> Iterator[Finding]:
    share = phrases.in_a_template["all"]
    if phrases.templates and share >= 0.05:
        shown = sorted(phrases.templates, key=lambda template: -template.share * template.mostly_share)[:3]
        several_labels = len(phrases.begin) > 1
        listed = (f"“{t.template}” ({percent(t.share)}{f', {_tied(t)}' if several_labels else ''})" for t in shown)
        yield finding(
            "warning" if share >= 0.25 else "note",
            f"{percent(share)} of explanations fit one of {len(phrases.templates)} templates, such as "
            + "; ".join(listed),
            "Report the template baseline beside overlap metrics. A template tied to a label gives it away.",
            ids=shown[0].ids,
            share=share,
        )
    quoting = sum(template.n for template in phrases.quoting)
    if phrases.n and quoting >= 0.005 * phrases.n:
        yield finding(
            "warning" if quoting >= 0.05 * phrases.n else "note",
            f"{quoting:,} explanations ({percent(quoting / phrases.n)}) only wrap whole fields, such as "
            f"“{phrases.quoting[0].template}”",
            "They explain nothing: leave them out of training if a row has others.",
            ids=phrases.quoting[0].ids,
            explanations=quoting,
        )


def _figure(audit: Audit) -> Evidence | None:
    templates = audit.phrases.templates[:_SHOWN]
    labels = [label for label in audit.labels if label != NO_LABEL]
    if not templates or len(labels) < 2:
        return None
    caption = "Explanations that fit each template, by label; “…” stands for words of the row's own."
    counts = {template.template: template.labels for template in templates}
    return Bars("templates", "Templates", caption, counts, labels, audit.phrases.n)


def _table(phrases: Phrases) -> Evidence | None:
    several_labels = len(phrases.begin) > 1
    label_of = {t.template: _tied(t) if several_labels else "–" for t in phrases.templates}
    rows = [
        (t.template, f"{t.n:,}", percent(t.share), label_of.get(t.template, "quotes fields whole"))
        for t in (*phrases.templates, *phrases.quoting)
    ]
    shares = {where: share for where, share in phrases.in_a_template.items() if several_labels or where == "all"}
    inside = ", ".join(f"{percent(share)} of {where}" for where, share in shares.items())
    note = f"Of {phrases.n:,} explanations. In at least one template: {inside}."
    return NumberTable("Templates", ("template", "explanations", "share", "label"), rows, note) if rows else None


def _edge_facts(phrases: Phrases) -> Evidence | None:
    items = [
        (f"{verb}, {label}", "; ".join(f"{edge.phrase} ({percent(edge.share)})" for edge in edges))
        for verb, by_label in (("begin", phrases.begin), ("end", phrases.end))
        for label, edges in by_label.items()
        if edges
    ]
    return FactList(items, "How explanations begin and end", folded=True) if items else None
