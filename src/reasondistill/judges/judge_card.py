"""The data card of a judge: what it learned from, how it did on held-out data, what not to take it for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reasondistill.judges.judge import Judge, JudgeInfo


def _of_component(held_out: dict[str, Any], name: str) -> float:
    aucs = held_out["good_against_spoiled"]["components"]
    return float(aucs[name] if name in aucs else held_out["votes"]["components"][name])


def judge_card(judge: Judge, *, good: int, votes: int) -> str:
    """The card as Markdown.

    Args:
        judge: the judge to describe.
        good: how many explanations it learned from as good ones.
        votes: how many explanations with votes it learned from.
    """
    info = judge.info
    sections = [_head(judge), _learned_from(info, good, votes), _separation(info)]
    if "votes" in info.held_out:
        sections.append(_agreement(info.held_out["votes"]))
    return "\n\n".join(["\n".join(lines) for lines in (*sections, _LIMITS)]) + "\n"


def _head(judge: Judge) -> list[str]:
    info = judge.info
    return [
        f"# {info.name}: a judge of explanations",
        "",
        "It gives the support of an explanation, in [0, 1]: how well it argues for its label. "
        f"Task {info.task['name']!r}, fields {', '.join(info.task['fields'])}. Kind: {info.kind.replace('_', ' ')}. "
        f"Fingerprint `{judge.fingerprint}`.",
    ]


def _learned_from(info: JudgeInfo, good: int, votes: int) -> list[str]:
    return [
        "## What it learned from",
        "",
        "| data | examples | votes | fingerprint |",
        "|---|---|---|---|",
        *(
            f"| {d['name']} | {d['examples']:,} | {'yes' if d['votes'] else 'no'} | `{d['fingerprint']}` |"
            for d in info.trained_on
        ),
        "",
        f"{good:,} explanations were taken as good, and spoiled in twelve ways for bad ones"
        + (f"; {votes:,} explanations came with people's votes." if votes else ".")
        + " It refuses to judge rows of groups, or with texts, that it was trained on.",
    ]


def _separation(info: JudgeInfo) -> list[str]:
    separation = info.held_out["good_against_spoiled"]
    return [
        "## What it reached on groups that were held out",
        "",
        f"ROC-AUC of people's explanations against spoiled ones ({separation['n']:,}): {separation['roc_auc']:.3f}.",
        "",
        "| spoiled how | ROC-AUC |",
        "|---|---|",
        *(f"| {kind} | {value:.3f} |" for kind, value in separation["ways_of_spoiling"].items()),
        "",
        "| component alone | ROC-AUC (on votes where spoiled explanations give none) | weight |",
        "|---|---|---|",
        *(
            f"| {name} | {_of_component(info.held_out, name):.3f} | {weight:.2f} |"
            for name, weight in zip(info.combination.components, info.combination.weight, strict=True)
        ),
    ]


def _agreement(votes: dict[str, Any]) -> list[str]:
    rows = ((name, votes[name]) for name in ("without_votes", "with_votes"))
    return [
        "Agreement with people's votes (acceptable to more than half of them), cross-validated by example:",
        "",
        "| | ROC-AUC | average precision | best of an example's is acceptable |",
        "|---|---|---|---|",
        *(
            f"| {name.replace('_', ' ')} | {v['roc_auc']:.3f} | {v['average_precision']:.3f} | "
            + ("" if v["best_of"] is None else f"{v['best_of']:.3f} (at most {v['best_possible']:.3f})")
            + " |"
            for name, v in rows
        ),
    ]


_LIMITS = [
    "## What not to take it for",
    "",
    "It learned from how explanations are worded and what they are about. It does not reason: a false statement "
    "that sounds like a good explanation can fool it, and so can a true one in unusual words. It says whether an "
    "explanation argues for its label, not whether the label is right, nor whether the explanation is why a model "
    "chose it. An explanation of a wrong label is mostly called poor.",
]
