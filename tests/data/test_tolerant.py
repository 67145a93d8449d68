"""`tolerant_rows` reads what `read_rows` reads, and goes on where that one stops."""

import pytest

from keras_bert.data.readers import read_rows
from keras_bert.data.tolerant import tolerant_rows
from keras_bert.errors import DataError

WANTED = ("text", "label")

READABLE = {
    "header.tsv": "sentence\tlabel\ngood film\t1\n\nbad\t0\n\n",
    "columns.tsv": "good film\t1\tx\ny\t0\tx\textra\n",
    "quoted.csv": 'label,text\n1,"two\nlines, ""quoted"""\n0,b\n',
    "objects.jsonl": '{"text": "a", "label": 1}\n\n{"text": "b", "label": 0, "text_pair": "c"}\n',
    "list.json": '[{"text": "a", "label": 1},\n {"text": "b", "label": "0"}]',
}


@pytest.mark.parametrize("name", READABLE)
@pytest.mark.filterwarnings("ignore:.*beyond them is ignored")
def test_what_can_be_read_is_read_as_training_reads_it(name, tmp_path):
    path = tmp_path / name
    path.write_text(READABLE[name], encoding="utf-8")
    choice = {"wanted": WANTED, "optional": ("text_pair",)}
    choice["columns"] = {"text": 0, "label": 1} if name == "columns.tsv" else None
    assert list(tolerant_rows(path, **choice)) == list(read_rows(path, **choice))


@pytest.mark.parametrize(
    ("name", "text", "refused"),
    [
        ("a.tsv", "text\tlabel\ngood\t1\nonly one\nbad\t0\n \t1\nx\t\nfine\t1\n", [3, 5, 6]),
        ("a.csv", "text,label\ngood,1\na,b,c\nbad,0\n", [3]),
        ("a.jsonl", '{"text": "a", "label": 1}\n{"text": \n[1]\n{"text": "b"}\n{"text": "c", "label": 0}\n',
         [2, 3, 4]),
    ],
)  # fmt: skip
def test_reading_goes_on_behind_each_bad_row_and_the_first_fault_is_the_one_training_stops_at(
    name, text, refused, tmp_path
):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    rows = list(tolerant_rows(path, wanted=WANTED))
    faults = [(where, str(row)) for where, row in rows if isinstance(row, DataError)]
    assert [where for where, _ in faults] == [f"{path}:{n}" for n in refused]
    with pytest.raises(DataError) as caught:
        list(read_rows(path, wanted=WANTED))
    assert str(caught.value) == faults[0][1]
    assert len(rows) - len(faults) >= 2 and isinstance(rows[-1][1], dict)


def test_a_label_keeps_its_outer_white_space(tmp_path):
    (tmp_path / "a.tsv").write_text("text\tlabel\n a \t x \n")
    assert [row for _, row in tolerant_rows(tmp_path / "a.tsv", wanted=WANTED)] == [
        {"text": " a ", "label": " x "}
    ]


@pytest.mark.parametrize("text", ["", "text\tlabel\n", "a\tb\nc\td\n"])
def test_a_file_without_rows_or_known_columns_is_refused_as_training_refuses_it(text, tmp_path):
    (tmp_path / "a.tsv").write_text(text)
    with pytest.raises(DataError):
        list(tolerant_rows(tmp_path / "a.tsv", wanted=WANTED))
