"""What a model is fed in an epoch: every row, once, in batches as long as they need to be."""

import pandas as pd
import pytest
import tensorflow as tf

from keras_bert.data import pipeline
from keras_bert.data.pipeline import Rows, batches, open_source
from keras_bert.errors import DataError
from keras_bert.tasks.classification import Classification

NUM_ROWS, BATCH = 57, 4
# Row i is i % 9 + 1 times the word "i": what is in a batch can be read off its ids.
TEXTS = [" ".join([str(i)] * (i % 9 + 1)) for i in range(NUM_ROWS)]
LABELS = ["even" if i % 2 == 0 else "odd" for i in range(NUM_ROWS)]
FIRST_WORD, CLS, SEP = 5, 2, 3


class NumberTokenizer:
    """Stands for `InGraphTokenizer`, which is tested elsewhere and slow to trace: a word is its own id."""

    def features(self, texts, text_pairs=None, max_length=None):
        assert max_length == 12
        ids = tf.ones([tf.size(texts), 1], tf.int32) * CLS
        segment_ids = tf.RaggedTensor.from_tensor(tf.zeros_like(ids))
        for segment, column in enumerate([texts] if text_pairs is None else [texts, text_pairs]):
            words = tf.strings.to_number(tf.strings.split(column), tf.int32) + FIRST_WORD
            part = tf.concat([words, tf.ones([tf.size(texts), 1], tf.int32) * SEP], axis=1)
            ids = tf.concat([ids, part], axis=1)
            segment_ids = tf.concat([segment_ids, tf.ones_like(part) * segment], axis=1)
        mask = tf.ones_like(ids).to_tensor()
        return {"token_ids": ids.to_tensor(), "segment_ids": segment_ids.to_tensor(), "padding_mask": mask}


@pytest.fixture
def task():
    return Classification(["even", "odd"], max_length=12)


def rows_of(source, task, **kwargs):
    return Rows(open_source(source, task, **kwargs), task)


@pytest.fixture
def dataset_of(task):
    def make(source=(TEXTS, LABELS), batch_size=BATCH, training=True, seed=0, **kwargs):
        rows = rows_of(source, task, **kwargs)
        return batches(rows, NumberTokenizer(), batch_size, training=training, seed=seed)

    return make


def epoch(dataset):
    """One epoch as the numbers of its rows, a list a batch."""
    return [[int(ids[1]) - FIRST_WORD for ids in x["token_ids"].numpy()] for x, *_ in dataset]


@pytest.mark.parametrize("training", [True, False])
def test_every_row_appears_exactly_once_an_epoch(dataset_of, training):
    dataset = dataset_of(training=training)
    for _ in range(2):
        assert sorted(sum(epoch(dataset), [])) == list(range(NUM_ROWS))


@pytest.mark.parametrize(
    ("batch_size", "training"), [(1, True), (4, True), (19, True), (100, True), (4, False)]
)
def test_an_epoch_has_the_rounded_up_number_of_batches(dataset_of, batch_size, training):
    dataset = dataset_of(batch_size=batch_size, training=training)
    sizes = [len(batch) for batch in epoch(dataset)]
    assert len(sizes) == int(dataset.cardinality()) == -(-NUM_ROWS // batch_size)
    assert sorted(sizes)[1:] == [batch_size] * (len(sizes) - 1)


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_is_as_long_as_its_longest_text(dataset_of, training):
    for x, *_ in dataset_of(training=training):
        lengths = x["padding_mask"].numpy().sum(axis=1)
        assert {tensor.shape[1] for tensor in x.values()} == {lengths.max()}


def test_the_texts_of_a_training_batch_are_of_any_lengths(dataset_of):
    """What is alike in length is alike in more: batches of one length learn worse (BUILD_NOTES)."""
    lengths = [x["padding_mask"].numpy().sum(axis=1) for x, *_ in dataset_of()]
    within = sum(row.var() for row in lengths) / len(lengths)
    # Of 4 rows drawn at random the variance is on average 3 / 4 of that of all rows (20 / 3 here).
    assert 0.5 < within / (20 / 3) < 1.0


def test_evaluation_keeps_the_order_of_the_rows(dataset_of):
    assert sum(epoch(dataset_of(training=False)), []) == list(range(NUM_ROWS))


def test_the_same_seed_gives_the_same_batches_and_another_seed_others(dataset_of):
    first, again, other = (dataset_of(seed=seed) for seed in (1, 1, 2))
    epochs = epoch(first), epoch(first)
    assert (epoch(again), epoch(again)) == epochs
    # Not only the order of the batches hangs on the seed, but also what is in them.
    composition = [sorted(map(sorted, batches)) for batches in (*epochs, epoch(other))]
    assert composition[2] not in composition[:2]


def test_every_epoch_is_shuffled_anew(dataset_of):
    dataset = dataset_of()
    first, second = epoch(dataset), epoch(dataset)
    assert first != second
    # Not only the order of the batches is new, but also what is in them.
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))


def test_labels_and_weights_stay_with_their_rows(dataset_of):
    rows = [
        {"text": t, "label": n, "sample_weight": i / 8}
        for i, (t, n) in enumerate(zip(TEXTS, LABELS, strict=True))
    ]
    for x, labels, weights in dataset_of(rows):
        numbers = x["token_ids"].numpy()[:, 1] - FIRST_WORD
        assert labels.numpy().tolist() == (numbers % 2).tolist()
        assert weights.numpy().tolist() == (numbers / 8).tolist()


def test_rows_without_a_weight_weigh_one(dataset_of):
    assert {float(weight) for *_, weights in dataset_of() for weight in weights} == {1.0}


ONE = {"text": ["1", "2 2"], "label": ["odd", "even"]}
SOURCES = {
    "tuple": lambda: (ONE["text"], ONE["label"]),
    "dict of lists": lambda: ONE,
    "list of dicts": lambda: [dict(zip(ONE, row, strict=True)) for row in zip(*ONE.values(), strict=True)],
    "DataFrame": lambda: pd.DataFrame(ONE),
    "tf.data": lambda: tf.data.Dataset.from_tensor_slices(ONE),
    "batched tf.data": lambda: tf.data.Dataset.from_tensor_slices(ONE).batch(2),
    "generator": lambda: (dict(zip(ONE, row, strict=True)) for row in zip(*ONE.values(), strict=True)),
    "other names": lambda: tf.data.Dataset.from_tensor_slices(
        {"sentence": ONE["text"], "class": ONE["label"]}
    ),
}


ROWS = [
    {"text": "1", "label": 1, "sample_weight": 1.0},
    {"text": "2 2", "label": 0, "sample_weight": 1.0},
]


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_source_gives_the_same_rows_in_every_epoch(task, source):
    rows = rows_of(SOURCES[source](), task)
    assert rows.count == 2 and list(rows) == list(rows) == ROWS


def test_a_file_gives_the_same_rows(task, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("label\ttext\nodd\t1\neven\t2 2\n")
    assert list(rows_of(path, task)) == ROWS


def test_columns_can_be_named(task):
    source = tf.data.Dataset.from_tensor_slices({"body": ["1"], "kind": ["odd"]})
    assert list(rows_of(source, task, columns={"text": "body", "label": "kind"})) == ROWS[:1]


def test_pairs_become_two_segments(dataset_of):
    rows = [{"text": "1", "text_pair": "2 3", "label": "odd"}, {"text": "4", "label": "even"}]
    [(x, *_)] = dataset_of(rows, training=False)
    assert x["token_ids"].numpy()[0].tolist() == [2, 6, 3, 7, 8, 3]
    assert x["segment_ids"].numpy()[0].tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ([{"text": "w1", "label": "odd"}, {"text": "w1", "label": "green"}], "row 2: Unknown label 'green'"),
        ([{"text": "w1", "label": "odd"}, {"text": "w1", "label": " "}], "row 2: The 'label' is empty"),
        ([{"text": "w1", "label": "odd", "weight": -1}], "row 1: The sample weight is -1"),
        ([{"text": "w1", "label": "odd", "weight": "much"}], "row 1: The sample weight is 'much'"),
        ([{"text": 5, "label": "odd"}], "row 1: The 'text' is not a text but int 5"),
        ([], "rows: There are no rows"),
        (tf.data.Dataset.from_tensor_slices({"body": ["w1"], "label": ["odd"]}), "'text'"),
        (tf.data.Dataset.from_tensor_slices((["w1"], ["odd"])), "The dataset yields tuple"),
    ],
    ids=str,
)
def test_a_row_that_cannot_be_used_is_refused_with_its_place(dataset_of, source, message):
    with pytest.raises(DataError) as refusal:
        dataset_of(source)
    assert message in str(refusal.value)


def test_a_mistake_in_the_last_line_is_found_before_the_first_batch(dataset_of, tmp_path):
    path = tmp_path / "train.tsv"
    path.write_text("text\tlabel\n" + "w1\todd\n" * 20 + "w1\tgreen\n")
    with pytest.raises(DataError, match="train.tsv:22: Unknown label 'green'.*'even', 'odd'"):
        dataset_of(path)


def test_a_batch_size_below_one_is_refused(dataset_of):
    with pytest.raises(DataError, match="batch size is 0"):
        dataset_of(batch_size=0)


@pytest.mark.parametrize("at_once", [1, 10, NUM_ROWS, 100])
def test_rows_handed_over_by_the_hundred_are_those_of_the_source(task, monkeypatch, at_once):
    monkeypatch.setattr(pipeline, "ROWS_HANDED_OVER", at_once)
    texts = [*TEXTS, "1\x00", "longer " * 50]
    rows = rows_of({"text": texts, "label": [*LABELS, "odd", "odd"]}, task)
    found = list(pipeline._dataset_of(rows).as_numpy_iterator())
    assert [row["text"].decode() for row in found] == texts
    assert [row["label"] for row in found[:2]] == [0, 1]


def test_a_source_that_fits_the_buffer_is_read_in_the_first_epoch_of_training_only(task):
    opened = []

    def source():
        opened.append(1)
        return iter(
            [("here", {"text": text, "label": label}) for text, label in zip(TEXTS, LABELS, strict=True)]
        )

    dataset = batches(Rows(source, task), NumberTokenizer(), BATCH, training=True)
    before, epochs = len(opened), [list(dataset) for _ in range(3)]
    assert len(opened) == before + 1 and {len(epoch) for epoch in epochs} == {15}
