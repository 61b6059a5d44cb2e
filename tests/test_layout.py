"""What the columns of a table of any names hold, told by names and values; every guess can be corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from make import write_jsonl
from reasondistill.data import load
from reasondistill.data.dataset_loading import load_dataset
from reasondistill.data.layout import Choice, Layout, look
from reasondistill.data.readers.any_table import table_of_rows
from reasondistill.data.recognising import recognise, recognise_table
from reasondistill.errors import DataError

TICKETS: list[dict[str, Any]] = [
    {"text": "My card was charged twice for order 104.", "category": "billing", "why": "It speaks of a charge."},
    {"text": "The app closes when I open the map.", "category": "bug", "why": "It describes a crash."},
    {"text": "The invoice shows another name.", "category": "billing", "why": "It is about an invoice."},
    {"text": "Please add a dark theme.", "category": "feature", "why": "It asks for something new."},
]


def layout_of(rows: list[dict[str, Any]], choice: Choice | None = None) -> Layout:
    return look("table", lambda: iter(enumerate(rows, start=1)), choice)


def more(**columns: list[Any]) -> list[dict[str, Any]]:
    return [{**row, **{name: values[k] for name, values in columns.items()}} for k, row in enumerate(TICKETS)]


def test_text_label_and_explanation_by_their_usual_names() -> None:
    layout = layout_of(TICKETS)
    assert layout.roles == {"text": "text", "category": "label", "why": "explanation"}
    assert layout.labels == ("billing", "bug", "feature")
    assert layout.unused == ()
    task = layout.task("my tickets")
    assert (task.name, task.fields, task.labels) == ("my_tickets", ("text",), ("billing", "bug", "feature"))


@pytest.mark.parametrize(
    ("columns", "roles"),
    [
        ({"id": ["a", "b", "c", "d"]}, {"id": "id"}),
        ({"Ticket No": [7, 8, 9, 10]}, {"Ticket No": "id"}),
        ({"Ticket No": [7, 7, 9, 10]}, {}),  # it repeats
        ({"Split": ["train", "train", "test", "dev"]}, {"Split": "split"}),
        ({"group": ["x", "x", "y", "z"]}, {"group": "group"}),
        ({"url": ["https://a.org/1", "https://a.org/2", "https://a.org/3", "https://a.org/4"]}, {}),
        ({"created": ["2024-01-02", "2024-01-03", "2024-01-04 10:00", "2024-02-01"]}, {}),
        ({"explanation_2": ["so", "because", "", "hence"]}, {"explanation_2": "explanation"}),
        ({"title": ["Charged", "Crash", "Invoice", "Theme"]}, {"title": "text"}),
        ({"agent notes": ["I called the customer back", "not seen again", "sent a new one", "told the team so"]}, {}),
    ],
)
def test_further_columns(columns: dict[str, list[Any]], roles: dict[str, str]) -> None:
    layout = layout_of(more(**columns))
    assert layout.roles == {**layout_of(TICKETS).roles, **roles}
    assert set(layout.unused) == set(columns) - set(roles)


def test_without_usual_names_values_tell() -> None:
    rows = [
        {"spalte1": row["text"], "spalte2": "yes" if k % 2 else "no", "spalte3": 3.5 + k}
        for k, row in enumerate(TICKETS * 2)
    ]
    layout = layout_of(rows)
    assert layout.roles == {"spalte1": "text", "spalte2": "label"}
    assert layout.explanations == ()


def test_a_label_that_cannot_be_told_is_asked_for() -> None:
    rows = [
        {"message": row["text"], "queue": "a" if k % 2 else "b", "urgent": k % 3 == 0}
        for k, row in enumerate(TICKETS * 3)
    ]
    with pytest.raises(DataError, match=r"several: queue, urgent.*--label 'queue'"):
        layout_of(rows)
    assert layout_of(rows, Choice(label="urgent")).labels == ("false", "true")


def test_what_is_named_is_taken() -> None:
    rows = more(note=["alpha", "beta", "gamma", "delta"], code=["x1", "x2", "x3", "x4"])
    layout = layout_of(rows, Choice(text=("why", "note"), label="", explanation=("text",), id="code"))
    assert layout.roles == {"text": "explanation", "why": "text", "note": "text", "code": "id"}
    assert layout.task("t").labels == ()
    with pytest.raises(DataError, match=r"the column 'body', named as --text.*text, category, why"):
        layout_of(TICKETS, Choice(text=("body",)))


def test_an_answer_that_repeats_is_a_text_where_it_is_named_as_one() -> None:
    layout = layout_of(TICKETS, Choice(label="category", written=True))
    assert layout.roles == {"text": "text", "category": "answer", "why": "explanation"}
    assert layout.task("t").answer == "text"
    assert layout_of(TICKETS).task("t").answer is None
    loaded = load_dataset(TICKETS, answer="category")
    assert loaded.task is not None
    assert (loaded.task.answer, loaded.examples[0].label) == ("text", "billing")
    with pytest.raises(DataError, match=r"the column 'reply', named as --answer.*text, category, why"):
        layout_of(TICKETS, Choice(label="reply", written=True))
    with pytest.raises(DataError, match=r"--label COLUMN.*--answer COLUMN.*both"):
        load_dataset(TICKETS, label="category", answer="why")


def test_numbers_and_lists_of_one_are_labels_too() -> None:
    rows = [{"review": row["text"], "stars": k % 2 + 1, "label": None} for k, row in enumerate(TICKETS)]
    assert layout_of(rows).labels == ("1", "2")
    rows = [{"text": row["text"], "label": [row["category"]]} for row in TICKETS]
    assert layout_of(rows).labels == ("billing", "bug", "feature")


def test_rows_marked_as_without_a_label_name_none() -> None:
    rows = [{"text": row["text"], "label": label} for row, label in zip(TICKETS, [0, 1, -1, None], strict=True)]
    assert layout_of(rows).labels == ("0", "1")


def test_choices_of_each_row(tmp_path: Path) -> None:
    rows = [
        {"question": "Where does water flow?", "choices": ["bank", "river"], "label": "river", "why": "It flows."},
        {"question": "Where is money kept?", "choices": ["bank", "sea"], "label": "bank", "why": "It is kept there."},
    ]
    file = write_jsonl(tmp_path / "own.jsonl", *rows)
    recognised = recognise(file, choice=Choice())
    assert recognised.task.labels is None
    examples = load(file, task=recognised.task, columns=recognised.columns).examples
    assert [(e.label, e.choices) for e in examples] == [("river", ("bank", "river")), ("bank", ("bank", "sea"))]


def test_a_table_without_an_input_is_refused() -> None:
    with pytest.raises(DataError, match="--text COLUMN"):
        layout_of([{"label": "a", "n": 1}, {"label": "b", "n": 2}])
    with pytest.raises(DataError, match="no rows"):
        layout_of([])


def test_a_table_with_nothing_to_learn_is_refused_unless_its_texts_are_named() -> None:
    rows = [{"text;category": f"{row['text']};{row['category']}"} for row in TICKETS]  # another separator
    with pytest.raises(DataError, match="a column with labels, or one with explanations"):
        layout_of(rows)
    assert layout_of(rows, Choice(text=("text;category",))).label is None


def test_two_columns_never_become_one_field() -> None:
    rows = [{"Text A": row["text"], "text a": row["why"], "label": row["category"]} for row in TICKETS]
    layout = layout_of(rows, Choice(text=("Text A", "text a")))
    assert layout.task("t").fields == ("text_a", "text_a_2")


def test_a_file_of_any_names_is_read_as_described(tmp_path: Path) -> None:
    renamed = [{"Anliegen": r["text"], "Kategorie": r["category"], "Begründung": r["why"]} for r in TICKETS]
    file = write_jsonl(tmp_path / "anliegen.jsonl", *renamed)
    choice = Choice(label="Kategorie", explanation=("Begründung",))
    recognised = recognise(file, choice=choice)
    examples = list(load(file, task=recognised.task, columns=recognised.columns).examples)
    assert [e.fields["anliegen"] for e in examples] == [row["text"] for row in TICKETS]
    assert [e.label for e in examples] == [row["category"] for row in TICKETS]
    assert [e.explanations[0].text for e in examples] == [row["why"] for row in TICKETS]


def test_columns_are_described_in_words() -> None:
    rows = [*TICKETS, {"text": "Where is it?", "category": "billing", "why": None}]
    lines = {column: (what, words) for column, what, words in layout_of(rows).lines()}
    assert lines["text"] == ("text", "text, 6 words on average, all different")
    assert lines["category"] == ("label", "text, 3 different: billing (3), bug (1), feature (1)")
    assert lines["why"] == ("explanation", "text, 5 words on average, 4 different, 1 empty")


WORDS = st.sampled_from(["", " ", "yes", "-1", "2024-01-02", "a b c d", "[/x]", "ü\u0301", "nan"])
CELLS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(), WORDS, st.lists(WORDS, max_size=2))
NAMES = st.sampled_from(["text", "label", "why", "id", "split", "group", "choices", "x", "y y", "Ü", "", "label "])


@given(st.lists(st.dictionaries(NAMES, CELLS, max_size=6), max_size=8))
def test_any_table_is_described_or_refused_with_a_sentence(rows: list[dict[str, Any]]) -> None:
    try:
        layout = layout_of(rows)
    except DataError:
        return
    assert layout.texts
    assert len(layout.roles) + len(layout.unused) == len(layout.columns)
    assert len(layout.task("t").fields) == len(layout.texts)


@pytest.mark.parametrize(
    ("text", "label", "explanation"),
    [
        ("Beschreibung", "Kategorie", "Begründung"),
        ("Énoncé", "Catégorie", "Explication"),
        ("Descripción", "Categoría", "Explicación 1"),
        ("текст", "метка", "объяснение"),
        ("Açıklama metni.metin", "Sınıf", "Gerekçe"),
        ("文本", "标签", "理由"),
        ("タイトル", "カテゴリ", "説明"),
    ],
)
def test_columns_named_in_other_languages(text: str, label: str, explanation: str) -> None:
    rows = [{explanation: row["why"], text: row["text"], label: row["category"]} for row in TICKETS]
    assert layout_of(rows).roles == {explanation: "explanation", text: "text", label: "label"}


@pytest.mark.parametrize(
    ("columns", "label"),
    [
        ({"day": ["2026-01-01", "2026-01-02"], "is_spam": [0, 1]}, "is_spam"),
        ({"day": ["01.02.2026", "02.02.2026"], "grade": [1, 5]}, "grade"),
        ({"colour": ["red", "blue"], "ticketCategory": ["bug", "billing"]}, "ticketCategory"),
        ({"mail": ["a@b.org", "c@d.org"], "Kind (final)": ["bug", "billing"]}, "Kind (final)"),
        ({"问题": ["发票不对。", "应用崩溃了。"], "类": ["账单", "错误"]}, "类"),
    ],
)
def test_a_label_is_told_from_dates_addresses_and_other_columns(columns: dict[str, list[Any]], label: str) -> None:
    rows = [{"what": f"Ticket {k} of a user", **{n: values[k % 2] for n, values in columns.items()}} for k in range(12)]
    assert layout_of(rows).label == label


def test_sentences_of_a_script_without_spaces_are_texts() -> None:
    rows = [{"甲": f"我的信用卡在第{k}个订单中被扣了两次款。", "乙": ["账单", "错误"][k % 2]} for k in range(12)]
    assert layout_of(rows).roles == {"甲": "text", "乙": "label"}


def test_spellings_of_a_label_become_one() -> None:
    rows = [{"text": f"Text {k}", "label": ["Bug", " bug", "bug ", "Bug", "bill"][k % 5]} for k in range(10)]
    layout = layout_of(rows)
    assert layout.labels == ("Bug", "bill")
    assert layout.label_values == {" bug": "Bug", "bug ": "Bug"}
    assert "read ' bug' as Bug" in next(line for name, _, line in layout.lines() if name == "label")


def test_names_of_labels_are_taken_before_their_numbers() -> None:
    rows = [{"text": f"Text {k}", "label": k % 2, "label_text": ["bug", "bill"][k % 2]} for k in range(10)]
    assert layout_of(rows).labels == ("bill", "bug")


def test_a_table_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no_header.csv"
    path.write_text("".join(f"Text {k} of a user,{['bug', 'bill'][k % 2]}\n" for k in range(10)), encoding="utf-8")
    with pytest.raises(DataError, match="expected a first line with the names of the columns") as error:
        recognise(path)
    with_header = tmp_path / "with_header_no_header.csv"
    with_header.write_text(f"column1,column2\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    assert f"(echo column1,column2; cat {path}) > {with_header}" in str(error.value)
    assert recognise(with_header).task.labels == ("bill", "bug")


@pytest.mark.parametrize("name", ["fold", "dataset_split", "Partition"])
def test_a_column_of_splits_is_one_by_its_values(name: str) -> None:
    splits = ["train", "TRAIN", "dev", "test"]
    rows = [{"text": f"Text {k}", "label": "ab"[k % 2], name: splits[k % 4]} for k in range(40)]
    assert layout_of(rows).split == name
    pairs = [{"premise": row["text"], "hypothesis": "b", "label": "neutral", name: row[name]} for row in rows]
    assert recognise_table(table_of_rows(pairs)).columns == {"split": name}


def test_a_known_task_takes_explanations_of_any_usual_name() -> None:
    pair = {"premise": "A dog runs.", "hypothesis": "It moves.", "label": "entailment"}
    rows = [{**pair, "Rationale": f"To run {k} is to move."} for k in range(4)]
    assert recognise_table(table_of_rows(rows)).columns == {"explanation": ["Rationale"]}
    rows = [{**pair, "explanation_1": f"To run {k} is to move.", "reason": "It says so."} for k in range(4)]
    assert recognise_table(table_of_rows(rows)).columns is None


def test_a_question_about_a_context_keeps_it() -> None:
    rows = [{"context": "Ann has it.", "question": "Who has it?", "choices": ["Ann", "Bo"], "label": "Ann"}]
    assert recognise_table(table_of_rows(3 * rows)).task.fields == ("context", "question")


def test_more_labels_and_longer_ones_are_believed_of_a_column_called_label() -> None:
    rows = [{"text": f"Text {k}", "label": f"the long name of the label of number {k % 70}"} for k in range(300)]
    assert len(layout_of(rows).labels) == 70
