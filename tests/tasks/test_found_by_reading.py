"""Faults of the tasks that a reader of the code found: other data, other settings, odd characters."""

import json

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.cli.main import main
from keras_bert.data.choices import joined_choices
from keras_bert.data.conll import conll_rows
from keras_bert.data.pipeline import open_source
from keras_bert.errors import DataError, UsageError
from keras_bert.reports.scores import with_interval
from keras_bert.tasks.multi_label import MultiLabel
from keras_bert.tasks.question_answering import QuestionAnswering
from keras_bert.tasks.similarity import Similarity
from keras_bert.tasks.tagging import Tagging

WORDS = "a the big red dog who was it anna funny dull film barks cat".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


def tiny(task=None, **settings):
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=400, initializer_range=0.3)
    return kb.Bert.from_config(config, kb.Tokenizer(PIECES), task, **settings)


def test_windows_of_question_answering_are_long_and_overlap():
    bert = tiny("question_answering")
    assert (bert.task.max_length, bert.task.stride) == (384, 128)
    short = tiny("question_answering", max_length=100).task
    assert short.stride == 50 and QuestionAnswering(max_length=100, stride=90).stride == 90
    features = tiny("question_answering", max_length=100).task.features(
        {"question": tf.constant(["who"]), "context": tf.constant(["a red dog " * 60])}, bert._in_graph
    )
    starts = [set(row[row > 0]) for row in features["starts"].numpy()]
    assert all(one & other for one, other in zip(starts, starts[1:], strict=False))


@pytest.mark.parametrize("name", ["label", "similarity", "is_duplicate"])
def test_scores_under_another_name_are_scores(tmp_path, name):
    file = tmp_path / "pairs.tsv"
    file.write_text(f"sentence1\tsentence2\t{name}\na cat\tthe film\t0\na cat\ta red cat\t5.0\n")
    settings = Similarity.settings_from_rows(open_source(file, Similarity)())
    assert settings == {"objective": "cosine", "score_range": [0.0, 5.0]}


def test_a_model_of_parts_is_scored_on_a_source_for_each():
    parts = {name: {"name": "classification", "labels": ["a", "b"]} for name in ("mood", "kind")}
    bert = tiny("multi_task", parts=parts)
    rows = [{"text": "a dog", "label": "a"}]
    for source in ("mood.csv", "dev.csv", rows, {"moood": rows, "kind": rows}, {"mood": rows}):
        with pytest.raises(UsageError, match="mood=FILE, kind=FILE"):
            bert.evaluate(source)
    assert bert.evaluate({"mood": rows, "kind": rows})["kind"]["rows"] == 1


def test_the_interval_of_a_search_is_around_its_score():
    count, unit = 100, np.eye(100)
    task = Similarity(objective="in_batch_negatives")
    gold = [{"text": f"q{i}", "text_pair": f"a{i}"} for i in range(count)]
    answers = [
        {
            "embedding": ((0.9 if i % 2 else 1.1) * unit[i] + unit[(i + 1) % count]).tolist(),
            "pair_embedding": unit[i].tolist(),
            "score": 0.0,
        }
        for i in range(count)
    ]
    scores = task.scores(gold, answers)
    assert scores["mrr"] == 0.75  # every second finds its partner in the second place
    interval = with_interval(scores, task, gold, answers, 200)["interval"]
    # 1 or 1/2, one as often as the other: sd 0.25, of the mean of a hundred 0.025.
    assert 0.68 < interval["low"] < 0.74 and 0.76 < interval["high"] < 0.82


def test_a_tagger_that_is_right_about_every_word_has_f1_1():
    tokenizer = kb.Tokenizer(PIECES)
    task = Tagging(["DT", "JJ", "NN"], scheme="tags", units="words")
    task.prepare(tokenizer)
    [(where, row)] = conll_rows(["the DT\n", "big JJ\n", "red JJ\n", "dog NN\n"], "x")
    gold = task.check_row(row, where)

    def f1(*tags):
        logits = 9 * tf.one_hot([[0, *tags, 0]], 3)
        features = task.features({"text": tf.constant([row["text"]])}, tokenizer.in_graph())
        found = {name: tensor.numpy() for name, tensor in task.answer(logits, features).items()}
        return task.scores([gold], task.rows(found))["f1"]

    assert f1(0, 1, 1, 2) == 1.0 and f1(0, 1, 2, 2) == 0.75
    by_character = Tagging(["JJ", "NN"], scheme="tags", units="pieces")
    halves = [{"spans": [{"label": "JJ", "start": s, "end": e} for s, e in ((0, 3), (4, 7))]}]
    assert by_character.scores([{"text": "big red", "spans": [(0, 7, "JJ")]}], halves)["f1"] == 1.0


def test_a_unit_without_a_tag_is_not_learnt():
    bert = tiny("tagging", labels=["DT", "NN"], scheme="tags", units="words")
    rows = [{"text": "the big dog", "spans": [[0, 3, "DT"], [8, 11, "NN"]]}]
    [(_, tags, weights)] = bert.dataset(rows, 1)
    assert weights.numpy().tolist() == [[0, 1, 0, 1, 0]] and tags.numpy()[0, 3] == 1


def test_a_type_may_look_like_a_tag_where_tags_have_no_places():
    task = Tagging(["E-mail", "person"], scheme="IO")
    assert task.tags.types == ("E-mail", "person") and not any(task.tags.ends)
    assert task.check_row({"text": "a", "spans": [[0, 1, "E-mail"]]}, "x")["span_types"] == [0]
    assert Tagging(list(task.labels), scheme="IO").tags == task.tags  # as a folder says them
    assert Tagging(["O", "I-PER", "I-LOC"], scheme="IO").tags.types == ("PER", "LOC")


def test_choices_may_be_many_and_the_question_stand_under_q():
    row = {"text": "x", **{f"choice_{i}": str(i) for i in range(12)}}
    assert joined_choices(row)["choices"] == [str(i) for i in range(12)]
    row = {"Q": "what barks", "A": "a dog", "B": "a cat", "C": ""}
    assert joined_choices(row) == {"Q": "what barks", "choices": ["a dog", "a cat"]}


def test_new_classes_do_not_inherit_the_thresholds_of_old_ones(tmp_path):
    tiny("multi_label", labels=["a", "b"], thresholds=[0.9, 0.1]).save(tmp_path / "m")
    assert kb.load(tmp_path / "m").task.thresholds == [0.9, 0.1]
    with pytest.warns(UserWarning, match="classifier"):
        assert kb.load(tmp_path / "m", labels=["x", "y"]).task.thresholds == [0.5, 0.5]
    rows = [("x:1", {"question": "who", "context": "it was anna", "answers": ["anna"]})]
    assert QuestionAnswering.settings_from_rows(rows) == {"null_threshold": None, "metric": "squad"}


def test_a_folder_without_a_task_answers_nothing_and_says_so(tmp_path, capsys):
    tiny().save(tmp_path / "m")
    (tmp_path / "texts.txt").write_text("a dog\n")
    flags = [f"--model_dir={tmp_path / 'm'}", f"--input_file={tmp_path / 'texts.txt'}"]
    assert main(["predict", *flags]) == 2
    assert "This model has no head" in capsys.readouterr().err


def test_predict_reads_choices_however_they_are_written(tmp_path, capsys):
    tiny("multiple_choice").save(tmp_path / "m")
    (tmp_path / "c.csv").write_text('text,choices\nwho barks,"[""a dog"", ""a cat""]"\n')
    (tmp_path / "c.jsonl").write_text(
        json.dumps({"text": "who barks", "choices": {"text": ["a dog", "a cat"], "label": ["A", "B"]}})
    )
    answers = []
    for name in ("c.csv", "c.jsonl"):
        assert main(["predict", f"--model_dir={tmp_path / 'm'}", f"--input_file={tmp_path / name}"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    assert answers[0] == answers[1] and len(answers[0]["scores"]) == 2


def test_a_search_embeds_as_its_model_was_taught():
    bert = tiny("similarity", pooling="cls", normalize=False, max_length=20)
    texts = ["a red dog " * 30, "who"]
    expected = [answer["embedding"] for answer in bert.predict(texts)]
    np.testing.assert_allclose(bert.embed(texts), expected, rtol=0, atol=1e-5)


def test_queries_and_labels_are_read_in_the_encoding_given(tmp_path, capsys):
    tiny().save(tmp_path / "m")
    for name, text in (("t.txt", "怎么付款\n"), ("q.txt", "付款\n"), ("l.csv", "text,row\n付款,0.0\n无,\n")):
        (tmp_path / name).write_bytes(text.encode("gb18030"))
    flags = [f"--model_dir={tmp_path / 'm'}", "--encoding=gb18030", f"--input_file={tmp_path / 't.txt'}"]
    assert main(["search", *flags, f"--queries_file={tmp_path / 'q.txt'}"]) == 0
    assert json.loads(capsys.readouterr().out)["query"] == "付款"
    assert main(["search", *flags, f"--labels_file={tmp_path / 'l.csv'}"]) == 0
    (tmp_path / "l.csv").write_bytes("text,row\n付款,0.5\n".encode("gb18030"))
    assert main(["search", *flags, f"--labels_file={tmp_path / 'l.csv'}"]) == 2
    assert main(["search", *flags, "--query=\udcff"]) == 2
    assert "The text is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("invisible", ["", "\u200b", "\ufeff", "\u200f"])
def test_an_answer_is_what_can_be_seen_of_it(invisible):
    row = {"question": "who", "context": f"it was {invisible}anna{invisible}"}
    row["answers"] = [{"text": f"{invisible}anna{invisible}", "start": 7}]
    bert = tiny("question_answering", max_length=32)
    [(_, targets)] = bert.dataset([row], 1)
    assert [int(place[0]) for place in tf.nest.flatten(targets)] == [5, 5]
    checked = bert.task.check_row(row, "x")
    assert checked["answers"] == [{"text": "anna", "start": 7 + len(invisible)}]


def test_half_a_character_in_a_label_is_found_before_the_training():
    for make in (
        lambda: tiny("classification", labels=["a", "\ud83d"]),
        lambda: MultiLabel(["\ud83d"]),
        lambda: Tagging(["\ud83d"]),
    ):
        with pytest.raises(DataError, match="half a character"):
            make()
    with pytest.raises(DataError, match="expected one text|one text"):
        Similarity(objective="triplet").check_row(
            {"text": "a", "text_pair": "b", "negative": ["c", "d"]}, "x"
        )
