import numpy as np
import pytest

from keras_bert.reports.tables import confusion_table, display_width, markdown, render


def test_numbers_stand_at_the_right_and_words_at_the_left():
    table = render(["label", "precision", "rows"], [["negative", 0.93119, 428], ["positive", 1.0, 9]])
    assert table == (
        "label     precision  rows\n"
        "--------  ---------  ----\n"
        "negative     0.9312   428\n"
        "positive     1.0000     9"
    )


def test_chinese_takes_two_columns():
    assert render(["label", "n"], [["体育", 1], ["IT", 22]]) == (
        "label   n\n"
        "-----  --\n"
        "体育    1\n"
        "IT     22"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("我是", 4), ("e\u0301", 1), ("ｶ", 1), ("한", 2), ("", 0)]
)
def test_the_width_is_what_a_terminal_needs(text, width):
    assert display_width(text) == width


def test_missing_numbers_are_blank_and_the_column_stays_at_the_right():
    assert render(["n"], [[None], [12]]).splitlines() == ["n".rjust(2), "--", "", "12"]


def test_numpy_numbers_are_numbers():
    assert render(["score"], [[np.float32(0.5)], [np.int64(3)]]).splitlines()[2:] == ["0.5000", "     3"]


def test_a_column_with_one_word_stands_at_the_left():
    assert render(["n"], [["all"], [1]]).splitlines()[2:] == ["all", "1"]
    assert render(["n"], [[True], [False]]).splitlines()[2:] == ["True", "False"]


def test_control_characters_cannot_reach_the_terminal():
    assert render(["a\nb"], [["x\x1b[31m\r\ny"]]).splitlines() == ["a b", "--------", "x [31m y"]


def test_a_table_without_rows_is_its_heading():
    assert render(["a", "bc"], []) == "a  bc\n-  --"


def test_markdown_escapes_what_would_end_a_cell():
    assert markdown(["text", "n"], [["a|b\nc", 1.5]]) == (
        "| text | n |\n"
        "| --- | ---: |\n"
        "| a\\|b c | 1.5000 |"
    )  # fmt: skip


@pytest.mark.parametrize("table", [render, markdown])
def test_a_row_of_another_length_is_refused(table):
    with pytest.raises(ValueError, match="one cell a column"):
        table(["a", "b"], [[1]])


def test_the_confusion_table_has_a_row_for_every_label():
    assert confusion_table(np.array([[5, 1], [0, 12]]), ["no", "yes"]) == (
        "label \\ predicted  no  yes\n"
        "-----------------  --  ---\n"
        "no                  5    1\n"
        "yes                 0   12"
    )


def test_the_confusion_table_needs_a_name_for_every_class():
    with pytest.raises(ValueError, match="1 names, 2 rows"):
        confusion_table([[1, 0], [0, 1]], ["a"])
