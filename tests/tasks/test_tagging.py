"""Tagging: which unit of a text has which tag, and which spans the tags spell."""

import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import DataError
from keras_bert.tasks.tagging import Tagging

PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    *"ann anna lives in new york u . s ##ing ##a liv 北 京 市 , 人".split(),
]
TOKENIZER = kb.Tokenizer(PIECES)


def tagging(**settings):
    task = Tagging(**{"labels": ["PER", "LOC"], "max_length": 16, **settings})
    task.prepare(TOKENIZER)
    return task


def tags_of(task, *rows):
    """The names of the tags of every text's pieces, "" where a piece has none."""
    in_graph = TOKENIZER.in_graph()
    features = task.features({"text": tf.constant([text for text, _ in rows])}, in_graph)
    checked = [task.check_row({"text": text, "spans": spans}, "") for text, spans in rows]
    row = {
        name: tf.ragged.constant([list(r[name]) for r in checked], dtype=tf.int32, ragged_rank=1)
        for name in ("span_starts", "span_ends", "span_types")
    }
    row["sample_weight"] = tf.ones(len(rows))
    tags, weights = task.targets(row, features)
    return [
        [task.labels[tag] if weight else "" for tag, weight in zip(*pair, strict=True)]
        for pair in zip(tags.numpy(), weights.numpy(), strict=True)
    ], features


def perfect(task, names):
    """Outputs of a model that is sure of these tags."""
    ids = np.array([[task.labels.index(name) if name else 0 for name in row] for row in names])
    return tf.constant(20.0 * np.eye(len(task.labels), dtype="float32")[ids])


def span(start, end, label):
    return {"start": start, "end": end, "label": label}


TEXT = "anna lives in new york"
SPANS = [span(0, 4, "PER"), span(14, 22, "LOC")]


def test_the_first_piece_of_every_word_has_its_tag():
    names, _ = tags_of(tagging(), (TEXT, SPANS))
    # [CLS] anna liv ##... lives is one piece in no vocabulary: "lives" stands in it
    assert names == [["", "B-PER", "O", "O", "B-LOC", "I-LOC", ""]]


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("BIOES", ["", "S-PER", "O", "O", "B-LOC", "E-LOC", ""]),
        ("IO", ["", "PER", "O", "O", "LOC", "LOC", ""]),
    ],
)
def test_every_scheme_spells_the_same_spans(scheme, expected):
    task = tagging(scheme=scheme)
    names, features = tags_of(task, (TEXT, SPANS))
    assert names == [expected]
    [row] = answers(task, names, features)
    assert [(s["start"], s["end"], s["label"], s["text"]) for s in row["spans"]] == [
        (0, 4, "PER", "anna"),
        (14, 22, "LOC", "new york"),
    ]


def answers(task, names, features):
    answer = task.answer(perfect(task, names), features)
    return task.rows({name: tensor.numpy() for name, tensor in answer.items()})


def test_what_is_tagged_comes_back_as_the_same_spans():
    task = tagging()
    texts = [
        (TEXT, SPANS),
        ("ann", []),
        ("new york, anna", [span(0, 8, "LOC"), span(10, 14, "PER")]),
        ("", []),
    ]
    names, features = tags_of(task, *texts)
    found = [
        [span(s["start"], s["end"], s["label"]) for s in row["spans"]]
        for row in answers(task, names, features)
    ]
    assert found == [spans for _, spans in texts]


def test_neighbours_of_one_type_stay_two_spans():
    task = tagging()
    text, spans = "ann anna", [span(0, 3, "PER"), span(4, 8, "PER")]
    names, features = tags_of(task, (text, spans))
    assert names[0][1:3] == ["B-PER", "B-PER"]
    assert [s["text"] for s in answers(task, names, features)[0]["spans"]] == ["ann", "anna"]


def test_a_word_of_several_pieces_has_one_tag():
    task = tagging(units="words")
    text, spans = "living in u.s.", [span(10, 14, "LOC")]
    names, features = tags_of(task, (text, spans))
    assert names == [["", "O", "", "O", "B-LOC", "", "", "", ""]]  # liv ##ing in u . s .
    assert [s["text"] for s in answers(task, names, features)[0]["spans"]] == ["u.s."]
    # As pieces every punctuation mark is a unit of its own.
    names, _ = tags_of(tagging(), (text, spans))
    assert names == [["", "O", "", "O", "B-LOC", "I-LOC", "I-LOC", "I-LOC", ""]]


def test_ideographs_are_units_and_offsets_count_characters():
    task = tagging()
    text, spans = "👍 北京市,人", [span(2, 5, "LOC")]
    names, features = tags_of(task, (text, spans))
    assert names[0][1:] == ["O", "B-LOC", "I-LOC", "I-LOC", "O", "O", ""]
    [row] = answers(task, names, features)
    assert [(s["start"], s["end"], s["text"]) for s in row["spans"]] == [(2, 5, "北京市")]


def test_a_tag_that_continues_nothing_begins_a_span():
    task = tagging()
    _, features = tags_of(task, (TEXT, []))
    [row] = answers(task, [["", "O", "I-LOC", "I-PER", "I-PER", "O", ""]], features)
    assert [(s["text"], s["label"]) for s in row["spans"]] == [("lives", "LOC"), ("in new", "PER")]


def test_the_score_of_a_span_is_the_mean_probability_of_its_tags():
    task = tagging()
    names, features = tags_of(task, (TEXT, SPANS))
    logits = perfect(task, names).numpy()
    logits[0, 4] = 0
    logits[0, 4, task.labels.index("B-LOC")] = np.log(4)  # 4 of 8
    answer = task.answer(tf.constant(logits), features)
    [row] = task.rows({name: tensor.numpy() for name, tensor in answer.items()})
    assert [s["score"] for s in row["spans"]] == pytest.approx([1.0, 0.75], abs=1e-6)


def test_what_is_cut_off_has_no_tag():
    names, _ = tags_of(tagging(max_length=5), (TEXT, SPANS))
    assert names == [["", "B-PER", "O", "O", ""]]


def test_ids_alone_are_answered_by_token():
    task = tagging()
    names, features = tags_of(task, (TEXT, SPANS))
    bare = {name: features[name] for name in ("token_ids", "segment_ids", "padding_mask")}
    answer = task.answer(perfect(task, names), bare)
    assert answer["scores"].shape == (1, 7, 5)
    assert [task.labels[tag] for tag in answer["tags"].numpy()[0][1:-1]] == names[0][1:-1]


def test_an_overlap_is_refused_with_its_place():
    with pytest.raises(DataError, match="^train.jsonl:3: "):
        tagging().check_row({"text": TEXT, "spans": [span(0, 4, "PER"), span(2, 6, "PER")]}, "train.jsonl:3")


def test_an_unknown_label_is_refused_with_its_place():
    with pytest.raises(DataError, match="^train.jsonl:3: Unknown label 'GPE'"):
        tagging().check_row({"text": TEXT, "spans": [span(14, 22, "GPE")]}, "train.jsonl:3")


def test_scores_are_those_of_whole_entities():
    task = tagging()
    gold = [{"spans": [(0, 4, "PER"), (14, 22, "LOC")]}]
    found = [{"spans": [span(0, 4, "PER"), span(14, 17, "LOC")]}]
    scores = task.scores(gold, found)
    assert scores["f1"] == 0.5 and scores["types"]["PER"]["f1"] == 1.0 and scores["types"]["LOC"]["f1"] == 0.0


def test_a_crf_finds_the_spans_that_a_softmax_breaks():
    task = tagging(crf=True)
    _, features = tags_of(task, (TEXT, SPANS))
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16)
    model = task.head(kb.bert_encoder(config), config)
    assert {weight.path for weight in model.weights if "crf" in weight.path} == {
        "crf/transitions", "crf/start", "crf/end",
    }  # fmt: skip
    outputs = model({name: features[name] for name in model.input}, training=False)
    [row] = task.rows({n: t.numpy() for n, t in task.answer(outputs, features).items()})
    assert isinstance(row["spans"], list)
    tags = task.answer(outputs, {n: features[n] for n in model.input})["tags"].numpy()[0]
    names = [task.labels[tag] for tag in tags[1:-1]]
    for before, after in zip(["O", *names], names, strict=False):
        assert not after.startswith("I-") or before[2:] == after[2:]
