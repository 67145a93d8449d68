import numpy as np
import pandas
import pytest

from keras_bert.data.readers import rows_from
from keras_bert.errors import DataError, UsageError

WANTED = ("text", "label")
PAIR = ("text", "text_pair", "label")
GOOD = {"text": "good film", "label": "1"}
BAD = {"text": "bad film", "label": "0"}


def rows(source, wanted=WANTED, **reading) -> list[dict]:
    return [row for _, row in rows_from(source, wanted=wanted, **reading)]


def refusal(source, wanted=WANTED, error=DataError):
    with pytest.raises(error) as caught:
        rows(source, wanted)
    return caught.value


@pytest.mark.parametrize(
    "source",
    [
        (["good film", "bad film"], ["1", "0"]),
        (np.array(["good film", "bad film"]), np.array(["1", "0"])),
        {"label": ["1", "0"], "sentence": ["good film", "bad film"]},
        [GOOD, BAD],
        (GOOD, BAD),
        iter([GOOD, BAD]),
        pandas.DataFrame([GOOD, BAD]),
        pandas.DataFrame({"label_id": ["1", "0"], "text_a": ["good film", "bad film"]}, index=[7, 7]),
    ],
    ids=lambda source: type(source).__name__,
)
def test_every_source_in_memory_gives_the_same_rows(source):
    assert rows(source) == [GOOD, BAD]


def test_a_path_is_a_source_too(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("good film\t1\n")
    for source in (path, str(path)):
        assert rows(source, columns={"text": 0, "label": 1}) == [GOOD]


def test_rows_in_memory_are_counted_from_one():
    assert [where for where, _ in rows_from((["a", "b"], [0, 1]), wanted=WANTED)] == ["row 1", "row 2"]


def test_numpy_scalars_become_python_values():
    labels = [row["label"] for row in rows((["a", "b"], np.array([0, 1])))]
    assert labels == [0, 1] and all(type(label) is int for label in labels)
    scores = rows(pandas.DataFrame({"text": ["a"], "score": np.float32([0.5])}), ("text", "score"))
    assert type(scores[0]["score"]) is float


def test_three_lists_are_texts_pairs_and_labels():
    expected = [{"text": "a", "text_pair": "b", "label": 1}]
    assert rows((["a"], ["b"], [1]), optional=("label", "text_pair")) == expected
    assert rows((["a"], ["b"], [1]), PAIR) == expected
    assert rows((["a"], ["b"]), ("text",), optional=("text_pair",)) == [{"text": "a", "text_pair": "b"}]


def test_a_list_of_texts_is_enough_for_one_column():
    assert rows(["a", "b"], ("text",)) == [{"text": "a"}, {"text": "b"}]


@pytest.mark.parametrize(
    ("source", "where", "part"),
    [
        (([], []), "rows", "no rows"),
        ([], "rows", "no rows"),
        ((["a", "b"], [1]), "rows", "2 x text, 1 x label"),
        ((["a"], [1], [2], [3]), "rows", "4 lists for 2 columns"),
        (("good film", "1"), "rows", "not a list"),
        (["a"], "row 1", "no object"),
        ([GOOD, {"text": "a"}], "row 2", "no 'label'"),
        ((["a", None], [0, 1]), "row 2", "'text' is None"),
        ((["a", 5], [0, 1]), "row 2", "not a text but int 5"),
        ((["a", b"b"], [0, 1]), "row 2", "not a text but bytes"),
        ((["a"], np.array([np.nan])), "row 1", "'label' is nan"),
        (pandas.DataFrame({"text": ["a"], "label": pandas.array([None], "Int64")}), "row 1", "'label' is"),
        (pandas.DataFrame({"text": ["a"], "mark": [1]}), "rows", "'text', 'mark'"),
    ],
)
def test_a_mistake_in_memory_is_named_with_its_row(source, where, part):
    error = refusal(source)
    assert error.where == where and part in str(error)


def test_a_source_that_is_none_is_refused():
    assert "int" in refusal(5, error=UsageError).what
    assert "No such file" in refusal("no such file.tsv").what
