"""The page on which people try a student, and one answer as a page of its own: the same script shows both."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from reasondistill.contracts.service import Answer, ServedStudent, ServiceInfo, ServiceLimits, WordEffect
from reasondistill.reporting.html import content_policy, page_script, render
from reasondistill.reporting.viewer.columns import page_json
from reasondistill.storage.files import atomic_write, require_place

_FILES: Final = (
    *("explorer_js/element.js", "explorer_js/parts.js", "answers_js/words.js", "answers_js/service.js"),
    *("answers_js/history.js", "answers_js/answer.js", "answers_js/asking_form.js", "answers_js/feedback_form.js"),
    "answers_js/page.js",
)
_STANDING: Final = (
    "A small model reads the text, picks a label, says how sure it is, and writes why. "
    "It can be wrong in each of these, and a good reason is no proof."
)


@cache
def service_page(title: str) -> tuple[str, str]:
    """The page of a service, which asks it for all that it shows, and the content-security policy to send with it."""
    script = page_script(_FILES)
    policy = content_policy(script, asks=True)
    footer = "Served by reasondistill. Nothing that you type here goes anywhere but to this service."
    page = _page(title, "Try the student", footer, script, policy, {"live": True, "entries": []})
    return page, f"{policy}; frame-ancestors 'none'"


def write_answer(
    path: Path, student: ServedStudent, fields: dict[str, str], answer: Answer, words: Sequence[WordEffect]
) -> None:
    """Write one answer as a page that needs nothing else.

    Raises:
        OutputError: it cannot be written there.
    """
    script = page_script(_FILES)
    entry = {
        "student": student.name,
        "fields": fields,
        "answer": answer.model_dump(mode="json"),
        "words": [word.model_dump(mode="json") for word in words],
    }
    info = ServiceInfo(
        version="",
        students=[student],
        feedback=False,
        limits=ServiceLimits(max_body_bytes=0, max_field_characters=0, max_inputs=0, max_words=0, timeout_seconds=0),
    )
    data = {"live": False, "entries": [entry], "info": info.model_dump(mode="json")}
    footer = f"Made by reasondistill from the student {student.name} ({student.fingerprint})."
    html = _page(student.name, "One answer", footer, script, content_policy(script), data)
    with atomic_write(require_place(path)) as stream:
        stream.write(html)


def _page(title: str, kicker: str, footer: str, script: str, policy: str, data: dict[str, object]) -> str:
    from markupsafe import Markup

    return render(
        "answers.html.j2",
        title=title,
        kicker=kicker,
        standing=_STANDING,
        footer=footer,
        generator="reasondistill serve",
        live=data["live"],
        policy=policy,
        data=Markup(page_json(data)),
        script=Markup(script),
    )
