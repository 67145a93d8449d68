"""Checkpoints as people have them on disk: every layout loads with its library's own numbers, or is refused.

The layouts were written by the real libraries; `golden/layouts/README.md` says which, and the scripts beside
it make them again.
"""

import pathlib
import warnings

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.errors import KerasBertError
from keras_bert.inference import pooled

LAYOUTS = pathlib.Path(__file__).parent / "golden" / "layouts"
NAMES = sorted(path.stem for path in LAYOUTS.glob("*.npz"))
REFUSED = {  # what the message must contain
    "bert4keras_weights": ("save_weights_as_checkpoint",),
    "cousin_albert": ("albert", "`model_type`"),
    "cousin_deberta_v2": ("deberta-v2", "`model_type`"),
    "cousin_distilbert": ("distilbert", "`model_type`"),
    "cousin_electra_classifier": ("electra", "`model_type`"),
    "cousin_electra_discriminator": ("electra", "`model_type`"),
    "cousin_mobilebert": ("mobilebert", "`model_type`"),
    "cousin_modernbert": ("modernbert", "`model_type`"),
    "cousin_roberta": ("roberta", "`model_type`"),
    "hf4_relative_positions": ("relative_key_query", "relative ones are another arithmetic"),
    "hf5_decoder": ("is_decoder",),
}
# "gelu" in Google's file is the tanh form; this library wrote that file and meant the other one.
OPTIONS = {"bert4keras_checkpoint": {"activation": "gelu"}}
# The head's own dense layer stands in for the pooler there.
OTHER_POOLER = ("model_garden_classifier", "model_garden_pretraining")
HEADS = {
    "google_tf1_pretrained": "pretraining",
    "google_tf1_squad": "question_answering",
    "hf4_tf_pretraining": "pretraining",
    "hf4_tf_tagging": "token_classification",
    "hf5_masked_lm": "masked_lm",
    "hf5_multi_label": "sequence_classification",
    "hf5_multiple_choice": "multiple_choice",
    "hf5_next_sentence": "next_sentence",
    "hf5_regression": "sequence_classification",
    "hf5_tagging": "token_classification",
    "model_garden_pretraining": "pretraining",
    "tf_hub": "masked_lm",
}
SENTENCES = {"sentence_transformers": (True, None), "sentence_transformers_2": (False, 20)}
TOLERANCE = 5e-6


def load(name, monkeypatch, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing pooler starts fresh, and says so
        if name != "hf5_cache":
            return kb.load(LAYOUTS / name, **options)
        monkeypatch.setenv("HF_HUB_CACHE", str(LAYOUTS / name))
        return kb.load("tiny-org/tiny-bert", **options)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in REFUSED])
def test_a_layout_gives_the_numbers_of_the_library_that_wrote_it(name, monkeypatch):
    bert = load(name, monkeypatch, **OPTIONS.get(name, {}))
    golden = dict(np.load(LAYOUTS / f"{name}.npz"))
    features = {key: golden.pop(key) for key in ("token_ids", "segment_ids", "padding_mask")}
    is_token = features["padding_mask"].astype(bool)
    outputs = {}
    if is_token.ndim == 2:
        outputs |= bert.encoder(features, training=False)
    top = bert.head_model or bert.model
    if top is not None:
        logits = top(features, training=False)
        outputs |= logits if isinstance(logits, dict) else {"logits": logits}
    for head in ("nsp", "mlm"):
        if f"{head}_probabilities" in golden:
            scores = np.exp(np.asarray(outputs[f"{head}_logits"], np.float64))
            outputs[f"{head}_probabilities"] = scores / scores.sum(axis=-1, keepdims=True)
    golden.pop("embedding", None)
    if is_token.ndim == 3:  # the encoder's own outputs are those of the choices one by one
        golden = {"logits": golden["logits"]}
    compared = [key for key in golden if not (key == "pooled_output" and name in OTHER_POOLER)]
    assert compared and set(compared) <= set(outputs)
    for key in compared:
        expected, found = golden[key], np.asarray(outputs[key])
        if expected.shape[:2] == is_token.shape and is_token.ndim == 2:
            expected, found = expected[is_token], found[is_token]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0, err_msg=key)
    if name in HEADS:
        assert bert.head == HEADS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_layout_that_is_no_bert_is_refused_by_name(name, monkeypatch):
    with pytest.raises(KerasBertError) as refusal:
        load(name, monkeypatch)
    for fragment in REFUSED[name]:
        assert fragment in str(refusal.value)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_transformers_folder_gives_its_own_embeddings(name, monkeypatch):
    bert = load(name, monkeypatch)
    golden = dict(np.load(LAYOUTS / f"{name}.npz"))
    features = {key: golden[key] for key in ("token_ids", "segment_ids", "padding_mask")}
    tokens = np.asarray(bert.encoder(features, training=False)["sequence_output"])
    pooling = bert.pooling
    vectors = pooled(tokens, golden["padding_mask"], pooling.mode, pooling.normalize)
    np.testing.assert_allclose(vectors, golden["embedding"], atol=TOLERANCE, rtol=0)
    assert (pooling.normalize, pooling.max_length) == SENTENCES[name]
    assert bert.embed(["a film", "b"]).shape == (2, 8)


def test_every_layout_is_in_the_table():
    table = (LAYOUTS / "README.md").read_text(encoding="utf-8")
    assert len(NAMES) >= 40
    assert [name for name in NAMES if name not in table] == []
