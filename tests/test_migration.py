"""Checkpoints as people have them on disk: every layout loads with its library's own numbers, or is refused.

The layouts were written by the real libraries; `golden/layouts/README.md` says which, and the scripts beside
it make them again.
"""

import os
import pathlib
import subprocess
import sys
import warnings

import numpy as np
import pytest

import keras_bert as kb
from keras_bert.checkpoints.architectures import ARCHITECTURES
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
LOADED = [name for name in NAMES if name not in REFUSED]


def load(name, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a missing pooler starts fresh, and says so
        if name != "hf5_cache":
            return kb.load(LAYOUTS / name, **options)
        os.environ["HF_HUB_CACHE"] = str(LAYOUTS / name)
        return kb.load("tiny-org/tiny-bert", **options)


def golden_of(name):
    """(features, what the library that wrote the layout made of them)."""
    golden = dict(np.load(LAYOUTS / f"{name}.npz"))
    features = {key: golden.pop(key) for key in ("token_ids", "segment_ids", "padding_mask")}
    golden.pop("embedding", None)
    return features, golden


def write_outputs(folder):
    """What we make of them, and the head that was found, a file a layout."""
    for name in LOADED:
        bert, (features, _) = load(name, **OPTIONS.get(name, {})), golden_of(name)
        outputs = {}
        if features["padding_mask"].ndim == 2:
            outputs |= bert.encoder(features, training=False)
        top = bert.head_model or bert.model
        if top is not None:
            logits = top(features, training=False)
            outputs |= logits if isinstance(logits, dict) else {"logits": logits}
        head = bert.head or (ARCHITECTURES[bert.task.architecture].head if bert.task else None)
        arrays = {key: np.asarray(value) for key, value in outputs.items()}
        np.savez(folder / f"{name}.npz", head=str(head), **arrays)


@pytest.fixture(scope="module")
def outputs_folder(tmp_path_factory):
    """The outputs from a process of its own, without oneDNN.

    Its kernels sum in an order that depends on the machine: with AVX-512 one logit of 680 differed by 5.2e-6,
    with AVX2 another by 7.3e-6. TensorFlow's own are the same everywhere.
    """
    folder = tmp_path_factory.mktemp("outputs")
    subprocess.run(
        [sys.executable, __file__, folder], check=True, env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"}
    )
    return folder


@pytest.mark.parametrize("name", LOADED)
def test_a_layout_gives_the_numbers_of_the_library_that_wrote_it(name, outputs_folder):
    features, golden = golden_of(name)
    outputs = dict(np.load(outputs_folder / f"{name}.npz"))
    head = str(outputs.pop("head"))
    is_token = features["padding_mask"].astype(bool)
    for part in ("nsp", "mlm"):
        if f"{part}_probabilities" in golden:
            scores = np.exp(outputs[f"{part}_logits"].astype(np.float64))
            outputs[f"{part}_probabilities"] = scores / scores.sum(axis=-1, keepdims=True)
    if is_token.ndim == 3:  # the encoder's own outputs are those of the choices one by one
        golden = {"logits": golden["logits"]}
    compared = [key for key in golden if not (key == "pooled_output" and name in OTHER_POOLER)]
    assert compared and set(compared) <= set(outputs)
    for key in compared:
        expected, found = golden[key], outputs[key]
        if expected.shape[:2] == is_token.shape and is_token.ndim == 2:
            expected, found = expected[is_token], found[is_token]
        np.testing.assert_allclose(found, expected, atol=TOLERANCE, rtol=0, err_msg=key)
    if name in HEADS:
        assert head == HEADS[name]


@pytest.mark.parametrize("name", REFUSED)
def test_a_layout_that_is_no_bert_is_refused_by_name(name):
    with pytest.raises(KerasBertError) as refusal:
        load(name)
    for fragment in REFUSED[name]:
        assert fragment in str(refusal.value)


@pytest.mark.parametrize("name", SENTENCES)
def test_a_sentence_transformers_folder_gives_its_own_embeddings(name):
    bert = load(name)
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


if __name__ == "__main__":
    write_outputs(pathlib.Path(sys.argv[1]))
