"""Tables as programs and people write them, each with the rows that it means: encodings, separators, quotes, line ends.

`benchmarks/table_recognition.py` counts which of them the readers, and detectors of other libraries, get right.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Literal, NamedTuple

Rows = Sequence[Sequence[str]]


class NastyTable(NamedTuple):
    """A file's bytes and its records, the header first; ``rows`` is None where a reader has to refuse it."""

    name: str
    content: bytes
    rows: Rows | None
    encoding: str
    delimiter: str


TICKETS = [
    ["text", "category", "why"],
    ["My card was charged twice, for order 104.", "billing", "It speaks of a charge."],
    ["The app closes; I opened the map.", "bug", "It describes a crash."],
    ["Please add a dark theme.", "feature", 'It asks for something "new".'],
]
PRICES = [
    ["text", "price", "label"],
    ["Milk", "1,50", "food"],
    ["Bread, dark", "2,25", "food"],
    ["Soap", "3,10", "other"],
]
TEXTS = {
    "German": ["Die Tür klemmt, größer als üblich.", "Schlüssel für München vergessen.", "Das Gerät läuft nicht."],
    "French": ["Le garçon mange une pêche à l’école.", "La fenêtre est cassée.", "Où est la clé ?"],
    "Spanish": ["¿Dónde está el niño?", "La señal no llegó.", "El baño está cerrado."],
    "Polish": ["Zażółć gęślą jaźń.", "Drzwi się nie otwierają.", "Proszę o zwrot pieniędzy."],
    "Czech": ["Příliš žluťoučký kůň.", "Dveře se neotvírají.", "Účet byl zaplacen dvakrát."],
    "Russian": ["Дверь не открывается.", "Деньги списали дважды.", "Добавьте тёмную тему."],
    "Greek": ["Η πόρτα δεν ανοίγει.", "Η χρέωση έγινε δύο φορές.", "Προσθέστε σκούρο θέμα."],
    "Turkish": ["Kapı sıkıştı.", "Kartımdan iki kez ücret alındı.", "Lütfen koyu tema ekleyin."],
    "Hebrew": ["הדלת לא נפתחת.", "חויבתי פעמיים.", "נא להוסיף ערכת נושא כהה."],
    "Japanese": ["ドアが開きません。", "カードが二回請求されました。", "暗いテーマを追加してください。"],
    "Chinese": ["门打不开了。", "我的卡被扣了两次款。", "请添加深色主题。"],
    "Taiwanese": ["門打不開了。", "我的卡被扣了兩次款。", "請新增深色主題。"],
    "Korean": ["문이 열리지 않습니다.", "카드가 두 번 청구되었습니다.", "어두운 테마를 추가해 주세요."],
}
_ENCODED = [
    ("German", "cp1252"),
    ("German", "latin-1"),
    ("German", "cp850"),
    ("German", "mac-roman"),
    ("French", "cp1252"),
    ("Spanish", "latin-1"),
    ("Polish", "cp1250"),
    ("Polish", "iso8859-2"),
    ("Czech", "cp1250"),
    ("Russian", "cp1251"),
    ("Russian", "koi8-r"),
    ("Greek", "cp1253"),
    ("Turkish", "cp1254"),
    ("Hebrew", "cp1255"),
    ("Japanese", "shift_jis"),
    ("Japanese", "euc-jp"),
    ("Chinese", "gb18030"),
    ("Taiwanese", "big5"),
    ("Korean", "cp949"),
]


def written(rows: Rows, delimiter: str = ",", end: str = "\n", *, quote_all: bool = False) -> str:
    buffer = io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    csv.writer(buffer, delimiter=delimiter, lineterminator=end, quoting=quoting).writerows(rows)
    return buffer.getvalue()


def in_language(language: str, copies: int = 1) -> Rows:
    """A table of texts in a language; with many copies, one that is long enough for statistics."""
    texts = [*TEXTS[language]] * copies
    return [["text", "label"], *([text, ("yes", "no")[place % 2]] for place, text in enumerate(texts))]


def separators() -> list[NastyTable]:
    """Tables in UTF-8 whose separator has to be found."""
    tables = [
        NastyTable(
            f"tickets, separator {delimiter!r}, all quoted: {quote_all}",
            written(TICKETS, delimiter, quote_all=quote_all).encode(),
            TICKETS,
            "utf-8",
            delimiter,
        )
        for delimiter in ",;\t|^"
        for quote_all in (False, True)
    ]
    long = [["text", "label"], *([f"Line {n},\nand another; one | of {n}.", "yes"] for n in range(40))]
    plain = [
        ("decimal commas", written(PRICES, ";").encode(), PRICES, ";"),
        ("line breaks inside quotes", written(long, ";").encode(), long, ";"),
        (
            "one column",
            b"text\nI came, saw; won.\nMore, and; more.\n",
            [["text"], ["I came, saw; won."], ["More, and; more."]],
            ",",
        ),
        ("one column of plain words", b"text\nyes\nno\n", [["text"], ["yes"], ["no"]], ","),
        ("a header alone", b"text;label\n", [["text", "label"]], ";"),
        (
            "two columns, one of sentences",
            written([["text", "label"], *[[f"Well, {n}, yes, no.", "a"] for n in range(9)]], ";").encode(),
            [["text", "label"], *[[f"Well, {n}, yes, no.", "a"] for n in range(9)]],
            ";",
        ),
        ("empty lines", b"\ntext;label\n\na, b;x\n\nc;y\n\n", [["text", "label"], ["a, b", "x"], ["c", "y"]], ";"),
        (
            "empty cells",
            b"text;label;why\na;;\n;x;\nb;y;z\n",
            [["text", "label", "why"], ["a", "", ""], ["", "x", ""], ["b", "y", "z"]],
            ";",
        ),
        (
            "spaces after commas",
            b"id, text, label\n1, yes, a\n2, no, b\n",
            [["id", " text", " label"], ["1", " yes", " a"], ["2", " no", " b"]],
            ",",
        ),
        (
            "times and addresses",
            b"text;when;url\nHello there;12:30:05;http://a.b/c,d\nBye, now;01:02:03;http://e.f/\n",
            [
                ["text", "when", "url"],
                ["Hello there", "12:30:05", "http://a.b/c,d"],
                ["Bye, now", "01:02:03", "http://e.f/"],
            ],
            ";",
        ),
        (
            "JSON in cells",
            written([["id", "data"], ["1", '{"a": 1, "b": [2, 3]}'], ["2", '{"a": 4, "b": []}']]).encode(),
            [["id", "data"], ["1", '{"a": 1, "b": [2, 3]}'], ["2", '{"a": 4, "b": []}']],
            ",",
        ),
        (
            "apostrophes",
            b"text,label\nit's,a\nthe dog's bone,b\n'quoted', no,c\n".replace(b"'quoted', no", b"'quoted' no"),
            [["text", "label"], ["it's", "a"], ["the dog's bone", "b"], ["'quoted' no", "c"]],
            ",",
        ),
        (
            "quotes with backslashes",
            b'text,label\n"He said \\"yes\\", twice",a\n"No \\"more\\"",b\n',
            [["text", "label"], ['He said "yes", twice', "a"], ['No "more"', "b"]],
            ",",
        ),
        (
            "backslashes that are text",
            b'text,label\n"C:\\new, folder\\",a\n"D:\\",b\n',
            [["text", "label"], ["C:\\new, folder\\", "a"], ["D:\\", "b"]],
            ",",
        ),
        (
            "quotes inside a cell without quotes",
            b'text;label\nthe 5" screen;a\na 7" one;b\n',
            [["text", "label"], ['the 5" screen', "a"], ['a 7" one', "b"]],
            ";",
        ),
        ("Excel's first line", b"sep=;\r\ntext;label\r\na, b;x\r\n", [["text", "label"], ["a, b", "x"]], ";"),
        ("carriage returns", b"text;label\ra, b;x\rc;y\r", [["text", "label"], ["a, b", "x"], ["c", "y"]], ";"),
        (
            "a long file",
            written([["text", "label"], *[[f'A text, with a "word"; {n}', "x"] for n in range(5000)]], ";").encode(),
            [["text", "label"], *[[f'A text, with a "word"; {n}', "x"] for n in range(5000)]],
            ";",
        ),
    ]
    tables += [NastyTable(name, content, rows, "utf-8", delimiter) for name, content, rows, delimiter in plain]
    ragged = [
        ("a row too short", b"text;label;why\na;x;p\nb;y\nc;z;q\n", ";"),
        ("a row too long", b"text;label\na;x\nb;y;z\nc;z\n", ";"),
        ("a quote that is never closed", b'text;label\n"a;x\nb;y\n', ";"),
    ]
    return tables + [NastyTable(name, content, None, "utf-8", delimiter) for name, content, delimiter in ragged]


def encodings() -> list[NastyTable]:
    """Tables, with commas, whose encoding has to be found: of three short rows, and of sixty."""
    marked = [
        NastyTable(
            f"German in {encoding}",
            written(in_language("German")).encode(encoding),
            in_language("German"),
            encoding,
            ",",
        )
        for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
    ]
    return marked + [
        NastyTable(f"{language} in {encoding}, {3 * copies} rows", written(rows).encode(encoding), rows, encoding, ",")
        for copies in (1, 20)
        for language, encoding in _ENCODED
        for rows in [in_language(language, copies)]
    ]
