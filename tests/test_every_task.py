"""Every task on the whole road, and a new task that is one class and one line in the registry."""

import importlib.util
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.layers import Classifier
from keras_bert.tasks import TASKS
from keras_bert.tasks.base import Task
from keras_bert.training import model as training
from keras_bert.training.losses import SparseCrossentropy
from keras_bert.training.model import BertModel

WORDS = "a warm cold funny dull film play was not".split()
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


def records(folder):
    """Pretraining records of a small corpus."""
    documents = [
        "a warm film\nfunny was not dull\na cold play was dull",
        "a film was warm\nnot a cold film\na play",
    ]
    (folder / "corpus.txt").write_text("\n\n".join(documents * 3), encoding="utf-8")
    settings = kb.CorpusSettings(max_seq_length=12, max_predictions_per_seq=2, num_shards=1)
    kb.build_corpus(
        str(folder / "corpus.txt"), folder / "records", kb.Tokenizer(PIECES), settings, num_workers=1
    )
    return kb.PretrainingRecords(folder / "records")


SPANS = [
    {"text": "a warm film", "spans": [{"start": 2, "end": 6, "label": "mood"}]},
    {"text": "a dull play was a cold play", "spans": [{"start": 2, "end": 11, "label": "thing"}]},
    {"text": "cold", "spans": []},
]
SENTIMENT = [
    {"text": "a warm film", "label": "good"},
    {"text": "a dull play was a cold play", "label": "bad"},
    {"text": "cold", "label": "bad"},
]


def parts(folder):
    """The two sources of a task with two parts."""
    return {"mood": SENTIMENT, "things": SPANS}


# name: (settings, rows to answer and, unless a function makes something else of a folder, to train on). A new
# task adds its line here.
EXAMPLES = {
    "pretraining": (
        {"max_length": 12},
        [{"text": "a warm film", "text_pair": "funny was not dull"}],
        records,
    ),
    "classification": ({"labels": ["bad", "good"]}, SENTIMENT),
    "fill_mask": (
        {"top_k": 2, "max_masks": 2},
        [
            {"text": "a [MASK] film", "label": "warm"},
            {"text": "a [MASK] play was a cold [MASK]", "label": "dull play"},
        ],
    ),
    "multi_label": (
        {"labels": ["warm", "dull"]},
        [
            {"text": "a warm film", "labels": ["warm"]},
            {"text": "a dull warm play", "labels": ["dull", "warm"]},
            {"text": "a film", "labels": []},
        ],
    ),
    "multiple_choice": (
        {},
        [
            {"text": "a film was", "choices": ["warm", "a play"], "label": 0},
            {"text": "a dull play", "choices": ["film", "was not funny", "cold"], "label": 1},
        ],
    ),
    "multi_task": (
        {
            "parts": {
                "mood": {"name": "classification", "labels": ["bad", "good"]},
                "things": {"name": "tagging", "labels": ["mood", "thing"], "crf": True},
            }
        },
        SENTIMENT,
        parts,
    ),
    "question_answering": (
        {"max_length": 10, "stride": 2, "max_answer_length": 3, "num_best": 3},
        [
            {
                "question": "was a play",
                "context": "a dull play was a cold play",
                "answers": [{"text": "cold play", "start": 18}],
            },
            {"question": "was", "context": "a warm film", "answers": [{"text": "warm", "start": 2}]},
        ],
    ),
    "regression": (
        {},
        [
            {"text": "a warm film", "text_pair": "a film", "score": 4.5},
            {"text": "a dull play was a cold play", "text_pair": "cold", "score": 1},
            {"text": "film", "text_pair": "a play", "score": 2.0},
        ],
    ),
    "similarity": (
        {},
        [
            {"text": "a warm film", "text_pair": "a film", "score": 0.9},
            {"text": "a dull play was a cold play", "text_pair": "cold", "score": 0.1},
            {"text": "film", "text_pair": "a play", "score": 0.4},
        ],
    ),
    "tagging": ({"labels": ["mood", "thing"], "crf": True}, SPANS),
}
WINDOWS = {"max_length": 6, "stride": 2}  # of texts that are longer


class LongText(Task):
    """Whether a text has more than four words: all that a new task has to write."""

    name = "long_text"
    label_columns = ("long",)
    architecture = "BertForSequenceClassification"
    main_score = "agreement"
    labels = ("no", "yes")

    def check_row(self, row, where):
        return {**row, "long": int(row["long"])}

    def features(self, columns, tokenizer):
        return tokenizer.features(columns["text"], max_length=self.max_length)

    def target_columns(self):
        return {"long": ("int32", ())}

    def targets(self, row, features):
        return row["long"], tf.ones_like(row["long"], tf.float32)

    def head(self, encoder, config):
        logits = Classifier(2, config.head_dropout, name="classifier")(encoder.output["pooled_output"])
        return BertModel(encoder.input, logits).with_defaults(loss=SparseCrossentropy, metrics=list)

    def answer(self, outputs, features):
        return {"long": outputs[:, 1] - outputs[:, 0]}

    def rows(self, answer):
        return [{"long": bool(margin > 0), "margin": float(margin)} for margin in answer["long"]]

    def badness(self, gold, answer):
        return float(gold["long"] != answer["long"])

    def scores(self, gold, answers):
        return {
            "agreement": float(np.mean([g["long"] == a["long"] for g, a in zip(gold, answers, strict=True)]))
        }


LONG_TEXT = [{"text": "a warm film", "long": 0}, {"text": "a dull play was a cold play", "long": 1}]


def trained(name, settings, source):
    """A tiny model after two steps of training on rows or records."""
    count = source.num_examples if hasattr(source, "num_examples") else 3
    keras.utils.set_random_seed(0)
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), name, **settings)
    before = bert.weights()
    bert.model.compile(optimizer=kb.AdamW(1e-2))
    batch_size = count // 2 if hasattr(source, "num_examples") else 1
    history = bert.model.fit(bert.dataset(source, batch_size, training=True), verbose=0)
    assert int(bert.model.optimizer.iterations) >= 2 and np.isfinite(history.history["loss"]).all()
    still = [path for path, array in bert.weights().items() if np.array_equal(array, before[path])]
    # Heads on the tokens leave the pooler alone, and in two steps not every choice of a CRF is met.
    # A bias that all choices of a row share changes no softmax.
    unused = ("pooler/", "crf/", "things/crf/", *(["classifier/bias"] if name == "multiple_choice" else []))
    assert [path for path in still if not path.startswith(unused)] == []
    return bert


def texts_of(bert, rows):
    names = (*bert.task.columns, *bert.task.list_columns, *bert.task.optional_columns)
    return {name: [row[name] for row in rows] for name in names if name in rows[0]}


def walk(bert, rows, source, folder):
    """Save, load, answer, score: the loaded model is the trained one."""
    answers = bert.predict(texts_of(bert, rows))
    assert len(answers) == len(rows)
    bert.save(folder)
    loaded = kb.load(folder)
    assert loaded.task.name == bert.task.name and loaded.task.settings() == bert.task.settings()
    assert loaded.predict(texts_of(bert, rows)) == answers
    scores = loaded.evaluate(source)
    assert loaded.task.main_score in scores
    json.dumps(scores)
    if not loaded.task.parts and loaded.task.learns_from_rows:
        gold, found = loaded.answered(source)
        assert all(loaded.task.badness(*pair) >= 0 for pair in zip(gold, found, strict=True))
        json.dumps([loaded.task.expected(row) for row in gold])
    return answers


def test_every_task_has_an_example():
    assert EXAMPLES.keys() == TASKS.keys()


@pytest.mark.parametrize(
    ("name", "more"),
    [*((name, {}) for name in TASKS), *((name, WINDOWS) for name in ("classification", "tagging"))],
    ids=lambda value: value if isinstance(value, str) else "windows" if value else "",
)
def test_a_task_goes_from_rows_to_answers_and_into_a_served_model(name, more, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "_WORTH_COMPILING", 0)  # as models of a common size are trained
    settings, rows, *made = EXAMPLES[name]
    settings = {**settings, **more}
    source = made[0](tmp_path) if made else rows
    bert = trained(name, settings, source)
    walk(bert, rows, source, tmp_path / "model")
    if importlib.util.find_spec("keras_bert.export") is None:
        pytest.skip("keras_bert.export is not here yet")
    report = bert.export(tmp_path / "served", format="tf_saved_model")
    served = tf.saved_model.load(report["path"])
    columns = {column: tf.constant([row[column] for row in rows]) for column in bert.task.columns}
    columns |= {
        column: tf.ragged.constant([row[column] for row in rows]).to_tensor("")
        for column in bert.task.list_columns
    }
    check_served(served.signatures["serving_default"](**columns), bert.answerer.text(columns))
    for part in bert.task.parts:  # which have a signature each
        check_served(served.signatures[part](**columns), bert.part(part).answerer.text(columns))


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in TASKS if name != "pretraining"])
def test_a_task_runs_on_a_phone(name, tmp_path):
    settings, rows, *_ = EXAMPLES[name]
    config = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)
    bert = kb.Bert.from_config(config, kb.Tokenizer(PIECES), name, **settings)
    report = bert.export(tmp_path / "model.tflite", format="tflite", quantize="float32", length=12)
    # Read back in a fresh process, compared with the model; strings are left to the application.
    assert report["max_difference"] < 1e-5 and report["agreement"] == 1.0
    inputs = report["signatures"]["serving_default"]["inputs"]
    assert sorted(inputs) == ["padding_mask", "segment_ids", "token_ids"]


def check_served(answer, expected):
    assert answer.keys() == expected.keys()
    for output, tensor in answer.items():
        if tensor.dtype == tf.string:
            assert tensor.numpy().tolist() == expected[output].numpy().tolist()
        else:
            np.testing.assert_allclose(tensor, expected[output], rtol=0, atol=1e-5)


def test_a_new_task_is_one_class_and_one_line_in_the_registry(tmp_path, monkeypatch):
    monkeypatch.setitem(TASKS, "long_text", f"{__name__}:LongText")
    bert = trained("long_text", {}, LONG_TEXT)
    answers = walk(bert, LONG_TEXT, LONG_TEXT, tmp_path / "model")
    assert all(answer.keys() == {"long", "margin"} for answer in answers)
