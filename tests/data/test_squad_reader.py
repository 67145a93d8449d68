"""Questions with contexts and answers: SQuAD's documents, CMRC's, Hugging Face's rows, tables."""

import json

import pytest

from keras_bert.data.squad import checked_answers, squad_rows
from keras_bert.data.task_rows import task_rows
from keras_bert.errors import DataError

WANTED = ("question", "context", "answers")
CONTEXT = "Paris lies on the Seine. Paris is old."
ROW = {
    "id": "q1",
    "question": "Which river?",
    "context": CONTEXT,
    "answers": [{"text": "the Seine", "start": 14}],
}


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read(path, wanted=WANTED, **reading):
    return [row for _, row in task_rows(path, "answers", wanted=wanted, optional=("id",), **reading)]


def refusal(path):
    with pytest.raises(DataError) as caught:
        read(path)
    return caught.value


def question(answers=({"text": "the Seine", "answer_start": 14},), **more):
    return {"id": "q1", "question": "Which river?", "answers": answers, **more}


def document(*questions, context=CONTEXT):
    return {
        "version": "1.1",
        "data": [{"title": "x", "paragraphs": [{"context": context, "qas": questions}]}],
    }


def row(**more):
    return {"id": "q1", "question": "Which river?", "context": CONTEXT, **more}


@pytest.mark.parametrize(
    "value",
    [
        document(question()),
        document(question(is_impossible=False)),
        {"data": [{"id": "P1", "paragraphs": [{"id": "P1", "context": CONTEXT, "qas": [question()]}]}]},
        [{"context_id": "P1", "context_text": CONTEXT,  # CMRC's first layout
          "qas": [{"query_id": "q1", "query_text": "Which river?", "answers": ["the Seine"]}]}],
        row(answers={"text": ["the Seine"], "answer_start": [14]}),  # Hugging Face
        row(answers={"text": "the Seine", "answer_start": 14}),
        row(answers=[{"text": "the Seine", "answer_start": 14}]),
        row(answers=[{"text": "the Seine", "start": 14}]),
        row(answers=["the Seine", " "]),
        row(answers="the Seine"),
        row(answers=[{"text": " the Seine", "start": 13}]),
    ],
)  # fmt: skip
def test_every_layout_gives_the_same_row(file, value):
    for path in (
        file("a.json", json.dumps(value, indent=2)),
        file("a.jsonl", json.dumps(value if isinstance(value, dict) else value[0])),
    ):
        [read_row] = read(path)
        assert {name: read_row[name] for name in ROW} == ROW


def test_tables_have_named_columns(file):
    head = "id,question,context,answers\n"
    cells = f'q1,Which river?,"{CONTEXT}",'
    answers = '"{""text"": [""the Seine""], ""answer_start"": [14]}"'
    assert read(file("a.csv", head + cells + answers)) == [ROW]
    assert read(file("b.csv", head + cells + "the Seine")) == [ROW]
    assert read(file("c.csv", head + cells)) == [{**ROW, "answers": []}]
    table = f"q\tcontext\tanswers\nWhich river?\t{CONTEXT}\tthe Seine\n"
    assert read(file("a.tsv", table), columns={"question": "q"})[0]["answers"] == ROW["answers"]


def test_rows_in_memory_are_read_alike():
    assert read([row(answers=["the Seine"])]) == [ROW]
    assert read({"question": ["Which river?"], "context": [CONTEXT], "answers": [[]]})[0]["answers"] == []


@pytest.mark.parametrize(
    "value",
    [
        document(question(answers=[], is_impossible=True, plausible_answers=[{"text": "x"}])),
        document(question(is_impossible=True)),
        document(question(answers=[])),
        document(question(answers=[{"text": "", "answer_start": -1}])),
        row(answers={"text": [], "answer_start": []}),
    ],
)
def test_a_question_without_an_answer_has_none(file, value):
    assert read(file("a.json", json.dumps(value)))[0]["answers"] == []


def test_a_question_whose_answers_nobody_gave_is_not_one_without(file):
    unlabelled = question()
    del unlabelled["answers"]
    path = file("a.json", json.dumps(document(unlabelled)))
    assert read(path, ("question", "context")) == [{n: ROW[n] for n in ("id", "question", "context")}]
    error = refusal(path)
    assert error.where == f"{path}, question q1" and "no 'answers'" in error.what
    assert "no 'answers'" in refusal(file("a.jsonl", json.dumps(row(answers=None)))).what


def test_an_answer_is_moved_to_the_nearest_place_with_one_warning(file):
    wrong = [question(answers=[{"text": "Paris", "answer_start": start}]) for start in (24, 3, 25, 30)]
    path = file("a.json", json.dumps(document(*wrong)))
    with pytest.warns(UserWarning, match=r"than their offsets say: 3; .*a\.json, question q1") as caught:
        starts = [row["answers"][0]["start"] for row in read(path)]
    assert starts == [25, 0, 25, 25] and len(caught) == 1
    with pytest.warns(UserWarning, match="here"):
        assert checked_answers([{"text": "Paris", "start": 20}], CONTEXT, "here")[0]["start"] == 25


def test_an_answer_without_an_offset_is_the_first_one_without_a_warning():
    for answer in ("Paris", {"text": "Paris"}, {"text": "Paris", "answer_start": -1}):
        assert checked_answers([answer], CONTEXT, "") == [{"text": "Paris", "start": 0}]


def test_an_answer_that_stands_nowhere_is_kept_behind_one_that_does(file):
    answers = [{"text": "the river Seine", "answer_start": -1}, {"text": "the Seine", "answer_start": 14}]
    path = file("a.json", json.dumps(document(question(answers))))
    with pytest.warns(UserWarning, match="do not occur in their contexts: 1;"):
        [read_row] = read(path)
    assert read_row["answers"] == [*ROW["answers"], {"text": "the river Seine", "start": -1}]
    assert checked_answers(read_row["answers"], CONTEXT, "") == read_row["answers"]


def test_a_question_of_which_no_answer_stands_there_is_named(file):
    path = file("a.json", json.dumps(document(question(), question(["the Thames"], id="q2"))))
    error = refusal(path)
    assert error.where == f"{path}, question q2" and "'the Thames' does not occur" in error.what
    path = file("a.jsonl", json.dumps(ROW) + "\n" + json.dumps(row(answers=["the Thames"])))
    assert refusal(path).where == f"{path}:2"


def test_a_blank_question_of_a_document_is_left_out_with_a_warning(file):
    path = file("a.json", json.dumps(document(question(), {**question(), "question": " "})))
    with pytest.warns(UserWarning, match="blank: 1; they are left out"):
        assert read(path) == [ROW]


def test_a_document_is_read_from_lines():
    lines = json.dumps(document(question()), indent=1).splitlines(keepends=True)
    assert list(squad_rows(lines, "dev.json")) == [("dev.json, question q1", ROW)]


@pytest.mark.parametrize(
    ("name", "content", "line", "part"),
    [
        ("a.json", "", None, "no rows"),
        ("a.json", '{"data": []}', None, "no rows"),
        ("a.json", json.dumps(document(question()), indent=1)[:-20], 20, "not valid JSON"),
        ("a.jsonl", json.dumps(ROW) + "\n" + json.dumps(ROW)[:-3], 2, "not valid JSON"),
        ("a.json", "[" * 100_000, 1, "not valid JSON"),
        ("a.json", '{"data": 5}', 1, "'data' is 5"),
        ("a.json", '{"data": ["x"]}', 1, "A part of the file is 'x'"),
        ("a.json", '{"data": [{"paragraphs": [{"context": "x"}]}]}', 1, "no 'question'"),
        ("a.json", '\n{"version": "1.1"}', 2, "no 'question'"),
        ("a.jsonl", json.dumps({**ROW, "question": 5}), 1, "'question' is not a text"),
        ("a.jsonl", json.dumps({**ROW, "question": " "}), 1, "'question' is empty"),
        ("a.jsonl", json.dumps({**ROW, "answers": 5}), 1, "The answers are 5"),
        ("a.jsonl", json.dumps({**ROW, "answers": [5]}), 1, "An answer is 5"),
        ("a.jsonl", json.dumps({**ROW, "answers": [{"text": "Paris", "start": "0"}]}), 1, "An answer is"),
        (
            "a.jsonl",
            json.dumps({**ROW, "answers": {"text": ["Paris"], "answer_start": []}}),
            1,
            "The answers",
        ),
        ("a.jsonl", json.dumps({**ROW, "context": "a" * 5_000_000}), 1, "does not occur"),
        ("a.json", "北京大学的学生".encode("gb18030"), 1, "not valid utf-8"),
        ("a.csv", "question,text\nq,c\n", 1, "no column 'context'"),
        ("a.xyz", "question\tcontext\n", None, "suffix .xyz"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(file, name, content, line, part):
    path = file(name, content)
    error = refusal(path)
    assert error.where == (f"{path}:{line}" if line else str(path))
    assert part in error.what and len(str(error)) < 800


def test_a_json_file_that_was_cut_is_not_asked_for_an_object_a_line(file):
    cut = json.dumps(document(question()))[:-20]
    assert refusal(file("a.json", cut)).expected == "objects, or one list of them, to the file's end"
    assert "one object a line" in refusal(file("a.jsonl", cut)).expected


def test_squad_and_cmrc_read_as_their_authors_counted_them(data_folder):
    def counts(name):
        rows = read(data_folder / "qa" / name)
        answers = [(answer, row["context"]) for row in rows for answer in row["answers"]]
        placed = [(a["text"], context[a["start"] :]) for a, context in answers if a["start"] >= 0]
        assert all(behind.startswith(text) for text, behind in placed)
        assert all(row["answers"][0]["start"] >= 0 for row in rows)
        return len(rows), len(answers), len(placed)

    assert counts("squad_v1_train_20articles_4639q.json") == (4639, 6053, 6053)
    assert counts("xquad_en_squad_dev_subset.json") == (1190, 1190, 1190)
    with pytest.warns(UserWarning) as caught:
        assert counts("cmrc2018/cmrc2018_dev.json") == (3219, 9657, 9657 - 193)
        assert counts("cmrc2018/cmrc2018_trial.json") == (1000, 1000, 1000)  # of 1,002, two blank
    told = [str(warning.message) for warning in caught]
    assert ["say: 7;" in told[0], "contexts: 193;" in told[1], "say: 5;" in told[2], "blank: 2;" in told[3]]
    assert len(told) == 4
