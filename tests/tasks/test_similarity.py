"""Similarity: what the objectives ask for, and what is said of one text and of two."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_bert as kb
from keras_bert.errors import DataError, UsageError
from keras_bert.tasks.similarity import Similarity
from keras_bert.training.similarity_losses import CosineLoss, InBatchNegatives, TripletLoss

PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"a warm cold film play was".split()]
TOKENIZER = kb.Tokenizer(PIECES)
CONFIG = kb.BertConfig(len(PIECES), 1, 2, 8, 16, max_sequence_length=16, initializer_range=0.3)


def cos(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.fixture
def vectors():
    return np.random.default_rng(0).normal(size=(5, 3, 4)).astype("float32")


def test_in_batch_negatives_look_for_the_own_partner_among_all(vectors):
    expected = []
    for i in range(5):
        partners = [vectors[j, 1] for j in range(5)] + [vectors[j, 2] for j in range(5)]
        scores = np.array([20 * cos(vectors[i, 0], partner) for partner in partners])
        expected.append(np.log(np.exp(scores).sum()) - scores[i])
    loss = InBatchNegatives()(np.zeros(5), vectors)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)
    pairs = InBatchNegatives().call(np.zeros(5), vectors[:, :2])
    assert np.asarray(pairs).shape == (5,) and (np.asarray(pairs) < np.array(expected)).all()


def test_the_cosine_loss_compares_with_the_score(vectors):
    scores = np.linspace(-1, 1, 5).astype("float32")
    expected = [(cos(v[0], v[1]) - score) ** 2 for v, score in zip(vectors, scores, strict=True)]
    np.testing.assert_allclose(CosineLoss().call(scores, vectors[:, :2]), expected, rtol=1e-5)


def test_the_triplet_loss_wants_a_margin(vectors):
    expected = [max(0, 0.5 + cos(v[0], v[2]) - cos(v[0], v[1])) for v in vectors]
    np.testing.assert_allclose(TripletLoss().call(np.zeros(5), vectors), expected, rtol=1e-4, atol=1e-6)
    assert 0 in expected or min(expected) > 0


@pytest.mark.parametrize("loss", [InBatchNegatives(scale=5.0), CosineLoss(), TripletLoss(margin=0.2)])
def test_the_losses_are_rebuilt_from_their_config(loss, vectors):
    twin = type(loss).from_config(loss.get_config())
    count = 2 if isinstance(loss, CosineLoss) else 3
    assert float(twin(np.zeros(5), vectors[:, :count])) == float(loss(np.zeros(5), vectors[:, :count]))


def bert(**settings):
    keras.utils.set_random_seed(0)
    return kb.Bert.from_config(CONFIG, TOKENIZER, "similarity", max_length=12, **settings)


@pytest.mark.parametrize("pooling", ["mean", "cls", "max"])
@pytest.mark.parametrize("normalize", [True, False])
def test_an_embedding_is_pooled_as_asked_whatever_stands_beside_it(pooling, normalize):
    model = bert(pooling=pooling, normalize=normalize)
    texts = ["a warm film", "cold", "a play was a cold play"]
    tokens = [model.encode(text)["sequence_output"][0] for text in texts]
    pool = {"mean": lambda t: t.mean(0), "cls": lambda t: t[0], "max": lambda t: t.max(0)}[pooling]
    expected = np.stack([pool(t) for t in tokens])
    if normalize:
        expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    found = np.array([row["embedding"] for row in model.predict(texts)])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_two_texts_have_the_cosine_of_their_embeddings_as_score():
    model = bert(normalize=False)
    one, other = model.predict(["a warm film", "cold"])
    [pair] = model.predict("a warm film", "cold")
    assert pair["score"] == pytest.approx(
        cos(np.array(one["embedding"]), np.array(other["embedding"])), abs=1e-5
    )
    np.testing.assert_allclose(pair["pair_embedding"], other["embedding"], atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "settings"),
    [
        ([{"text": "a", "text_pair": "b", "score": 4.2}], {"objective": "cosine", "score_range": [0.0, 5.0]}),
        (
            [{"text": "a", "text_pair": "b", "score": "0.3"}],
            {"objective": "cosine", "score_range": [0.0, 1.0]},
        ),
        ([{"text": "a", "text_pair": "b"}], {"objective": "in_batch_negatives"}),
        ([{"text": "a", "text_pair": "b", "negative": "c"}], {"objective": "triplet"}),
    ],
)
def test_the_rows_decide_the_objective(rows, settings):
    found = Similarity.settings_from_rows((f"row {i}", row) for i, row in enumerate(rows))
    assert found == settings


def test_a_partner_that_is_missing_is_refused_with_its_place():
    with pytest.raises(DataError, match="^row 3: The 'text_pair' is missing"):
        Similarity(objective="in_batch_negatives").check_row({"text": "a"}, "row 3")
    with pytest.raises(DataError, match="^row 3: The 'negative' is missing"):
        Similarity(objective="triplet").check_row({"text": "a", "text_pair": "b"}, "row 3")


@pytest.mark.parametrize("settings", [{"objective": "euclid"}, {"pooling": "sum"}, {"score_range": (1, 1)}])
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(UsageError):
        Similarity(**settings)


@pytest.mark.parametrize("objective", ["in_batch_negatives", "triplet"])
def test_pairs_are_learnt(objective):
    keras.utils.set_random_seed(0)
    model = bert(objective=objective)
    rows = [
        {"text": "a warm film", "text_pair": "warm", "negative": "cold"},
        {"text": "a cold play", "text_pair": "cold", "negative": "warm"},
    ]
    before = model.evaluate(rows)
    model.model.compile(optimizer=kb.AdamW(1e-2))
    dataset = model.dataset(rows, 2, training=True)
    assert next(iter(dataset))[0]["token_ids"].shape[:2] == (2, 3)
    losses = model.model.fit(dataset.repeat(40), verbose=0, epochs=1).history["loss"]
    after = model.evaluate(rows)
    assert np.isfinite(losses).all() and after["mrr"] >= before["mrr"] and after["mrr"] == 1.0


def test_the_ids_of_one_text_give_its_embedding():
    model = bert()
    features = model.preprocess(tf.constant(["a warm film"]))
    answer = model.answerer.ids(features["token_ids"], features["segment_ids"], tf.constant([5]))
    [row] = model.predict(["a warm film"])
    np.testing.assert_allclose(answer["embedding"][0], row["embedding"], atol=1e-6)
