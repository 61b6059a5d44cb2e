"""Teaching runs against a scripted server on loopback: exact accounts, resuming, budgets, modes, keys."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import reasondistill as rd
from reasondistill.contracts.records import Example
from reasondistill.contracts.row_files import read_rows
from reasondistill.contracts.teaching import TeacherAnswer, Teaching
from reasondistill.data import Loaded, load_dataset
from reasondistill.errors import OutputError, UserError
from reasondistill.storage.layered_yaml import validate_config
from reasondistill.teachers.teach_settings import TeachConfig
from reasondistill.teachers.teaching_run import TeachingResult, teach
from scripted_server import LABELS, NO_FILTERS, Reply, ScriptedServer, Sent, answer_text, completion, serving

PRICES = {"input": 1.0, "output": 2.0}
EACH = (100 * 1.0 + 20 * 2.0) / 1e6
"""What an answer of the scripted server costs."""


def data(count: int, *, labelled: bool = True) -> Loaded:
    return load_dataset(
        [
            Example(
                id=f"r{k:04}",
                fields={"premise": f"P{k}.", "hypothesis": f"H{k}."},
                label=LABELS[k % 3] if labelled else None,
                group=f"g{k}",
            )
            for k in range(count)
        ],
        task="nli",
    )


def config(folder: Path, url: str, name: str = "run", **changes: Any) -> TeachConfig:
    """One teacher behind ``url``; ``of_teacher`` and keys that only a teacher has go to it, others to the whole."""
    teacher = {"name": "t", "model": "m", "base_url": url, "prices": PRICES, "limits": {"retry_for": 20}}
    top: dict[str, Any] = {
        "name": name,
        "teaching_dir": str(folder),
        "data": {"source": "data"},
        "mode": "label_then_explanation",
    }
    top |= {"filters": NO_FILTERS}
    teacher |= changes.pop("of_teacher", {})
    teacher |= {key: changes.pop(key) for key in [*changes] if key not in TeachConfig.model_fields}
    return validate_config(TeachConfig, top | {"teachers": [teacher]} | changes, where="test")


def row_of(sent: Sent) -> int:
    """The number of the row that is asked about."""
    return int(sent.question.partition("premise: P")[2].partition(".")[0])


def answers_of(taught: TeachingResult) -> list[TeacherAnswer]:
    return list(read_rows(TeacherAnswer, taught.folder / "answers.jsonl"))


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with serving() as server:
        yield server


# --- accounts ---


def faulty(sent: Sent) -> Reply:
    """Ten kinds of rows, by their last digit; some recover."""
    match row_of(sent) % 10, sent.number:
        case 0, 0:
            return Reply({"error": {"message": "slow down"}}, status=429, headers={"retry-after": "0.05"})
        case 1, 0:
            return Reply({"error": {"message": "oh"}}, status=500)
        case 2, 0:
            return Reply(broken=True)
        case 3, _:
            return completion(sent, answer_text(sent)[:-10])
        case 4, _:
            return completion(sent, finish_reason="length")
        case 5, _:
            return completion(sent, answer_text(sent, label="perhaps"))
        case 6, _:
            return Reply(completion(sent).body, delay=0.05)
        case 7, _:
            return completion(sent, id="chatcmpl-same")
        case 8, 0:
            return Reply(raw=b'{"id": "x", "choi')
        case 9, _:
            return Reply({"error": {"message": "a bad request"}}, status=400)
    return completion(sent)


def test_every_attempt_is_accounted_for(tmp_path: Path, server: ScriptedServer) -> None:
    server.script = faulty
    taught = teach(config(tmp_path, server.url), data=data(40))
    (account,) = taught.teaching.teachers
    assert account.outcomes == {
        "answered": 28,
        "broken connection": 4,
        "cut: ends within its JSON": 4,
        "cut: length": 4,
        "http 400": 4,
        "http 429": 4,
        "http 500": 4,
        "unreadable reply": 4,
    }
    assert account.attempts == len(server.sent) == 56
    assert (account.requests, account.answered, account.reused, account.doubled_ids) == (40, 28, 0, 3)
    assert account.unanswered == {"cut: ends within its JSON": 4, "cut: length": 4, "http 400": 4}
    assert account.cost == pytest.approx(36 * EACH) == pytest.approx(server.cost(1.0, 2.0))
    assert account.cost_at_most > 0, "broken and unreadable replies may have been charged"
    assert (account.usage.input, account.usage.output) == (3600, 720)
    assert account.system_fingerprints == ["fp_1"]

    teaching = taught.teaching
    assert (teaching.answers, teaching.usable, teaching.accepted) == (40, 24, 24)
    assert teaching.problems == {
        "cut: ends within its JSON": 4,
        "cut: length": 4,
        "http 400": 4,
        "unknown label": 4,
    }
    assert Teaching.load(taught.folder / "teaching.json") == teaching
    assert [a.id for a in answers_of(taught)] == [e.id for e in data(40).examples]
    assert len(taught.accepted) == 24
    assert all(e.explanations[0].source == "t" for e in taught.accepted)


def test_what_failed_or_was_cut_is_asked_again_and_nothing_else(tmp_path: Path, server: ScriptedServer) -> None:
    server.script = faulty
    teach(config(tmp_path, server.url), data=data(40))
    before = len(server.sent)
    server.script = completion
    taught = teach(config(tmp_path, server.url), data=data(40), resume=True)
    assert sorted(row_of(sent) % 10 for sent in server.sent[before:]) == [3] * 4 + [4] * 4 + [9] * 4
    (account,) = taught.teaching.teachers
    assert (account.answered, account.attempts) == (40, 56 + 12)
    assert taught.teaching.problems == {"unknown label": 4}


def test_other_runs_share_what_was_answered(tmp_path: Path, server: ScriptedServer) -> None:
    first = teach(config(tmp_path, server.url), data=data(12))
    second = teach(config(tmp_path, server.url, "other", data={"source": "elsewhere"}), data=data(15))
    assert len(server.sent) == 15
    (account,) = second.teaching.teachers
    assert (account.answered, account.reused, account.attempts) == (15, 12, 3)
    assert account.cost == pytest.approx(3 * EACH)
    assert answers_of(second)[:12] == answers_of(first)


def test_rows_with_the_same_words_are_one_request(tmp_path: Path, server: ScriptedServer) -> None:
    twice = [e.model_copy(update={"id": f"{e.id}{n}"}) for e in data(5).examples for n in (1, 2)]
    taught = teach(config(tmp_path, server.url), data=load_dataset(twice, task="nli"))
    assert len(server.sent) == 5
    assert (taught.teaching.teachers[0].requests, taught.teaching.answers) == (5, 10)


def test_a_run_is_not_mixed_with_another(tmp_path: Path, server: ScriptedServer) -> None:
    teach(config(tmp_path, server.url), data=data(3))
    with pytest.raises(OutputError, match="--resume"):
        teach(config(tmp_path, server.url), data=data(3))
    with pytest.raises(OutputError, match="asks something else"):
        teach(config(tmp_path, server.url, temperature=0.5), data=data(3), resume=True)
    assert len(server.sent) == 3


def test_a_server_that_fails_on_and_on_is_given_up(tmp_path: Path, server: ScriptedServer) -> None:
    server.script = lambda sent: Reply({"error": {"message": "no such parameter"}}, status=400)
    with pytest.raises(UserError, match=r"20 requests in a row.*http 400.*no such parameter"):
        teach(config(tmp_path, server.url), data=data(60))
    assert len(server.sent) < 60
    assert not (tmp_path / "run").exists(), "there is nothing to go on with"

    server.script = lambda sent: completion(sent) if row_of(sent) < 10 else Reply({}, status=400)
    with pytest.raises(UserError, match="in a row"):
        teach(config(tmp_path, server.url), data=data(60), resume=True)
    assert Teaching.load(tmp_path / "run" / "teaching.json").status == "stopped"


def test_no_server_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a server that answers"):
        teach(config(tmp_path, "http://127.0.0.1:9/v1"), data=data(3))
    assert list(tmp_path.iterdir()) == []


# --- budget ---


def test_a_budget_is_not_passed_at_sixteen_at_once(tmp_path: Path, server: ScriptedServer) -> None:
    def some_break(sent: Sent) -> Reply:
        reply = completion(sent)
        reply.delay = 0.01
        reply.broken = sent.digest % 5 == 0 and sent.number == 0  # charged, and not seen
        return reply

    server.script = some_break
    settings: dict[str, Any] = {"limits": {"concurrent": 16, "retry_for": 20}, "max_tokens": 30}
    budget = 60 * EACH
    taught = teach(config(tmp_path, server.url, budget=budget, **settings), data=data(200))
    assert server.cost(1.0, 2.0) <= budget
    assert taught.teaching.cost_at_most <= budget
    assert taught.teaching.status == "budget"
    assert server.at_once <= 16
    assert 20 < taught.teaching.teachers[0].answered < 60

    again = teach(config(tmp_path, server.url, budget=budget, **settings), data=data(200), resume=True)
    assert server.cost(1.0, 2.0) <= budget
    assert again.teaching.cost_at_most <= budget
    more = teach(config(tmp_path, server.url, budget=1.0, **settings), data=data(200), resume=True)
    assert (more.teaching.status, more.teaching.accepted) == ("finished", 200)


# --- ways of asking ---


def told(sent: Sent) -> str | None:
    """The label that a question tells."""
    return next(
        (label for label in LABELS if f"abel is {label}" in sent.question or f"label {label}," in sent.question), None
    )


def test_every_label_is_argued_for(tmp_path: Path, server: ScriptedServer) -> None:
    taught = teach(config(tmp_path, server.url, mode="every_label"), data=data(4))
    assert Counter(map(told, server.sent)) == dict.fromkeys(LABELS, 4)
    for example in taught.accepted:
        assert [e.label or example.label for e in example.explanations] == [*LABELS]
        assert len(example.references) == 1
    assert not any(answer.hinted for answer in answers_of(taught))


def test_a_hint_follows_a_wrong_answer_only(tmp_path: Path, server: ScriptedServer) -> None:
    rows = data(30)
    taught = teach(config(tmp_path, server.url, mode="hint_after_error"), data=rows)
    answers = answers_of(taught)
    gold = {e.id: e.label for e in rows.examples}
    wrong = [a.id for a in answers if not a.hinted and a.label != gold[a.id]]
    assert 5 < len(wrong) < 25
    hints = [a for a in answers if a.hinted]
    assert [a.id for a in hints] == wrong
    assert {(a.mode, a.label == gold[a.id]) for a in hints} == {("hint_after_error", True)}
    assert len(server.sent) == 30 + len(wrong)
    assert taught.teaching.teachers[0].requests == 30 + len(wrong)


def test_rows_without_a_label_are_counted_where_a_label_is_to_be_explained(
    tmp_path: Path, server: ScriptedServer
) -> None:
    some = [*data(4).examples, *(e.model_copy(update={"id": f"u{e.id}", "label": None}) for e in data(3).examples)]
    taught = teach(config(tmp_path, server.url, mode="given_label"), data=load_dataset(some, task="nli"))
    assert (taught.teaching.without_label, taught.teaching.accepted) == (3, 4)
    assert {a.hinted for a in answers_of(taught)} == {True}


def test_samples_differ_by_their_number_alone(tmp_path: Path, server: ScriptedServer) -> None:
    settings = config(tmp_path, server.url, samples=3, temperature=0.7, of_teacher={"seed": 5})
    taught = teach(settings, data=data(2, labelled=False))
    assert sorted(sent.body["seed"] for sent in server.sent) == [5, 5, 6, 6, 7, 7]
    assert [a.sample for a in answers_of(taught)] == [0, 1, 2, 0, 1, 2]
    assert all(example.label is not None for example in taught.accepted)


def test_several_teachers_each_with_its_name(tmp_path: Path, server: ScriptedServer) -> None:
    recorded = tmp_path / "recorded.jsonl"
    recorded.write_text(
        "".join(
            json.dumps({"id": f"r{k:04}", "label": LABELS[k % 3], "explanation": f"Recorded {k}."}) + "\n"
            for k in (0, 2)
        ),
        encoding="utf-8",
    )
    teachers = [
        {"name": "file", "kind": "recorded", "file": str(recorded)},
        {"name": "server", "model": "m", "base_url": server.url},
        {"name": "again", "model": "m", "base_url": server.url, "mode": "explanation_then_label"},
    ]
    taught = teach(config(tmp_path, server.url, teachers=teachers), data=data(3))
    answers = [(a.id, a.teacher, a.problem) for a in answers_of(taught)]
    assert answers == [
        ("r0000", "file", ""),
        ("r0000", "server", ""),
        ("r0000", "again", ""),
        ("r0001", "file", "not recorded"),
        ("r0001", "server", ""),
        ("r0001", "again", ""),
        ("r0002", "file", ""),
        ("r0002", "server", ""),
        ("r0002", "again", ""),
    ]
    assert [e.source for e in taught.accepted[0].explanations] == ["file", "server", "again"]


# --- other endpoints ---


def test_responses(tmp_path: Path, server: ScriptedServer) -> None:
    def script(sent: Sent) -> Reply:
        assert sent.path == "/v1/responses"
        assert sent.body["store"] is False
        assert sent.body["text"]["format"]["strict"] is True
        cut = row_of(sent) == 1
        text = json.dumps({"label": LABELS[0], "explanation": "It is."})
        message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
        return Reply(
            {
                "id": f"resp_{row_of(sent)}",
                "object": "response",
                "model": "m",
                "status": "incomplete" if cut else "completed",
                "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
                "output": [{"type": "reasoning", "summary": []}, message],
                "usage": {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 4}},
            }
        )

    server.script = script
    taught = teach(config(tmp_path, server.url, api="responses"), data=data(3))
    assert taught.teaching.teachers[0].outcomes == {"answered": 2, "cut: length": 1}
    assert taught.teaching.teachers[0].usage.cached == 12


def test_completions(tmp_path: Path, server: ScriptedServer) -> None:
    def script(sent: Sent) -> Reply:
        assert sent.path == "/v1/completions"
        assert sent.body["stop"] == ["\n\n"]
        assert sent.body["prompt"].endswith("\n")
        body = {"id": "c", "model": "m", "choices": [{"text": "Label: neutral\nExplanation: It may.", "index": 0}]}
        return Reply(body | {"usage": {"prompt_tokens": 10, "completion_tokens": 5}})

    server.script = script
    taught = teach(config(tmp_path, server.url, api="completions", answer_format="lines"), data=data(2))
    assert [(a.label, a.explanation) for a in answers_of(taught)] == [("neutral", "It may.")] * 2


def test_a_pause_that_the_server_asks_for_holds_for_all(tmp_path: Path, server: ScriptedServer) -> None:
    used_up = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "300ms"}
    server.script = lambda sent: Reply(completion(sent).body, headers=used_up)
    teach(config(tmp_path, server.url, limits={"concurrent": 1}), data=data(4))
    gaps = [b.at - a.at for a, b in zip(server.sent, server.sent[1:], strict=False)]
    assert min(gaps) >= 0.29


# --- keys ---


def test_a_key_is_in_no_file_and_no_message(
    tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-very-secret-0123456789"
    monkeypatch.setenv("MY_KEY", key)

    def echo(sent: Sent) -> Reply:
        assert sent.headers["authorization"] == f"Bearer {key}"
        if row_of(sent) == 1:
            return Reply({"error": {"message": f"{key} sent a bad request"}}, status=400)
        return completion(sent, json.dumps({"label": "neutral", "explanation": f"The key is {key}."}))

    server.script = echo
    taught = teach(config(tmp_path, server.url, key_env="MY_KEY"), data=data(3))
    assert taught.teaching.teachers[0].outcomes == {"answered": 2, "http 400": 1}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) >= 6
    assert not [path for path in files if key.encode() in path.read_bytes()]

    server.script = lambda sent: Reply({"error": {"message": f"Incorrect API key {key[:-4]}****"}}, status=401)
    with pytest.raises(UserError) as caught:
        teach(config(tmp_path, server.url, "other", key_env="MY_KEY", model="n"), data=data(3))
    assert "http 401" in str(caught.value)
    assert "very-secret" not in str(caught.value)


def test_a_word_in_the_place_of_a_key_is_no_secret(
    tmp_path: Path, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a")  # as users of local servers write one
    taught = teach(config(tmp_path, server.url), data=data(2))
    assert taught.teaching.usable == 2


def test_a_server_elsewhere_wants_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(UserError, match="export OPENAI_API_KEY"):
        teach(config(tmp_path, "https://llm.invalid/v1"), data=data(1))


# --- Python ---


def test_a_teacher_explains_rows_in_memory(tmp_path: Path, server: ScriptedServer) -> None:
    server.script = explains
    rows = [{"text": f"The app closes {k}.", "category": ("bug", "wish")[k % 2]} for k in range(6)]
    teacher = rd.Teacher(model="m", base_url=server.url)
    assert len(teacher.explain(rows, out=tmp_path / "taught", limit=4, filters=NO_FILTERS).accepted) == 4
    taught = teacher.explain(rows, out=tmp_path / "taught", filters=NO_FILTERS)
    assert [e.references[0].source for e in taught.accepted] == ["m"] * 6
    assert len(server.sent) == 6


# --- the command line ---


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "tickets.csv"
    rows = [f'{k},"The app closes when I press {k}.",{("bug", "wish")[k % 2]}' for k in range(12)]
    path.write_text("\n".join(["id,text,category", *rows]) + "\n", encoding="utf-8")
    return path


def explains(sent: Sent) -> Reply:
    return completion(sent, json.dumps({"explanation": f"It says so {sent.digest}."}))


def test_a_first_try_from_a_table(
    tmp_path: Path, server: ScriptedServer, table: Path, command: Callable[..., tuple[int, str]]
) -> None:
    server.script = explains
    out = tmp_path / "taught"
    words = ("teach", table, "--base-url", server.url, "--model", "m", "--out", out)
    status, text = command(*words, "--dry-run")
    assert status == 0
    assert "12 requests to send" in text
    assert "The label is bug. Explain why." in text
    assert server.sent == []
    assert not out.exists()

    assert command(*words, "--limit", 5)[0] == 0
    status, text = command(*words, "--resume")
    assert status == 0
    assert len(server.sent) == 12
    assert "12 of 12 rows" in text
    assert len(load_dataset(out / "accepted.jsonl").examples) == 12

    status, text = command("teach", "show", out)
    assert status == 0
    assert "answered" in text
    assert str(out / "accepted.jsonl") in text
    assert command("teach", out, "--resume")[0] == 0
    assert len(server.sent) == 12


def test_texts_alone_are_labelled_where_the_labels_are_named(
    tmp_path: Path, server: ScriptedServer, command: Callable[..., tuple[int, str]]
) -> None:
    table = tmp_path / "texts.csv"
    table.write_text("text\n" + "".join(f"Ticket {k} of a user speaks.\n" for k in range(3)), encoding="utf-8")
    words = ("teach", table, "--base-url", server.url, "--model", "m")
    status, text = command(*words, "--out", tmp_path / "none")
    assert status == 2
    assert "Name the labels: --labels yes,no" in text
    words_of = {0: "nothing is broken here", 1: "a wish is no complaint", 2: "the customer sounds content"}
    server.script = lambda sent: completion(
        sent, json.dumps({"explanation": f"Because {words_of[int(sent.question.split()[2])]}.", "label": "no"})
    )
    assert command(*words, "--labels", "yes,no", "--out", tmp_path / "run")[0] == 0
    rows = load_dataset(tmp_path / "run" / "accepted.jsonl")
    assert [(row.label, row.explanations[0].text) for row in rows] == [
        ("no", f"Because {reason}.") for reason in words_of.values()
    ]


def test_a_teacher_whose_answers_are_of_no_use_is_told(
    tmp_path: Path, server: ScriptedServer, table: Path, command: Callable[..., tuple[int, str]]
) -> None:
    server.script = lambda sent: completion(sent, "I like tickets.")
    status, text = command("teach", table, "--base-url", server.url, "--model", "m", "--out", tmp_path / "run")
    assert status == 0
    assert "12 of 12 rows, 12 of them with a label only" in text
    assert "None of 12 answers can be used" in text
    assert "--set teachers.answer_format=json, or =lines" in text

    refused = {"error": {"message": "json_schema is not supported by this server"}}
    server.script = lambda sent: (
        Reply(refused, status=400) if "response_format" in sent.body else completion(sent, "It says so.\nLABEL: bug")
    )
    words = ("teach", table, "--base-url", server.url, "--model", "m2", "--limit", "3")
    status, text = command(*words, "--out", tmp_path / "refused")
    assert status == 0
    assert text.count("json_schema is not supported by this server") == 1
    assert "--set teachers.answer_format=json, or =lines" in text
    status, text = command(*words, "--out", tmp_path / "lines", "--set", "teachers.answer_format=lines")
    assert "http 400" not in text


def test_a_configuration_file(
    tmp_path: Path, server: ScriptedServer, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("teach.yaml").write_text(
        f"name: a\nteaching_dir: taught\nmode: given_label\ndata: {{source: 'scenes:40@3', split: train}}\n"
        "shots: {count: 3}\nteachers:\n"
        f"  - {{name: t, model: m, base_url: '{server.url}', prices: {{input: 1, output: 1}}}}\n",
        encoding="utf-8",
    )
    status, text = command("teach", "teach.yaml", "--dry-run")
    assert status == 0
    assert text.count("Explain why") == 4
    status, text = command("teach", "teach.yaml", "--budget", "0.00000001")
    assert status == 0
    assert "could have passed the budget" in text
    assert server.sent == []
    status, text = command("teach", "teach.yaml", "--resume")
    assert (status, "finished" in text) == (0, True)
    assert len(server.sent[0].body["messages"]) == 8


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["teach", "scenes:5", "--base-url", "http://127.0.0.1:9/v1"], "--model"),
        (["teach", "scenes:5", "--model", "m"], "--out"),
        (["teach", "scenes:5", "--model", "m", "--out", "o", "--mode", "guess"], "mode"),
        (["teach", "show", "nowhere"], "teaching.json"),
        (["teach", "collect", "nowhere"], "teaching.json"),
    ],
)
def test_mistakes_are_sentences(
    words: list[str],
    problem: str,
    run: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    status, _, error = run(*words)
    assert status == 2
    assert problem in error.splitlines()[-1] or problem in error
    assert list(tmp_path.iterdir()) == []
