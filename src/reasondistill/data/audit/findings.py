"""From numbers to sentences: what is wrong, how badly, and what to do about it.

A *problem* spoils what is trained or measured; a *warning* needs a decision or a floor in the report; a *note* is
good to know. The thresholds are plain judgements and stand at each check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from reasondistill.data.audit.profile import NO_LABEL
from reasondistill.data.audit.texts import FLAWS, UNKNOWN
from reasondistill.languages.unknown_tokens import READS_EVERYTHING, WORTH_SAYING, advice, loss_sentence, lost_share

Severity = Literal["problem", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("problem", "warning", "note")
Found = Mapping[str, Any]
Finding = dict[str, Any]


def find_all(found: Found) -> list[Finding]:
    """The findings of an audit, worst first; equally bad ones in the order of the checks."""
    findings = [finding for check in _CHECKS for finding in check(found)]
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding["severity"]))


def percent(share: float) -> str:
    """A share as people say it: 0%, 0.4%, 12%, 99.9%; never a rounded 0% or 100% where it is not that."""
    if share in (0, 1):
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    if share > 0.9995:
        return ">99.9%"
    return f"{share:.1%}" if share < 0.1 or share > 0.99 else f"{share:.0%}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _finding(
    severity: Severity,
    what: str,
    advice: str,
    *,
    ids: Sequence[Any] = (),
    **numbers: float | int | str | None,
) -> Finding:
    return {"severity": severity, "what": what, "numbers": numbers, "ids": list(ids), "advice": advice}


def _groups(found: Found) -> Iterator[Finding]:
    groups = found["leakage"]["groups"]
    if groups["in_several_parts"]:
        yield _finding(
            "problem",
            f"{groups['in_several_parts']:,} groups stand in more than one part ({groups['rows']:,} rows)",
            "Split by group, or leave the column 'split' out and let the hash rule split.",
            ids=groups["ids"],
            groups=groups["in_several_parts"],
            rows=groups["rows"],
        )
    if groups["rows_without"] == found["n"]:
        shared = {k: v["shared"] for k, v in found["leakage"]["random_split"].items() if k != "all fields"}
        name = max(shared, key=lambda key: shared[key])
        if shared[name] > 0.05:
            yield _finding(
                "warning",
                f"no row has a group, but {percent(shared[name])} share their {name} with another row",
                f"Name a group column; the {name} itself will do.",
                share=shared[name],
            )


def _shared_between_parts(found: Found) -> Iterator[Finding]:
    train = found["leakage"]["train_part"]
    whole = "all fields" if len(found["fields"]) > 1 else found["fields"][0]
    for part, fields in found["leakage"]["between_parts"].items():
        for name, shared in fields.items():
            share = shared["share"]
            numbers = {"rows": shared["rows"], "of": shared["of"], "share": share}
            if name == whole and shared["rows"]:
                yield _finding(
                    "problem" if share >= 0.01 else "warning",
                    f"{shared['rows']:,} rows of {part} ({percent(share)}) are in {train}, too, with all their fields",
                    f"Remove them from {train}, or give equal rows one group: they measure memory.",
                    ids=shared["ids"],
                    **numbers,
                )
            elif name != whole and share >= 0.02:
                main = name == _main_field(found)
                yield _finding(
                    ("problem" if share >= 0.2 else "warning") if main else "note",
                    f"the {name} of {percent(share)} of {part} is in {train}, too",
                    f"Group rows by their {name}."
                    if main
                    else f"No harm where the {name} alone says nothing of the label: see that baseline.",
                    ids=shared["ids"],
                    **numbers,
                )


def _main_field(found: Found) -> str:
    """The field of the most words: the text that rows are about."""
    fields: list[str] = found["fields"]
    return max(fields, key=lambda name: float(found["lengths"]["words"][name]["mean"]))


def _random_split(found: Found) -> Iterator[Finding]:
    for name, leak in found["leakage"]["random_split"].items():
        if leak["shared"] >= 0.1 and not (len(found["fields"]) == 1 and name == "all fields"):
            what = "all fields are" if name == "all fields" else f"{name} is"
            yield _finding(
                "warning" if name in (_main_field(found), "all fields") else "note",
                f"a random split would leak: for {percent(leak['shared'])} of rows the {what} in another row, too "
                f"({percent(leak['leaked'])} of a random test part would be in training)",
                "Split by group, as this library does; never shuffle rows between parts.",
                shared=leak["shared"],
                leaked=leak["leaked"],
            )


def _duplicates(found: Found) -> Iterator[Finding]:
    n, exact, same = found["n"], found["duplicates"]["exact"], found["duplicates"]["normalised"]
    if conflict := exact["conflicting_label"]["rows"]:
        inputs = _count(exact["conflicting_label"]["sets"], "input")
        yield _finding(
            "problem" if conflict >= 0.01 * n else "warning",
            f"{inputs} with one label here and another there ({conflict:,} rows)",
            "Correct them, or keep one row of each.",
            ids=exact["conflicting_label"]["ids"],
            sets=exact["conflicting_label"]["sets"],
            rows=conflict,
        )
    if more := same["conflicting_label"]["sets"] - exact["conflicting_label"]["sets"]:
        yield _finding(
            "warning" if more > 0 else "note",
            f"{_count(more, 'more input')} with different labels if case, punctuation and articles do not count",
            "Look at them: some will be mistakes.",
            ids=same["conflicting_label"]["ids"],
            sets=more,
        )
    if exact["repeats"]:
        yield _finding(
            "warning" if exact["repeats"] >= 0.01 * n else "note",
            f"{_count(exact['repeats'], 'row')} ({percent(exact['repeats'] / n)}) with the fields of an earlier one",
            "Keep one of each, or join their explanations into one row.",
            ids=exact["same_label"]["ids"],
            repeats=exact["repeats"],
        )
    near = found["duplicates"]["near"]
    if near["pairs"]:
        across = near["across_parts"]["pairs"]
        yield _finding(
            "warning" if across >= 0.01 * n or near["pairs"] >= 0.05 * n else "note",
            f"nearly the same: at least {_count(near['pairs'], 'pair')} of rows, {across:,} of them across parts, "
            f"{near['conflicting_label']['pairs']:,} with different labels",
            "Across parts they help memory; different labels may be meant (one word can turn an answer).",
            ids=(near["across_parts"] if across else near["conflicting_label"])["ids"] or near["same_label"]["ids"],
            pairs=near["pairs"],
            across_parts=across,
            conflicting=near["conflicting_label"]["pairs"],
        )


def _balance(found: Found) -> Iterator[Finding]:
    if found["choices"] is not None:
        yield from _positions(found["choices"]["position"])
    else:
        counts = {label: count for label, count in found["labels"].items() if label != NO_LABEL}
        total = sum(counts.values())
        for label, count in counts.items():
            if total and not count:
                yield _finding("problem", f"no row has the label {label!r}", "Add such rows, or another task.", rows=0)
        if len(counts) > 1 and total:
            label = max(counts, key=lambda key: counts[key])
            share = counts[label] / total
            if share > max(0.7, 1.5 / len(counts)):
                yield _finding(
                    "problem" if share > 0.95 else "warning",
                    f"{percent(share)} of the labels are {label!r}",
                    "Report macro-F1 beside accuracy, or balance the training data.",
                    share=share,
                )
    missing = found["labels"].get(NO_LABEL, 0)
    if missing and missing < found["n"]:
        yield _finding(
            "warning" if missing > 0.2 * found["n"] else "note",
            f"{missing:,} rows ({percent(missing / found['n'])}) have no label",
            "They train explanations only.",
            rows=missing,
        )
    for part, labels in found["parts"]["counts"].items():
        rows = sum(labels.values())
        absent = [name for name, count in labels.items() if not count and found["labels"].get(name)]
        if absent:
            yield _finding(
                "problem",
                f"{part} has no row with the label {', '.join(map(repr, absent))}",
                "Split otherwise.",
                rows=rows,
            )
        if rows < 100 and len(found["parts"]["counts"]) > 1:
            yield _finding(
                "warning", f"{part} has {rows:,} rows only", "Differences under 10 points will be noise.", rows=rows
            )


def _positions(position: Mapping[str, int]) -> Iterator[Finding]:
    total = sum(position.values())
    if total and len(position) > 1:
        place = max(position, key=lambda key: position[key])
        share = position[place] / total
        if share > 1.25 / len(position) and share - 1 / len(position) > 0.03:
            yield _finding(
                "warning",
                f"the right answer is choice {int(place) + 1} in {percent(share)} of rows",
                "Shuffle the choices: a student can learn the position.",
                share=share,
            )


def _baselines(found: Found) -> Iterator[Finding]:
    baselines = found["baselines"]
    if "left_out" in baselines:
        if found["labels"] and found["baselines"]["left_out"] != "the task has no labels":
            yield _finding("note", f"baselines were left out: {baselines['left_out']}", "Add rows to compare with.")
        return
    floor = baselines["majority"]["accuracy"]
    for name, score in baselines["scores"].items():
        accuracy, low = score["accuracy"], (score["ci95"] or [score["accuracy"]])[0]
        numbers = {"accuracy": accuracy, "majority": floor, "n": score["n"]}
        if name.startswith("explanation"):
            if low > floor + 0.1:
                yield _finding(
                    "warning" if accuracy >= 0.8 else "note",
                    f"the explanation alone gives the label away: {percent(accuracy)} right without the input "
                    f"(majority {percent(floor)})",
                    "Explanations that repeat the label prove no reasoning; LAS separates leaking ones.",
                    **numbers,
                )
        elif name == "choices" or (name in found["fields"] and len(found["fields"]) > 1):
            if low > floor + 0.05:
                sees = "the choices alone guess" if name == "choices" else f"the {name} alone guesses"
                yield _finding(
                    "problem" if accuracy > floor + 0.4 else "warning",
                    f"{sees} the label: {percent(accuracy)} right (majority {percent(floor)})",
                    "Report this baseline beside a student: what it reaches needs no reasoning.",
                    **numbers,
                )
        elif name == "all fields" and accuracy > 0.95:
            yield _finding(
                "warning",
                f"a bag of words is right in {percent(accuracy)}",
                "The task may be too easy to tell students apart.",
                **numbers,
            )


def _highlights(found: Found) -> Iterator[Finding]:
    highlights = found["highlights"]
    if highlights is None or highlights["baseline"] is None:
        return
    baseline = highlights["baseline"]
    never = [
        f"{field} is marked in {percent(share)} of {label}"
        for field, labels in highlights["marked"].items()
        for label, share in labels.items()
        if share < 0.01 and max(labels.values()) > 0.3
    ]
    if never or baseline["accuracy"] > baseline["majority"] + 0.1:
        yield _finding(
            "warning",
            "highlights give the label away: "
            + "".join(f"the {one}; " for one in never)
            + f"their numbers alone guess {percent(baseline['accuracy'])} (majority {percent(baseline['majority'])})",
            "Never feed highlights to a student; this library does not.",
            **baseline,
        )


def _explanations(found: Found) -> Iterator[Finding]:
    explanations, n = found["explanations"], found["explanations"]["n"]
    if not n:
        yield _finding("warning", "no row has an explanation", "A student will learn labels only.", explanations=0)
        return
    without = explanations["per_example"].get("0", 0)
    if without:
        yield _finding(
            "warning" if without > 0.5 * found["n"] else "note",
            f"{without:,} rows ({percent(without / found['n'])}) have no explanation for their own label",
            "They train the label only, and score no explanation.",
            rows=without,
        )
    for what, count, severity in (
        ("empty", explanations["empty"], "problem"),
        ("very short (under three words)", explanations["very_short"], "warning"),
    ):
        if count and (what == "empty" or count > 0.005 * n):
            answers = found["settings"]["order"] == "explanation_only"  # "Yes" may be all there is to say
            yield _finding(
                "problem" if severity == "problem" and count > 0.01 * n else "note" if answers else "warning",
                f"{count:,} explanations ({percent(count / n)}) are {what}",
                "Leave them out: a student learns to say nothing.",
                ids=explanations["ids"]["empty" if what == "empty" else "short"],
                explanations=count,
            )
    yield from _copies(explanations)
    own = sum(one["own"] for one in explanations["label_words"].values())
    other = sum(one["other"] for one in explanations["label_words"].values())
    if own >= 0.01 * n and found["choices"] is None:
        worst = max(explanations["label_words"].items(), key=lambda item: item[1]["own"] / max(item[1]["n"], 1))
        yield _finding(
            "warning" if own >= 0.05 * n and own > 2 * other else "note",
            f"{own:,} explanations ({percent(own / n)}) say their label's own name "
            f"({percent(worst[1]['own'] / worst[1]['n'])} of {worst[0]}); {other:,} say another's",
            "Simulatability and support reward the mere name: mask it before scoring.",
            ids=explanations["ids"]["own_word"],
            own=own,
            other=other,
        )
    repeated = explanations["repeated"]
    if repeated["n"] >= 0.02 * n:
        yield _finding(
            "warning" if repeated["n"] >= 0.2 * n else "note",
            f"{repeated['n']:,} explanations ({percent(repeated['n'] / n)}) stand word for word in several rows, "
            f"one of them in {repeated['most']:,}",
            "A student that learns the commonest ones by heart scores well: compare with the template floor.",
            ids=repeated["ids"],
            explanations=repeated["n"],
        )


def _copies(explanations: Found) -> Iterator[Finding]:
    copies = explanations["copies"]
    n, copied = explanations["n"], sum(one["any"] for one in copies.values())
    if copied < 0.005 * n:
        return
    label, worst = max(copies.items(), key=lambda item: item[1]["any"] / max(item[1]["n"], 1))
    by = {how: sum(field[how] for one in copies.values() for field in one.values() if isinstance(field, dict))
          for how in ("equal", "part_of_field", "holds_field")}  # fmt: skip
    most = max(by, key=lambda how: by[how])
    yield _finding(
        "warning" if copied >= 0.05 * n or by["equal"] + by["part_of_field"] >= 0.02 * n else "note",
        f"{copied:,} explanations ({percent(copied / n)}) copy a field: {by['equal']:,} equal one, "
        f"{by['part_of_field']:,} are part of one, {by['holds_field']:,} hold one whole"
        + (f"; of {label}, {percent(worst['any'] / worst['n'])}" if len(copies) > 1 else ""),
        "A copied field beats humans on overlap metrics: report the copy rate and the copied-field floor.",
        ids=explanations["ids"][most],
        **by,
    )


def _templates(found: Found) -> Iterator[Finding]:
    phrases = found["phrases"]
    share = phrases["in_a_template"]["all"]
    if phrases["templates"] and share >= 0.05:
        shown = sorted(phrases["templates"], key=lambda one: -one["share"] * one["mostly_share"])[:3]
        several = len(phrases["begin"]) > 1  # labels
        yield _finding(
            "warning" if share >= 0.25 else "note",
            f"{percent(share)} of explanations fit one of {len(phrases['templates'])} templates found, such as "
            + "; ".join(
                f"“{one['template']}” ({percent(one['share'])}"
                + (f", {percent(one['mostly_share'])} {one['mostly']})" if several else ")")
                for one in shown
            ),
            "Show the template floor beside overlap metrics; templates tied to a label give it away.",
            ids=shown[0]["ids"],
            share=share,
        )
    quoting = sum(one["n"] for one in phrases["quoting"])
    if phrases["n"] and quoting >= 0.005 * phrases["n"]:
        first = phrases["quoting"][0]
        yield _finding(
            "warning" if quoting >= 0.05 * phrases["n"] else "note",
            f"{percent(quoting / phrases['n'])} of explanations only wrap whole fields: “{first['template']}”",
            "They explain nothing; leave them out of training where others are there.",
            ids=first["ids"],
            explanations=quoting,
        )


def _lengths(found: Found) -> Iterator[Finding]:
    for unit in ("tokens", "words"):
        for name, described in (found["lengths"][unit] or {}).items():
            if not described.get("over") or (unit == "words" and found["lengths"]["tokens"]):
                continue
            share = described["share_over"]
            certain = " whatever the tokenizer" if unit == "words" else ""
            longest = described["percentiles"]["p100"]
            yield _finding(
                "problem" if share >= 0.1 else "warning" if share >= 0.01 else "note",
                f"{described['over']:,} {name}s ({percent(share)}) are cut at {described['limit']} tokens{certain} "
                f"(the longest has {longest:,} {unit})",
                f"Raise max_{'source' if name == 'prompt' else 'target'}_length, or leave them out.",
                over=described["over"],
                of=described["n"],
                share=share,
            )


def _lost(found: Found) -> Iterator[Finding]:
    if not (lost := found["lost"]):
        return
    if what := loss_sentence(lost):
        share = lost_share(lost)
        yield _finding(
            "problem" if share >= 0.1 else "warning" if share >= WORTH_SAYING else "note",
            what.rstrip("."),
            READS_EVERYTHING,
            share=share,
            **{f"{name}_{key}": lost[name][key] for name in ("prompts", "targets") for key in ("unknown", "tokens")},
        )
    if same := lost["same_prompts"]["n"]:
        share = same / lost["prompts"]["n"]
        yield _finding(
            "problem" if share >= 0.1 else "warning",
            f"{_count(same, 'prompt')} ({percent(share)}) have the tokens of another, different one",
            f"A student cannot tell them apart. {advice(lost)}",
            ids=lost["same_prompts"]["ids"],
            prompts=same,
        )


def _language(found: Found) -> Iterator[Finding]:
    language = found["language"]
    for flaw, where in language["flaws"].items():
        count, texts = sum(where.values()), sum(language["texts"].values())
        if not count:
            continue
        places = ", ".join(f"{number:,} in {name}" for name, number in where.items())
        harmless = flaw == "edge_space"
        severity: Severity = "warning" if count >= 0.01 * texts and not harmless else "note"
        if flaw == "non_latin" and count > 0.95 * texts:
            severity = "note"
        yield _finding(
            severity,
            f"{_count(count, 'text')} ({percent(count / texts)}) with {FLAWS[flaw]} ({places})",
            "A student's tokenizer must know the script." if flaw == "non_latin" else "Clean them before training.",
            ids=language["flaw_ids"][flaw],
            texts=count,
        )
    for where in ("fields", "explanations"):
        known = {name: count for name, count in language[where].items() if name != UNKNOWN}
        total = sum(known.values())
        foreign = dict(list(known.items())[1:])
        if total and sum(foreign.values()) >= max(0.02 * total, 10):
            listed = ", ".join(f"{name} {percent(count / total)}" for name, count in list(foreign.items())[:4])
            main = next(iter(known))
            yield _finding(
                "warning" if sum(foreign.values()) >= 0.1 * total else "note",
                f"beside {main}, {where} seem to be in other languages: {listed}",
                "A guess by stop words: look at some, and choose a student that knows these languages.",
                share=sum(foreign.values()) / total,
            )


_CHECKS: Final[tuple[Callable[[Found], Iterator[Finding]], ...]] = (
    _groups, _shared_between_parts, _duplicates, _balance, _highlights, _baselines, _random_split, _templates,
    _explanations, _lengths, _lost, _language,
)  # fmt: skip
